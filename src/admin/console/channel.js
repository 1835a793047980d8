// One channel: how it stands, what it delivered, and what may be done with it.

import { Rates, Refused, call, channelPath } from "/api.js";
import { ask, badge, bytes, count, h, number, rate, set, span, svg, time } from "/dom.js";
import { etaOf } from "/channels.js";
import { remove } from "/define.js";
import { fatePanel } from "/events.js";
import { keysPanel } from "/keys.js";
import { lettersView } from "/letters.js";
import { recentTable } from "/losses.js";
import { payloadsPanel } from "/payloads.js";
import { queuePanel } from "/queue.js";
import { sendPanel } from "/send.js";
import { watchPanel } from "/watch.js";

/** Seconds of the chart. */
const CHART = 120;
/** How long the last failed call of a channel that is live again is shown, in ms. */
const RECOVERED = 60_000;
/** Looks between two at what changes slowly. */
const SLOW = 3;

const ENDS = [
  ["delivered", "Delivered"],
  ["merged", "Merged"],
  ["expired", "Expired"],
  ["cancelled", "Cancelled"],
  ["evicted", "Evicted"],
];

export function channelView(name, overview) {
  const rates = new Rates();
  const payloads = payloadsPanel(name);
  const watch = watchPanel(name);
  const send = sendPanel(name, payloads, watch.mark);
  const letters = lettersView({ channel: name });
  const queue = queuePanel(name);
  const keys = keysPanel(name);
  const fate = fatePanel(name);
  const refusals = recentTable("Nothing of this channel was refused of late.");
  const chart = chartOf();
  const state = h("span");
  const arn = h("p", { class: "arn" });
  const pausedFor = h("p", { class: "note", id: "paused", hidden: true });
  const error = h("p", { class: "note bad", hidden: true });
  const tiles = tableOf(["In", "Out", "Queued", "Bytes", "ETA", "Oldest", "Tokens"], "tiles");
  const totals = h("dl", { class: "pairs" });
  const limits = h("dl", { class: "pairs" });
  const toggle = h("button", { type: "button", id: "toggle", disabled: true }, "Pause…");
  const purge = h("button", { type: "button", id: "purge", class: "danger", disabled: true }, "Purge…");
  // Of a channel that the API made.
  const edit = h("a", { id: "edit", href: `#/edit/${encodeURIComponent(name)}`, hidden: true }, "Edit");
  const gone = h("button", { type: "button", id: "remove", class: "danger", hidden: true }, "Remove…");
  const done = h("p", { class: "outcome", role: "status", id: "done" });
  let report = null;
  let looks = 0;

  toggle.addEventListener("click", () => report.state === "paused" ? resume() : pause());
  purge.addEventListener("click", purgeAll);
  gone.addEventListener("click", removeIt);

  async function look() {
    send.setMode(overview()?.mode);
    await watch.look();
    payloads.look();
    draw(await call(channelPath(name)));
    if (looks++ % SLOW) return;
    await Promise.all([queue.look(), keys.look()]);
    const { recent } = await call("/admin/refusals");
    refusals.draw(recent.filter(({ channel }) => channel === report.channel || channel === report.arn));
    await letters.look();
  }

  function draw(now) {
    const [into, out] = rates.of(name, [now.totals.accepted, now.totals.delivered]);
    if (report?.state !== now.state) {
      state.replaceChildren(badge(now.state));
      set(toggle, now.state === "paused" ? "Resume…" : "Pause…");
    }
    report = now;
    toggle.disabled = purge.disabled = false;
    edit.hidden = gone.hidden = now.source !== "api";
    set(arn, now.arn);
    payloads.setMax(now.limits.payload_max_bytes);
    chart.add(into, out);
    tiles.draw([
      `${rate(into)}/s`, `${rate(out)}/s`,
      `${number(now.queued)} of ${number(now.limits.queue_max_events)}`,
      `${bytes(now.bytes)} of ${bytes(now.limits.queue_max_bytes)}`,
      etaOf(now), span(now.oldest_age_ms),
      `${now.tokens.available} of ${now.tokens.limit}`,
    ]);
    pausedFor.hidden = now.paused_ms === null;
    set(pausedFor, `Paused for ${span(now.paused_ms ?? 0)}. A restart does not end it.`);
    const recovered = now.state === "live" && now.last_error && Date.now() - now.last_error.at_ms > RECOVERED;
    error.hidden = !now.last_error || recovered;
    if (now.last_error) {
      const { code, status, message, at_ms } = now.last_error;
      set(error, `Last failed call, ${time(at_ms)}: ${[code, status, message].filter(Boolean).join(", ")}`);
    }
    const dead = Object.entries(now.totals.dead_lettered).filter(([, n]) => n > 0);
    pairs(totals, [
      ["Accepted", number(now.totals.accepted)],
      ["Recovered from the journal", number(now.totals.recovered)],
      ...(now.totals.released ? [["Gone to another node", number(now.totals.released)]] : []),
      ["Duplicates", number(now.totals.duplicates)],
      ...ENDS.map(([end, title]) => [title, number(now.totals[end])]),
      ...dead.map(([reason, n]) => [`Dead-lettered, ${reason.replaceAll("_", " ")}`, number(n)]),
    ]);
    pairs(limits, [
      ["Calls a second", `${now.limits.channel_tps}; account ${now.limits.account_tps}`],
      ["Payload", bytes(now.limits.payload_max_bytes)],
      ["Envelope", now.limits.envelope],
      ["TTL by default", span(now.limits.ttl_ms)],
    ]);
  }

  async function act(path, method, words) {
    try {
      const answer = await call(channelPath(name, path), { method });
      done.className = "outcome good";
      set(done, words(answer));
    } catch (failure) {
      refused(failure);
    }
    dispatchEvent(new Event("looknow"));
  }

  async function removeIt() {
    try {
      if (await remove(report)) location.hash = "#/";
    } catch (failure) {
      refused(failure);
    }
  }

  function refused(failure) {
    done.className = "outcome bad";
    set(done, failure instanceof Refused ? `Refused: ${failure.message}` : "The gateway does not answer.");
  }

  async function pause() {
    const text = `Calls for ${name} stop at once. Events are still accepted and wait; those whose TTL `
      + `(${span(report.limits.ttl_ms)} by default) ends before you resume are lost, and so is what overflows `
      + `the queue. ${waiting()} A pause is kept over restarts until somebody resumes.`;
    if (await ask({ title: `Pause ${name}?`, text, yes: "Pause" })) await act("/pause", "POST", () => "Paused.");
  }

  async function resume() {
    const text = `${waiting()} What is still in time leaves within the quota.`;
    if (await ask({ title: `Resume ${name}?`, text, yes: "Resume" })) await act("/resume", "POST", () => "Resumed.");
  }

  async function purgeAll() {
    const text = `${waiting()} All of it is cancelled and never reaches a viewer. There is no way back. `
      + "A payload that is on its way is not stopped.";
    if (!(await ask({ title: `Purge ${name}?`, text, yes: "Purge", danger: true }))) return;
    await act("/events?all=true", "DELETE", ({ cancelled }) => `Purged: ${count(cancelled, "event")} cancelled.`);
  }

  const waiting = () => report.queued
    ? `${count(report.queued, "event")} (${bytes(report.bytes)}) ${report.queued === 1 ? "is" : "are"} queued.`
    : "Nothing is queued at present.";

  const node = h("div", { class: "channel" },
    h("section", { class: "panel", "aria-labelledby": "channel-title" },
      h("div", { class: "head" },
        h("h1", { id: "channel-title" }, name), state,
        h("div", { class: "actions" }, edit, toggle, purge, gone)),
      arn, done, pausedFor, error, tiles.node, chart.node),
    watch.node,
    h("div", { class: "board" },
      h("div", {}, payloads.node,
        panel("refused-title", "Refused of late", refusals.node), letters.node),
      h("div", {}, send.node, fate.node),
      h("div", {}, queue.node, keys.node,
        panel("totals-title", "How its events ended", totals),
        panel("limits-title", "Limits in force", limits))));
  const both = (what) => () => [payloads, watch].forEach((panel) => panel[what]());
  return { node, look, start: both("start"), stop: both("stop") };
}

function panel(id, title, content) {
  return h("section", { class: "panel", "aria-labelledby": id },
    h("div", { class: "head" }, h("h2", { id }, title)), content);
}

function tableOf(names, kind) {
  const values = names.map(() => h("dd"));
  const node = h("dl", { class: kind }, ...names.map((name, at) => h("div", {}, h("dt", {}, name), values[at])));
  return { node, draw: (texts) => texts.forEach((text, at) => set(values[at], text)) };
}

function pairs(list, entries) {
  while (list.children.length > entries.length) list.lastElementChild.remove();
  entries.forEach(([name, value], at) => {
    const pair = list.children[at] ?? list.appendChild(h("div", {}, h("dt"), h("dd")));
    set(pair.firstElementChild, name);
    set(pair.lastElementChild, value);
  });
}

/** What came in and what left in the last two minutes. */
function chartOf() {
  const lines = { into: svg("polyline", { class: "into" }), out: svg("polyline", { class: "out" }) };
  const drawing = svg("svg", { viewBox: `0 0 ${CHART} 40`, preserveAspectRatio: "none", "aria-hidden": "true" },
    lines.into, lines.out);
  const scale = h("span");
  const points = [];
  function add(into, out) {
    if (into == null) return;
    points.push({ into, out });
    if (points.length > CHART) points.shift();
    const top = Math.max(1, ...points.flatMap((point) => [point.into, point.out]));
    for (const [name, line] of Object.entries(lines)) {
      line.setAttribute("points", points.map((point, at) =>
        `${CHART - points.length + at},${39 - (38 * point[name]) / top}`).join(" "));
    }
    set(scale, `two minutes, up to ${rate(top)}/s`);
  }
  const node = h("figure", { class: "chart" }, drawing,
    h("figcaption", {}, h("span", { class: "key into" }, "in"), h("span", { class: "key out" }, "out"), scale));
  return { node, add };
}

// Delivered payloads, decoded: what each carries, how large it is, how full.

import { Follower, call, channelPath } from "/api.js";
import { bytes, count, h, number, set, time } from "/dom.js";
import { Slices, decode as inflate } from "/player.js";
import { timelineOf } from "/timeline.js";

/** Payloads on the page. */
const SHOWN = 20;

/** Events of a payload that are seen at once: 1 KB can hold more than a hundred. */
const OPEN = 8;

/** JSON whose numbers keep their digits when it is written again, where the browser can. */
export function exact(text) {
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && context?.source !== undefined && JSON.rawJSON
      ? JSON.rawJSON(context.source)
      : value);
}

/** A number that {@link exact} read, as one that can be reckoned with. */
export const plainNumber = (number) => (number == null ? number : Number(JSON.stringify(number)));

/** What each form is called. */
const FORMS = { "~0": "compressed", "~2": "slice" };

/**
 * A payload in any form: its text where that is not as it was sent, its events with their data as JSON text, what it tells of the
 * state. `slices` holds the slices of large events until they are whole; the last one has the event.
 */
export function decode(sent, slices = new Slices()) {
  const form = FORMS[sent.slice(0, 2)];
  const joined = form === "slice" && slices.push(sent, undefined, performance.now() / 1000);
  // A slice that completes nothing has no event of its own.
  if (joined === undefined) return { kind: "cue", form, items: [], entries: [] };
  const plain = joined ? joined.text : form === "compressed" ? inflate(sent.slice(2)) : sent;
  const decoded = plain === undefined ? null : itemsOf(plain);
  // What only looks like a form is somebody's own text.
  if (!form || decoded?.kind !== "cue") return itemsOf(sent);
  return { ...decoded, form, plain };
}

function itemsOf(text) {
  const raw = { kind: "raw", items: [{ data: text }], entries: [] };
  let payload;
  try {
    payload = exact(text);
  } catch {
    return raw;
  }
  if (payload !== null && typeof payload === "object" && String(JSON.stringify(payload.v)) === "1" && Array.isArray(payload.e)) {
    const items = payload.e.map((item) => ({
      data: JSON.stringify(item?.d), type: item?.t, key: item?.k, id: item?.i, merge: item?.m,
    }));
    const entries = (Array.isArray(payload.s) ? payload.s : []).map((entry) => ({
      data: entry?.x ? "deleted" : JSON.stringify(entry?.d) ?? "as it was", type: entry?.t, key: entry?.k, merge: entry?.m,
    }));
    return { kind: "cue", items, entries };
  }
  if (Array.isArray(payload)) return { ...raw, kind: "array", items: payload.map((data) => ({ data: JSON.stringify(data) })) };
  return raw;
}

/** The list of a channel's payloads: those of late, then each as it is delivered. */
export function payloadsPanel(channel) {
  const list = h("ol", { class: "payloads" });
  const none = h("p", { class: "none" }, "Nothing was delivered of late.");
  const live = h("span", { class: "live", role: "status" });
  const seen = new Map();
  const watchers = new Set();
  const slices = new Slices();
  const timeline = timelineOf();
  let stream = null;
  let max = 1024;

  function add(payload, arrived) {
    const known = `${payload.n} ${payload.text}`;
    if (seen.has(known)) return;
    const decoded = decode(payload.text, slices);
    const card = cardOf(payload, decoded, max);
    seen.set(known, card);
    timeline.add(payload.at_ms, card.share, decoded.form, decoded.entries.length);
    none.hidden = true;
    // Newest first, whatever order they came in.
    const before = [...list.children].find((other) => Number(other.dataset.n) < payload.n);
    list.insertBefore(card.node, before ?? null);
    while (list.children.length > SHOWN) {
      const last = list.lastElementChild;
      last.remove();
      for (const [key, { node }] of seen) if (node === last) seen.delete(key);
    }
    if (arrived !== undefined) for (const watcher of watchers) watcher(decoded, card, arrived);
  }

  async function start() {
    stop();
    set(live, "connecting");
    stream = new Follower(channelPath(channel, "/payloads"), {
      // The stream first, then what came before it: nothing falls between.
      opened: () => {
        set(live, "live");
        recent();
      },
      event: ({ id, name, data }) => {
        if (name === "lagged") recent();
        else add({ n: Number(id), at_ms: Date.now(), text: data }, performance.now());
      },
      lost: () => set(live, "reconnecting"),
    });
  }

  async function recent() {
    try {
      const { payloads } = await call(channelPath(channel, "/payloads/recent"));
      for (const payload of payloads) add(payload);
    } catch {
      // The page's clock says that the gateway does not answer.
    }
  }

  function stop() {
    stream?.close();
    stream = null;
    watchers.clear();
    set(live, "stopped");
  }

  const node = h("section", { class: "panel", "aria-labelledby": "payloads-title" },
    h("div", { class: "head" }, h("h2", { id: "payloads-title" }, "Delivered payloads"), live),
    timeline.node, none, list);
  return {
    node, start, stop,
    /** The bars go on with the time. */
    look: () => timeline.draw(),
    setMax: (bytesMax) => { max = bytesMax; },
    /** Calls `watcher` for each payload from now on; it takes itself off again. */
    watch: (watcher) => watchers.add(watcher),
    unwatch: (watcher) => watchers.delete(watcher),
  };
}

function cardOf(payload, { kind, form, plain, items, entries }, max) {
  const size = new TextEncoder().encode(payload.text).length;
  const share = Math.min(100, Math.round((100 * size) / max));
  const bar = h("span");
  bar.style.width = `${share}%`;
  const label = h("span", { class: "mine", hidden: true });
  const node = h("li", { class: "payload", "data-n": payload.n },
    h("div", { class: "payload-head" },
      h("time", {}, time(payload.at_ms)),
      h("span", {}, form === "slice" && !items.length ? "slice of a large event" : count(items.length, "event")),
      form ? h("span", { class: "form" }, form) : null,
      entries.length ? h("span", {}, count(entries.length, "entry of the state", "entries of the state")) : null,
      h("span", { class: "fill", role: "img", "aria-label": `${share} % full` }, bar),
      h("span", { class: "size" }, `${number(size)} of ${bytes(max)}, ${share} %`),
      label),
    h("ul", { class: "events" }, ...items.slice(0, OPEN).map(eventOf)),
    items.length > OPEN ? h("details", { class: "more" },
      h("summary", {}, count(items.length - OPEN, "more event")),
      h("ul", { class: "events" }, ...items.slice(OPEN).map(eventOf))) : null,
    entries.length ? h("details", { class: "entries" },
      h("summary", {}, "The state before its events"),
      h("ul", { class: "events" }, ...entries.map(eventOf))) : null,
    plain === undefined ? null : h("details", { class: "plain" },
      h("summary", {}, `Decoded, ${number(new TextEncoder().encode(plain).length)} B`),
      h("pre", {}, plain)),
    h("details", { class: "sent" },
      h("summary", {}, `Metadata as it was sent (${kind}, n ${payload.n})`),
      h("pre", {}, payload.text)));
  function mark(text) {
    node.classList.add("is-mine");
    label.hidden = false;
    label.textContent = text;
  }
  return { node, mark, share: size / max };
}

function eventOf({ data, type, key, id, merge }) {
  const about = [["type", type], ["key", key], ["merge", merge], ["id", id]]
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => h("span", { class: "tag" }, h("span", { class: "tag-name" }, name), String(value)));
  return h("li", {}, ...about, h("code", {}, String(data)));
}

// The list of channels, live.

import { Rates, call } from "/api.js";
import { badge, count, h, number, rate, set, span } from "/dom.js";

const PAGE = 50;
/** After the last key in the filter, in ms. */
const TYPING = 200;

const COLUMNS = [
  ["Channel", "name"],
  ["State", "word wide"],
  ["In/s", ""],
  ["Out/s", ""],
  ["Queued", ""],
  ["ETA", "wide"],
  ["Oldest", "wide"],
  ["Tokens", "wide"],
  ["Lost", "wide"],
];

export function channelsView() {
  const rates = new Rates();
  const rows = new Map();
  // What `after` was on the pages before this one; the last is this one's.
  let pages = [""];
  let next = null;
  let typing = null;

  const filter = h("input", { id: "filter", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "alias or ARN" });
  const body = h("tbody");
  const none = h("p", { class: "none", hidden: true });
  const where = h("span", { class: "where", role: "status" });
  const [back, on] = [h("button", { type: "button" }, "Previous"), h("button", { type: "button" }, "Next")];

  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => go([""]), TYPING);
  });
  back.addEventListener("click", () => go(pages.slice(0, -1)));
  on.addEventListener("click", () => next && go([...pages, next]));

  function go(to) {
    pages = to.length ? to : [""];
    dispatchEvent(new Event("looknow"));
  }

  async function look() {
    const asked = pages;
    const part = filter.value.trim();
    const query = new URLSearchParams({ limit: PAGE, q: part });
    if (asked.at(-1)) query.set("after", asked.at(-1));
    const page = await call(`/admin/channels?${query}`);
    // Somebody went on meanwhile.
    if (asked !== pages || part !== filter.value.trim()) return;
    next = page.next;
    draw(page.channels);
    const first = (pages.length - 1) * PAGE;
    set(where, page.channels.length
      ? `${number(first + 1)}–${number(first + page.channels.length)} of ${count(page.total, "channel")}`
      : "");
    none.hidden = page.channels.length > 0;
    set(none, part ? `No channel's name or ARN contains “${part}”.` : "No channel is known.");
    back.disabled = pages.length === 1;
    on.disabled = !next;
  }

  function draw(channels) {
    const shown = new Set(channels.map((channel) => channel.channel));
    for (const [name, row] of rows) {
      if (!shown.has(name)) {
        row.node.remove();
        rows.delete(name);
      }
    }
    channels.forEach((channel, at) => {
      const row = rows.get(channel.channel) ?? rowOf(channel.channel);
      rows.set(channel.channel, row);
      if (body.children[at] !== row.node) body.insertBefore(row.node, body.children[at] ?? null);
      row.update(channel, rates.of(channel.channel, [channel.totals.accepted, channel.totals.delivered]));
    });
  }

  const node = h("section", { class: "panel", "aria-labelledby": "channels-title" },
    h("div", { class: "head" },
      h("h1", { id: "channels-title" }, "Channels"),
      h("a", { id: "add", href: "#/new" }, "Add a channel"),
      h("label", { class: "search", for: "filter" }, h("span", {}, "Filter"), filter)),
    h("div", { class: "scroll" }, h("table", { class: "channels" },
      h("caption", { class: "hidden" }, "Channels, updated every second"),
      h("thead", {}, h("tr", {}, ...COLUMNS.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)))),
      body)),
    none,
    h("div", { class: "pages" }, where, back, on));
  return { node, look, stop: () => clearTimeout(typing) };
}

function rowOf(name) {
  const state = h("td", { class: "word wide" });
  const [stateUnder, textUnder] = [h("span"), h("span")];
  const under = h("small", { class: "narrow" }, stateUnder, textUnder);
  const cells = COLUMNS.slice(2).map(([, kind]) => h("td", { class: kind }));
  const link = h("a", { href: `#/channel/${encodeURIComponent(name)}` }, name);
  const node = h("tr", {}, h("th", { scope: "row", class: "name" }, link, under), state, ...cells);
  let shown = null;
  function update(channel, [into, out]) {
    if (shown !== channel.state) for (const place of [state, stateUnder]) place.replaceChildren(badge(channel.state));
    shown = channel.state;
    const tokens = `${channel.tokens.available}/${channel.tokens.limit}`;
    const eta = etaOf(channel);
    const texts = [
      rate(into), rate(out), number(channel.queued), eta, span(channel.oldest_age_ms), tokens,
      number(lost(channel.totals)),
    ];
    texts.forEach((text, at) => set(cells[at], text));
    set(textUnder, `ETA ${eta}, ${tokens} tokens`);
  }
  return { node, update };
}

/** How long the backlog takes, where it moves at all. */
export function etaOf({ queued, state, eta_ms }) {
  if (queued === 0) return "–";
  return state === "paused" || state === "offline" ? "held" : span(eta_ms);
}

/** Events that were accepted and reached nobody. */
export function lost(totals) {
  const dead = Object.values(totals.dead_lettered).reduce((sum, n) => sum + n, 0);
  return totals.expired + totals.evicted + totals.cancelled + dead;
}

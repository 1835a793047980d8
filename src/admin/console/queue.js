// What is queued on a channel, by type and key and one by one; and one event, which may be moved, edited and cancelled.

import { call, channelPath } from "/api.js";
import { editPanel } from "/events.js";
import { arrange, count, h, number, set, span, time } from "/dom.js";
import { exact, plainNumber } from "/payloads.js";

/** Events that are looked at, and shown one by one at first. */
const LOOKED_AT = 200;
const SHOWN = 10;
/** Kinds of events, by type and key. */
const KINDS = 8;
/** After the last key in a filter, in ms. */
const TYPING = 300;

export function queuePanel(channel) {
  const filter = (id, placeholder) => h("input", { id, type: "search", autocomplete: "off", spellcheck: "false", maxlength: 128, placeholder });
  const [type, key] = [filter("queue-type", "any"), filter("queue-key", "any")];
  const none = h("p", { class: "none" }, "Nothing is queued.");
  const where = h("span", { class: "where" });
  const kinds = h("tbody");
  const byKind = h("div", { class: "scroll" },
    h("table", { class: "kinds", "aria-label": "What is queued, by type and key" },
      h("thead", {}, h("tr", {}, ...[["Type", "word"], ["Key", "word"], ["Events", ""], ["The first leaves", ""]].map(([text, kind]) =>
        h("th", { scope: "col", class: kind || null }, text)))),
      kinds));
  const list = h("ol", { class: "queued", "aria-label": "What is queued, in the order in which it leaves" });
  const more = h("button", { type: "button", hidden: true }, "Show more");
  const edit = editPanel(channel, look);
  let shown = SHOWN;
  let typing = null;
  let turn = 0;
  let looked = [];

  for (const field of [type, key]) {
    field.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(look, TYPING);
    });
  }
  more.addEventListener("click", () => {
    shown = LOOKED_AT;
    look();
  });

  async function look() {
    const mine = ++turn;
    const query = new URLSearchParams({ limit: LOOKED_AT });
    for (const [name, { value }] of [["type", type], ["key", key]]) if (value.trim()) query.set(name, value.trim());
    // Data keeps its digits: it may be written back.
    const page = await call(channelPath(channel, `/events?${query}`), { parse: exact });
    if (mine !== turn) return;
    draw({ ...page, events: page.events.map((event) => ({ ...event, eta_ms: plainNumber(event.eta_ms), n: plainNumber(event.n) })) });
  }

  function draw({ events, next }) {
    looked = events;
    const is = type.value.trim() || key.value.trim();
    set(none, is ? "Nothing that is queued fits." : "Nothing is queued.");
    none.hidden = events.length > 0;
    byKind.hidden = events.length === 0;
    set(where, next ? `the first ${number(events.length)}` : events.length ? count(events.length, "event") : "");
    const groups = grouped(events);
    kinds.replaceChildren(...groups.slice(0, KINDS).map(({ type, key, events }) => h("tr", {},
      h("td", { class: "word" }, type ?? "–"), h("td", { class: "word" }, key ?? "–"),
      h("td", {}, number(events.length)), h("td", {}, leaves(events[0])))),
    ...(groups.length > KINDS ? [h("tr", {}, h("td", { class: "word", colspan: 4 }, `${count(groups.length - KINDS, "more kind")}.`))] : []));
    const listed = events.slice(0, shown);
    // What is the same stays, under a hand that is about to press its button. Without an id, its place tells it.
    const items = arrange(list, listed.map((event, at) => {
      const { eta_ms, at: due, n, ...rest } = event;
      return [JSON.stringify([event.id ?? at, rest]), () => item(event)];
    }));
    listed.forEach((event, at) => set(items[at].querySelector(".leaves"), leaves(event)));
    more.hidden = events.length <= shown;
  }

  /** As it was at the last look: a cue may have been moved. */
  const latest = (event) => looked.find(({ id }) => id === event.id) ?? event;

  function item(event) {
    const about = ["type", "key", "id"].filter((name) => event[name] !== undefined)
      .map((name) => h("span", { class: "tag" }, h("span", { class: "tag-name" }, name), String(event[name])));
    const name = `event ${event.id}`;
    const may = event.id !== undefined && event.state !== "in_flight";
    return h("li", {},
      h("div", { class: "letter-head" },
        h("span", { class: "leaves" }), event.priority === "normal" ? null : h("span", { class: "form" }, event.priority),
        may ? h("span", { class: "actions" },
          h("button", { type: "button", "aria-label": `Edit ${name}`, on: { click: () => edit.open(latest(event)) } }, "Edit…"),
          h("button", { type: "button", class: "danger", "aria-label": `Cancel ${name}`, on: { click: () => edit.cancel(event) } }, "Cancel…")) : null),
      h("div", { class: "events" }, ...about, h("code", {}, JSON.stringify(event.data))));
  }

  const node = h("section", { class: "panel", "aria-labelledby": "queue-title" },
    h("div", { class: "head" }, h("h2", { id: "queue-title" }, "Queued"), where),
    h("div", { class: "filters" },
      h("label", {}, "Type", type), h("label", {}, "Key", key)),
    edit.node, none, byKind, list, more);
  return { node, look };
}

/** Events by type and key, the most first. */
function grouped(events) {
  const groups = new Map();
  for (const event of events) {
    const name = JSON.stringify([event.type, event.key]);
    if (!groups.has(name)) groups.set(name, { type: event.type, key: event.key, events: [] });
    groups.get(name).events.push(event);
  }
  return [...groups.values()].sort((a, b) => b.events.length - a.events.length);
}

/** When it leaves, in words. */
function leaves({ state, at, eta_ms, n }) {
  if (state === "in_flight") return `on its way, n ${n}`;
  if (state === "scheduled") return `due ${time(Date.parse(at))}`;
  return eta_ms === null ? "waits" : `in ${span(eta_ms)}`;
}

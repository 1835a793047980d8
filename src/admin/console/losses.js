// Why events were refused or lost, and what to do about it.

import { call } from "/api.js";
import { count, h, number, set, time } from "/dom.js";

const REFUSALS = {
  malformed: "Not JSON, or a field it does not know. The producer is wrong.",
  unauthenticated: "No valid key.",
  forbidden: "The key may not do this with this channel.",
  unknown_channel: "No such alias, and the ARN is not listed. A spelling, or a missing [[channel]].",
  channel_offline: "The stream is not live and the channel's policy is to reject.",
  event_too_large: "It cannot fit one payload. The producer must send less.",
  body_too_large: "Beyond server.max_body_bytes. Send smaller batches.",
  unsupported_media_type: "Not a content type that is taken.",
  invalid_event: "A value is out of bounds. The producer is wrong.",
  queue_full: "More comes in than the channel can send. Merge by key, or send less.",
  would_expire: "What is ahead of it takes longer than its TTL. Merge by key, or send less.",
  rate_limited: "The producer's own limit.",
  overloaded: "A bound of the whole process, or the journal's disk.",
  draining: "The gateway was shutting down.",
  slow_request: "The body came too slowly.",
};

const LOSSES = {
  expired: "The TTL ended first: a backlog, a pause, or a stream that is not live.",
  evicted: "A full queue pushed it out for another.",
  cancelled: "Somebody cancelled or purged it.",
  offline: "The stream was not live and the policy is to drop.",
  access_denied: "The credentials may not send to this channel.",
  no_such_channel: "The API does not know the channel.",
  validation: "The API refused the payload.",
  too_large: "The API found the payload too large.",
  unknown: "Nobody knows whether it arrived, and the policy is to drop.",
};

/** Dead letters have an `expired` of their own. */
const DEAD_EXPIRED = "It was sent and retried until its TTL ended.";

export function lossesView() {
  const refused = reasons("Code", "Nothing was refused since the start.");
  const lost = reasons("Reason", "Nothing was lost since the start.");
  const recent = recentTable("Nothing was refused of late.");

  async function look() {
    const losses = await call("/admin/refusals");
    refused.draw(Object.entries(losses.refused).map(([code, n]) => [code, n, REFUSALS[code] ?? ""]));
    const { dead_lettered, ...others } = losses.lost;
    lost.draw([
      ...Object.entries(others).map(([reason, n]) => [reason, n, LOSSES[reason] ?? ""]),
      ...Object.entries(dead_lettered).map(([reason, n]) =>
        [`dead-lettered: ${reason}`, n, reason === "expired" ? DEAD_EXPIRED : LOSSES[reason] ?? ""]),
    ]);
    recent.draw(losses.recent);
  }

  const panel = (id, title, text, table) => h("section", { class: "panel", "aria-labelledby": id },
    h("div", { class: "head" }, h("h2", { id }, title)), h("p", { class: "note" }, text), table.node);
  const node = h("div", {},
    h("h1", { class: "page-title" }, "Refusals and losses"),
    h("div", { class: "columns even" },
      panel("refused-title", "Refused", "Never accepted: the producer was told. Events since the start.", refused),
      panel("lost-title", "Lost", "Accepted, and reached nobody. Events since the start.", lost)),
    panel("recent-title", "Latest refusals", "One line a channel and code. No value of an event is kept.", recent));
  return { node, look };
}

/** Reasons that have a count, the largest first. */
function reasons(title, nothing) {
  const body = h("tbody");
  const none = h("p", { class: "none" }, nothing);
  const rows = new Map();
  const table = h("table", { class: "reasons", hidden: true },
    h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "name" }, title), h("th", { scope: "col" }, "Events"))),
    body);
  function draw(entries) {
    const happened = entries.filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
    none.hidden = happened.length > 0;
    table.hidden = !none.hidden;
    happened.forEach(([reason, n, why], at) => {
      if (!rows.has(reason)) {
        rows.set(reason, h("tr", {},
          h("th", { scope: "row", class: "name" }, h("code", {}, reason), h("small", {}, why)), h("td")));
      }
      const row = rows.get(reason);
      set(row.lastElementChild, number(n));
      if (body.children[at] !== row) body.insertBefore(row, body.children[at] ?? null);
    });
  }
  return { node: h("div", {}, none, table), draw };
}

/** The refusals of late: when, where, why, in the words the producer was given. */
export function recentTable(nothing) {
  const none = h("p", { class: "none" }, nothing);
  const list = h("ul", { class: "recent" });
  let drawn = "";
  function draw(entries) {
    const now = JSON.stringify(entries);
    if (now === drawn) return;
    drawn = now;
    none.hidden = entries.length > 0;
    list.replaceChildren(...entries.map(({ channel, transport, code, detail, events, at_ms }) => h("li", {},
      h("time", {}, time(at_ms)),
      h("code", {}, code),
      h("span", { class: "where" }, channel ?? "no channel"),
      h("span", { class: "detail" }, detail),
      h("span", { class: "times" }, `${count(events, "event")}, ${transport.replace("_", " ")}`))));
  }
  return { node: h("div", {}, none, list), draw };
}

// The state of a channel, key by key, where it keeps one.

import { Refused, call, channelPath } from "/api.js";
import { arrange, ask, count, h, set } from "/dom.js";
import { exact } from "/payloads.js";

/** Keys that are shown. */
const SHOWN = 50;

export function keysPanel(channel) {
  const part = h("input", { id: "keys-filter", type: "search", autocomplete: "off", spellcheck: "false", maxlength: 128, placeholder: "part of a key" });
  const where = h("span", { class: "where" });
  const none = h("p", { class: "none" });
  const outcome = h("p", { class: "outcome", role: "status", id: "keys-done" });
  const clear = h("button", { type: "button", class: "danger", id: "keys-clear" }, "Clear…");
  const list = h("ol", { class: "queued keys", "aria-label": "The state by key" });
  const more = h("p", { class: "note", hidden: true });
  let state = null;

  part.addEventListener("input", draw);
  clear.addEventListener("click", () => remove({ all: true }, "the whole state", "Every key is gone at once."));

  async function look() {
    state = await call(channelPath(channel, "/state"), { parse: exact });
    node.hidden = state === null;
    if (state) draw();
  }

  function draw() {
    const all = state.s;
    const fitting = all.filter(({ k }) => k.includes(part.value));
    clear.disabled = all.length === 0;
    set(where, `${count(all.length, "key")}, before n ${JSON.stringify(state.n)}`);
    set(none, all.length ? "No key fits." : "No key has a value.");
    none.hidden = fitting.length > 0;
    const listed = fitting.slice(0, SHOWN);
    const items = arrange(list, listed.map((entry) => [JSON.stringify([entry.k, entry.t, entry.m]), () => item(entry)]));
    listed.forEach(({ d }, at) => set(items[at].querySelector("code"), JSON.stringify(d)));
    more.hidden = fitting.length <= SHOWN;
    set(more, `${count(fitting.length - SHOWN, "more key")}.`);
  }

  function item({ k, t, m }) {
    const about = [["key", k], ["type", t], ["merge", m]].filter(([, value]) => value !== undefined)
      .map(([name, value]) => h("span", { class: "tag" }, h("span", { class: "tag-name" }, name), value));
    return h("li", {},
      h("div", { class: "letter-head" }, ...about,
        h("span", { class: "actions" },
          h("button", { type: "button", class: "danger", "aria-label": `Delete key ${k}`, on: { click: () => remove({ key: k }, `key ${k}`, "Viewers learn it with the next payload that has room.") } }, "Delete…"))),
      h("div", { class: "events" }, h("code")));
  }

  async function remove(query, what, text) {
    if (!(await ask({ title: `Delete ${what}?`, text, yes: "Delete", danger: true }))) return;
    try {
      await call(channelPath(channel, `/state?${new URLSearchParams(query)}`), { method: "DELETE" });
      outcome.className = "outcome good";
      set(outcome, `Deleted: ${what}.`);
    } catch (failure) {
      outcome.className = "outcome bad";
      set(outcome, failure instanceof Refused ? `Refused: ${failure.message}` : "The gateway does not answer.");
    }
    await look();
  }

  const node = h("section", { class: "panel", "aria-labelledby": "keys-title", hidden: true },
    h("div", { class: "head" }, h("h2", { id: "keys-title" }, "State by key"), where, h("div", { class: "actions" }, clear)),
    h("div", { class: "filters" }, h("label", {}, "Key", part)),
    outcome, none, list, more);
  return { node, look };
}

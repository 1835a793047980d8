// Dead letters: events that can never be delivered, to be replayed or thrown away.

import { Refused, call } from "/api.js";
import { ask, count, h, number, set, time } from "/dom.js";

const PAGE = 50;

export function lettersView({ channel }) {
  const none = h("p", { class: "none" });
  const list = h("ul", { class: "letters" });
  const where = h("span", { class: "where" });
  const outcome = h("p", { class: "outcome", role: "status" });
  const replayAll = h("button", { type: "button" }, "Replay all…");
  const purgeAll = h("button", { type: "button", class: "danger" }, "Discard all…");
  const more = h("button", { type: "button", hidden: true }, "Show more");
  let limit = PAGE;
  let drawn = "";
  const of = channel ? ` of ${channel}` : "";

  replayAll.addEventListener("click", () => replay({}, `all dead letters${of}`));
  purgeAll.addEventListener("click", () => purge({}, `all dead letters${of}`));
  more.addEventListener("click", () => {
    limit = Math.min(1000, limit + PAGE);
    look();
  });

  function path(query) {
    const all = new URLSearchParams(channel ? { channel, ...query } : query);
    return `/admin/dead-letters?${all}`;
  }

  async function look() {
    const page = await call(path({ limit }));
    const letters = page.dead_letters;
    set(where, letters.length ? `${number(letters.length)}${page.next ? " oldest" : ""} of ${number(page.total)} kept` : "");
    set(none, channel ? "None of this channel." : "There are none.");
    none.hidden = letters.length > 0;
    replayAll.disabled = purgeAll.disabled = letters.length === 0;
    more.hidden = !page.next || limit >= 1000;
    const now = JSON.stringify(letters.map(({ id, alias }) => [id, alias]));
    if (now === drawn) return;
    drawn = now;
    list.replaceChildren(...letters.map(item));
  }

  function item({ id, channel: arn, alias, reason, at, at_ms, error, event }) {
    const about = ["type", "key", "merge", "id"].filter((name) => event[name] !== undefined)
      .map((name) => h("span", { class: "tag" }, h("span", { class: "tag-name" }, name), String(event[name])));
    const label = `dead letter ${id}`;
    return h("li", {},
      h("div", { class: "letter-head" },
        h("time", { datetime: at, title: at }, time(at_ms)), h("code", {}, reason),
        channel ? null : h("span", { class: "arn", title: arn }, alias ? `${alias} (${arn})` : arn),
        h("span", { class: "actions" },
          h("button", { type: "button", "aria-label": `Replay ${label}`, on: { click: () => replay({ id }, label) } }, "Replay…"),
          h("button", { type: "button", class: "danger", "aria-label": `Discard ${label}`, on: { click: () => purge({ id }, label) } }, "Discard…"))),
      error ? h("p", { class: "detail" }, [error.code, error.status, error.message].filter(Boolean).join(", ")) : null,
      h("div", { class: "events" }, ...about, h("code", {}, JSON.stringify(event.data))));
  }

  async function replay(query, what) {
    const text = "They are accepted once more as new events, with their TTL from now on, and reach viewers late. "
      + "What is refused again stays here.";
    if (!(await ask({ title: `Replay ${what}?`, text, yes: "Replay" }))) return;
    await act(query, "POST", ({ replayed, refused }) => {
      const first = refused[0] ? ` ${count(refused.length, "stays", "stay")}: ${refused[0].detail}` : "";
      return `Replayed: ${count(replayed, "event")}.${first}`;
    });
  }

  async function purge(query, what) {
    const text = "They are thrown away, with the reason why they died. There is no way back.";
    if (!(await ask({ title: `Discard ${what}?`, text, yes: "Discard", danger: true }))) return;
    await act(query, "DELETE", ({ purged }) => `Discarded: ${count(purged, "dead letter")}.`);
  }

  async function act(query, method, words) {
    try {
      const answer = await call(path(query), { method });
      outcome.className = "outcome good";
      set(outcome, words(answer));
    } catch (failure) {
      outcome.className = "outcome bad";
      set(outcome, failure instanceof Refused ? `Refused: ${failure.message}` : "The gateway does not answer.");
    }
    dispatchEvent(new Event("looknow"));
    await look();
  }

  const node = h("section", { class: "panel", "aria-labelledby": "letters-title" },
    h("div", { class: "head" }, h(channel ? "h2" : "h1", { id: "letters-title" }, "Dead letters"), where,
      h("div", { class: "actions" }, replayAll, purgeAll)),
    outcome, none, list, more);
  return { node, look };
}

// Dead letters: events that can never be delivered, to be replayed or thrown away.

import { Refused, call } from "/api.js";
import { ask, count, h, number, set, time } from "/dom.js";

const PAGE = 50;
/** What the gateway gives at once. */
const MOST = 1000;

export function lettersView({ channel }) {
  const none = h("p", { class: "none" });
  const list = h("ul", { class: "letters" });
  const where = h("span", { class: "where" });
  const outcome = h("p", { class: "outcome", role: "status" });
  const replayAll = h("button", { type: "button" }, "Replay all…");
  const purgeAll = h("button", { type: "button", class: "danger" }, "Discard all…");
  const more = h("button", { type: "button", hidden: true }, "Show more");
  const alias = h("input", { id: "letters-alias", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "alias or ARN" });
  const moment = (id) => h("input", { id, type: "datetime-local", step: 1 });
  const [from, until] = [moment("letters-from"), moment("letters-until")];
  let limit = PAGE;
  let drawn = "";

  replayAll.addEventListener("click", () => replay({}, whose()));
  purgeAll.addEventListener("click", () => purge({}, whose()));
  more.addEventListener("click", () => {
    limit = Math.min(MOST, limit + PAGE);
    look();
  });

  for (const field of [alias, from, until]) field.addEventListener("change", look);

  const of = () => channel ?? alias.value.trim();
  const whose = () => `all dead letters${of() ? ` of ${of()}` : ""}`;

  function path(query) {
    const all = new URLSearchParams(of() ? { channel: of(), ...query } : query);
    return `/admin/dead-letters?${all}`;
  }

  async function look() {
    const timed = from.value !== "" || until.value !== "";
    const page = await (timed ? between(Date.parse(from.value), Date.parse(until.value)) : call(path({ limit })));
    const letters = page.dead_letters;
    set(where, letters.length ? `${number(letters.length)}${page.next ? " oldest" : ""} of ${number(page.total)} kept` : "");
    set(none, timed ? "None of that time." : of() ? "None of this channel." : "There are none.");
    none.hidden = letters.length > 0;
    // They are told by channel and id, not by time: what is not seen is not touched.
    replayAll.disabled = purgeAll.disabled = letters.length === 0 || timed;
    more.hidden = !page.next || (!timed && limit >= MOST);
    const now = JSON.stringify(letters.map(({ id, alias }) => [id, alias]));
    if (now === drawn) return;
    drawn = now;
    list.replaceChildren(...letters.map(item));
  }

  /** Those that died at that time, the oldest first. */
  async function between(first, last) {
    const found = [];
    let page = { next: undefined, total: 0 };
    do {
      page = await call(path(page.next ? { limit: MOST, after: page.next } : { limit: MOST }));
      // What is not a time is no bound. A field says whole seconds.
      found.push(...page.dead_letters.filter(({ at_ms }) => !(at_ms < first) && !(at_ms >= last + 1000)));
    } while (page.next && found.length <= limit && !(page.dead_letters.at(-1).at_ms >= last + 1000));
    return { dead_letters: found.slice(0, limit), next: found.length > limit, total: page.total };
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
    channel ? null : h("div", { class: "filters" }, h("label", {}, "Channel", alias), h("label", {}, "From", from), h("label", {}, "Until", until)),
    outcome, none, list, more);
  return { node, look };
}

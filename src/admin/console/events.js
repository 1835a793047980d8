// One event by its id: what became of it, and while it is queued, another in its place or its cancellation.

import { Refused, call, channelPath } from "/api.js";
import { ask, h, set, time } from "/dom.js";
import { exact } from "/payloads.js";

const pathOf = (channel, id) => channelPath(channel, `/events/${encodeURIComponent(id)}`);

const why = (failure) => failure instanceof Refused ? `Refused, ${failure.code}: ${failure.message}` : "The gateway does not answer.";

/** A moment as a field for local time has it, to the second. */
function local(at) {
  const moment = new Date(at);
  return new Date(moment - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** The form that changes a queued event. `changed` is called when it was. */
export function editPanel(channel, changed) {
  const data = h("textarea", { id: "edit-data", rows: 3, required: true, spellcheck: "false", autocomplete: "off" });
  const at = h("input", { id: "edit-at", type: "datetime-local", step: 1 });
  const outcome = h("p", { class: "outcome", role: "status", id: "edited" });
  const title = h("h3", { id: "edit-title" });
  const save = h("button", { type: "submit", class: "primary", id: "edit-save" }, "Replace");
  const close = h("button", { type: "button", id: "edit-close" }, "Leave as it is");
  let event = null;

  close.addEventListener("click", () => { form.hidden = true; });

  function open(queued) {
    event = queued;
    set(title, `Event ${event.id}`);
    data.value = JSON.stringify(event.data);
    at.value = event.at ? local(event.at) : "";
    form.hidden = false;
    tell("", "");
    data.focus();
  }

  function tell(kind, words) {
    outcome.className = `outcome ${kind}`;
    set(outcome, words);
  }

  async function submit() {
    let written;
    try {
      written = JSON.stringify(exact(data.value));
    } catch {
      tell("bad", "Data is not JSON. A text needs double quotes around it.");
      return data.focus();
    }
    const members = [`"data":${written}`];
    for (const name of ["type", "key", "merge", "envelope", "ttl_ms"]) if (event[name] !== undefined) members.push(`"${name}":${JSON.stringify(event[name])}`);
    if (event.priority !== "normal") members.push(`"priority":${JSON.stringify(event.priority)}`);
    if (at.value) members.push(`"at":${JSON.stringify(new Date(at.value).toISOString())}`);
    await act("PUT", `{${members.join(",")}}`, "Replaced.");
  }

  async function cancel(queued) {
    event = queued;
    const text = "It never reaches a viewer, and its id stays taken. There is no way back.";
    if (await ask({ title: `Cancel event ${event.id}?`, text, yes: "Cancel the event", danger: true })) await act("DELETE", undefined, "Cancelled.");
  }

  async function act(method, body, words) {
    try {
      await call(pathOf(channel, event.id), { method, body });
      form.hidden = true;
      tell("good", `Event ${event.id}: ${words}`);
    } catch (failure) {
      tell("bad", why(failure));
    }
    await changed();
  }

  const form = h("form", { class: "send edit", hidden: true, novalidate: true, "aria-labelledby": "edit-title", on: { submit: (e) => { e.preventDefault(); submit(); } } },
    h("div", { class: "wide-field" }, title),
    h("div", { class: "field wide-field" }, h("label", { for: "edit-data" }, "Data (JSON)"), data),
    h("div", { class: "field wide-field" }, h("label", { for: "edit-at" }, "At (your local time)"), at,
      h("small", {}, "Another moment moves it. What else it has stays; its TTL begins anew.")),
    h("div", { class: "wide-field actions" }, save, close));
  return { node: h("div", {}, form, outcome), open, cancel };
}

/** The ends of an event, in words. */
const ENDS = {
  scheduled: "It is scheduled", waiting: "It waits in the queue", in_flight: "It is on its way", delivered: "It was delivered",
  merged: "It was merged into another event of its key", expired: "Its TTL ended before it could be sent",
  cancelled: "It was cancelled", evicted: "A full queue pushed it out", dead_lettered: "It is a dead letter",
};

/** What became of an event. */
export function fatePanel(channel) {
  const id = h("input", { id: "fate-id", type: "search", autocomplete: "off", spellcheck: "false", maxlength: 256, required: true });
  const outcome = h("p", { class: "outcome", role: "status", id: "fate" });

  async function look() {
    if (!id.value.trim()) return id.focus();
    try {
      const { state, reason, n, at } = await call(pathOf(channel, id.value.trim()));
      const more = [reason?.replaceAll("_", " "), n === undefined ? null : `n ${n}`, at === undefined ? null : time(Date.parse(at))];
      outcome.className = `outcome ${state === "delivered" ? "good" : ""}`;
      set(outcome, `${[ENDS[state] ?? state, ...more.filter(Boolean)].join(", ")}.`);
    } catch (failure) {
      outcome.className = "outcome bad";
      set(outcome, failure.status === 404 ? "No event with this id is remembered." : why(failure));
    }
  }

  const node = h("section", { class: "panel", "aria-labelledby": "fate-title" },
    h("div", { class: "head" }, h("h2", { id: "fate-title" }, "What became of an event")),
    h("form", { class: "ask-one", novalidate: true, on: { submit: (e) => { e.preventDefault(); look(); } } },
      h("label", { for: "fate-id" }, "Its id"), id, h("button", { type: "submit", id: "fate-look" }, "Look")),
    outcome);
  return { node };
}

// A channel that the API makes: its form, new or to be changed, and its removal.

import { Refused, call, channelPath } from "/api.js";
import { ask, count, h, set } from "/dom.js";

/** The page of a channel's address. */
export const pageOf = (name) => `#/channel/${encodeURIComponent(name)}`;

/** The form: for a new channel, or for the one of this alias. */
export function defineView(alias) {
  const name = h("input", { id: "alias", required: true, maxlength: 64, autocomplete: "off", spellcheck: "false", readonly: alias !== null });
  const arn = h("input", { id: "arn", required: true, autocomplete: "off", spellcheck: "false", placeholder: "arn:aws:ivs:REGION:ACCOUNT:channel/ID" });
  const settings = h("textarea", { id: "settings", rows: 8, spellcheck: "false", "aria-describedby": "settings-help" });
  const save = h("button", { type: "submit", id: "save", class: "primary", disabled: alias !== null }, alias === null ? "Add" : "Save");
  const outcome = h("p", { class: "outcome wide-field", role: "status", id: "outcome" });
  const faults = h("ul", { class: "faults wide-field", id: "faults" });
  let read = alias === null;
  name.value = alias ?? "";
  settings.value = "{}";

  /** What the channel is now; once, so that nobody's typing is lost. */
  async function look() {
    if (read) return;
    const { definition } = await call(channelPath(alias));
    read = true;
    if (!definition) return tell("The configuration file lists this channel: change it there.");
    const { arn: now, ...rest } = definition;
    arn.value = now;
    settings.value = JSON.stringify(rest, null, 2);
    save.disabled = false;
  }

  function tell(text, all = []) {
    outcome.className = "outcome wide-field bad";
    set(outcome, text);
    faults.replaceChildren(...all.map((fault) => h("li", {}, fault)));
  }

  async function submit() {
    let own;
    try {
      own = JSON.parse(settings.value.trim() || "{}");
    } catch (error) {
      return tell(`The settings are not JSON: ${error.message}`);
    }
    if (typeof own !== "object" || own === null || Array.isArray(own)) return tell("The settings are not a JSON object.");
    const to = name.value.trim();
    if (to === "") return tell("The alias is missing.");
    save.disabled = true;
    try {
      const body = JSON.stringify({ arn: arn.value.trim(), ...own });
      await call(channelPath(to), { method: "PUT", body });
      location.hash = pageOf(to);
    } catch (failure) {
      const refused = failure instanceof Refused;
      tell(refused ? `Refused: ${failure.errors ? "" : failure.message}` : "The gateway does not answer.", failure.errors);
    } finally {
      save.disabled = false;
    }
  }

  const form = h("form", { class: "send", novalidate: true, on: { submit: (e) => { e.preventDefault(); submit(); } } },
    field("Alias", name, "wide-field"), field("ARN", arn, "wide-field"),
    field("Settings (JSON)", settings, "wide-field",
      h("small", { id: "settings-help" }, 'What differs from channel_defaults, as {"ttl_ms": 5000}.')),
    h("div", { class: "wide-field actions" }, save, h("a", { href: alias === null ? "#/" : pageOf(alias) }, "Cancel")),
    outcome, faults);
  const node = h("section", { class: "panel", "aria-labelledby": "define-title" },
    h("div", { class: "head" }, h("h1", { id: "define-title" }, alias === null ? "Add a channel" : `Edit ${alias}`)), form);
  return { node, look };
}

/** Asks, and removes the channel; whether it is gone. */
export async function remove({ channel, queued }) {
  const waiting = queued
    ? `${count(queued, "event")} ${queued === 1 ? "is" : "are"} queued and will still leave.`
    : "Nothing is queued at present.";
  const text = `Nobody can send to ${channel} any more. ${waiting}`;
  if (!(await ask({ title: `Remove ${channel}?`, text, yes: "Remove", danger: true }))) return false;
  await call(channelPath(channel, queued ? "?force=true" : ""), { method: "DELETE" });
  return true;
}

function field(label, input, kind = "", help = null) {
  return h("div", { class: `field ${kind}` }, h("label", { for: input.id }, label), input, help);
}

// The form that sends a test event, and shows it come out.

import { Refused, call, channelPath } from "/api.js";
import { h, number, set } from "/dom.js";
import { exact } from "/payloads.js";
import { MERGES, PRIORITIES } from "/words.js";

/** The longest the gateway waits with its answer, in ms. */
const WAIT = 30_000;
/** How much later than it should something may be, in ms. */
const LATE = 5000;


/** `carried` is told the number of the payload that carries the event. */
export function sendPanel(channel, payloads, carried) {
  const data = h("textarea", { id: "data", rows: 3, required: true, spellcheck: "false", autocomplete: "off", "aria-describedby": "data-help" });
  data.value = '{"hello":"viewers"}';
  const text = (id, more = {}) => h("input", { id, autocomplete: "off", spellcheck: "false", maxlength: 128, ...more });
  const type = text("type", { maxlength: 64 });
  const key = text("key");
  const id = text("id");
  const at = text("at", { type: "datetime-local", step: 1, maxlength: null });
  const ttl = text("ttl", { type: "number", min: 1, max: 86_400_000, step: 1, placeholder: "default", inputmode: "numeric" });
  const merge = choice("merge", ["", ...MERGES], "");
  const priority = choice("priority", PRIORITIES, "normal");
  const button = h("button", { type: "submit", class: "primary", id: "send" }, "Send test event");
  const outcome = h("p", { class: "outcome", role: "status", id: "outcome" });
  const warning = h("p", { class: "note", id: "real" });

  /** Says who receives the event. What is not known is real. */
  function setMode(mode) {
    set(warning, mode === "local" ? "Sent as any producer's event; the emulator takes it." : "This channel is real: its viewers receive the event.");
  }

  let turn = 0;

  /** The event as JSON text, so that its numbers keep their digits. */
  function event() {
    const members = [["data", data.value.trim()]];
    for (const [name, field] of [["type", type], ["id", id], ["key", key], ["merge", merge]]) {
      if (field.value) members.push([name, JSON.stringify(field.value)]);
    }
    if (priority.value !== "normal") members.push(["priority", JSON.stringify(priority.value)]);
    if (ttl.value) members.push(["ttl_ms", ttl.value]);
    if (at.value) members.push(["at", JSON.stringify(new Date(at.value).toISOString())]);
    return `{${members.map(([name, value]) => `"${name}":${value}`).join(",")}}`;
  }

  function tell(kind, words) {
    outcome.className = `outcome ${kind}`;
    set(outcome, words);
  }

  async function submit() {
    let wanted;
    try {
      wanted = JSON.stringify(exact(data.value));
    } catch {
      tell("bad", "Data is not JSON. A text needs double quotes around it.");
      data.focus();
      return;
    }
    const mine = ++turn;
    // Of several events the page tells how the last one fared; each payload is marked.
    const tellMine = (kind, words) => mine === turn && tell(kind, words);
    const sent = performance.now();
    const [ofKey, merged] = [key.value, merge.value];
    const watcher = (decoded, card, arrived) => {
      if (!decoded.items.some((item) => carries(item, wanted, ofKey, merged))) return;
      payloads.unwatch(watcher);
      const took = number(arrived - sent);
      carried(card.node.dataset.n);
      card.mark(`Your test event, after ${took} ms`);
      tellMine("good", `Delivered: the payload that carries it came out after ${took} ms.`);
    };
    payloads.watch(watcher);
    tellMine("", "Sent. Waiting for the payload that carries it.");
    try {
      const path = channelPath(channel, `/events?wait=delivered&timeout_ms=${WAIT}`);
      const answer = await call(path, { method: "POST", body: event(), patience: WAIT + LATE });
      if (answer.duplicates > 0) {
        payloads.unwatch(watcher);
        return tellMine("bad", "A duplicate: an event with this id was accepted before. Nothing is sent.");
      }
      if (answer.pending > 0) return tellMine("", "Accepted, and still queued. Its payload is shown when it comes.");
      ended(answer.ended, tellMine);
      // A payload may be a moment behind the answer; later ones are somebody else's.
      setTimeout(() => payloads.unwatch(watcher), LATE);
    } catch (error) {
      payloads.unwatch(watcher);
      tellMine("bad", error instanceof Refused ? `Refused, ${error.code}: ${error.message}` : "The gateway does not answer.");
    }
  }

  /** The answer says how it ended. That it was delivered is told by its payload. */
  function ended(ends, tellMine) {
    const [how] = Object.entries(ends).find(([, events]) => events > 0) ?? [];
    if (how === "merged") tellMine("", "Merged into a queued event of its key. Waiting for the payload that carries it.");
    else if (how) tellMine("bad", `Accepted, but it ended as ${how.replace("_", "-")}.`);
  }

  const form = h("form", { class: "send", novalidate: true, on: { submit: (e) => { e.preventDefault(); submit(); } } },
    field("Data (JSON)", data, "wide-field", h("small", { id: "data-help" }, "Ctrl+Enter sends.")),
    field("Type", type), field("Id", id), field("Key", key), field("Merge (needs a key)", merge),
    field("Priority", priority), field("TTL, ms", ttl), field("At (your local time)", at),
    h("div", { class: "wide-field actions" }, button), outcome);
  data.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) form.requestSubmit();
  });
  const node = h("section", { class: "panel", "aria-labelledby": "send-title" },
    h("div", { class: "head" }, h("h2", { id: "send-title" }, "Send a test event")), warning, form);
  setMode(null);
  return { node, setMode };
}

/** Whether an item is the event, or has it merged into it. */
function carries(item, data, key, merge) {
  if (merge && merge !== "replace" && item.merge === merge && item.key === key) return true;
  // A raw payload is a string's own characters.
  return item.data === data || JSON.stringify(item.data) === data;
}

function field(label, input, kind = "", help = null) {
  return h("div", { class: `field ${kind}` }, h("label", { for: input.id }, label), input, help);
}

function choice(id, values, chosen) {
  return h("select", { id }, ...values.map((value) =>
    h("option", { value, selected: value === chosen }, value || "none")));
}

// What the page asks of its own origin.

/** How long an answer may take, in ms: a gateway that hangs must be told from one that is slow. */
const PATIENCE = 10_000;
/** Rates over less than this, in ms, say more about the clock than about the channel. */
const SHORT = 500;

/** Where the key is kept while the tab is open; no other origin can read it. */
const KEPT = "cuegate-key";

/** Whether a key is shown with each request. */
export const hasKey = () => sessionStorage.getItem(KEPT) !== null;

/** From now on this key is shown; null: none. */
export function useKey(key) {
  if (key === null) sessionStorage.removeItem(KEPT);
  else sessionStorage.setItem(KEPT, key);
}

/** The headers that show the key. */
export function proof() {
  const key = sessionStorage.getItem(KEPT);
  return key === null ? {} : { authorization: `Bearer ${key}` };
}

/** The gateway answered, and said no. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `status ${status}`);
    this.status = status;
    this.code = problem.code ?? String(status);
    // All that is wrong, where the gateway says more than one thing.
    this.errors = problem.errors;
  }
}

/** The answer's JSON, as `parse` reads it; null where there is none. */
export async function call(path, { method = "GET", body, patience = PATIENCE, parse = JSON.parse } = {}) {
  const headers = { ...proof(), ...(body === undefined ? {} : { "content-type": "application/json" }) };
  const signal = AbortSignal.timeout(patience);
  const response = await fetch(path, { method, headers, body, signal, cache: "no-store" });
  const text = await response.text();
  let answer = null;
  try {
    answer = text === "" ? null : parse(text);
  } catch {
    throw new Refused(response.status, { detail: "the answer is not JSON" });
  }
  if (!response.ok) throw new Refused(response.status, answer ?? {});
  return answer;
}

/** How long after a stream broke it is opened again, in ms. */
const REOPEN = 2000;

/**
 * Follows server-sent events until it is closed, however often the connection breaks: as
 * EventSource, which cannot show a key.
 */
export class Follower {
  #closing = new AbortController();
  #timer = null;

  /** Calls `opened()`, `event({ id, name, data })` for each event, and `lost()`. */
  constructor(path, listeners) {
    this.#follow(path, listeners);
  }

  close() {
    clearTimeout(this.#timer);
    this.#closing.abort();
  }

  async #follow(path, listeners) {
    const { signal } = this.#closing;
    try {
      const response = await fetch(path, { headers: proof(), signal, cache: "no-store" });
      if (!response.ok) throw new Error(`status ${response.status}`);
      listeners.opened();
      await read(response.body.pipeThrough(new TextDecoderStream()), listeners.event);
    } catch {
      // It ends as one that the gateway closed.
    }
    if (signal.aborted) return;
    listeners.lost();
    this.#timer = setTimeout(() => this.#follow(path, listeners), REOPEN);
  }
}

/** Events out of a stream of text; the gateway ends lines with LF alone. */
async function read(text, take) {
  let rest = "";
  let event = { id: "", name: "message", data: [] };
  for await (const part of text) {
    const lines = (rest + part).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
      if (line === "") {
        if (event.data.length > 0) take({ ...event, data: event.data.join("\n") });
        event = { id: "", name: "message", data: [] };
      } else if (field === "data") event.data.push(value);
      else if (field === "event") event.name = value;
      else if (field === "id") event.id = value;
    }
  }
}

/** The path of a channel, by its alias or ARN. */
export function channelPath(name, rest = "") {
  return `/admin/channels/${encodeURIComponent(name)}${rest}`;
}

/** Rates out of totals that grow: what was added since the last look, by the time between. */
export class Rates {
  #last = new Map();

  of(name, totals, now = performance.now()) {
    const before = this.#last.get(name);
    if (before && now - before.now < SHORT) return before.rates;
    const rates = totals.map((total, at) => {
      const grown = before && total - before.totals[at];
      // Totals that shrank are another process's.
      return grown >= 0 ? (grown * 1000) / (now - before.now) : null;
    });
    this.#last.set(name, { totals, now, rates });
    return rates;
  }
}

// What the page asks of its own origin.

/** How long an answer may take, in ms: a gateway that hangs must be told from one that is slow. */
const PATIENCE = 10_000;
/** Rates over less than this, in ms, say more about the clock than about the channel. */
const SHORT = 500;

/** The gateway answered, and said no. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `status ${status}`);
    this.status = status;
    this.code = problem.code ?? String(status);
  }
}

/** The answer's JSON; null where there is none. */
export async function call(path, { method = "GET", body, patience = PATIENCE } = {}) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const signal = AbortSignal.timeout(patience);
  const response = await fetch(path, { method, headers, body, signal, cache: "no-store" });
  const text = await response.text();
  let answer = null;
  try {
    answer = text === "" ? null : JSON.parse(text);
  } catch {
    throw new Refused(response.status, { detail: "the answer is not JSON" });
  }
  if (!response.ok) throw new Refused(response.status, answer ?? {});
  return answer;
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

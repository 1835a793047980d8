/** The state over HTTP: asks until an answer serves, with waits that double. */

import { isObject, plain, type Json, type Payload } from "./payload.js";

/** With the waits between them, half a minute longer than an answer's window. */
const TRIES_MAX = 7;

export interface Answer {
  /** The state as of every payload before number `n`, as a payload. */
  base: Payload;
  /** The payloads from `n` on, as they were sent. */
  since: [number, string][];
}

export interface Asking {
  /** The answer does not serve: it asks later. */
  again(): void;
  stop(): void;
}

export function ask(url: string, answered: (answer: Answer) => void, report: (error: unknown) => void): Asking {
  let tries = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function once(): Promise<void> {
    tries++;
    let found;
    try {
      const response = await fetch(url);
      if (response.ok) found = answer(await response.json());
      else if (response.status < 500 && response.status !== 429) {
        tries = TRIES_MAX;
        report(new Error(`stateUrl answers ${response.status}`));
      }
    } catch {
      // No network, or no JSON: as any answer that does not serve.
    }
    if (found) answered(found);
    else again();
  }
  function again(): void {
    if (tries < TRIES_MAX) timer = setTimeout(once, 1000 * 2 ** (tries - 1) * (0.7 + 0.6 * Math.random()));
  }
  function stop(): void {
    tries = TRIES_MAX;
    answered = () => {};
    clearTimeout(timer);
  }
  void once();
  return { again, stop };
}

/** What is wrong is no answer. */
function answer(value: Json): Answer | undefined {
  if (!isObject(value)) return undefined;
  const { n, s, since } = value;
  // It tells of every key, as a cycle of one part does.
  const base = plain(JSON.stringify({ v: 1, n, s, c: [0, 0, 1], e: [] }));
  const good = Array.isArray(since) && since.every((pair) => Array.isArray(pair) && Number.isInteger(pair[0]) && typeof pair[1] === "string");
  return base?.s && good ? { base, since: since as [number, string][] } : undefined;
}

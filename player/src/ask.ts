/** The state over HTTP: asks until an answer serves, with waits that double. */

import { has, isObject, plain, type Json, type Payload } from "./payload.js";

/** With the waits between them, half a minute longer than an answer's window. */
const TRIES_MAX = 7;

export interface Answer {
  /** The state as of every payload before number `n`, as a payload. */
  base: Payload;
  /** The payloads from `n` on, as they were sent. */
  since: [number, string][];
}

export class Asking {
  #tries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(
    readonly url: string,
    readonly answered: (answer: Answer) => void,
    readonly report: (error: unknown) => void,
  ) {
    void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#tries++;
    let found;
    try {
      const response = await fetch(this.url);
      if (response.ok) found = answer(await response.json());
      else if (response.status < 500 && response.status !== 429) {
        this.stop();
        this.report(new Error(`${this.url} answers ${response.status}: is state_http on for this channel?`));
      }
    } catch {
      // No network, or no JSON: as any answer that does not serve.
    }
    if (this.#stopped) return;
    if (found) this.answered(found);
    else this.again();
  }

  /** Later: the answer does not serve. */
  again(): void {
    if (this.#stopped || this.#tries >= TRIES_MAX) return;
    const wait = 1000 * 2 ** (this.#tries - 1) * (0.7 + 0.6 * Math.random());
    this.#timer = setTimeout(() => void this.#ask(), wait);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}

/** What is wrong is no answer. */
function answer(value: Json): Answer | undefined {
  if (!isObject(value)) return undefined;
  const { n, s, since } = value;
  // It tells of every key, as a cycle of one part does.
  const base = plain(JSON.stringify({ v: 1, n, s, c: [0, 0, 1], e: [] }));
  const good = Array.isArray(since) && since.every((pair) => Array.isArray(pair) && Number.isInteger(pair[0]) && typeof pair[1] === "string");
  return base && good && has(value, "s") ? { base, since: since as [number, string][] } : undefined;
}

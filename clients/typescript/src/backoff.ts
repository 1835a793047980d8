/** How long to wait before another try. Time and randomness are arguments. */

import type { CuegateError } from "./errors.js";
import { BACKOFF_FIRST_MS, BACKOFF_MAX_MS, RETRY_AFTER_MAX_MS } from "./limits.js";

/**
 * The wait before try number `nth` after a failure, `nth` counting from 0, in milliseconds.
 *
 * The wait doubles with every failure up to `BACKOFF_MAX_MS`. Half of it is random, so that producers that lost the same
 * gateway do not come back together; `chance` is in 0..1. What the gateway asked for (`Retry-After`) is never undercut: the
 * wait is added to it.
 */
export function wait(nth: number, retryAfter: number | undefined, chance: number): number {
  const most = Math.min(BACKOFF_FIRST_MS * 2 ** nth, BACKOFF_MAX_MS);
  const own = most / 2 + (most / 2) * chance;
  // The gateway knows better than a guess; a little is added for the same reason.
  return retryAfter === undefined ? own : Math.min(retryAfter, RETRY_AFTER_MAX_MS) + Math.min(own, BACKOFF_FIRST_MS);
}

/** The tries of one request, which end after so many milliseconds. */
export class Retry {
  readonly #until: number;
  #nth = 0;

  constructor(
    retryFor: number,
    private readonly clock: () => number = () => performance.now(),
    private readonly chance: () => number = Math.random,
  ) {
    this.#until = retryFor > 0 ? clock() + retryFor : -Infinity;
  }

  /** The wait before the next try; none: this failure is the last. */
  after(error: CuegateError): number | undefined {
    if (!error.retryable) return undefined;
    const pause = wait(this.#nth++, error.retryAfter, this.chance());
    return this.clock() + pause <= this.#until ? pause : undefined;
  }
}

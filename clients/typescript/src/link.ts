/** When a session connects again, and when it gives up. No sockets, no clock, no randomness of its own. */

import { wait } from "./backoff.js";
import type { CuegateError } from "./errors.js";
import { STABLE_MS } from "./limits.js";

/** How a session stands with the gateway; it ends after `giveUpAfter` milliseconds without it. */
export class Link {
  #failures = 0;
  #connected: number | undefined;
  #progressed = false;
  #awaySince: number | undefined;

  constructor(private readonly giveUpAfter: number) {}

  /** A connection was made. */
  connected(now: number): void {
    this.#connected = now;
    this.#progressed = false;
  }

  /** An acknowledgement came: the connection is a good one. */
  progressed(): void {
    this.#progressed = true;
  }

  /**
   * The connection was lost, or could not be made: the wait before the next try; none: the session ends, because no try can
   * help or because it has been without the gateway for too long.
   *
   * A connection that only opens and breaks is no good one: the waits go on growing.
   */
  lost(now: number, error: CuegateError, chance: number): number | undefined {
    if (!error.retryable) return undefined;
    if (this.#connected !== undefined && (this.#progressed || now - this.#connected >= STABLE_MS)) {
      this.#failures = 0;
      this.#awaySince = undefined;
    }
    this.#connected = undefined;
    this.#awaySince ??= now;
    const pause = wait(this.#failures++, error.retryAfter, chance);
    return now + pause > this.#awaySince + this.giveUpAfter ? undefined : pause;
  }
}

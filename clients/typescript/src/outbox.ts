/**
 * The messages that are not acknowledged yet: what is sent next, what an answer settles, what a lost connection means. No
 * sockets, no clock: time is an argument.
 */

import { type CuegateError, type Refused, type Rejected, rejectedOf } from "./errors.js";

/**
 * What the gateway did with a message: every event that is not in `rejected` was taken in, or was a duplicate, and is as
 * durable as after a 202.
 */
export interface Acknowledged {
  /** The events of the message that were refused. */
  readonly rejected: readonly Rejected[];
  /** Events in the queue afterwards; of a session for many channels, those of the last one. */
  readonly queued: number;
}

/** A message that is through: what its sender hears. */
export interface Settled<Tag> {
  readonly tag: Tag;
  readonly outcome: Acknowledged | CuegateError;
}

/** An answer that makes no sense: nor does the connection any more. */
export class Garbled extends Error {}

interface Waiting<Tag> {
  readonly text: string;
  readonly tag: Tag;
  rejected: Rejected[];
}

/** A queue whose first items leave: an array that is cut now and then, so that taking one costs the same in any length. */
export class Fifo<Item> {
  #items: Item[] = [];
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  at(nth: number): Item | undefined {
    return nth < 0 ? undefined : this.#items[this.#first + nth];
  }

  /** Takes the first ones out. */
  take(count: number): Item[] {
    const taken = this.#items.slice(this.#first, this.#first + count);
    this.#first += taken.length;
    if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return taken;
  }
}

/**
 * Messages in their order, each with a tag of its sender's. With `resend`, what a lost connection leaves unacknowledged is
 * sent again.
 */
export class Outbox<Tag> {
  /** Oldest first. The first `sent` of them went over this connection. */
  readonly #waiting = new Fifo<Waiting<Tag>>();
  #sent = 0;
  /** Messages that were acknowledged on this connection: messages count from 1 on each. */
  #acked = 0;
  /** The last acknowledgement, or the moment when a first message was sent after a pause. */
  #progress = 0;

  constructor(private readonly resend: boolean) {}

  /** Takes a message in, behind the others. */
  push(text: string, tag: Tag): void {
    this.#waiting.push({ text, tag, rejected: [] });
  }

  /** Whether every message is through. */
  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** The next message that this connection has not seen; it counts as sent. */
  next(now: number): string | undefined {
    const message = this.#waiting.at(this.#sent);
    if (message === undefined) return undefined;
    if (this.#sent === 0) this.#progress = now;
    this.#sent += 1;
    return message.text;
  }

  /** When the gateway must have acknowledged something; none while nothing is on its way. */
  overdueAt(ackTime: number): number | undefined {
    return this.#sent > 0 ? this.#progress + ackTime : undefined;
  }

  /** Takes an answer of the gateway, and returns the messages that it settles. */
  hear(text: string, now: number): Settled<Tag>[] {
    const garbled = () => new Garbled(`not an acknowledgement and not a refusal: ${text}`);
    const answer = parsed(text);
    if (answer === undefined) throw garbled();
    if ("ack" in answer) {
      const { ack, queued = 0 } = answer;
      if (!isCount(ack) || !isCount(queued)) throw garbled();
      return this.#acknowledge(ack, queued, now);
    }
    const { msg, index, code } = answer;
    if (!isCount(msg) || !isCount(index) || typeof code !== "string") throw garbled();
    const nth = msg - this.#acked - 1;
    const message = nth < this.#sent ? this.#waiting.at(nth) : undefined;
    if (message === undefined) throw garbled();
    message.rejected.push(rejectedOf(answer));
    return [];
  }

  #acknowledge(number: number, queued: number, now: number): Settled<Tag>[] {
    const count = number - this.#acked;
    if (count < 0 || count > this.#sent) {
      throw new Garbled(`message ${number} is acknowledged, but ${this.#acked} were before and ${this.#sent} wait`);
    }
    this.#acked = number;
    this.#sent -= count;
    this.#progress = now;
    return this.#waiting.take(count).map(({ tag, rejected }) => ({ tag, outcome: { rejected, queued } }));
  }

  /**
   * The connection is lost. What was sent and not acknowledged is to be sent again; without `resend` its senders hear the
   * error instead, because nobody knows what became of it.
   */
  disconnected(error: CuegateError): Settled<Tag>[] {
    const unknown = this.resend ? [] : this.#waiting.take(this.#sent);
    this.#sent = this.#acked = 0;
    for (let nth = 0; nth < this.#waiting.length; nth++) {
      // A message that is sent again is answered again, whole.
      const message = this.#waiting.at(nth);
      if (message) message.rejected = [];
    }
    return unknown.map(({ tag }) => ({ tag, outcome: error }));
  }

  /**
   * The gateway closed the connection over a message that it will never take: the first one that it did not acknowledge,
   * because it handles them in order.
   */
  refuseFirst(error: Refused): Settled<Tag>[] {
    if (this.#sent === 0) return [];
    this.#sent -= 1;
    this.#acked += 1;
    return this.#waiting.take(1).map(({ tag }) => ({ tag, outcome: error }));
  }

  /** Nothing will be sent any more. */
  abandon(error: CuegateError): Settled<Tag>[] {
    this.#sent = 0;
    return this.#waiting.take(this.#waiting.length).map(({ tag }) => ({ tag, outcome: error }));
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

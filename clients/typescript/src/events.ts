/** Events, as the gateway takes them, to JSON text. */

import { UsageError } from "./errors.js";
import { MESSAGE_MAX_BYTES } from "./limits.js";

/**
 * One event: its data, and what the gateway should know of it. The gateway checks the values, and answers with what is
 * wrong. It is written as `JSON.stringify` writes it.
 */
export interface Event {
  data: unknown;
  /** 1 to 64 bytes. */
  type?: string;
  /** 1 to 128 bytes: the same id again within the channel's `dedup_window_ms` is a duplicate. */
  id?: string;
  /** 1 to 128 bytes: order and merging are per key. */
  key?: string;
  /** How it goes into the last queued event of its key; it needs one. */
  merge?: "replace" | "sum" | "max" | "min" | "patch";
  priority?: "high" | "normal" | "low";
  /** 1 to 86400000. */
  ttl_ms?: number;
  /** Not before this moment of the wall clock: RFC 3339, or milliseconds since 1970. */
  at?: Date | string | number;
  /** Its data, which is a string then, leaves byte for byte, alone in its payload. */
  envelope?: "raw";
  /** Its channel, by alias or ARN: where the request or the session is for no single channel. */
  channel?: string;
}

/** An event, or an array of them, as JSON text that the caller wrote. It is sent as it is: its events are given no ids. */
export class Json {
  constructor(readonly text: string) {}

  get contentType(): string {
    return "application/json";
  }
}

/** Events as JSON text that the caller wrote, one a line; over HTTP only. */
export class Ndjson extends Json {
  override get contentType(): string {
    return "application/x-ndjson";
  }
}

export type Events = Event | readonly Event[] | Json;

/** The body of a request. */
export function body(events: Events): Json {
  if (events instanceof Json) return events;
  if (!isMany(events)) return new Json(textOf(events));
  // A line that is wrong refuses itself alone.
  return new Ndjson(events.map((event) => `${textOf(event)}\n`).join(""));
}

/**
 * A source of ids for events that have none, so that they can be sent again: the same random part, and a number that counts.
 *
 * 64 bits of randomness tell producers apart: among a million sessions, two have the same with a probability of 3 in 10^8.
 */
export class Ids {
  readonly #prefix: string;
  #next = 0;

  constructor(random: bigint) {
    this.#prefix = `${random.toString(16).padStart(16, "0")}-`;
  }

  /** The event with an id: at most 37 bytes. */
  identified(event: Event): Event {
    checkObject(event);
    if (event.id !== undefined) return event;
    const id = this.#prefix + this.#next++;
    // The id comes first: so V8 copies an event three times as fast as with the id behind.
    return "id" in event ? { ...(event as Event), id } : { id, ...(event as Event) };
  }
}

/** The text of a message of a session, and its bytes. */
export function message(events: Events, ids: Ids | undefined): { text: string; bytes: number } {
  const text = messageText(events, ids);
  const bytes = Buffer.byteLength(text);
  if (bytes > MESSAGE_MAX_BYTES) {
    throw new UsageError(
      `a message of ${bytes} bytes; the gateway takes ${MESSAGE_MAX_BYTES} at most: make smaller batches`,
    );
  }
  return { text, bytes };
}

function messageText(events: Events, ids: Ids | undefined): string {
  if (events instanceof Ndjson) throw new UsageError("a message of a session is one event or an array, not lines");
  if (events instanceof Json) return events.text;
  const identified = (event: Event) => (ids ? ids.identified(event) : event);
  if (!isMany(events)) return textOf(identified(events));
  if (events.length === 0) throw new UsageError("a batch without events");
  // One text of all costs half of one text each.
  return written(events.map(identified));
}

function isMany(events: Event | readonly Event[]): events is readonly Event[] {
  return Array.isArray(events);
}

/** The JSON text of an event. */
export function textOf(event: Event): string {
  checkObject(event);
  return written(event);
}

function written(value: Event | Event[]): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw new UsageError(`the event is not JSON: ${String(error)}`);
  }
}

function checkObject(event: unknown): void {
  if (typeof event !== "object" || event === null || Array.isArray(event)) throw new UsageError("an event is an object");
}

/**
 * A producer's client for Cuegate, the gateway for timed metadata of Amazon IVS. It speaks the gateway's HTTP and WebSocket
 * surface and knows nothing of its insides.
 */

export {
  type Channel,
  type EventState,
  type Page,
  type Published,
  type PublishOptions,
  type Purge,
  type Replaced,
  segment,
} from "./calls.js";
export { Client } from "./client.js";
export {
  Busy,
  Conflict,
  CuegateError,
  Denied,
  Invalid,
  NotFound,
  type Refusal,
  Refused,
  type Rejected,
  Unavailable,
  Unexpected,
  Unreachable,
  UsageError,
} from "./errors.js";
export { type Event, type Events, Json, Ndjson } from "./events.js";
export type { Acknowledged } from "./outbox.js";
export type { Notice, Payload, Update } from "./payloads.js";
export { Receipt, Session, type SessionOptions } from "./session.js";
export type { ClientOptions } from "./transport.js";

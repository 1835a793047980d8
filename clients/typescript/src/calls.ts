/** The requests of the gateway's surface: what is asked, and what the answer means. Nothing is sent here. */

import { type Rejected, rejectedOf, UsageError } from "./errors.js";
import { body, type Event, type Events, Json, textOf } from "./events.js";
import { PAGE } from "./limits.js";

/** One request, and how its answer is read: from its status and its body. */
export interface Call<Answer> {
  readonly method: string;
  readonly path: string;
  readonly read: (status: number, text: string) => Answer;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

/** How events are published. Times are in milliseconds. */
export interface PublishOptions {
  /** All of the events, or none. */
  atomic?: boolean;
  /** The answer comes only when all events have ended, or after this time, at most 30,000. */
  wait?: number;
  /** Gives events that have no id the ids `KEY/0`, `KEY/1`, … so that they can be sent again; at most 100 bytes. */
  idempotencyKey?: string;
  /**
   * Tries again for so long where that can help: without an answer, and after a refusal of the whole request that passes by
   * itself. `Retry-After` is honoured; other waits grow from 0.2 s to 10 s at most, half of each random. The request gets an
   * idempotency key if it has none, so that no event is taken in twice. The gateway remembers ids for the channel's
   * `dedup_window_ms`, 5 minutes by default: do not try for longer.
   */
  retryFor?: number;
}

/** What the gateway did with a request's events. */
export interface Published {
  /** Events that were taken in. */
  readonly accepted: number;
  /** Events that were seen before, and were not taken in again. */
  readonly duplicates: number;
  /** Which ones these were, counting from 0. */
  readonly duplicate: readonly number[];
  /** Events that were refused, each with its reason; the others were taken in. */
  readonly rejected: readonly Rejected[];
  /** Events in the queue afterwards. Not with `wait`. */
  readonly queued: number | undefined;
  /** How long the queue takes, in milliseconds; none while the channel is paused or offline. */
  readonly etaMs: number | undefined;
  /** With `wait`: how many of them were delivered in time. */
  readonly delivered: number | undefined;
  /** With `wait`: how many have ended otherwise, by their end. */
  readonly ended: Readonly<Record<string, number>>;
  /** With `wait`: how many are still queued. */
  readonly pending: number | undefined;
  /** The answer's text as it came. */
  readonly document: string;
}

/** What became of a replacement. */
export interface Replaced {
  /** Whether a queued event was replaced; else the event was taken in as a new one. */
  readonly replaced: boolean;
  /** Events in the queue afterwards. */
  readonly queued: number | undefined;
  /** How long the queue takes, in milliseconds; none while the channel is paused or offline. */
  readonly etaMs: number | undefined;
}

/** What became of an event. */
export interface EventState {
  readonly id: string;
  readonly state:
    | "scheduled"
    | "waiting"
    | "in_flight"
    | "delivered"
    | "merged"
    | "expired"
    | "cancelled"
    | "evicted"
    | "dead_lettered";
  /** Why it is a dead letter. */
  readonly reason?: string;
  /** The `n` of the payload that it is or was in. */
  readonly n?: number;
  /** When it is due, if it is scheduled; when it ended, if it has. RFC 3339. */
  readonly at?: string;
}

/** Which queued events a purge takes back: those of a type, a key or both, or all of them. */
export type Purge = { type: string; key?: string } | { key: string } | { all: true };

/** The status of a channel: the answer's document as it is. Times are in milliseconds. */
export interface Channel {
  /** Its alias, or the ARN of one that is not listed. */
  readonly channel: string;
  readonly arn: string;
  readonly state: "live" | "offline" | "paused" | "failing";
  /** Events in the queue: waiting, scheduled, held and in flight. */
  readonly queued: number;
  /** Their bytes. */
  readonly bytes: number;
  /** How long the queue takes at the present pace; none while the channel is paused or offline. */
  readonly eta_ms: number | null;
  /** Age of the oldest event that is due. */
  readonly oldest_age_ms: number | null;
  /** For how long the channel has been paused. */
  readonly paused_ms?: number | null;
  /** Calls that could be made now, and in any second. */
  readonly tokens: { readonly available: number; readonly limit: number };
  /** The limits in force. */
  readonly limits: Readonly<Record<string, unknown>>;
  /** The last call that failed. */
  readonly last_error: Readonly<Record<string, unknown>> | null;
  /** Events since the gateway's start. */
  readonly totals: Readonly<Record<string, unknown>>;
}

/** A page of the list of channels. */
export interface Page {
  readonly channels: readonly Channel[];
  /** What to ask for after these; none: there are no more. */
  readonly next?: string | null;
}

/** A name as one segment of a path, or one value of a query: percent-encoded. */
export function segment(name: string): string {
  return encodeURIComponent(name).replace(/[!'()*]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** A path below a channel, by alias or ARN. */
export function channelPath(channel: string, rest = ""): string {
  return `/v1/channels/${segment(channel)}${rest}`;
}

function eventPath(channel: string, id: string): string {
  return channelPath(channel, `/events/${segment(id)}`);
}

/** Publishes events. */
export function publish(path: string, events: Events, options: PublishOptions): Call<Published> {
  const query: string[] = [];
  if (options.atomic) query.push("atomic=true");
  if (options.wait !== undefined) query.push("wait=delivered", `timeout_ms=${Math.round(options.wait)}`);
  const { contentType, text } = body(events);
  const headers: Record<string, string> = { "Content-Type": contentType };
  if (options.idempotencyKey !== undefined) {
    if (!/^[ -~]*$/.test(options.idempotencyKey)) {
      throw new UsageError("an idempotency key has visible ASCII characters only");
    }
    headers["Idempotency-Key"] = options.idempotencyKey;
  }
  return {
    method: "POST",
    path: query.length > 0 ? `${path}?${query.join("&")}` : path,
    body: text,
    headers,
    read: (_, answer) => published(answer),
  };
}

function published(text: string): Published {
  const answer = document(text);
  const rejected = (answer["rejected"] ?? []) as Record<string, unknown>[];
  return {
    accepted: (answer["accepted"] ?? 0) as number,
    duplicates: (answer["duplicates"] ?? 0) as number,
    duplicate: (answer["duplicate"] ?? []) as number[],
    rejected: rejected.map(rejectedOf),
    queued: number(answer["queued"]),
    etaMs: number(answer["eta_ms"]),
    delivered: number(answer["delivered"]),
    ended: (answer["ended"] ?? {}) as Record<string, number>,
    pending: number(answer["pending"]),
    document: text,
  };
}

/** Replaces a queued event. */
export function replace(channel: string, id: string, event: Event | Json): Call<Replaced> {
  return {
    method: "PUT",
    path: eventPath(channel, id),
    body: event instanceof Json ? event.text : textOf(event),
    headers: { "Content-Type": "application/json" },
    read: (status, text) => {
      const answer = document(text);
      return { replaced: status === 200, queued: number(answer["queued"]), etaMs: number(answer["eta_ms"]) };
    },
  };
}

/** Asks what became of an event. */
export function event(channel: string, id: string): Call<EventState> {
  return { method: "GET", path: eventPath(channel, id), read: (_, text) => document(text) as unknown as EventState };
}

/** Takes an event back. */
export function cancel(channel: string, id: string): Call<void> {
  return { method: "DELETE", path: eventPath(channel, id), read: () => undefined };
}

/** Takes the queued events back that are selected. */
export function purge(channel: string, which: Purge): Call<number> {
  const chosen: [string, unknown][] = Object.entries(which).filter(([, value]) => value !== undefined);
  const query = chosen.map(([name, value]) => `${name}=${segment(String(value))}`).join("&");
  return {
    method: "DELETE",
    path: channelPath(channel, `/events${query ? `?${query}` : ""}`),
    read: (_, text) => Number(document(text)["cancelled"]),
  };
}

/** Stops sending to a channel. */
export function pause(channel: string): Call<void> {
  return { method: "POST", path: channelPath(channel, "/pause"), read: () => undefined };
}

/** Sends to a channel again. */
export function resume(channel: string): Call<void> {
  return { method: "POST", path: channelPath(channel, "/resume"), read: () => undefined };
}

/** Asks for the status of a channel. */
export function status(channel: string): Call<Channel> {
  return { method: "GET", path: channelPath(channel), read: (_, text) => document(text) as unknown as Channel };
}

/** Asks for at most 1000 channels, those whose names come after `after`. */
export function channelsPage(after: string | undefined): Call<Page> {
  const rest = after === undefined ? "" : `&after=${segment(after)}`;
  return { method: "GET", path: `/v1/channels?limit=${PAGE}${rest}`, read: (_, text) => document(text) as unknown as Page };
}

/** An endpoint that has no method of its own. */
export function other(method: string, path: string, json: string | undefined): Call<string> {
  const sent = json === undefined ? {} : { body: json, headers: { "Content-Type": "application/json" } };
  return { method, path, read: (_, text) => text, ...sent };
}

function document(text: string): Record<string, unknown> {
  const parsed: unknown = JSON.parse(text);
  if (typeof parsed !== "object" || parsed === null) throw new TypeError("an object is expected");
  return parsed as Record<string, unknown>;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

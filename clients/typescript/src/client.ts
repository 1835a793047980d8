/** A producer's client of one gateway. */

import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { Retry } from "./backoff.js";
import * as calls from "./calls.js";
import { channelPath } from "./calls.js";
import { CuegateError } from "./errors.js";
import type { Event, Events, Json } from "./events.js";
import { ANSWER_MS, CONNECT_MS } from "./limits.js";
import type { Update } from "./payloads.js";
import { Session, type SessionOptions } from "./session.js";
import { type ClientOptions, Transport } from "./transport.js";

/** A producer's client of one gateway. Times are in milliseconds. */
export class Client {
  readonly #transport: Transport;

  /**
   * @param url the gateway's address, as `http://127.0.0.1:8080`
   * @throws UsageError where the address, the key or the file of authorities cannot be used
   */
  constructor(url: string, options: ClientOptions = {}) {
    const { key, ca, connectTimeout = CONNECT_MS, timeout = ANSWER_MS } = options;
    this.#transport = new Transport(url, key, ca, connectTimeout, timeout);
  }

  /** Ends the connections of requests. Sessions are closed by themselves. */
  close(): void {
    this.#transport.close();
  }

  /** Publishes an event or a batch to a channel, by alias or ARN: one request. */
  publish(channel: string, events: Events, options: calls.PublishOptions = {}): Promise<calls.Published> {
    return this.#publish(channelPath(channel, "/events"), events, options);
  }

  /** The same for events that name their channels. */
  publishToMany(events: Events, options: calls.PublishOptions = {}): Promise<calls.Published> {
    return this.#publish("/v1/events", events, options);
  }

  /**
   * Moves or corrects an event that is queued: it is replaced whole, key and merge too. Without a new `at` or key it keeps its
   * place. An id that is not known, or whose event was cancelled, expired, evicted or dead-lettered, is taken in as a new
   * event.
   *
   * `Conflict` with the code `already_sent`: it was sent or merged. A refusal leaves the old one as it was.
   */
  async replace(channel: string, id: string, event: Event | Json): Promise<calls.Replaced> {
    return this.#transport.ask(calls.replace(channel, id, event));
  }

  /** What became of an event, for as long as its id is remembered; then `NotFound`. */
  async event(channel: string, id: string): Promise<calls.EventState> {
    return this.#transport.ask(calls.event(channel, id));
  }

  /**
   * Takes an event back that has not left the queue. Its id stays taken.
   *
   * `NotFound`: no event with this id is remembered. `Conflict`: it was sent or merged.
   */
  async cancel(channel: string, id: string): Promise<void> {
    return this.#transport.ask(calls.cancel(channel, id));
  }

  /** Takes back what is queued and matches, and returns how many events they were. */
  async purge(channel: string, which: calls.Purge): Promise<number> {
    return this.#transport.ask(calls.purge(channel, which));
  }

  /** Stops sending to a channel. Events are still taken in, and expire as ever. */
  async pause(channel: string): Promise<void> {
    return this.#transport.ask(calls.pause(channel));
  }

  /** Sends to a channel again. */
  async resume(channel: string): Promise<void> {
    return this.#transport.ask(calls.resume(channel));
  }

  /** The status of a channel, by alias or ARN. */
  async status(channel: string): Promise<calls.Channel> {
    return this.#transport.ask(calls.status(channel));
  }

  /** At most 1000 channels, those whose names come after `after`. */
  async channelsPage(after?: string): Promise<calls.Page> {
    return this.#transport.ask(calls.channelsPage(after));
  }

  /** All channels that the key may read, page after page: about 1 KB each. */
  async channels(): Promise<calls.Channel[]> {
    const found: calls.Channel[] = [];
    let next: string | null | undefined;
    do {
      const page = await this.channelsPage(next ?? undefined);
      found.push(...page.channels);
      next = page.next;
    } while (next);
    return found;
  }

  /**
   * Calls an endpoint that has no method here, and returns the answer's text. `segment` makes a name a segment of a path.
   */
  async call(method: string, path: string, json?: string): Promise<string> {
    return this.#transport.ask(calls.other(method, path, json));
  }

  /**
   * Follows the payloads of a channel as they are delivered; with `after`, from the payload after that number on, as far as
   * the gateway keeps them. It ends with `Unreachable`, which the gateway's own end is too: open another with the number of
   * the last payload.
   */
  payloads(channel: string, options: { after?: number; signal?: AbortSignal } = {}): AsyncGenerator<Update> {
    return this.#transport.stream(channel, options.after, options.signal);
  }

  /** Opens a WebSocket session for a channel. */
  session(channel: string, options: SessionOptions = {}): Promise<Session> {
    return Session.open(this.#transport, channelPath(channel, "/ws"), options);
  }

  /** The same for events that name their channels. */
  sessionToMany(options: SessionOptions = {}): Promise<Session> {
    return Session.open(this.#transport, "/v1/ws", options);
  }

  async #publish(path: string, events: Events, options: calls.PublishOptions): Promise<calls.Published> {
    const { retryFor = 0 } = options;
    const key = options.idempotencyKey ?? (retryFor > 0 ? randomBytes(8).toString("hex") : undefined);
    const call = calls.publish(path, events, { ...options, ...(key !== undefined && { idempotencyKey: key }) });
    const retry = new Retry(retryFor);
    for (;;) {
      try {
        return await this.#transport.ask(call);
      } catch (error) {
        const pause = error instanceof CuegateError ? retry.after(error) : undefined;
        if (pause === undefined) throw error;
        await sleep(pause);
      }
    }
  }
}

/**
 * Requests to one gateway over connections that are kept. It retries nothing.
 *
 * HTTP is Node's own `http` and `https`, and not `fetch`: a file of authorities and a time to connect are settings of a
 * connection, which `fetch` does not show.
 */

import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import tls from "node:tls";

import { type Call, channelPath } from "./calls.js";
import { refused, Unexpected, Unreachable, UsageError } from "./errors.js";
import { ANSWER_MAX_BYTES, CONNECTIONS } from "./limits.js";
import { Parser, type Update } from "./payloads.js";

/** What a client needs to know. */
export interface ClientOptions {
  /** The API key or the token that is shown to the gateway. */
  key?: string;
  /** A file of PEM with the authority of an https:// gateway, beside those of Node.js. */
  ca?: string;
  /** How long connecting may take, in milliseconds; 5000 if nothing is said. */
  connectTimeout?: number;
  /**
   * How long an answer may take, from the request to its last byte, in milliseconds; 35,000 if nothing is said, because the
   * gateway waits up to 30 s with `wait`. Streams of payloads have no such end.
   */
  timeout?: number;
}

/** Requests to one gateway. */
export class Transport {
  /** Where it sends to, without a slash at its end. */
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly ca: string[] | undefined;
  readonly #agent: http.Agent;
  readonly #request: typeof http.request;

  constructor(
    url: string,
    key: string | undefined,
    ca: string | undefined,
    readonly connectTimeout: number,
    readonly timeout: number,
  ) {
    const isTls = checked(url).protocol === "https:";
    this.url = url.replace(/\/+$/, "");
    this.headers = authorization(key);
    this.ca = isTls && ca !== undefined ? [...tls.rootCertificates, pem(ca)] : undefined;
    const kept = { keepAlive: true, noDelay: true, maxFreeSockets: CONNECTIONS };
    this.#agent = isTls ? new https.Agent({ ...kept, ...(this.ca && { ca: this.ca }) }) : new http.Agent(kept);
    this.#request = isTls ? https.request : http.request;
  }

  /** Sends a request and reads its answer whole; what is no success is an error. */
  async ask<Answer>(call: Call<Answer>): Promise<Answer> {
    const { response, done } = await this.#send(call);
    const { status, text } = await this.#whole(response).finally(done);
    if (status < 200 || status > 299) throw refused(status, response.headers["retry-after"], text);
    try {
      return call.read(status, text);
    } catch (error) {
      throw new Unexpected(this.url, String(error));
    }
  }

  /** A stream of payloads. */
  async *stream(channel: string, after: number | undefined, signal: AbortSignal | undefined): AsyncGenerator<Update> {
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (after !== undefined) headers["Last-Event-ID"] = String(after);
    const call = { method: "GET", path: channelPath(channel, "/payloads"), headers, read: () => undefined };
    const { response, done } = await this.#send(call, signal);
    if (response.statusCode !== 200) {
      const { status, text } = await this.#whole(response).finally(done);
      throw refused(status, response.headers["retry-after"], text);
    }
    done();
    const parser = new Parser();
    response.setEncoding("utf8");
    try {
      for await (const part of response) yield* this.#parsed(parser, part as string);
    } catch (error) {
      throw error instanceof Unexpected ? error : this.unreachable(error);
    } finally {
      response.destroy();
    }
    throw this.unreachable("the gateway closed the stream");
  }

  /** Ends the connections that are kept. */
  close(): void {
    this.#agent.destroy();
  }

  unreachable(error: unknown, closeCode?: number): Unreachable {
    return new Unreachable(this.url, worded(error), closeCode);
  }

  *#parsed(parser: Parser, part: string): Generator<Update> {
    let updates: Update[];
    try {
      updates = parser.push(part);
    } catch (error) {
      throw new Unexpected(this.url, worded(error));
    }
    yield* updates;
  }

  /** The head of an answer; `done` ends the time that the whole may take. */
  #send(call: Call<unknown>, signal?: AbortSignal): Promise<{ response: http.IncomingMessage; done: () => void }> {
    return new Promise((resolve, reject) => {
      const body = call.body === undefined ? undefined : Buffer.from(call.body);
      const headers: Record<string, string | number> = { ...this.headers, ...call.headers };
      if (body) headers["Content-Length"] = body.length;
      const request = this.#request(`${this.url}${call.path}`, {
        method: call.method,
        headers,
        agent: this.#agent,
        ...(signal && { signal }),
      });
      const timer = setTimeout(() => request.destroy(new Error("no answer in time")), this.timeout);
      const done = () => clearTimeout(timer);
      request.on("socket", (socket) => {
        if (!socket.connecting) return;
        const connecting = setTimeout(() => request.destroy(new Error("not connected in time")), this.connectTimeout);
        const connected = () => clearTimeout(connecting);
        socket.once("connect", connected).once("close", connected);
      });
      request.on("error", (error) => {
        done();
        reject(this.unreachable(error));
      });
      request.on("response", (response) => resolve({ response, done }));
      request.end(body);
    });
  }

  async #whole(response: http.IncomingMessage): Promise<{ status: number; text: string }> {
    const parts: Buffer[] = [];
    let size = 0;
    try {
      for await (const part of response) {
        parts.push(part as Buffer);
        size += (part as Buffer).length;
        if (size > ANSWER_MAX_BYTES) break;
      }
    } catch (error) {
      throw this.unreachable(error);
    }
    if (size > ANSWER_MAX_BYTES) throw new Unexpected(this.url, `more than ${ANSWER_MAX_BYTES} bytes`);
    return { status: response.statusCode ?? 0, text: Buffer.concat(parts).toString() };
  }
}

/** What an error says; one of several addresses has no text of its own. */
export function worded(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || (error as NodeJS.ErrnoException).code || error.name;
}

function checked(url: string): URL {
  const wrong = (what: string) => new UsageError(`${url}: ${what}`);
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw wrong("not an address");
  }
  if (!/^https?:\/\//.test(url)) throw wrong("an address that begins with http:// or https:// is needed");
  if (parsed.search || parsed.hash) throw wrong("an address without a query is needed");
  return parsed;
}

function authorization(key: string | undefined): Record<string, string> {
  if (key === undefined) return {};
  if (!/^[!-~]+$/.test(key)) throw new UsageError("a key has visible ASCII characters only");
  return { Authorization: `Bearer ${key}` };
}

function pem(file: string): string {
  try {
    const text = readFileSync(file, "utf8");
    if (!text.includes("-----BEGIN CERTIFICATE-----")) throw new Error("no certificates as PEM");
    return text;
  } catch (error) {
    throw new UsageError(`${file}: ${worded(error)}`);
  }
}

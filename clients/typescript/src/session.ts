/**
 * A WebSocket session: messages that do not wait for one another, acknowledged in order.
 *
 * `outbox` decides what is not acknowledged yet and what an answer or a lost connection means for it, `link` when to connect
 * again. This moves messages between the two and the connection.
 */

import { randomBytes } from "node:crypto";

import { WebSocket } from "ws";

import { CuegateError, refused, tooBig, Unexpected, UsageError } from "./errors.js";
import { type Events, Ids, message } from "./events.js";
import {
  ACK_MS,
  CLOSE_MS,
  GIVE_UP_AFTER_MS,
  MESSAGE_MAX_BYTES,
  SILENCE_MS,
  TURN_BYTES,
  WINDOW_BYTES,
  WINDOW_MESSAGES,
} from "./limits.js";
import { Link } from "./link.js";
import { type Acknowledged, Fifo, Garbled, Outbox, type Settled } from "./outbox.js";
import type { Transport } from "./transport.js";

const SUBPROTOCOL = "cuegate.v1";
const TOO_BIG = 1009;
/** What `ws` says where no close frame came (RFC 6455, section 7.1.5). */
const NO_WORD = 1006;

/** How a session is kept. Times are in milliseconds. */
export interface SessionOptions {
  /**
   * Whether what a lost connection leaves unacknowledged is sent again; true if nothing is said.
   *
   * With it, events without an id are given one, and the gateway takes no event in twice while it remembers ids
   * (`dedup_window_ms`, `dedup_max_ids`). Without it, such messages fail with `Unreachable`, and whether they were taken in
   * is not known.
   */
  resend?: boolean;
  /** How many messages may wait for their acknowledgement, at least 1; 1024 if nothing is said. */
  window?: number;
  /** How many bytes these messages may have; 8 MiB if nothing is said. One message is always let through. */
  windowBytes?: number;
  /** How long an acknowledgement may take before the connection counts as lost; 30,000 if nothing is said. */
  ackTimeout?: number;
  /**
   * How long the session tries to find the gateway again before it ends; 240,000 if nothing is said. Keep it below the
   * channel's `dedup_window_ms`, or events can be taken in twice.
   */
  giveUpAfter?: number;
}

/** What a message's acknowledgement is awaited with. It may be dropped; the message is sent all the same. */
export class Receipt {
  /** What the gateway did with the message, or why the session has ended. */
  readonly acknowledged: Promise<Acknowledged>;
  #done = false;

  constructor(start: (tell: (outcome: Acknowledged | CuegateError) => void) => void) {
    this.acknowledged = new Promise((resolve, reject) => {
      start((outcome) => {
        this.#done = true;
        if (outcome instanceof CuegateError) reject(outcome);
        else resolve(outcome);
      });
    });
    // Whoever does not look does not want to know.
    this.acknowledged.catch(() => undefined);
  }

  /** Whether the message is through. */
  get done(): boolean {
    return this.#done;
  }
}

/** Who hears of a message, and the room that it takes until then. */
interface Ticket {
  readonly bytes: number;
  readonly tell: (outcome: Acknowledged | CuegateError) => void;
}

/** A message that waits for room. */
interface Ahead {
  readonly text: string;
  readonly ticket: Ticket;
  readonly admitted: (error?: CuegateError) => void;
}

/**
 * An open session; messages go out in the order in which they were sent.
 *
 * A connection that is lost is made again, after waits that grow from 0.2 s to 10 s (half of each is random), and what was
 * not acknowledged is sent again, first and in its order.
 */
export class Session {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #ackTimeout: number;
  readonly #window: number;
  readonly #windowBytes: number;
  readonly #ids: Ids | undefined;
  readonly #link: Link;
  readonly #outbox: Outbox<Ticket>;
  readonly #ahead = new Fifo<Ahead>();
  readonly #watch: NodeJS.Timeout;
  #taken = 0;
  #takenBytes = 0;
  #sincePause = 0;
  #socket: WebSocket | undefined;
  #heardAt = 0;
  #retry: NodeJS.Timeout | undefined;
  #closing = false;
  #ended: CuegateError | undefined;
  #tellClosed: () => void = () => undefined;
  readonly #closed = new Promise<void>((resolve) => {
    this.#tellClosed = resolve;
  });

  private constructor(transport: Transport, path: string, options: SessionOptions) {
    const { resend = true } = options;
    this.#transport = transport;
    this.#path = path;
    this.#ackTimeout = options.ackTimeout ?? ACK_MS;
    this.#window = Math.max(1, options.window ?? WINDOW_MESSAGES);
    this.#windowBytes = Math.max(1, options.windowBytes ?? WINDOW_BYTES);
    this.#ids = resend ? new Ids(randomBytes(8).readBigUInt64BE()) : undefined;
    this.#link = new Link(options.giveUpAfter ?? GIVE_UP_AFTER_MS);
    this.#outbox = new Outbox(resend);
    // What is overdue is seen a quarter of its time late, at the most.
    this.#watch = setInterval(() => this.#look(), Math.max(1, Math.min(this.#ackTimeout / 4, 1000))).unref();
  }

  /** Connects: the first connection is tried once. */
  static async open(transport: Transport, path: string, options: SessionOptions): Promise<Session> {
    const socket = await connect(transport, path);
    const session = new Session(transport, path, options);
    session.#serve(socket);
    return session;
  }

  /**
   * Sends an event or a batch, and returns what its acknowledgement can be awaited with.
   *
   * It waits while the window is full, also while the gateway is away: so a producer is never further ahead than that. Throws
   * `UsageError` where the message is empty or too large, else why the session has ended.
   */
  async send(events: Events): Promise<Receipt> {
    this.#checkOpen();
    const { text, bytes } = message(events, this.#ids);
    let ticket!: Ticket;
    const receipt = new Receipt((tell) => {
      ticket = { bytes: Math.max(1, bytes), tell };
    });
    if (this.#ahead.length === 0 && this.#fits(ticket)) {
      this.#admit(text, ticket);
      this.#flush();
      await this.#letOthersRun(bytes);
    } else {
      await new Promise<void>((resolve, reject) => {
        this.#ahead.push({ text, ticket, admitted: (error) => (error ? reject(error) : resolve()) });
      });
    }
    return receipt;
  }

  /**
   * Waits until every message is through, and closes the connection. Throws why the session ended before; each receipt says
   * the same of its message.
   */
  async close(): Promise<void> {
    this.#closing = true;
    this.#endIfDone();
    await this.#closed;
    if (this.#ended) throw this.#ended;
  }

  /** Ends at once: what became of messages that are not acknowledged is not known. */
  abort(): void {
    this.#end(this.#transport.unreachable("the session was given up"));
  }

  #checkOpen(): void {
    if (this.#ended) throw this.#ended;
    if (this.#closing) throw new UsageError("the session is closed");
  }

  #fits(ticket: Ticket): boolean {
    return this.#taken < this.#window && (this.#takenBytes + ticket.bytes <= this.#windowBytes || this.#taken === 0);
  }

  #admit(text: string, ticket: Ticket): void {
    this.#taken += 1;
    this.#takenBytes += ticket.bytes;
    this.#outbox.push(text, ticket);
  }

  #settle(settled: Settled<Ticket>[]): void {
    for (const { tag, outcome } of settled) {
      this.#taken -= 1;
      this.#takenBytes -= tag.bytes;
      tag.tell(outcome);
    }
    for (let next = this.#ahead.at(0); next && this.#fits(next.ticket); next = this.#ahead.at(0)) {
      this.#ahead.take(1);
      this.#admit(next.text, next.ticket);
      next.admitted();
    }
    this.#flush();
    this.#endIfDone();
  }

  /** The window bounds what the socket keeps: what was not sent is not acknowledged either. */
  #flush(): void {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    const now = performance.now();
    for (let text = this.#outbox.next(now); text !== undefined; text = this.#outbox.next(now)) socket.send(text);
  }

  /** A producer that never waits would keep acknowledgements from being read. */
  async #letOthersRun(bytes: number): Promise<void> {
    this.#sincePause += bytes;
    if (this.#sincePause < TURN_BYTES) return;
    this.#sincePause = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Serves one connection until it is lost, or until the session is done. */
  #serve(socket: WebSocket): void {
    this.#link.connected(performance.now());
    this.#socket = socket;
    this.#heardAt = performance.now();
    let broken: Error | undefined;
    socket.on("message", (data, isBinary) => {
      this.#heardAt = performance.now();
      if (socket === this.#socket) this.#hear(socket, String(data), isBinary);
    });
    socket.on("ping", () => {
      this.#heardAt = performance.now();
    });
    socket.on("error", (error) => {
      broken = error;
    });
    socket.on("close", (code, reason) => {
      if (socket !== this.#socket) return;
      if (code === TOO_BIG) this.#settle(this.#outbox.refuseFirst(tooBig(reason.toString())));
      // Its word counts for more than what the connection did after that.
      const said = code === NO_WORD ? undefined : `the gateway closed the connection: ${reason.toString()} (${code})`;
      const what = said ?? broken ?? "the connection was closed";
      this.#lost(socket, this.#transport.unreachable(what, code === NO_WORD ? undefined : code));
    });
    if (socket.readyState !== WebSocket.OPEN) {
      this.#lost(socket, this.#transport.unreachable(broken ?? "the connection broke at once"));
      return;
    }
    socket.resume();
    this.#flush();
    this.#endIfDone();
  }

  #hear(socket: WebSocket, text: string, isBinary: boolean): void {
    if (isBinary) {
      this.#lost(socket, new Unexpected(this.#transport.url, "a binary message"));
      return;
    }
    try {
      const settled = this.#outbox.hear(text, performance.now());
      if (settled.length === 0) return;
      this.#link.progressed();
      this.#settle(settled);
    } catch (error) {
      if (!(error instanceof Garbled)) throw error;
      this.#lost(socket, new Unexpected(this.#transport.url, error.message));
    }
  }

  /** Whether the connection is silent, or an acknowledgement overdue. */
  #look(): void {
    const socket = this.#socket;
    if (!socket) return;
    const now = performance.now();
    const overdueAt = this.#outbox.overdueAt(this.#ackTimeout);
    if (overdueAt !== undefined && now >= overdueAt) {
      this.#lost(socket, this.#transport.unreachable("no acknowledgement in time"));
    } else if (now - this.#heardAt >= SILENCE_MS) {
      this.#lost(socket, this.#transport.unreachable("the connection is silent"));
    }
  }

  #lost(socket: WebSocket, error: CuegateError): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    socket.terminate();
    if (this.#ended) return;
    this.#settle(this.#outbox.disconnected(error));
    this.#reconnect(error);
  }

  /** Connects again, for as long as that makes sense. */
  #reconnect(error: CuegateError): void {
    if (this.#isOver()) return;
    const pause = this.#link.lost(performance.now(), error, Math.random());
    if (pause === undefined) {
      this.#end(error);
      return;
    }
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      connect(this.#transport, this.#path).then(
        (socket) => (this.#isOver() ? socket.terminate() : this.#serve(socket)),
        (again: unknown) => this.#reconnect(again instanceof CuegateError ? again : this.#transport.unreachable(again)),
      );
    }, pause);
  }

  /** Whether nobody needs a connection any more. */
  #isOver(): boolean {
    return this.#ended !== undefined || (this.#closing && this.#outbox.isEmpty && this.#ahead.length === 0);
  }

  /** The session was closed, and every message is through. */
  #endIfDone(): void {
    if (!this.#closing || this.#ended || !this.#isOver()) return;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket || socket.readyState === WebSocket.CLOSED) {
      this.#tellClosed();
      return;
    }
    const patience = setTimeout(() => socket.terminate(), CLOSE_MS);
    socket.once("close", () => {
      clearTimeout(patience);
      this.#tellClosed();
    });
    socket.close(1000);
  }

  /** Ends for good: everyone who waits hears why, and everyone who sends after that. */
  #end(error: CuegateError): void {
    if (this.#ended) return;
    this.#ended = error;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.terminate();
    for (const { ticket, admitted } of this.#ahead.take(this.#ahead.length)) {
      ticket.tell(error);
      admitted(error);
    }
    this.#settle(this.#outbox.abandon(error));
    this.#tellClosed();
  }
}

/** Opens a WebSocket. The refusal of the handshake is a `Refused`. */
function connect(transport: Transport, path: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${transport.url.replace(/^http/, "ws")}${path}`, [SUBPROTOCOL], {
      headers: transport.headers,
      perMessageDeflate: false,
      maxPayload: MESSAGE_MAX_BYTES,
      // The handshake is an answer of the gateway's.
      handshakeTimeout: 2 * transport.connectTimeout,
      ...(transport.ca && { ca: transport.ca }),
    });
    // Once the promise is settled nobody hears of an error here; but without a listener it would end the program.
    socket.on("error", (error) => reject(worded(transport, error)));
    socket.on("unexpected-response", (request, response) => {
      const parts: Buffer[] = [];
      let size = 0;
      response.on("data", (part: Buffer) => {
        parts.push(part);
        size += part.length;
        if (size > MESSAGE_MAX_BYTES) response.destroy(new Error("the refusal is too long"));
      });
      response.on("error", (error) => reject(transport.unreachable(error)));
      response.on("end", () => {
        reject(refused(response.statusCode ?? 0, response.headers["retry-after"], Buffer.concat(parts).toString()));
        request.destroy();
      });
    });
    socket.on("open", () => {
      // Nothing may be read before the session listens.
      socket.pause();
      resolve(socket);
    });
  });
}

/** `ws` says of its own what is wrong with an answer; what is wrong with a connection has a code. */
function worded(transport: Transport, error: Error): CuegateError {
  const own = /^(Invalid|Unexpected server|Server sent|Missing)/.test(error.message);
  if (own) return new Unexpected(transport.url, `the connection did not become a WebSocket: ${error.message}`);
  return error instanceof CuegateError ? error : transport.unreachable(error);
}

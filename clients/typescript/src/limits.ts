/**
 * Every bound of the client, each with its reason. Times are in milliseconds.
 *
 * What a producer may set is an option of `Client` and of `session`; the defaults are here.
 */

/** Time to connect: a gateway is near its producers. */
export const CONNECT_MS = 5_000;
/** Time for an answer that is read whole. The gateway's own longest wait is 30 s (`wait=delivered`), so this is a little more. */
export const ANSWER_MS = 35_000;
/**
 * Largest answer that is read whole: a page of 1000 channels has about 1 MiB, and the refusals of a body of 100,000 events
 * about 30 MiB.
 */
export const ANSWER_MAX_BYTES = 64 << 20;
/** Longest line of a stream of payloads. A payload has at most a few KiB, so a longer line is no answer of a gateway. */
export const LINE_MAX_BYTES = 1 << 20;
/** Channels asked for at a time: the most that the gateway gives. */
export const PAGE = 1000;
/** Connections for HTTP that are kept for the next request: as many as a browser keeps to a proxy. */
export const CONNECTIONS = 32;

/** Largest message of a session, in bytes: the gateway closes a connection over larger ones. */
export const MESSAGE_MAX_BYTES = 1 << 20;
/**
 * Messages of a session that wait for their acknowledgement: four times as many as the gateway handles before it
 * acknowledges at the latest.
 */
export const WINDOW_MESSAGES = 1024;
/** Bytes of these messages: enough for eight of the largest, and what a session may hold. */
export const WINDOW_BYTES = 8 << 20;
/** A connection is given up when it brings nothing for so long. The gateway pings every 20 s. */
export const SILENCE_MS = 45_000;
/**
 * A connection is given up when messages wait and no acknowledgement comes for so long. The gateway acknowledges within
 * 50 ms and the time of its disk.
 */
export const ACK_MS = 30_000;
/**
 * A session ends after so long without the gateway. The gateway remembers ids for 300 s by default (`dedup_window_ms`):
 * what is sent again later could be delivered twice.
 */
export const GIVE_UP_AFTER_MS = 240_000;
/** A connection that lasted so long was a good one: the waits begin anew after it. */
export const STABLE_MS = 5_000;
/** The peer's part in closing is waited for at most so long. */
export const CLOSE_MS = 2_000;
/**
 * A producer that sends without a pause lets others run after so many bytes: a fraction of the window, so that the
 * connection is never idle meanwhile.
 */
export const TURN_BYTES = 256 << 10;

/** The first wait before another try, at most. */
export const BACKOFF_FIRST_MS = 200;
/** Every later wait is at most twice the one before, and never longer than this. */
export const BACKOFF_MAX_MS = 10_000;
/** A `Retry-After` beyond this counts as this: a wrong one must not stop a producer for good. */
export const RETRY_AFTER_MAX_MS = 60_000;

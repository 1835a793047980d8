/** What can go wrong, whether another try makes sense, and the one map from the gateway's codes to types. */

import { STATUS_CODES } from "node:http";

/** Why a call failed. */
export class CuegateError extends Error {
  /** Whether the same request can succeed later. */
  get retryable(): boolean {
    return false;
  }

  /** In how many milliseconds another try makes sense, where the gateway said so. */
  readonly retryAfter: number | undefined = undefined;

  override get name(): string {
    return this.constructor.name;
  }
}

/**
 * The caller's mistake: an address, a key, a file of certificates or an event that cannot be used. Nothing was sent.
 */
export class UsageError extends CuegateError {}

/**
 * There is no connection to the gateway, it broke, or no answer came in time. Whether the gateway took what was sent is not
 * known: send it again with the same ids.
 */
export class Unreachable extends CuegateError {
  /** @param closeCode the code with which the gateway closed a WebSocket, as 1012 when it drains */
  constructor(
    url: string,
    reason: string,
    readonly closeCode?: number,
  ) {
    super(`${url}: ${reason}`);
  }

  override get retryable(): boolean {
    return true;
  }
}

/** Something answered that is not Cuegate, or a version that this client does not know. */
export class Unexpected extends CuegateError {
  constructor(url: string, what: string) {
    super(`${url}: not an answer of Cuegate: ${what}`);
  }
}

/** The refusal of one event of a batch; the others were taken in. */
export interface Rejected {
  /** Which event of the request or the message, counting from 0. */
  readonly index: number;
  /** Why, for programs. */
  readonly code: string;
  /** Why, for people. */
  readonly detail: string;
  /** In how many milliseconds another try makes sense. */
  readonly retryAfter: number | undefined;
  /** Whether the same event can be taken later. */
  readonly retryable: boolean;
}

/** What a refusal says. */
export interface Refusal {
  code: string;
  status: number;
  detail: string;
  retryAfter?: number | undefined;
  index?: number | undefined;
  rejected?: readonly Rejected[];
  document?: string;
}

/** The gateway refused the whole request (RFC 9457). Its subclasses are the families of codes. */
export class Refused extends CuegateError {
  /** Why, for programs; empty where the answer has none, as a proxy's. */
  readonly code: string;
  /** The HTTP status. */
  readonly status: number;
  /** Why, for people. */
  readonly detail: string;
  override readonly retryAfter: number | undefined;
  /** The index of the event that was refused, for an atomic batch. */
  readonly index: number | undefined;
  /** Every event that was refused, where a batch was refused event by event. */
  readonly rejected: readonly Rejected[];
  /** The answer's body as it came. */
  readonly document: string;

  constructor(refusal: Refusal) {
    const { code, status, detail } = refusal;
    super(`${code || `${status} ${STATUS_CODES[status] ?? ""}`.trim()}: ${detail}`);
    this.code = code;
    this.status = status;
    this.detail = detail;
    this.retryAfter = refusal.retryAfter;
    this.index = refusal.index;
    this.rejected = refusal.rejected ?? [];
    this.document = refusal.document ?? "";
  }
}

/** The request itself is wrong, and stays so: `malformed`, `invalid_event`, `event_too_large` and the like. */
export class Invalid extends Refused {}

/** `unauthenticated` or `forbidden`: the key is missing, unknown, or does not allow this. */
export class Denied extends Refused {}

/** `unknown_channel`, `unknown_event` or `not_found`. */
export class NotFound extends Refused {}

/** `channel_offline` or `already_sent`: the state of the channel or the event does not allow it. */
export class Conflict extends Refused {}

/** `queue_full`, `would_expire` or `rate_limited`: try again after `retryAfter`. */
export class Busy extends Refused {
  override get retryable(): boolean {
    return true;
  }
}

/** `overloaded`, `draining` or `slow_request`: the gateway, or what is before it, cannot answer now. */
export class Unavailable extends Refused {
  override get retryable(): boolean {
    return true;
  }
}

type Family = new (refusal: Refusal) => Refused;

const FAMILIES = new Map<string, Family>([
  ["malformed", Invalid],
  ["event_too_large", Invalid],
  ["body_too_large", Invalid],
  ["unsupported_media_type", Invalid],
  ["invalid_event", Invalid],
  ["method_not_allowed", Invalid],
  ["upgrade_required", Invalid],
  ["unauthenticated", Denied],
  ["forbidden", Denied],
  ["unknown_channel", NotFound],
  ["unknown_event", NotFound],
  ["not_found", NotFound],
  ["channel_offline", Conflict],
  ["already_sent", Conflict],
  ["queue_full", Busy],
  ["would_expire", Busy],
  ["rate_limited", Busy],
  ["overloaded", Unavailable],
  ["draining", Unavailable],
  ["slow_request", Unavailable],
]);

/** For a code that this version does not know, and an answer without one. */
const BY_STATUS = new Map<number, Family>([
  [401, Denied],
  [403, Denied],
  [404, NotFound],
  [408, Unavailable],
  [409, Conflict],
  [429, Busy],
]);

/** Reads an answer that is no success. */
export function refused(status: number, retryAfterHeader: string | undefined, body: string): Refused {
  const problem = members(body);
  const code = typeof problem["code"] === "string" ? problem["code"] : "";
  const family = FAMILIES.get(code) ?? BY_STATUS.get(status) ?? (status >= 500 ? Unavailable : Invalid);
  const rejected = Array.isArray(problem["rejected"]) ? problem["rejected"] : [];
  return new family({
    code,
    status,
    detail: typeof problem["detail"] === "string" ? problem["detail"] : body,
    retryAfter: number(problem["retry_after_ms"]) ?? header(retryAfterHeader),
    index: number(problem["index"]),
    rejected: rejected.map(rejectedOf),
    document: body,
  });
}

/** The refusal of one event, as the gateway words it. */
export function rejectedOf(answer: Record<string, unknown>): Rejected {
  const code = String(answer["code"]);
  const family = FAMILIES.get(code);
  return {
    index: Number(answer["index"]),
    code,
    detail: String(answer["detail"] ?? ""),
    retryAfter: number(answer["retry_after_ms"]),
    retryable: family === Busy || family === Unavailable,
  };
}

/** The gateway closed a WebSocket over the size of a message. */
export function tooBig(reason: string): Refused {
  return new Invalid({ code: "body_too_large", status: 413, detail: `the gateway takes no message of this size: ${reason}` });
}

function members(body: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

/** `Retry-After` in its form of seconds (RFC 9110), which is the one that the gateway sends. */
function header(value: string | undefined): number | undefined {
  return value !== undefined && /^ *\d+ *$/.test(value) ? Number(value) * 1000 : undefined;
}

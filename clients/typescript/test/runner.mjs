// Does the steps of `clients/scenarios.json` with this client: `node runner.mjs URL`. A step is a line of standard input, and
// what came of it a line of standard output. What should have come of it, the caller knows.

import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import * as cuegate from "cuegate";

const FAMILIES = [
  [cuegate.Invalid, "invalid"],
  [cuegate.Denied, "denied"],
  [cuegate.NotFound, "not_found"],
  [cuegate.Conflict, "conflict"],
  [cuegate.Busy, "busy"],
  [cuegate.Unavailable, "unavailable"],
];
const KINDS = [
  [cuegate.UsageError, "usage"],
  [cuegate.Unreachable, "unreachable"],
  [cuegate.Unexpected, "unexpected"],
  [cuegate.Refused, "refused"],
];

const [, , url] = process.argv;
let client = new cuegate.Client(url);
let session;
let receipts = [];
let pending;

const named = (table, error) => table.find(([type]) => error instanceof type)?.[1];
const eventsOf = (step) => ("json" in step ? new cuegate.Json(step.json) : step.events);
const rejectedOf = ({ rejected }) => rejected.map(({ index, code, retryable }) => ({ index, code, retryable }));

function errorOf(error) {
  if (!(error instanceof cuegate.CuegateError)) throw error;
  const shown = {
    kind: named(KINDS, error),
    text: String(error),
    retryable: error.retryable,
    retry_after: error.retryAfter !== undefined,
  };
  if (error instanceof cuegate.Refused) {
    const { code, status, index } = error;
    Object.assign(shown, { code, family: named(FAMILIES, error), status, index, rejected: rejectedOf(error) });
  }
  return { error: shown };
}

const steps = {
  client(step) {
    client.close();
    client = new cuegate.Client(step.url ?? url, step);
  },
  sleep: ({ ms }) => sleep(ms),
  async publish(step) {
    const options = { atomic: step.atomic, wait: step.wait_ms, retryFor: step.retry_for_ms, idempotencyKey: step.idempotency_key };
    const answer = step.to_many
      ? await client.publishToMany(eventsOf(step), options)
      : await client.publish(step.channel, eventsOf(step), options);
    return { ...answer, rejected: rejectedOf(answer) };
  },
  replace: ({ channel, id, event }) => client.replace(channel, id, event),
  event: ({ channel, id }) => client.event(channel, id),
  cancel: ({ channel, id }) => client.cancel(channel, id),
  purge: async ({ channel, type, key, all }) => ({ cancelled: await client.purge(channel, { type, key, all }) }),
  pause: ({ channel }) => client.pause(channel),
  resume: ({ channel }) => client.resume(channel),
  status: ({ channel }) => client.status(channel),
  channels: async () => ({ names: (await client.channels()).map(({ channel }) => channel) }),
  async payload({ channel }) {
    for await (const { kind, n, text } of client.payloads(channel, { after: 1 })) return { kind, numbered: n > 1, text };
  },
  async open(step) {
    const options = {
      resend: step.resend,
      window: step.window,
      windowBytes: step.window_bytes,
      ackTimeout: step.ack_timeout_ms,
      giveUpAfter: step.give_up_after_ms,
    };
    receipts = [];
    session = step.to_many ? await client.sessionToMany(options) : await client.session(step.channel, options);
  },
  async send(step) {
    if (!("from" in step)) {
      receipts.push(await session.send(eventsOf(step)));
      return;
    }
    for (let first = step.from; first < step.to; first += step.batch) {
      const last = Math.min(first + step.batch, step.to);
      receipts.push(await session.send(Array.from({ length: last - first }, (_, nth) => ({ data: first + nth }))));
      if (step.pace_ms) await sleep(step.pace_ms);
    }
  },
  async send_waits(step) {
    pending = session.send(eventsOf(step));
    return { waited: await Promise.race([pending.then(() => false), sleep(step.ms, true)]) };
  },
  async send_ends() {
    receipts.push(await pending);
  },
  async acks() {
    const told = { acknowledged: 0, lost: 0, rejected: [] };
    for (const [message, receipt] of receipts.splice(0).entries()) {
      try {
        const answer = await receipt.acknowledged;
        told.acknowledged += 1;
        told.rejected.push(...rejectedOf(answer).map((one) => ({ message, ...one })));
      } catch (error) {
        told.lost += 1;
        Object.assign(told, errorOf(error));
      }
    }
    return told;
  },
  close: () => session.close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const step = JSON.parse(line);
  let outcome;
  try {
    outcome = (await steps[step.do](step)) ?? {};
  } catch (error) {
    outcome = errorOf(error);
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
process.exit(0);

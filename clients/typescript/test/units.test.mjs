// What decides, apart from sockets and clocks: waits, refusals, messages that are not acknowledged, texts of events, streams of
// payloads. What the client does with a gateway is in clients/scenarios.json. `npm test`, after `npm run build`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Busy, Client, Denied, Invalid, Json, Ndjson, Refused, Unavailable, Unreachable, UsageError, segment } from "cuegate";
import { Retry, wait } from "../dist/backoff.js";
import { refused, tooBig } from "../dist/errors.js";
import { Ids, body, message } from "../dist/events.js";
import * as limits from "../dist/limits.js";
import { Link } from "../dist/link.js";
import { Fifo, Garbled, Outbox } from "../dist/outbox.js";
import { Parser } from "../dist/payloads.js";

const LOST = new Unreachable("http://gateway", "reset");

test("waits double and stay within their bounds", () => {
  for (const [nth, chance, expected] of [[0, 0, 100], [0, 1, 200], [1, 0, 200], [3, 0.5, 1200], [30, 0, 5000], [2 ** 32, 1, 10_000]]) {
    assert.equal(wait(nth, undefined, chance), expected);
  }
});

test("what the gateway asks for is never undercut", () => {
  for (const [nth, chance, expected] of [[0, 0, 3100], [0, 1, 3200], [9, 1, 3200]]) assert.equal(wait(nth, 3000, chance), expected);
  assert.equal(wait(0, 1e15, 1), limits.RETRY_AFTER_MAX_MS + limits.BACKOFF_FIRST_MS);
});

test("tries end in time and where none can help", () => {
  let now = 0;
  const retry = new Retry(1000, () => now, () => 0);
  assert.equal(retry.after(LOST), 100);
  now = 900;
  assert.equal(retry.after(LOST), undefined);
  assert.equal(new Retry(1000).after(new UsageError("")), undefined);
  assert.equal(new Retry(0).after(LOST), undefined);
});

test("waits grow until a connection was a good one", () => {
  const link = new Link(3_600_000);
  assert.equal(link.lost(0, LOST, 0), 100);
  assert.equal(link.lost(0, LOST, 0), 200);
  link.connected(0);
  assert.equal(link.lost(1000, LOST, 0), 400, "it opened and broke");
  link.connected(0);
  link.progressed();
  assert.equal(link.lost(1000, LOST, 0), 100, "it worked");
  assert.equal(link.lost(1000, LOST, 0), 200);
  link.connected(0);
  assert.equal(link.lost(limits.STABLE_MS, LOST, 0), 100, "it stood idle");
});

test("a session gives up in time and where no try can help", () => {
  const link = new Link(240_000);
  let [away, tries] = [0, 0];
  for (let pause = link.lost(0, LOST, 1); pause !== undefined; pause = link.lost(away, LOST, 1)) [away, tries] = [away + pause, tries + 1];
  assert.ok(away > 225_000 && away <= 240_000 && tries < 40, `${away} ${tries}`);
  assert.equal(new Link(240_000).lost(0, refused(404, undefined, '{"code":"unknown_channel"}'), 0), undefined);
  const draining = refused(503, undefined, '{"code":"draining","retry_after_ms":5000}');
  assert.equal(new Link(240_000).lost(0, draining, 0), 5100);
});

test("refusals are typed and say whether to try again", () => {
  const batch = '{"code":"invalid_event","detail":"no","rejected":[{"index":1,"code":"queue_full","detail":"x","retry_after_ms":40}]}';
  for (const [status, header, text, family, retryable, retryAfter, shown] of [
    [429, "1", '{"code":"queue_full","detail":"full","retry_after_ms":250}', Busy, true, 250, "queue_full: full"],
    [503, "2", '{"code":"draining","detail":"d"}', Unavailable, true, 2000, "draining: d"],
    [422, undefined, batch, Invalid, false, undefined, "invalid_event: no"],
    [502, undefined, "<h1>Sorry</h1>", Unavailable, true, undefined, "502 Bad Gateway: <h1>Sorry</h1>"],
    [403, "soon", "7", Denied, false, undefined, "403 Forbidden: 7"],
  ]) {
    const error = refused(status, header, text);
    assert.ok(error instanceof family && error instanceof Refused);
    assert.deepEqual([error.name, error.retryable, error.retryAfter, error.message], [family.name, retryable, retryAfter, shown]);
  }
  const [one] = refused(422, undefined, batch).rejected;
  assert.deepEqual(one, { index: 1, code: "queue_full", detail: "x", retryAfter: 40, retryable: true });
});

/** With so many messages, tagged and worded by their number from 1. */
function outbox(resend, messages) {
  const made = new Outbox(resend);
  for (let number = 1; number <= messages; number++) made.push(String(number), number);
  return made;
}

function sendAll(made) {
  const sent = [];
  for (let text = made.next(0); text !== undefined; text = made.next(0)) sent.push(Number(text));
  return sent;
}

const shown = (settled) =>
  settled.map(({ tag, outcome }) => [tag, ...(outcome instanceof Error ? ["lost"] : outcome.rejected.map(({ code }) => code))]);

test("acknowledgements settle in order with their refusals", () => {
  const made = outbox(true, 4);
  assert.deepEqual(sendAll(made), [1, 2, 3, 4]);
  assert.deepEqual(made.hear('{"msg":2,"index":7,"code":"queue_full","detail":"full"}', 0), []);
  const settled = made.hear('{"ack":2,"queued":9}', 0);
  assert.equal(settled[1].outcome.queued, 9);
  assert.deepEqual(shown(settled), [[1], [2, "queue_full"]]);
  assert.deepEqual(made.hear('{"ack":2}', 0), []);
  assert.deepEqual(shown(made.hear('{"ack":4}', 0)), [[3], [4]]);
  assert.ok(made.isEmpty);
});

test("what a lost connection leaves is sent again, first and counted anew", () => {
  const made = outbox(true, 3);
  sendAll(made);
  made.hear('{"ack":1}', 0);
  made.hear('{"msg":2,"index":0,"code":"overloaded"}', 0);
  made.push("4", 4);
  assert.deepEqual(made.disconnected(LOST), []);
  assert.deepEqual(sendAll(made), [2, 3, 4]);
  // The refusal of before is void: the event was tried again.
  assert.deepEqual(shown(made.hear('{"ack":3}', 0)), [[2], [3], [4]]);
});

test("without resend what was sent is unknown, and the rest goes on", () => {
  const made = outbox(false, 3);
  made.next(0);
  made.next(0);
  assert.deepEqual(shown(made.disconnected(LOST)), [[1, "lost"], [2, "lost"]]);
  assert.deepEqual(sendAll(made), [3]);
});

test("a message that is refused for good is not sent again", () => {
  const made = outbox(true, 3);
  sendAll(made);
  made.hear('{"ack":1}', 0);
  assert.deepEqual(shown(made.refuseFirst(tooBig(""))), [[2, "lost"]]);
  made.disconnected(LOST);
  assert.deepEqual(sendAll(made), [3]);
  assert.deepEqual(outbox(true, 1).refuseFirst(tooBig("")), []);
  assert.deepEqual(shown(made.abandon(LOST)), [[3, "lost"]]);
});

test("answers that make no sense end the connection", () => {
  const wrong = ["nonsense", "[]", "{}", "3", "null", '{"ack":3}', '{"ack":-1}', '{"ack":true}', '{"ack":1.5}'];
  for (const text of [...wrong, '{"msg":3,"index":0,"code":"x"}', '{"msg":0,"index":0,"code":"x"}', '{"msg":1,"index":0}']) {
    const made = outbox(true, 3);
    made.next(0);
    made.next(0);
    assert.throws(() => made.hear(text, 0), Garbled, text);
  }
});

test("silence is counted from the last acknowledgement", () => {
  const made = outbox(true, 2);
  assert.equal(made.overdueAt(30), undefined);
  made.next(1);
  made.next(5);
  assert.equal(made.overdueAt(30), 31);
  made.hear('{"ack":1}', 6);
  assert.equal(made.overdueAt(30), 36);
  made.hear('{"ack":2}', 7);
  assert.equal(made.overdueAt(30), undefined);
});

/** A generator that a seed repeats (mulberry32). */
function chanceOf(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Connections break with messages and acknowledgements on their way. */
test("at random every message is taken once and settled once", () => {
  const first = Number(process.env.CUEGATE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));
  for (let seed = first; seed < first + 100; seed++) breakConnections(chanceOf(seed), `seed ${seed}`);
});

function breakConnections(chance, seed) {
  const [made, settled, taken] = [new Outbox(true), [], new Set()];
  let [pushed, way, handled] = [0, [], 0];
  const take = (many) => way.splice(0, many).forEach((number) => taken.add(number));
  while (settled.length < 60) {
    const what = chance(10);
    if (what < 3 && pushed < 60) made.push(String(++pushed), pushed);
    else if (what < 6) {
      const text = made.next(0);
      if (text !== undefined) way.push(Number(text));
    } else if (what < 8) {
      const many = chance(way.length + 1);
      handled += many;
      take(many);
    } else if (what === 8) settled.push(...made.hear(`{"ack":${handled}}`, 0).map(({ tag }) => tag));
    else {
      // What was on its way is handled in part, and its acknowledgement is lost.
      take(chance(4));
      [way, handled] = [[], 0];
      assert.deepEqual(made.disconnected(LOST), [], seed);
    }
  }
  const all = Array.from({ length: 60 }, (_, nth) => nth + 1);
  assert.deepEqual(settled, all, seed);
  assert.deepEqual([...taken], all, seed);
}

test("a queue keeps its order however it is cut", () => {
  const fifo = new Fifo();
  let [pushed, taken] = [0, 0];
  for (let round = 0; round < 200; round++) {
    for (let many = 0; many < 50; many++) fifo.push(pushed++);
    for (const item of fifo.take(49)) assert.equal(item, taken++);
    assert.equal(fifo.length, pushed - taken);
    assert.equal(fifo.at(0), taken);
  }
  assert.equal(fifo.at(-1), undefined);
  assert.equal(fifo.at(fifo.length), undefined);
});

test("events without an id are given one where they can be sent again", () => {
  const ids = new Ids(0xabcn);
  for (const [events, source, expected] of [
    [{ data: 1 }, undefined, '{"data":1}'],
    [{ data: 1 }, ids, '{"id":"0000000000000abc-0","data":1}'],
    [[{ data: 1, id: "own" }, { data: 2, id: undefined }], ids, '[{"data":1,"id":"own"},{"data":2,"id":"0000000000000abc-1"}]'],
    [{}, ids, '{"id":"0000000000000abc-2"}'],
    [new Json('{"data":3}'), ids, '{"data":3}'],
  ]) {
    assert.deepEqual(message(events, source), { text: expected, bytes: expected.length });
  }
  assert.equal(message({ data: "é" }, undefined).bytes, 13);
});

test("bodies", () => {
  for (const [events, contentType, text] of [
    [{ data: "é\n", at: new Date(0) }, "application/json", '{"data":"é\\n","at":"1970-01-01T00:00:00.000Z"}'],
    [[{ data: 1 }, { data: 2 }], "application/x-ndjson", '{"data":1}\n{"data":2}\n'],
    [new Json("{"), "application/json", "{"],
    [new Ndjson("1\n2"), "application/x-ndjson", "1\n2"],
  ]) {
    const made = body(events);
    assert.deepEqual([made.contentType, made.text], [contentType, text]);
  }
});

test("what is not JSON is the caller's mistake", () => {
  const loop = {};
  loop.data = loop;
  for (const events of [loop, { data: 1n }, 7, null, "text", [7], [[]], [], new Ndjson("{}"), { data: "x".repeat(1 << 20) }]) {
    assert.throws(() => message(events, new Ids(0n)), UsageError);
  }
});

test("addresses and keys are checked before anything is sent", () => {
  for (const url of ["http://127.0.0.1:8080", "https://cues.example/", "http://[::1]:8080/base/"]) new Client(url, { key: "cuegate_0123" });
  for (const url of ["127.0.0.1:8080", "ftp://example", "http://example/?a=b", "http://", "", "http://a:b"]) {
    assert.throws(() => new Client(url), UsageError, url);
  }
  for (const key of ["", "a b", "é", "a\nb"]) assert.throws(() => new Client("http://example", { key }), UsageError, key);
  assert.throws(() => new Client("https://example", { ca: "/does/not/exist" }), UsageError);
  assert.equal(segment("arn:aws:ivs:us-west-2:1:channel/a (b)!"), "arn%3Aaws%3Aivs%3Aus-west-2%3A1%3Achannel%2Fa%20%28b%29%21");
});

test("payloads come out whole however their stream is cut", () => {
  const stream = ': hello\n\nid: 1\ndata: {"a":1}\n\nevent: lagged\r\ndata: {"missed":3}\r\n\r\nid: 2\ndata: two\ndata:lines\n\n';
  for (let cut = 0; cut < stream.length; cut++) {
    const parser = new Parser();
    assert.deepEqual([...parser.push(stream.slice(0, cut)), ...parser.push(stream.slice(cut))], [
      { kind: "payload", n: 1, text: '{"a":1}' },
      { kind: "notice", name: "lagged", data: '{"missed":3}' },
      { kind: "payload", n: 2, text: "two\nlines" },
    ]);
  }
});

test("a stream without an end is no stream of payloads", () => {
  const half = "x".repeat(limits.LINE_MAX_BYTES / 2);
  const line = new Parser();
  line.push(half);
  line.push(half);
  assert.throws(() => line.push("x"));
  const event = new Parser();
  event.push(`data: ${half}\n`);
  assert.throws(() => event.push(`data: ${half}\n`));
});

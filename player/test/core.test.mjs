// The core without a DOM: garbage, bounds, listeners, the state over HTTP. `npm test`, after `npm run build`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, mock, test } from "node:test";

import { create } from "cuegate-player/core";
import { decode, inflate } from "../dist/decode.js";

const vectors = JSON.parse(readFileSync(new URL("../vectors.json", import.meta.url), "utf8"));
const SEED = Number(process.env.CUEGATE_TEST_SEED ?? Math.floor(Math.random() * 2 ** 32));

/** Mulberry32: numbers from 0 to 1, the same for the same seed. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const payload = (n, e, more) => JSON.stringify({ v: 1, n, e, ...more });
const sum = (n, more) => payload(n, [{ d: n, t: "t", k: "k", m: "sum" }], more);

afterEach(() => mock.restoreAll());

test(`20,000 garbage payloads throw nothing (seed ${SEED})`, () => {
  const chance = random(SEED);
  const below = (limit) => Math.floor(chance() * limit);
  const right = [...vectors.sequences.flatMap(({ steps }) => steps.map((step) => step.push ?? "{}")), ...vectors.decoded.map(([text]) => text)];
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~-";
  const errors = [];
  const cues = create({ onerror: (error) => errors.push(error) });
  let fired = 0;
  cues.on("*", () => fired++);
  cues.on("#foreign", () => fired++);
  cues.tick(0);
  for (let nth = 0; nth < 20_000; nth++) {
    let text = right[below(right.length)];
    if (nth % 4 === 0) text = ["~0", "~2", "{", ""][below(4)] + Array.from({ length: below(200) }, () => alphabet[below(91)]).join("");
    if (nth % 4 === 1) text = String.fromCharCode(...Array.from({ length: below(30) }, () => below(65_536)));
    if (nth % 4 === 2) {
      const at = below(text.length);
      text = text.slice(0, at) + ["", '"', "\\", "-", "9e999", '"__proto__":', "[[["][below(7)] + text.slice(at + below(3));
    }
    cues.push(text, [undefined, nth / 100, nth / 100 + 5, below(200), NaN, -1][below(6)]);
    if (nth % 50 === 0) cues.tick(nth / 100);
    if (nth % 997 === 0) cues.seek(below(200));
  }
  cues.tick(1e6);
  assert.deepEqual(errors, []);
  assert.ok(fired > 1000, `${fired}`);
  assert.equal(Object.prototype.polluted, undefined);
});

test(`what decompresses is bounded, and random streams end (seed ${SEED})`, () => {
  const chance = random(SEED);
  for (let nth = 0; nth < 20_000; nth++) {
    const bytes = Uint8Array.from({ length: 60 }, () => chance() * 256);
    // Blocks that are compressed: the others end at once.
    bytes[0] = (bytes[0] & ~6) | (nth % 2 ? 2 : 4);
    const out = inflate(bytes);
    assert.ok(out === undefined || out.length <= 65_536);
  }
  const bomb = vectors.decoded.find(([text, found]) => found === null && text.length === 2000)[0];
  const began = process.cpuUsage();
  for (let nth = 0; nth < 20; nth++) assert.equal(decode(bomb.slice(2)), undefined);
  assert.ok(process.cpuUsage(began).user < 20e6);
});

test("a listener that throws stops no other, and nothing escapes", () => {
  const [heard, errors] = [[], []];
  const cues = create({
    onerror: (error) => {
      errors.push(error.message);
      throw new Error("this one neither");
    },
  });
  cues.on("t", () => {
    throw new Error("first");
  });
  cues.on("t", ({ data }) => heard.push(data));
  cues.on("#state", () => {
    throw new Error("state");
  });
  cues.push(sum(1));
  assert.deepEqual([heard, errors], [[1], ["state", "first"]]);
  const reported = mock.method(console, "error", () => {});
  const plain = create();
  plain.on("*", () => {
    throw new Error("told");
  });
  plain.push(sum(1));
  assert.equal(reported.mock.calls[0].arguments[0].message, "told");
});

test("types that begin with # or are * reach * only; off ends a listener, in the middle too", () => {
  const cues = create();
  const heard = [];
  for (const name of ["*", "#state", "#complete", "#foreign", "#other", "t"]) cues.on(name, (event) => heard.push([name, event.type]));
  cues.push(payload(1, [{ d: 1, t: "*" }, { d: 1, t: "#state" }, { d: 1, t: "#other" }, { d: 1 }, { d: 1, t: "t" }]));
  assert.deepEqual(heard, [["*", "*"], ["*", "#state"], ["*", "#other"], ["*", undefined], ["t", "t"], ["*", "t"]]);
  let count = 0;
  const off = cues.on("t", () => {
    count++;
    off();
  });
  cues.push(payload(2, [{ d: 1, t: "t" }, { d: 1, t: "t" }]));
  assert.equal(count, 1);
});

test("a value keeps its reference until it changes, and events keep theirs", () => {
  const cues = create();
  cues.push(payload(1, [{ d: { a: { b: 1 }, c: 1 }, k: "k" }]));
  const before = cues.state("k");
  cues.push(payload(2, [{ d: { c: 1, a: { b: 1 } }, k: "k" }], { s: [{ k: "k", d: { a: { b: 1 }, c: 1 } }] }));
  assert.equal(cues.state("k"), before);
  const patched = [];
  cues.on("*", (event) => patched.push(event));
  cues.push(payload(3, [{ d: { c: 2 }, k: "k", m: "patch" }]));
  assert.notEqual(cues.state("k"), before);
  assert.deepEqual(before, { a: { b: 1 }, c: 1 });
  assert.deepEqual([patched[0].data, patched[0].state], [{ c: 2 }, { a: { b: 1 }, c: 2 }]);
});

test("what a listener does to the cues is done: push, seek, reset", () => {
  const cues = create();
  const heard = [];
  cues.on("t", ({ n, data }) => {
    heard.push([n, data]);
    if (n === 1 && data === 1) cues.push(payload(2, [{ d: 1, t: "t" }]));
  });
  cues.push(payload(1, [{ d: 1, t: "t" }, { d: 2, t: "t" }]));
  assert.deepEqual(heard.splice(0), [[1, 1], [1, 2], [2, 1]]);
  cues.tick(0);
  let sought = false;
  cues.on("t", ({ n }) => {
    if (n === 5 && !sought) {
      sought = true;
      cues.seek(4);
    }
  });
  for (const n of [4, 5, 6]) cues.push(payload(n, [{ d: 1, t: "t" }, { d: 2, t: "t" }]), n);
  cues.tick(4);
  cues.tick(5);
  assert.deepEqual(heard.splice(0), [[4, 1], [4, 2], [5, 1]]);
  cues.tick(9);
  assert.deepEqual(heard.splice(0), [[5, 1], [5, 2], [6, 1], [6, 2]]);
  cues.on("t", () => cues.reset());
  cues.push(payload(7, [{ d: 1, t: "t", k: "k" }, { d: 2, t: "t" }]));
  assert.deepEqual([heard, cues.keys()], [[[7, 1]], []]);
});

test("what is held is bounded, by number and by size", () => {
  const cues = create();
  cues.tick(0);
  for (let n = 1; n <= 2001; n++) cues.push(sum(n), n);
  cues.tick(3000);
  cues.seek(1999.5);
  assert.equal(cues.state("k"), (1999 * 2000) / 2 - 1, "the first is not held any more");
  cues.reset();
  const big = "x".repeat(65_000);
  for (let n = 1; n <= 40; n++) cues.push(payload(n, [{ d: big, k: `k${n}` }]), n);
  cues.seek(100);
  assert.equal(cues.keys().length, 16);
});

test("of too many keys, the one that changed longest ago goes", () => {
  const cues = create();
  const gone = [];
  cues.on("#state", ({ key, deleted }) => deleted && gone.push(key));
  for (let n = 0; n < 17; n++) cues.push(payload(n + 1, Array.from({ length: 1000 }, (_, i) => ({ d: 1, k: `${n} ${i}` }))));
  assert.equal(cues.keys().length, 16_384);
  assert.deepEqual([gone.length, gone[0]], [616, "0 0"]);
});

test("reset forgets all, and says so", () => {
  const cues = create();
  cues.push(sum(3, { s: [], c: [0, 0, 1] }));
  const heard = [];
  cues.on("#state", (event) => heard.push(event));
  assert.equal(cues.complete, true);
  cues.reset();
  assert.deepEqual(heard, [{ key: "k", value: undefined, deleted: true }]);
  assert.deepEqual([cues.keys(), cues.complete, cues.known("k")], [[], false, false]);
  cues.push(sum(3));
  assert.equal(cues.state("k"), 3);
});

/** Answers in their order, and what was asked; time stands still but for `after`. */
function served(...answers) {
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(Math, "random", () => 0.5);
  const asked = mock.method(globalThis, "fetch", async () => {
    const next = answers.shift() ?? 503;
    if (next instanceof Error) throw next;
    return typeof next === "number" ? { ok: false, status: next } : { ok: true, status: 200, json: async () => structuredClone(next) };
  });
  const settled = async () => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return {
    asked: () => asked.mock.callCount(),
    settled,
    after: async (seconds) => {
      mock.timers.tick(seconds * 1000);
      await settled();
    },
  };
}
afterEach(() => mock.timers.reset());

const entry = (d) => ({ k: "k", d });
const answer = (n, s, since) => ({ v: 1, n, s, since });
const stateUrl = "https://cdn.example/v1/channels/quiz/state";

test("the state over HTTP: below the first payload without events, then it", async () => {
  const { settled } = served(answer(10, [entry(100)], [[10, sum(10)], [12, sum(12)], [14, sum(14)]]));
  const cues = create({ stateUrl });
  await settled();
  assert.deepEqual(cues.keys(), []);
  const heard = [];
  cues.on("*", ({ n, state }) => heard.push([n, state]));
  cues.push(sum(12));
  assert.deepEqual([heard, cues.complete, cues.known("k")], [[[12, 122]], true, true]);
  cues.push(sum(14));
  assert.equal(cues.state("k"), 136);
});

test("the state over HTTP that comes after payloads, and on seeks", async () => {
  const { settled } = served(answer(10, [entry(100), { k: "other", d: 1 }], [[10, sum(10)], [12, sum(12)], [14, sum(14)]]));
  const cues = create({ stateUrl });
  cues.tick(0);
  cues.push(sum(12), 1);
  cues.push(sum(14), 2);
  cues.push(sum(16), 3);
  cues.tick(2);
  const heard = [];
  cues.on("#state", ({ key, value }) => heard.push([key, value]));
  cues.on("#complete", (event) => heard.push(event));
  await settled();
  assert.deepEqual(heard, [["k", 136], ["other", 1], { complete: true }]);
  cues.tick(3);
  assert.equal(cues.state("k"), 152);
  cues.seek(1.5);
  assert.deepEqual([cues.state("k"), cues.complete], [122, true]);
  cues.seek(0.5);
  assert.deepEqual([cues.state("k"), cues.complete], [undefined, false]);
});

test("an answer without the first payload: it asks again, in 1, 2, 4 s", async () => {
  const early = answer(10, [entry(1)], [[10, sum(10)]]);
  const { asked, after, settled } = served(early, 503, new Error("no network"), { wrong: true }, answer(10, [entry(1)], [[10, sum(10)], [20, sum(20)]]));
  const cues = create({ stateUrl });
  await settled();
  cues.push(sum(20));
  for (const [seconds, count] of [[0.9, 1], [0.1, 2], [1.9, 2], [0.1, 3], [4, 4], [8, 5]]) {
    await after(seconds);
    assert.equal(asked(), count);
  }
  assert.equal(cues.state("k"), 31);
  await after(1000);
  assert.equal(asked(), 5);
});

test("it gives up: before the window, after 7 tries, where it is told that there is none, and when it is stopped", async () => {
  const first = served(answer(10, [entry(1)], [[10, sum(10)]]), 503);
  const late = create({ stateUrl });
  await first.settled();
  late.push(sum(9));
  await first.after(1000);
  assert.deepEqual([first.asked(), late.state("k")], [1, 9]);
  mock.restoreAll();
  mock.timers.reset();

  const never = served();
  create({ stateUrl });
  for (let i = 0; i < 20; i++) await never.after(100);
  assert.equal(never.asked(), 7);
  mock.restoreAll();
  mock.timers.reset();

  const errors = [];
  const none = served(404);
  create({ stateUrl, onerror: (error) => errors.push(error.message) });
  for (let i = 0; i < 5; i++) await none.after(100);
  assert.deepEqual([none.asked(), errors], [1, ["stateUrl answers 404"]]);
  mock.restoreAll();
  mock.timers.reset();

  const ended = served();
  const stopped = create({ stateUrl });
  await ended.settled();
  stopped.stop();
  for (let i = 0; i < 5; i++) await ended.after(100);
  assert.equal(ended.asked(), 1);
});

test("nothing sent in the window: the state counts at once", async () => {
  const { settled } = served(answer(21, [entry(5)], []));
  const cues = create({ stateUrl });
  await settled();
  assert.deepEqual([cues.state("k"), cues.complete], [5, true]);
  cues.push(sum(20));
  assert.equal(cues.state("k"), 5, "it is in there");
  cues.push(sum(21));
  assert.equal(cues.state("k"), 26);
});

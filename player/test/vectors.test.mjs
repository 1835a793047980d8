// The vectors, which a third implementation made: basE91, decoding, and the events and the state after each payload.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { create } from "cuegate-player/core";
import { base91, decode } from "../dist/decode.js";
import { DICTIONARY } from "../dist/dictionary.js";
import { plain } from "../dist/payload.js";
import { Slices } from "../dist/slices.js";

const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
// Others may be given, which are new.
const given = process.env.CUEGATE_VECTORS;
const vectors = JSON.parse(given ? readFileSync(given, "utf8") : read("vectors.json"));

test("the dictionary is the one in dictionary.txt", () => {
  assert.equal(DICTIONARY, read("dictionary.txt"));
  assert.ok(DICTIONARY.length <= 512);
});

test("basE91", () => {
  for (const [octets, text] of vectors.basE91) assert.equal(Buffer.from(base91(text)).toString("hex"), octets, text);
});

test("form ~0", () => {
  for (const [sealed, expected] of vectors.decoded) {
    const found = decode(sealed.slice(2));
    const text = found !== undefined && plain(found) ? found : null;
    if (expected?.length && typeof expected !== "string") assert.deepEqual({ length: text?.length, begins: text?.slice(0, 40) }, expected);
    else assert.equal(text, expected, sealed);
  }
});

test("form ~2", () => {
  for (const [sealed, parts] of vectors.slices) {
    const slices = new Slices();
    const joined = [...parts].reverse().map((part) => slices.push(part, undefined, 0)).pop();
    assert.deepEqual(joined, { text: decode(sealed.slice(2)), time: undefined, size: sealed.length - 2 });
  }
});

/** What fires, as the vectors write it: members without a value are not there. */
export function heard(cues) {
  const events = [];
  for (const on of ["*", "#state", "#complete", "#foreign"]) {
    cues.on(on, (event) => {
      const { complete, deleted, ...rest } = event;
      events.push(JSON.parse(JSON.stringify({ on, ...rest, ...(deleted ? { deleted } : {}) })));
    });
  }
  return () => inOrder(events.splice(0));
}

/** Those of the state, in a row, are in any order. */
function inOrder(events) {
  const runs = [];
  for (const event of events) {
    if (event.on === "#state" && Array.isArray(runs.at(-1))) runs.at(-1).push(event);
    else runs.push(event.on === "#state" ? [event] : event);
  }
  return runs.map((run) => (Array.isArray(run) ? run.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : run)).flat();
}

export function values(cues) {
  // Not by assignment: a key may be `__proto__`.
  return JSON.parse(JSON.stringify(Object.fromEntries(cues.keys().map((key) => [key, cues.state(key)]))));
}

for (const { name, steps } of vectors.sequences) {
  test(name, () => {
    const cues = create();
    const happened = heard(cues);
    let [state, known, complete] = [{}, [], false];
    for (const [nth, step] of steps.entries()) {
      ({ state = state, known = known, complete = complete } = step);
      if ("push" in step) cues.push(step.push, step.time);
      else if ("tick" in step) cues.tick(step.tick);
      else cues.seek(step.seek);
      const where = `step ${nth}: ${JSON.stringify(step).slice(0, 300)}`;
      assert.deepEqual(happened(), inOrder(step.events ?? []), where);
      assert.deepEqual(values(cues), state, where);
      assert.deepEqual(cues.keys().filter((key) => cues.known(key)).map(wellFormed).sort(), known.map(wellFormed).sort(), where);
      assert.equal(cues.complete, complete, where);
    }
  });
}

/** Sorted alike in every language. */
function wellFormed(text) {
  return JSON.stringify(text);
}

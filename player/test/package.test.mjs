// What is published: its size, its types, and the hooks on a server.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";
import { createElement } from "react";
import { renderToString } from "react-dom/server";

import { create } from "cuegate-player";
import { useCue, useCueState } from "cuegate-player/react";

const GZIP_MAX = 7 * 1024;
const root = new URL("..", import.meta.url);

test("core and attach are at most 7 KB, minified and compressed", async (t) => {
  const made = await build({
    entryPoints: [new URL("dist/index.js", root).pathname],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
  });
  const size = gzipSync(made.outputFiles[0].contents, { level: 9 }).length;
  t.diagnostic(`${size} bytes`);
  assert.ok(size <= GZIP_MAX, `${size} bytes`);
});

test("what a program may and may not write, by its types", () => {
  const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"];
  try {
    execFileSync("node_modules/.bin/tsc", [...options, "test/types.mts"], { cwd: root, encoding: "utf8" });
  } catch (error) {
    assert.fail(error.stdout);
  }
});

test("hooks on a server: nothing is there yet", () => {
  const cues = create();
  cues.push('{"v":1,"n":1,"e":[{"d":5,"k":"score"}]}');
  for (const given of [null, undefined, cues]) {
    const Score = () => {
      useCue(given, "*", () => assert.fail("no events"));
      return createElement("b", null, String(useCueState(given, "score")));
    };
    assert.equal(renderToString(createElement(Score)), "<b>undefined</b>");
  }
});

"""The library for players below player/: its own tests, its vectors, and the package as it is published, in Node and in a page
without a bundler."""

import atexit
import functools
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import tomllib
import unittest

import bundle
import documents
from browser import Browser
from programs import ROOT, Gateway, environment, fetch, wait_until

PLAYER = ROOT / "player"
MODULES = ROOT / "target" / "node" / "node_modules"
NEEDED = ["@esbuild", "esbuild", "react", "react-dom", "scheduler", "typescript"]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
MANIFEST = json.loads((PLAYER / "package.json").read_text())
RUN_S = 120


def run(arguments, cwd, **variables):
    """What a command says; offline, for npm."""
    env = environment(npm_config_offline="true", **variables)
    ended = subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True, timeout=RUN_S)
    assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    return ended.stdout


@functools.cache
def packed():
    """The package, built by the command of its README in a copy, and the file that it makes. The command before it would ask a
    registry: what it installs is there already, in the same versions."""
    directory = pathlib.Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, directory)
    package = directory / "player"
    shutil.copytree(PLAYER, package, ignore=shutil.ignore_patterns("node_modules", "dist", "__pycache__"))
    (package / "node_modules" / ".bin").mkdir(parents=True)
    for name in NEEDED:
        (package / "node_modules" / name).symlink_to(MODULES / name)
    (package / "node_modules" / ".bin" / "tsc").symlink_to("../typescript/bin/tsc")
    install, pack = documents.commands((PLAYER / "README.md").read_text())[:2]
    assert install == "npm --prefix player install", install
    run(pack.split(), directory)
    return package, directory / f"cuegate-player-{VERSION}.tgz"


class Library(unittest.TestCase):
    def test_own_tests(self):
        run(["npm", "test"], packed()[0])

    def test_vectors(self):
        """The file is what its program writes, and small enough to be read in a change."""
        run([sys.executable, PLAYER / "vectors.py", "--check"], ROOT)
        self.assertLess((PLAYER / "vectors.json").stat().st_size, 300_000)

    def test_random_vectors(self):
        """The reference and the library, on sequences that are new every time."""
        seed = int(os.environ.get("CUEGATE_TEST_SEED", random.getrandbits(32)))
        package = packed()[0]
        vectors = package / "random.json"
        with self.subTest(seed=seed):
            vectors.write_text(run([sys.executable, PLAYER / "vectors.py", "--random", str(seed)], ROOT))
            run(["node", "--test", "test/vectors.test.mjs"], package, CUEGATE_VECTORS=str(vectors))

    def test_compression(self):
        told = run([sys.executable, PLAYER / "reference" / "events.py"], ROOT)
        figures = re.findall(r"^(.+): ([\d.]+) events in a payload, ([\d.]+) times$", told, re.MULTILINE)
        (_, plain, _), (_, compressed, times), _ = figures
        self.assertGreaterEqual(float(times), 2.0, told)
        readme = (PLAYER / "README.md").read_text()
        self.assertIn(f"{plain} fit a payload that is plain, and {compressed}\none that is compressed", readme)

    def test_the_console_has_it(self):
        """With CUEGATE_REWRITE=1 the console's file is written anew instead."""
        if "CUEGATE_REWRITE" in os.environ:
            bundle.FILE.write_text(bundle.made())
        # Not compared in full: the difference would be all of it.
        self.assertTrue(bundle.FILE.read_text() == bundle.made(), f"CUEGATE_REWRITE=1 target/venv/bin/python {__file__} writes it anew")

    def test_metadata(self):
        self.assertEqual(MANIFEST["version"], VERSION)
        self.assertNotIn("dependencies", MANIFEST)
        pinned = json.loads((ROOT / "tests" / "interop" / "javascript" / "package.json").read_text())["dependencies"]
        for name, version in MANIFEST["devDependencies"].items():
            self.assertEqual(pinned[name], version, name)


PROGRAM = """
import { create } from "cuegate-player/core";
import { attach } from "cuegate-player";
const cues = create();
cues.on("vote", ({ data, state }) => console.log(typeof attach, data, state));
for (const text of JSON.parse(process.argv[1])) cues.push(text);
console.log(cues.keys().join(), cues.complete);
"""

# What somebody knows who saw only some of the payloads.
WATCHED = """
import { create } from "cuegate-player/core";
const cues = create({ onerror: (error) => { throw error; } });
for (const text of JSON.parse(process.argv[1])) cues.push(text);
console.log(JSON.stringify([cues.complete, Object.fromEntries(cues.keys().map((key) => [key, cues.state(key)]))]));
"""

PAGE = """<!doctype html>
<script type="module">
  import { attach } from "/package/dist/index.js";
  import { create } from "/package/dist/core.js";
  const video = document.createElement("video");
  const native = attach("native", video);
  const cues = create();
  const heard = [];
  cues.on("vote", ({ data, state }) => heard.push([data, state]));
  cues.on("#foreign", ({ text }) => heard.push(text));
  window.push = (texts) => {
    texts.forEach((text) => cues.push(text));
    return [heard, cues.keys(), cues.complete, native.keys()];
  };
  // Cues of a browser's own, on an element that plays nothing.
  const track = video.addTextTrack("metadata");
  window.native = (text) => {
    const cue = new VTTCue(0, 1, "");
    cue.value = { key: "PRIV", info: "metadata.live-video.net", data: new TextEncoder().encode(text).buffer };
    track.addCue(cue);
    return track.mode;
  };
</script>
"""

STRICT = """
import { createElement, StrictMode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { attach } from "cuegate-player";
import { useCue, useCueState } from "cuegate-player/react";
const listeners = new Set();
const counts = { on: 0, off: 0 };
const hls = {
  media: { currentTime: 0, seeking: false, paused: true, readyState: 4, playbackRate: 1, addEventListener() {}, removeEventListener() {} },
  url: "a",
  on: (name, listener) => (counts.on++, listeners.add(listener)),
  off: (name, listener) => (counts.off++, listeners.delete(listener)),
};
const heard = [];
function Score() {
  const [cues, setCues] = useState(null);
  useEffect(() => {
    const attached = attach("hls", hls);
    setCues(attached);
    return () => attached.stop();
  }, []);
  useCue(cues, "vote", ({ data }) => heard.push(data));
  return createElement("b", null, String(useCueState(cues, "score")));
}
const root = createRoot(document.body);
root.render(createElement(StrictMode, null, createElement(Score)));
window.sent = (tag) => listeners.forEach((listener) => listener("", { samples: [{ pts: 0, data: Uint8Array.from(tag) }] }));
window.found = () => ({ text: document.body.textContent, heard, counts, listeners: listeners.size });
window.end = () => root.unmount();
"""


def tag(text):
    """A payload in an ID3v2.4 tag: sizes have seven bits a byte."""
    syncsafe = lambda size: bytes(size >> bits & 127 for bits in (21, 14, 7, 0))
    data = b"metadata.live-video.net\0" + text.encode()
    frame = b"PRIV" + syncsafe(len(data)) + b"\0\0" + data
    return list(b"ID3\4\0\0" + syncsafe(len(frame)) + frame)


class Package(unittest.TestCase):
    """What `npm pack` makes."""

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        with tarfile.open(packed()[1]) as archive:
            cls.names = sorted(archive.getnames())
            archive.extractall(cls.directory, filter="data")
        (cls.directory / "node_modules").mkdir()
        (cls.directory / "node_modules" / "cuegate-player").symlink_to("../package")
        vectors = json.loads((PLAYER / "vectors.json").read_text())
        # In every form: plain, compressed, slices, foreign.
        cls.texts = [
            '{"v":1,"n":1,"s":[{"k":"score","d":2}],"c":[0,0,1],"e":[{"d":3,"t":"vote","k":"score","m":"sum"}]}',
            *(step["push"] for step in next(s for s in vectors["sequences"] if s["name"].startswith("forms"))["steps"]),
        ]

    def test_files(self):
        self.assertIn("package/README.md", self.names)
        self.assertIn("package/dist/index.d.ts", self.names)
        for name in self.names:
            self.assertRegex(name, r"^package/(README\.md|package\.json|dist/\w+\.(js|d\.ts))$")

    def test_node(self):
        told = run(["node", "--throw-deprecation", "--input-type=module", "--eval", PROGRAM, json.dumps(self.texts)], self.directory)
        self.assertEqual(told.splitlines()[0], "function 3 5")
        self.assertRegex(told.splitlines()[-1], r"^score,.* true$")

    def test_state_is_the_gateways(self):
        """Whoever joins at any payload, and misses some, comes to the state that the gateway tells."""
        seed = int(os.environ.get("CUEGATE_TEST_SEED", random.getrandbits(32)))
        random.seed(seed)
        journal = self.enterContext(tempfile.TemporaryDirectory())
        gateway = Gateway(
            {"quiz": 'compress = "deflate"\nkeyframes = true\nstate_idle_ms = 100\nstate_max_keys = 30'},
            f'[journal]\ndir = "{journal}/journal"\n',
        )
        self.addCleanup(gateway.close)
        channel = f"{gateway.url}/v1/channels/quiz"

        def change():
            merge = random.choice(["replace", "sum", "max", "min", "patch"])
            data = {
                "replace": [None, "text", 7, {"a": 1}],
                "patch": [{"a": None}, {"a": {"b": random.randrange(9)}}, {"c": "d" * random.randrange(60)}],
            }.get(merge, [random.randrange(-99, 99), {"a": random.randrange(99), "toString": 1}])
            return {"data": random.choice(data), "key": f"{merge}:{random.randrange(9)}", "merge": merge, "type": "t"}

        def state():
            told = json.loads(fetch(f"{channel}/state")[2])
            return {entry["k"]: entry["d"] for entry in told["s"]}

        def watched(first, misses):
            seen = gateway.emulator.taken("quiz")[first:]
            seen = [text for place, text in enumerate(seen) if place > 20 or not misses or random.random() < 0.7]
            told = run(["node", "--input-type=module", "--eval", WATCHED, json.dumps(seen)], self.directory)
            return json.loads(told)

        with self.subTest(seed=seed):
            for _ in range(20):
                status, _, text = fetch(f"{channel}/events", "POST", json.dumps([change() for _ in range(20)]))
                self.assertEqual(status, 202, text)
                if random.random() < 0.2:
                    self.assertEqual(fetch(f"{channel}/state?key=sum:{random.randrange(9)}", "DELETE")[0], 204)
            gateway.drained("quiz")
            self.assertGreater(len(state()), 9)
            for misses in (False, True):
                first = random.randrange(len(gateway.emulator.taken("quiz")))
                # What is deleted is told once more in the next tour of all keys.
                wait_until("the same state", lambda: watched(first, misses) == [True, state()])

    def serve(self):
        handler = functools.partial(Quiet, directory=self.directory)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    def open(self, path):
        browser = Browser()
        self.addCleanup(browser.quit)
        browser.driver.get(f"{self.serve()}/{path}")
        return browser.driver

    def test_page_without_a_bundler(self):
        (self.directory / "page.html").write_text(PAGE)
        driver = self.open("page.html")
        wait_until("the module runs", lambda: driver.execute_script("return !!window.push"))
        heard, keys, complete, none = driver.execute_script("return push(arguments[0])", self.texts)
        self.assertEqual(heard[0], [3, 5])
        self.assertIn("anything else", heard)
        self.assertIn("score", keys)
        self.assertTrue(complete)
        self.assertEqual(none, [])
        self.assertEqual(driver.execute_script("return native('{}')"), "hidden")

    def test_react_strict(self):
        """With React itself: a component that is there twice loses nothing, and leaves nothing behind."""
        package = packed()[0]
        (package / "strict.mjs").write_text(STRICT)
        esbuild = [package / "node_modules" / "esbuild" / "bin" / "esbuild", "strict.mjs", "--bundle", "--format=esm"]
        run([*esbuild, f"--outfile={self.directory / 'strict.js'}", "--define:process.env.NODE_ENV=\"development\""], package)
        (self.directory / "strict.html").write_text('<!doctype html><body></body><script type="module" src="strict.js"></script>')
        driver = self.open("strict.html")
        found = lambda: driver.execute_script("return window.found?.()")
        wait_until("it is attached", lambda: (found() or {}).get("listeners"))
        driver.execute_script("sent(arguments[0])", tag('{"v":1,"n":1,"e":[{"d":3,"t":"vote","k":"score","m":"sum"}]}'))
        wait_until("the value shows", lambda: found()["text"] == "3")
        self.assertEqual(found()["heard"], [3])
        self.assertEqual(found()["counts"], {"on": 1, "off": 0})
        driver.execute_script("end()")
        wait_until("nothing is left", lambda: found()["listeners"] == 0)


class Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def log_message(self, *arguments):
        """Says nothing."""


if __name__ == "__main__":
    unittest.main()

"""Viewers of a channel: real players in a real browser, with the library for players on each, and what is on the picture that
they see. Nothing is asserted here."""

import datetime
import http.server
import json
import re
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

import bundle
from browser import Browser
from programs import ROOT, arn, environment, fetch

sys.path.append(str(ROOT / "player" / "reference"))
import forms  # noqa: E402
import model  # noqa: E402

KINDS = ("hls", "videojs", "shaka", "ivs")
PAGES = ROOT / "tests" / "interop" / "javascript"
NODE = ROOT / "target" / "node"
# The picture, as the emulator's documentation has it.
RATE = 25


def ivs():
    """The IVS player as a module. Its package is for bundlers."""
    command = [bundle.ESBUILD, "--bundle", "--format=esm", "--log-level=error"]
    text = 'export { create } from "amazon-ivs-player";'
    return subprocess.run(command, input=text, cwd=NODE, env=environment(), capture_output=True, text=True, check=True).stdout


class Site(http.server.ThreadingHTTPServer):
    """The pages, the players and the library."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.made = {"/ivs.js": ivs(), "/player.js": bundle.made()}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript", ".wasm": "application/wasm"}

    def do_GET(self):
        text = self.server.made.get(self.path)
        if text is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("content-type", "text/javascript")
        self.end_headers()
        self.wfile.write(text.encode())

    def translate_path(self, path):
        self.directory = str(NODE if path.startswith("/node_modules/") else PAGES)
        return super().translate_path(path)

    def log_message(self, *arguments):
        """Says nothing."""


class Theatre:
    """A page with viewers on it, side by side."""

    def __init__(self):
        self.site = Site()
        self.browser = Browser()
        self.browser.open(f"{self.site.url}/viewers.html")

    def close(self):
        self.browser.quit()
        self.site.close()

    def viewer(self, name, kind, emulator, channel, state_url=None):
        return self.watch(name, kind, playback(emulator, channel), state_url)

    def watch(self, name, kind, url, state_url=None):
        query = urllib.parse.urlencode({"kind": kind, "url": url} | ({"stateUrl": state_url} if state_url else {}))
        self.browser.run("add(...arguments)", name, f"{self.site.url}/viewer.html?{query}")
        return Viewer(self.browser, name, kind)


class Viewer:
    def __init__(self, browser, name, kind):
        self.browser, self.name, self.kind = browser, name, kind

    def __getattr__(self, question):
        return lambda *rest: self.browser.run("return question(...arguments)", self.name, question, *rest)

    def is_playing(self):
        return self.frame() is not None and self.ready() > 2

    def events(self):
        """What it heard, but for marks of seeks."""
        return [entry for entry in self.heard() if "seek" not in entry]

    def leave(self):
        self.browser.run("document.getElementById(arguments[0]).remove()", self.name)


def playback(emulator, channel):
    return f"{emulator.url}/_local/channels/{urllib.parse.quote(arn(channel), safe='')}/playback.m3u8"


def began_us(emulator, channel):
    """When the picture's first frame was, on the emulator's clock: a segment says which it is, and its playlist says when it began."""
    url = playback(emulator, channel)
    playlist = fetch(url.replace("playback.m3u8", "playback-high.m3u8"))[2]
    dated, name = re.findall(r"DATE-TIME:(\S+)\n#EXTINF:1.000,\n(\S+)", playlist)[-1]
    with urllib.request.urlopen(urllib.parse.urljoin(url, name)) as answer:
        segment = int(re.search(rb'"X-SEGMENT":(\d+)', answer.read())[1])
    moment = datetime.datetime.fromisoformat(dated)
    return round(moment.timestamp() * 1_000_000) - segment * 1_000_000


class Slices:
    """Large events out of their slices."""

    def __init__(self):
        self.parts = {}

    def whole(self, sent):
        """The text of which this is the last slice that was missing."""
        part, count = (forms.ALPHABET.index(character) for character in sent[6:8])
        parts = self.parts.setdefault((sent[2:6], count), {})
        is_new = part not in parts
        parts[part] = sent[8:]
        if not is_new or len(parts) < count:
            return None
        body = "".join(parts[place] for place in range(count))
        assert forms.identity(body) == sent[2:6], sent
        return forms.decoded(body)


def plain(sent, slices=None):
    """The text of a payload, whatever its form; nothing of a slice that completes none."""
    if sent.startswith("~2"):
        return slices.whole(sent) if slices else None
    return forms.decoded(sent[2:]) if sent.startswith("~0") else sent


FORMS = {"~0": "compressed", "~2": "sliced"}


def stream(emulator, channel):
    """What a viewer of all of it must hear: events by payload and place, each with the state of its key, and foreign texts, each
    with the frame of its moment."""
    began = began_us(emulator, channel)
    _, _, text = fetch(f"{emulator.url}/_local/channels/{arn(channel)}/metadata")
    found, seen, state, slices = [], set(), model.State(), Slices()
    for entry in json.loads(text)["metadata"]:
        sent = entry["metadata"]
        frame = (entry["time_us"] - began) * RATE / 1_000_000
        text = plain(sent, slices)
        if text is None:
            continue
        if not text.startswith("{"):
            found.append({"text": sent, "frame": frame, "form": "foreign"})
            continue
        payload, read = json.loads(text), model.plain(text)
        again = payload["n"] in seen
        seen.add(payload["n"])
        if again:
            continue
        state.entries(read)
        for place, item in enumerate(payload["e"]):
            state.item(read["n"], place, read["e"][place])
            form = FORMS.get(sent[:2], "plain")
            value = state.values().get(item.get("k"))
            found.append({"n": payload["n"], "item": item, "frame": frame, "form": form, "state": value})
    return found

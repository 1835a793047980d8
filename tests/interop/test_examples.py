"""The programs below examples/, each against a gateway with the configuration that is beside it, by the command of its README.
They are smaller here than as they are shown. What arrived is asked of the emulator."""

import ast
import functools
import http.server
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
import unittest
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import yaml

import documents
import programs
from browser import Browser
from programs import ROOT, Addresses, Emulator, Process, environment, fetch
from test_clients import PYTHON, typescript
from test_player import packed

EXAMPLES = ROOT / "examples"
CHANNEL = "demo"
SECRET = "0123456789abcdef"
RUN_S = 120
# Go compiles its standard library at the first time.
COMPILE_S = 600
TERMINAL = "target/release/cuegate serve --config "


class Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript"}

    def log_message(self, *arguments):
        """Says nothing."""


class Gateway(Process):
    """With the configuration that a README starts it with."""

    def __init__(self, readme, **variables):
        (command,) = [line for line in documents.commands(readme.read_text()) if line.startswith(TERMINAL)]
        self.directory = tempfile.TemporaryDirectory()
        self.addresses = Addresses()
        self.url = f"http://{self.addresses.producers}"
        super().__init__(
            [programs.BINARIES / "cuegate", "serve", "--config", ROOT / command.removeprefix(TERMINAL)],
            environment(**self.addresses.variables(), CUEGATE__EVENTBRIDGE__SECRET=SECRET, **variables), cwd=self.directory.name,
        )
        self.wait_for(f"http://{self.addresses.metrics}/readyz")
        self.emulator = Emulator(f"http://{self.addresses.ivs}")

    def items(self, kind):
        """What arrived of a type, in its order."""
        payloads = map(json.loads, self.emulator.taken(CHANNEL))
        return [item for payload in payloads for item in payload["e"] if item.get("t") == kind]

    def payloads(self):
        return len(self.emulator.taken(CHANNEL))

    def close(self):
        super().close()
        self.directory.cleanup()


class Examples(unittest.TestCase):
    def gateway(self, name, **variables):
        gateway = Gateway(EXAMPLES / name / "README.md", **variables)
        self.addCleanup(gateway.close)
        return gateway

    def run_example(self, name, start, url, *options, seconds=RUN_S, **more):
        """What the command of its README says, which begins like this, with these options."""
        commands = documents.commands((EXAMPLES / name / "README.md").read_text())
        (command,) = [line for line in commands if line.startswith(start)]
        address = f"-url={url}" if start.startswith("go ") else f"--url={url}"
        arguments = [*shlex.split(command), address, *options]
        if arguments[0] == "python":
            arguments[:1] = [sys.executable, "-X", "dev", "-W", "error"]
        env = environment(PYTHONPATH=str(PYTHON), **more.pop("env", {}))
        ended = subprocess.run(arguments, env=env, capture_output=True, text=True, timeout=seconds, **{"cwd": ROOT, **more})
        self.assertEqual(ended.returncode, 0, (arguments, ended.stdout, ended.stderr))
        return ended.stdout

    def run_in_node(self, name, url, *options):
        """In a folder of its own, where the package is that `npm install` would link."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        there = pathlib.Path(directory.name) / "examples"
        shutil.copytree(EXAMPLES, there, ignore=shutil.ignore_patterns("node_modules"))
        (there / "node_modules").mkdir()
        linked = json.loads((there / "package.json").read_text())["dependencies"]
        self.assertEqual(linked, {"cuegate": "file:../clients/typescript"})
        (there / "node_modules" / "cuegate").symlink_to(typescript())
        return self.run_example(name, "node ", url, *options, cwd=directory.name)

    def test_quiz(self):
        gateway = self.gateway("quiz")
        said = self.run_example("quiz", "python ", gateway.url, "--seconds=3", "--rate=5000")
        self.assertIn("exact\n", said)
        sent = ast.literal_eval(re.search(r"^sent .*a second: (\{.*\})$", said, re.MULTILINE)[1])
        self.assertEqual(sum(sent.values()), 15_000)
        self.tallies(gateway, sent)
        (opened,) = gateway.items("quiz.open")
        (closed,) = gateway.items("quiz.close")
        self.assertEqual(closed["d"], {**opened["d"], "answers": 15_000})

    def tallies(self, gateway, sent):
        """They add up to what was sent, in far fewer payloads, and the question closes after them."""
        items = gateway.items("quiz.answer")
        self.assertEqual({item["m"] for item in items}, {"sum"})
        for choice, number in sent.items():
            self.assertEqual(sum(item["d"].get(choice, 0) for item in items), number, choice)
        self.assertLess(len(items), sum(sent.values()) / 10)
        texts = gateway.emulator.taken(CHANNEL)
        closes = [nth for nth, text in enumerate(texts) if "quiz.close" in text]
        answers = [nth for nth, text in enumerate(texts) if "quiz.answer" in text]
        self.assertGreaterEqual(closes[0], answers[-1])

    def test_score(self):
        gateway = self.gateway("score")
        said = self.run_in_node("score", gateway.url, "--seconds=4")
        self.assertIn("goals seen: 1,2,3\nall see 2:1\n", said)
        self.assertRegex(said, r"who joins late has the score after \d+ ms: 2:1\n")
        sent = int(re.search(r"^(\d+) scores sent", said, re.MULTILINE)[1])
        scores = [item["d"] for item in gateway.items("match.score")]
        self.assertLess(len(scores), sent)
        self.assertEqual((scores[-1]["home"], scores[-1]["away"], scores[-1]["over"]), (2, 1, True))
        self.assertEqual([item["d"]["number"] for item in gateway.items("match.goal")], [1, 2, 3])
        # It was sent again, unchanged.
        self.assertIn(True, [before == after for before, after in zip(scores, scores[1:])])

    def test_chat(self):
        gateway = self.gateway("chat")
        said = self.run_example("chat", "python ", gateway.url, "--seconds=5")
        sent, refused, expired, evicted, delivered = map(int, re.search(
            r"^chat +(\d+) sent, (\d+) refused, (\d+) expired, (\d+) evicted, (\d+) delivered$", said, re.MULTILINE
        ).groups())
        self.assertEqual(sent, refused + expired + evicted + delivered)
        self.assertGreater(refused + expired + evicted, delivered)
        self.assertEqual(len(gateway.items("chat")), delivered)
        cues, arrived = map(int, re.search(r"^cues +(\d+) sent, (\d+) delivered", said, re.MULTILINE).groups())
        self.assertGreater(cues, 0)
        self.assertEqual(arrived, cues)
        self.assertEqual([item["d"]["scene"] for item in gateway.items("cue")], list(range(cues)))

    def test_cues(self):
        gateway = self.gateway("cues")
        said = self.run_in_node("cues", gateway.url, "--step=1500")
        listed, ends = said.splitlines()[:3], said.splitlines()[3:]
        self.assertEqual(listed, [
            "scheduled: opening, interview, advert, credits",
            "interview moved to the end: opening, advert, credits, interview",
            "advert cancelled: opening, credits, interview",
        ])
        for line, (name, steps) in zip(ends, [("opening", 2), ("credits", 5), ("interview", 6)]):
            found = re.fullmatch(rf"{name}: delivered ([\d.]+) steps after the start", line)
            self.assertGreaterEqual(float(found[1]), steps, line)
        self.assertRegex(ends[3], "^advert: cancelled")
        self.assertEqual([item["d"]["scene"] for item in gateway.items("cue")], ["opening", "credits", "interview"])

    def test_obs(self):
        """The page that the scene's browser source names, at its size, before the game of another example."""
        scenes = json.loads((EXAMPLES / "obs" / "scenes.json").read_text())
        sources = {source["uuid"]: source for source in scenes["sources"]}
        (scene,) = [source for source in scenes["sources"] if source["id"] == "scene"]
        self.assertEqual([scene["name"]], [entry["name"] for entry in scenes["scene_order"]])
        shown = [sources[item["source_uuid"]] for item in scene["settings"]["items"]]
        (overlay,) = [source["settings"] for source in shown if source["id"] == "browser_source"]
        page = urllib.parse.urlsplit(overlay["url"])
        root = tempfile.TemporaryDirectory()
        self.addCleanup(root.cleanup)
        # The repository as it is after the commands of the README.
        (pathlib.Path(root.name) / "player").symlink_to(packed()[0])
        (pathlib.Path(root.name) / "examples").symlink_to(EXAMPLES)
        site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=root.name))
        self.addCleanup(site.server_close)
        threading.Thread(target=site.serve_forever, daemon=True).start()
        self.addCleanup(site.shutdown)
        origin = f"http://127.0.0.1:{site.server_port}"
        gateway = self.gateway("obs", CUEGATE__SERVER__ALLOWED_ORIGINS=json.dumps([origin]))
        named = tomllib.loads((EXAMPLES / "obs" / "cuegate.toml").read_text())["server"]["allowed_origins"]
        self.assertEqual(named, [f"{page.scheme}://{page.netloc}"])
        browser = Browser()
        self.addCleanup(browser.quit)
        browser.look(overlay["width"], overlay["height"], "light")
        query = urllib.parse.parse_qs(page.query)
        self.assertEqual(query, {"gateway": ["http://127.0.0.1:8080"], "channel": [CHANNEL]})
        address = f"{origin}{page.path}?{urllib.parse.urlencode({'gateway': gateway.url, 'channel': CHANNEL})}"
        browser.open(address)
        with ThreadPoolExecutor() as pool:
            game = pool.submit(self.run_in_node, "score", gateway.url, "--seconds=4")
            browser.says("#goal.is-on", "Goal ")
            self.assertIn("all see 2:1", game.result())
        browser.says("#names", "HOME 2 : 1 AWAY")
        browser.says("#goal", "Goal 3: home")
        # OBS keys the page by its own alpha.
        self.assertEqual(browser.run("return getComputedStyle(document.body).backgroundColor"), "rgba(0, 0, 0, 0)")
        # Who opens it when all is over has the score, although nobody sends it any more.
        browser.open(address)
        browser.says("#names", "HOME 2 : 1 AWAY")
        self.assertEqual(browser.recorded("errors") + [entry for entry in browser.log() if "favicon" not in entry["message"]], [])
        if os.environ.get("CUEGATE_SCREENSHOTS"):
            browser.screenshot(os.environ["CUEGATE_SCREENSHOTS"])

    def test_go_runs(self):
        if shutil.which("go") is None:
            self.skipTest("no `go`: test_go_reads looks at the program")
        gateway = self.gateway("go")
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        cache = os.environ.get("GOCACHE", home.name)
        env = {"GOCACHE": cache, "GOPATH": home.name, "GOTOOLCHAIN": "local", "GOPROXY": "off"}
        options = ["-seconds=2", "-rate=5000"]
        said = self.run_example("go", "go ", gateway.url, *options, seconds=COMPILE_S, env=env)
        answers = re.match(r"10000 of 10000 answers accepted in [\d.]+ s: (.+)\n$", said)
        programs.wait_until("the question closed", lambda: gateway.items("quiz.close"))
        self.tallies(gateway, json.loads(answers[1]))

    def test_go_reads(self):
        text = (EXAMPLES / "go" / "main.go").read_text()
        code = re.sub(r'//[^\n]*|"(?:\\.|[^"\\\n])*"|`[^`]*`', "", text)
        self.assertEqual(unmatched(code), "")
        imported = re.findall(r'^\t"([\w/]+)"$', text, re.MULTILINE)
        self.assertGreater(len(imported), 5)
        for package in imported:
            self.assertRegex(code, rf"\b{package.rpartition('/')[2]}\.[A-Z]", package)
            self.assertNotIn(".", package)

    def test_eventbridge(self):
        hcl = (EXAMPLES / "eventbridge" / "main.tf").read_text()
        self.assertEqual(unmatched(re.sub(r'(?m)^\s*#.*$|"(?:\\.|[^"\\\n])*"', "", hcl)), "")
        resources = load(EXAMPLES / "eventbridge" / "template.yaml")["Resources"]
        parts = {resource["Type"]: resource["Properties"] for resource in resources.values()}
        header = parts["AWS::Events::Connection"]["AuthParameters"]["ApiKeyAuthParameters"]["ApiKeyName"]
        endpoint = parts["AWS::Events::ApiDestination"]["InvocationEndpoint"]
        pattern = parts["AWS::Events::Rule"]["EventPattern"]
        told = (documents.SOURCE / "eventbridge.md").read_text()
        self.assertIn(json.dumps(pattern, separators=(",", ":")), told)
        self.assertIn(f"`{header}`", told)
        # The other file says the same.
        kinds = re.findall(r'^resource "aws_(\w+)"', hcl, re.MULTILINE)
        self.assertEqual(sorted(kinds), sorted([
            "cloudwatch_event_rule", "cloudwatch_event_connection", "cloudwatch_event_api_destination", "cloudwatch_event_target",
            "iam_role", "iam_role_policy",
        ]))
        self.assertEqual(re.findall(r'"([\w-]+)" += \["([^"]+)"\]', hcl), [(name, value) for name, (value,) in pattern.items()])
        self.assertIn(f'key   = "{header}"', hcl)
        path = endpoint.removeprefix("${Gateway}")
        self.assertIn(f'"${{var.gateway}}{path}"', hcl)
        self.gateway_listens(header, path)

    def gateway_listens(self, header, path):
        gateway = self.gateway("quiz")
        notice = json.dumps({
            "source": "aws.ivs", "detail-type": "IVS Stream State Change", "time": "2026-01-01T00:00:00Z",
            "resources": [programs.arn(CHANNEL)], "detail": {"event_name": "Stream Start", "channel_name": CHANNEL, "stream_id": "st-1"},
        })
        status, _, text = fetch(gateway.url + path, "POST", notice, **{header: SECRET})
        self.assertIn(status, (200, 202, 204), text)
        status, _, text = fetch(gateway.url + path, "POST", notice, **{header: "another"})
        self.assertIn(status, (401, 403), text)

    def test_every_example_is_listed(self):
        folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "node_modules"}
        page = (documents.SOURCE / "examples.md").read_text()
        self.assertEqual(set(re.findall(r"^\| `examples/(\w+)`", page, re.MULTILINE)), folders)
        listed = re.findall(r"^\| \[(\w+)\]\(\1\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
        self.assertEqual(set(listed), folders)
        for name in folders:
            self.assertTrue((EXAMPLES / name / "README.md").is_file(), name)


def unmatched(code):
    """What is left of the brackets when each pair is taken out."""
    brackets = re.sub(r"[^()\[\]{}]", "", code)
    while (less := re.sub(r"\(\)|\[\]|\{\}", "", brackets)) != brackets:
        brackets = less
    return brackets


def load(path):
    """YAML with CloudFormation's short functions, of which only the arguments are kept."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))
    return yaml.load(path.read_text(), Loader)


if __name__ == "__main__":
    unittest.main()

"""Every command in the README's code blocks is run here, as it is written, but for the
addresses (a test must not need port 8080) and for what it would take to reach AWS."""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import programs
from programs import ROOT, Addresses, Emulator, Process, environment, fetch, wait_until

TEXT = (ROOT / "README.md").read_text()
# `cargo run` may have to build first.
BUILD_S = 600

FENCED = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"\n\n((?:    [^\n]*\n)+)")


# The part about the emulator alone has its own commands, in an order of their own.
GATEWAY, EMULATOR, MORE = re.split(r"^(?=## Local IVS$|## More$)", TEXT, flags=re.MULTILINE)


def blocks(part=TEXT):
    """Language and text of every block; indented ones are of the shell."""
    fenced = [(m[2], re.sub(f"^{m[1]}", "", m[3], flags=re.MULTILINE)) for m in FENCED.finditer(part)]
    rest = FENCED.sub("", part)
    indented = [("sh", re.sub("^    ", "", m[1], flags=re.MULTILINE)) for m in INDENTED.finditer(rest)]
    return fenced + indented


def commands(part=GATEWAY + MORE):
    """Every line of a shell block; then every command in the text that names a built binary."""
    lines = [line for language, text in blocks(part) if language == "sh" for line in text.splitlines() if line]
    inline = re.findall(r"`((?:target/release/|benches/)[^`]+)`", part)
    return lines + inline


# The beginning of a command, and the test that runs it.
RUNNERS = {
    "cargo run --release": "test_1_quick_start",
    "curl ": "test_1_quick_start",
    "aws ": "test_1_quick_start",
    "target/release/cuegate tail": "test_1_quick_start",
    "target/release/cuegate send": "test_1_quick_start",
    "target/release/cuegate top": "test_1_quick_start",
    "CUEGATE__CHANNELS__ALLOW_UNLISTED=true cargo run": "test_sizing",
    "target/release/cuegate load": "test_sizing",
    "./run-tests": "test_the_test_command",
    "benches/run": "test_the_bench_command",
    "./sbom": "test_the_sbom_command",
    "target/release/cuegate check-config": "test_aws_steps",
    "target/release/cuegate serve": "test_aws_steps",
    "target/release/cuegate key": "test_a_key",
}
# The same for the part about the emulator.
EMULATORS = ("target/release/local-ivs", "aws ivs ", "curl ")


def of(runner):
    """The commands that a test has to run."""
    mine = [start for start, name in RUNNERS.items() if name == runner]
    found = [command for command in commands() if command.startswith(tuple(mine))]
    assert found, f"{runner} has nothing to run"
    return found


class Readme(unittest.TestCase):
    def setUp(self):
        self.addresses = Addresses()

    def here(self, command):
        """The command with this test's addresses and binaries."""
        for default, ours in [
            ("127.0.0.1:8080", self.addresses.producers),
            ("127.0.0.1:9464", self.addresses.metrics),
            ("127.0.0.1:8081", self.addresses.admin),
            ("127.0.0.1:4580", self.addresses.ivs),
        ]:
            command = command.replace(default, ours)
        return command.replace("target/release", str(programs.BINARIES))

    def environment(self):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return environment(PATH=path, CUEGATE_URL=f"http://{self.addresses.producers}", **self.addresses.variables())

    def run_shell(self, command):
        ended = subprocess.run(
            ["sh", "-c", self.here(command)],
            cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )
        self.assertEqual(ended.returncode, 0, (command, ended.stdout, ended.stderr))
        return ended.stdout

    def start(self, command, **more):
        arguments = shlex.split(self.here(command))
        process = Process(arguments, {**self.environment(), **more}, cwd=ROOT)
        self.addCleanup(process.close)
        return process

    def wait_for_build(self, gateway):
        """Until it is ready, though Cargo builds it first."""
        before, programs.DEADLINE_S = programs.DEADLINE_S, BUILD_S
        try:
            gateway.wait_for(f"http://{self.addresses.metrics}/readyz")
        finally:
            programs.DEADLINE_S = before

    def test_every_command_has_a_runner(self):
        for language, _ in blocks():
            self.assertIn(language, {"sh", "json", "toml", "js", "python", "hcl"})
        for command in commands():
            self.assertTrue(command.startswith(tuple(RUNNERS)), f"nothing runs {command!r}")
        for command in commands(EMULATOR):
            self.assertTrue(command.startswith(EMULATORS), f"nothing runs {command!r}")
        for name in RUNNERS.values():
            self.assertTrue(callable(getattr(self, name)))

    def test_1_quick_start(self):
        steps = of("test_1_quick_start")
        start = [step for step in steps if step.startswith("cargo run")]
        self.assertEqual(start, ["cargo run --release"])
        gateway = self.start(start[0])
        self.wait_for_build(gateway)
        tails = [self.start(step) for step in steps if " tail " in step]
        connections = 'cuegate_connections{transport="http"}'
        metrics = f"http://{self.addresses.metrics}/metrics"
        wait_until("tail is connected", lambda: f"{connections} {len(tails)}" in fetch(metrics)[2])
        for step in steps:
            if step.startswith("cargo") or " tail " in step:
                continue
            answer = self.run_shell(step)
            if "/events" in step or " send " in step:
                answer = json.loads(answer)
                self.assertEqual(answer["accepted"], 1, step)
                self.assertEqual(answer.get("pending", 0), 0, step)
            elif "/metadata" in step:
                shown = [json.loads(entry["metadata"]) for entry in json.loads(answer)["metadata"]]
                items = [item for payload in shown for item in payload["e"]]
                self.assertEqual(items[0], {"d": {"hello": "viewers"}, "t": "chat.cue"})
                self.assertEqual(items[1], {"d": 1, "t": "vote", "k": "a", "m": "sum"})
        taken = Emulator(f"http://{self.addresses.ivs}").taken
        wait_until("the AWS CLI's string arrived", lambda: "as it is" in taken("demo"))
        for tail in tails:
            wait_until("tail shows it", lambda: "as it is\n" in tail.text())
        self.assertEqual(gateway.stop(), 0, gateway.text())

    def test_the_player(self):
        (snippet,) = [text for language, text in blocks(GATEWAY) if language == "js"]
        ours = "metadata.live-video.net"
        plain = re.search(r"^`(\{.*\})`$", GATEWAY, re.MULTILINE)[1]
        cues = [
            {"owner": "segmentmetadata", "text": '{"v":1,"n":5,"e":[{"d":"IVS\'s own"}]}'},
            {"owner": ours, "text": plain},
            {"owner": ours, "text": plain},
            {"owner": ours, "text": "as it is"},
            {"owner": ours, "text": "null"},
            {"owner": ours, "text": "[1,2]"},
            "seek",
            {"owner": ours, "text": plain},
        ]
        stage = f"""
            const PlayerEventType = {{ TEXT_METADATA_CUE: "cue", SEEK_COMPLETED: "seek" }};
            const listeners = {{}}, shown = [], others = [];
            const player = {{ addEventListener: (name, listener) => {{ listeners[name] = listener; }} }};
            const show = (...item) => shown.push(item), foreign = (text) => others.push(text);
            {snippet}
            for (const cue of {json.dumps(cues)}) cue === "seek" ? listeners.seek() : listeners.cue(cue);
            console.log(JSON.stringify({{ shown, others }}));
        """
        ended = subprocess.run(["node", "-e", stage], capture_output=True, text=True, timeout=60)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        items = [["quiz.answer", {"answer": "B"}, None, None], ["vote", 3, "a", "sum"]]
        self.assertEqual(json.loads(ended.stdout), {"shown": items * 2, "others": ["as it is", "null", "[1,2]"]})

    def test_sizing(self):
        setting, *rest = of("test_sizing")
        setting, command = setting.split(" ", 1)
        self.assertEqual(command, "cargo run --release")
        name, value = setting.split("=")
        gateway = self.start(command, **{name: value})
        self.wait_for_build(gateway)
        for step in rest:
            self.assertIn("all is well", self.run_shell(step))
        self.assertEqual(gateway.stop(), 0, gateway.text())

    def test_aws_steps(self):
        for step in of("test_aws_steps"):
            if " serve " not in step:
                self.run_shell(step)
                continue
            gateway = self.start(step)
            gateway.wait_for(f"http://{self.addresses.metrics}/readyz")
            self.assertIn("AWS", gateway.text())
            self.assertEqual(gateway.stop(), 0, gateway.text())

    def test_a_key(self):
        for step in of("test_a_key"):
            made = self.run_shell(step)
            key = re.search(r"cuegate_[0-9a-f]{64}", made)[0]
            gateway = programs.Gateway({"quiz": ""}, made[made.index("[[api_key]]"):])
            self.addCleanup(gateway.close)
            url = f"{gateway.url}/v1/channels/quiz/events"
            for headers, expected in [({"authorization": f"Bearer {key}"}, 202), ({}, 401)]:
                self.assertEqual(fetch(url, "POST", '{"data":1}', **headers)[0], expected)

    def test_the_emulator_alone(self):
        steps = commands(EMULATOR)
        start = [step for step in steps if step.startswith("target/release/local-ivs") and "--help" not in step]
        self.assertEqual(len(start), 1)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.assertIn("--data-dir target/ivs-data", start[0])
        process = self.start(start[0].replace("target/ivs-data", directory.name))
        url = f"http://{self.addresses.ivs}"
        process.wait_for(f"{url}/_local/report")
        # The clients first: what the other commands do is meant to harm them.
        answers = [self.run_shell(step) for step in steps if step.startswith("aws ivs")]
        self.assertEqual(json.loads(answers[0])["channel"]["name"], "quiz")
        self.assertEqual({channel["name"] for channel in json.loads(answers[1])["channels"]} & {"quiz"}, {"quiz"})
        self.assertEqual(Emulator(url).taken("demo"), ["hello"])
        snippets = {language: self.here(text) for language, text in blocks(EMULATOR) if language != "sh"}
        self.assertEqual(set(snippets), {"python", "js", "hcl"})
        self.assertIn(":channel/", self.run_with([sys.executable, "-"], snippets["python"]))
        self.assertIn(":channel/", self.run_with(["node", "--input-type=module", "-"], snippets["js"]))
        # Terraform's provider is not there to run it: at least it names the emulator.
        self.assertIn(f'ivs = "{url}"', snippets["hcl"])
        for step in steps:
            if step.startswith("curl"):
                self.assertNotIn('"error"', self.run_shell(step), step)
            elif step.endswith("--help"):
                self.assertIn("--credentials", self.run_shell(step))
        report = Emulator(url).report()
        self.assertTrue(report["channels"][programs.arn("quiz")]["live"])
        self.assertEqual(process.stop(), 0, process.text())

    def run_with(self, arguments, text):
        """A program with a text to run, where it finds what npm installed."""
        ended = subprocess.run(
            arguments, cwd=ROOT / "target" / "node", env=self.environment(), input=text, capture_output=True, text=True, timeout=60,
        )
        self.assertEqual(ended.returncode, 0, (text, ended.stdout, ended.stderr))
        return ended.stdout

    def test_the_test_command(self):
        """What runs this test."""
        for step in of("test_the_test_command"):
            script = ROOT / step
            self.assertTrue(os.access(script, os.X_OK))
            self.assertIn("unittest discover", script.read_text())

    def test_the_bench_command(self):
        """It takes minutes and measures: only that it can be started is tested."""
        for step in of("test_the_bench_command"):
            self.assertTrue(os.access(ROOT / step, os.X_OK), f"{step} cannot be run")

    def test_the_sbom_command(self):
        for step in of("test_the_sbom_command"):
            written = self.run_shell(step).strip()
            self.assertIn(f"`{written}`", TEXT)
            self.assertTrue((ROOT / written).is_file())

    def test_snippets_are_right(self):
        seen = set()
        for language, text in blocks():
            if language == "json":
                document = json.loads(text)
                if "data" in document:
                    # The moment in it may lie too far ahead of the clock of this machine.
                    document.pop("at")
                    self.publish(document)
                seen.add("event" if "data" in document else "policy")
            elif language == "toml":
                with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                    file.write(text)
                    file.flush()
                    self.run_shell(f"target/release/cuegate check-config {file.name}")
                seen.add("configuration")
        self.assertEqual(seen, {"event", "policy", "configuration"})

    def publish(self, event):
        gateway = programs.Gateway({"quiz": ""})
        self.addCleanup(gateway.close)
        status, _, text = fetch(f"{gateway.url}/v1/channels/quiz/events", "POST", json.dumps(event))
        self.assertEqual(status, 202, text)

    def test_links_lead_somewhere(self):
        for target in re.findall(r"\]\(([^)]+)\)", TEXT):
            if "://" not in target:
                self.assertTrue((ROOT / target).exists(), target)


class TheMap(unittest.TestCase):
    def test_every_place_on_the_map_exists(self):
        text = (ROOT / "ARCHITECTURE.md").read_text()
        rows = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
        self.assertGreater(len(rows), 10)
        missing = [place for place in rows if not (ROOT / place).exists()]
        self.assertEqual(missing, [])

    def test_every_room_is_on_the_map(self):
        text = (ROOT / "ARCHITECTURE.md").read_text()
        rooms = [f"{parent}/{path.name}" for parent in ("src", "crates") for path in (ROOT / parent).iterdir() if path.is_dir()]
        self.assertEqual([room for room in rooms if f"`{room}`" not in text], [])


if __name__ == "__main__":
    unittest.main()

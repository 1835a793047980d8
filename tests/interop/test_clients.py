"""The clients for producers below clients/, and crates/client, against a real gateway: each does the
scenarios of clients/scenarios.json, and what arrived at the emulator is compared. What a scenario says:

- `steps`: what the client does, in its order, with the channel `quiz` where nothing else is said. `expect` has
  members that the outcome must have (a string that begins with `~` is part of the text); a step without it
  must not fail, and one with `until` is done until its outcome is that. `{"$repeat": [TEXT, TIMES]}` is a long string.
- a step `driver` is done to the gateway: `kill` and `drain` (and started again), `stop` (and not started
  again), `freeze`, `thaw`; with `meanwhile` beside the next steps, until `settle`.
- `server`, `channel`, `keys`: more lines of the gateway's configuration, and its API keys.
- `tls`: the gateway is behind https://, with an authority of its own in `ca.pem`.
- `answers`: no gateway, but these answers, one for each connection; `gaps_ms` between them, at least.
- `arrived`: the data that came to the emulator, once each and in this order."""

import atexit
import contextlib
import functools
import http.client
import importlib.metadata
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import tomllib
import unittest
from concurrent.futures import ThreadPoolExecutor

import packaging.specifiers

import documents
import programs
from programs import ROOT, Addresses, LocalIvs, Process, environment, key_table, wait_until

CLIENTS = ROOT / "clients"
SCENARIOS = json.loads((CLIENTS / "scenarios.json").read_text())
CHANNEL = "quiz"
PYTHON = CLIENTS / "python"
TYPESCRIPT = CLIENTS / "typescript"
MODULES = ROOT / "target" / "node" / "node_modules"
NEEDED = ["@types/node", "@types/ws", "typescript", "undici-types", "ws"]
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
# A step may wait for a gateway that starts, on a machine that is busy.
STEP_S = 60


@functools.cache
def typescript():
    """The package, built by the command of its README in a copy of the repository's part, and what it made. The
    command before it would ask a registry: what it installs is there already, in the same versions."""
    directory = pathlib.Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, directory)
    package = directory / "clients" / "typescript"
    shutil.copytree(TYPESCRIPT, package, ignore=shutil.ignore_patterns("node_modules", "dist"))
    for name in NEEDED:
        shutil.copytree(MODULES / name, package / "node_modules" / name)
    (package / "node_modules" / ".bin").mkdir()
    (package / "node_modules" / ".bin" / "tsc").symlink_to("../typescript/bin/tsc")
    install, pack = documents.commands((TYPESCRIPT / "README.md").read_text())
    assert install == "npm --prefix clients/typescript install", install
    ended = subprocess.run(
        pack.split(), cwd=directory, env=environment(npm_config_offline="true"), capture_output=True, text=True, timeout=STEP_S
    )
    assert ended.returncode == 0, (pack, ended.stdout, ended.stderr)
    return package


def runners():
    """How each client is started; the address follows."""
    python = [sys.executable, PYTHON / "tests" / "runner.py"]
    return {
        "rust": [programs.BINARIES / "examples" / "scenarios"],
        "typescript": ["node", typescript() / "test" / "runner.mjs"],
        "python": python,
        "python, plain": [*python, "--plain"],
    }


def seed():
    return int(os.environ.get("CUEGATE_TEST_SEED", random.getrandbits(32)))


class Runner:
    """A client that does steps."""

    def __init__(self, arguments, url):
        self.errors = tempfile.TemporaryFile("w+")
        env = environment(PYTHONPATH=str(PYTHON))
        self.child = subprocess.Popen(
            [*arguments, url], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        self.patience = threading.Timer(STEP_S, self.child.kill)
        self.patience.start()

    def do(self, step):
        try:
            self.child.stdin.write(json.dumps(step) + "\n")
            self.child.stdin.flush()
            line = self.child.stdout.readline()
        except OSError:
            line = ""
        if not line:
            self.errors.seek(0)
            raise AssertionError(f"the client ended or did not answer: {self.errors.read()}")
        return json.loads(line)

    def close(self):
        self.patience.cancel()
        self.child.kill()
        self.child.communicate()
        self.errors.close()


class Home:
    """Lives of a gateway at one address, on one journal, in front of an emulator that outlives them. Its
    channel there is one of its own."""

    numbers = itertools.count()

    def __init__(self, scenario, ivs):
        self.directory = tempfile.TemporaryDirectory()
        self.ivs, self.stream = ivs, f"{CHANNEL}{next(self.numbers)}"
        ivs.emulator.stream(self.stream, "live")
        self.addresses = Addresses()
        self.url = f"http{'s' if scenario.get('tls') else ''}://{self.addresses.producers}"
        self.config = pathlib.Path(self.directory.name) / "cuegate.toml"
        self.config.write_text(
            f'[upstream]\nmode = "aws"\nregion = "us-west-2"\nendpoint_url = "{self.ivs.url}"\n'
            f'[server]\ndrain_timeout_ms = 200\n{scenario.get("server", "")}'
            f'{self.certificate() if scenario.get("tls") else ""}'
            "[tuning]\nrestart_hold_ms = 1000\nabandon_ms = 100\n"
            '[channel_defaults]\nenvelope = "array"\nttl_ms = 600000\n'
            f'[[channel]]\nname = "{CHANNEL}"\narn = "{programs.arn(self.stream)}"\n{scenario.get("channel", "")}\n'
            + "".join(
                key_table(name, key["key"], key["scopes"], key.get("more", 'channels = ["*"]'))
                for name, key in scenario.get("keys", {}).items()
            )
        )
        self.start()

    def certificate(self):
        """Makes one, and returns the lines of the configuration for it."""
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        extension = "subjectAltName=IP:127.0.0.1"
        for command in [
            ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Authority", "-addext", "keyUsage=keyCertSign"],
            ["req", *key, "-keyout", "key.pem", "-out", "asked.pem", "-subj", "/CN=Gateway", "-addext", extension],
            ["x509", "-req", "-in", "asked.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-out", "cert.pem", "-copy_extensions", "copy"],
        ]:
            subprocess.run(["openssl", *command], cwd=self.directory.name, check=True, capture_output=True, timeout=STEP_S)
        return f'tls_cert = "{self.directory.name}/cert.pem"\ntls_key = "{self.directory.name}/key.pem"\n'

    def start(self):
        self.gateway = Process(
            [programs.BINARIES / "cuegate", "serve", "--config", self.config],
            environment(**self.addresses.variables()), cwd=self.directory.name,
        )
        self.gateway.wait_for(f"http://{self.addresses.metrics}/readyz")

    def kill(self):
        self.gateway.close()
        self.start()

    def drain(self):
        self.stop()
        self.start()

    def stop(self):
        self.gateway.stop()
        self.gateway.close()

    def freeze(self):
        """Until none of its threads runs any more."""
        self.gateway.child.send_signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.gateway.child.pid}/task")
        wait_until("it stands still", lambda: all(") T " in (task / "stat").read_text() for task in tasks.iterdir()))

    def thaw(self):
        self.gateway.child.send_signal(signal.SIGCONT)

    def arrived(self):
        return [data for text in self.ivs.emulator.taken(self.stream) for data in json.loads(text)]

    def close(self):
        self.gateway.close()
        self.directory.cleanup()


class Stub:
    """Answers as it is told, each over a connection of its own, and keeps what it was asked."""

    def __init__(self, answers):
        self.answers, self.asked, self.failed = list(answers), [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        with contextlib.suppress(OSError):
            for answer in self.answers:
                connection, _ = self.listener.accept()
                with connection, connection.makefile("rb") as stream:
                    self.answer(connection, stream, answer)

    def answer(self, connection, stream, answer):
        headers = http.client.parse_headers(stream) if stream.readline() else {}
        body = stream.read(int(headers.get("content-length", 0)))
        self.asked.append((time.monotonic(), headers.get("idempotency-key"), body))
        if answer == "reset":
            return
        text = answer["body"] if isinstance(answer["body"], str) else json.dumps(answer["body"])
        lines = [f"HTTP/1.1 {answer['status']} Told", "Connection: close", f"Content-Length: {len(text.encode())}"]
        lines += [f"{name}: {value}" for name, value in answer.get("headers", {}).items()]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + text).encode())

    def close(self):
        self.listener.close()


def expanded(value):
    if isinstance(value, dict):
        if "$repeat" in value:
            text, times = value["$repeat"]
            return text * times
        return {name: expanded(member) for name, member in value.items()}
    return [expanded(member) for member in value] if isinstance(value, list) else value


def differs(expected, got, where=""):
    """Where an outcome is not as expected; none: it is."""
    if where == ".error.family" and got == "by its code":
        return None
    if isinstance(expected, dict) and isinstance(got, dict):
        return next(filter(None, (differs(value, got.get(name), f"{where}.{name}") for name, value in expected.items())), None)
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        return next(filter(None, (differs(*pair, f"{where}[{nth}]") for nth, pair in enumerate(zip(expected, got)))), None)
    if isinstance(expected, str) and expected.startswith("~") and isinstance(got, str):
        return None if expected[1:] in got else f"{where}: {expected!r} is not in {got!r}"
    return None if expected == got else f"{where}: {expected!r} expected, {got!r} came"


class Play:
    """A scenario, with one client."""

    def __init__(self, name, arguments, chance, ivs):
        self.scenario, self.arguments, self.chance, self.ivs = SCENARIOS[name], arguments, chance, ivs
        self.background = None

    def run(self):
        with contextlib.ExitStack() as ends:
            answers = self.scenario.get("answers")
            there = Stub(answers) if answers else Home(self.scenario, self.ivs)
            ends.callback(there.close)
            runner = Runner(self.arguments, there.url)
            ends.callback(runner.close)
            for step in self.scenario["steps"]:
                self.step(step, there, runner)
            if answers:
                self.was_asked_as_it_said(there)
            else:
                self.arrived(there)

    def step(self, step, there, runner):
        if step["do"] == "driver":
            self.drive(step, there)
            return
        asked = {name: value for name, value in step.items() if name != "expect"}
        if asked.get("ca") == "ca.pem":
            asked["ca"] = f"{there.directory.name}/ca.pem"
        asked = {"channel": CHANNEL, **expanded(asked)}
        if "until" in asked:
            wait_until(step, lambda: differs(step["expect"], runner.do(asked)) is None)
            return
        got = runner.do(asked)
        if "expect" in step:
            wrong = differs(step["expect"], got)
            assert wrong is None, f"{step}: {wrong}"
        else:
            assert "error" not in got, f"{step}: {got}"

    def drive(self, step, there):
        if step["action"] == "settle":
            self.background.result(STEP_S)
        elif step.get("meanwhile"):
            pool = ThreadPoolExecutor(1)
            self.background = pool.submit(self.drive_soon, getattr(there, step["action"]))
            pool.shutdown(wait=False)
        else:
            getattr(there, step["action"])()

    def drive_soon(self, action):
        time.sleep(self.chance.uniform(0, 0.15))
        action()

    def was_asked_as_it_said(self, stub):
        gaps = self.scenario.get("gaps_ms")
        if gaps is None:
            return
        asked = stub.asked
        assert len(asked) == len(stub.answers), asked
        assert len({request[1:] for request in asked}) == 1 and asked[0][1], asked
        for (before, *_), (after, *_), gap in zip(asked, asked[1:], gaps):
            # The wait of a client's own, half of which is random.
            assert after - before >= gap / 1000 * (1 if gap in (1000, 300) else 0.5), (after - before, gap)

    def arrived(self, home):
        expected = self.scenario.get("arrived")
        if expected is None:
            return
        if isinstance(expected, dict):
            expected = list(range(expected["from"], expected["to"]))
        wait_until("all arrived", lambda: len(home.arrived()) >= len(expected))
        got = home.arrived()
        assert got == expected, f"{len(got)} arrived: {got}"


class Scenarios(unittest.TestCase):
    """One test for each; the clients do it side by side."""

    @classmethod
    def setUpClass(cls):
        cls.ivs = LocalIvs()
        cls.addClassCleanup(cls.ivs.close)

    def play(self, name):
        if SCENARIOS[name].get("tls") and not shutil.which("openssl"):
            self.skipTest("there is no openssl to make a certificate with")
        number = seed()
        with ThreadPoolExecutor(8) as pool:
            plays = {
                client: pool.submit(Play(name, arguments, random.Random(f"{number} {client}"), self.ivs).run)
                for client, arguments in runners().items()
            }
        for client, play in plays.items():
            with self.subTest(scenario=name, client=client, seed=number):
                play.result()


for each in SCENARIOS:
    setattr(Scenarios, f"test_{each.replace(' ', '_')}", functools.partialmethod(Scenarios.play, each))


class Bench(unittest.TestCase):
    def test_figures_come_out(self):
        """No figure is asserted: machines differ."""
        ended = subprocess.run(
            [sys.executable, CLIENTS / "bench.py", "--events", "20000", "--node", typescript()],
            env=environment(), capture_output=True, text=True, timeout=STEP_S,
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        names = re.findall(r"^(.+?) +[\d,]+ events/s", ended.stdout, re.MULTILINE)
        self.assertEqual(names, [
            "python, floor: a socket", "python, asyncio -> sink", "python, plain -> sink", "node -> sink", "node, floor: a socket",
        ])


class Package(unittest.TestCase):
    """What is published of a client: its tests of what decides, and its README, whose commands and programs
    are run as they are written, but for the address."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def run_as(self, arguments, **options):
        options = {"cwd": ROOT, "env": environment()} | options
        ended = subprocess.run(arguments, capture_output=True, text=True, timeout=STEP_S, **options)
        self.assertEqual(ended.returncode, 0, (arguments, ended.stdout, ended.stderr))
        return ended.stdout

    def gateway(self):
        """One that knows the key of the READMEs."""
        key = key_table("quiz-backend", "cuegate_0123", ["publish", "read", "control"])
        gateway = programs.Gateway({"demo": ""}, key)
        self.addCleanup(gateway.close)
        return gateway

    def programs_of(self, readme, language, gateway):
        found = [text for name, text in documents.blocks(readme.read_text()) if name == language]
        self.assertGreater(len(found), 1)
        self.assertTrue(all("http://127.0.0.1:8080" in text for text in found))
        return [text.replace("http://127.0.0.1:8080", gateway.url) for text in found]


class Python(Package):
    project = tomllib.loads((PYTHON / "pyproject.toml").read_text())["project"]

    def test_units(self):
        self.run_as([sys.executable, "-W", "error", "-m", "unittest", "discover", "-s", "tests"], cwd=PYTHON)

    def test_readme(self):
        commands = documents.commands((PYTHON / "README.md").read_text())
        self.assertEqual(commands, ["pip install ./clients/python"])
        # What it needs is there: nothing is fetched, and nothing is changed.
        offline = environment(
            PIP_TARGET=str(self.directory), PIP_NO_INDEX="1", PIP_NO_DEPS="1", PIP_NO_BUILD_ISOLATION="0",
            PIP_DISABLE_PIP_VERSION_CHECK="1",
        )
        for command in commands:
            self.run_as([sys.executable, "-m", *command.split()], env=offline)
        self.assertTrue((self.directory / "cuegate" / "py.typed").is_file())
        gateway = self.gateway()
        plain, asynchronous = self.programs_of(PYTHON / "README.md", "python", gateway)
        env = environment(PYTHONPATH=str(self.directory))
        run = [sys.executable, "-X", "dev", "-W", "error", "-c"]
        said = self.run_as([*run, plain], env=env, cwd=self.directory)
        self.assertRegex(said, r"^1 accepted, \d+ in the queue\n$")
        said = self.run_as([*run, asynchronous], env=env, cwd=self.directory)
        self.assertRegex(said, r"^(too late: already_sent\n)?0 refused\n$")

    def test_metadata(self):
        self.assertEqual(self.project["version"], VERSION)
        told = self.run_as([sys.executable, "-c", "import cuegate; print(cuegate.__version__)"], cwd=PYTHON)
        self.assertEqual(told.strip(), VERSION)
        (dependency,) = self.project["dependencies"]
        installed = importlib.metadata.version("websockets")
        self.assertIn(installed, packaging.specifiers.SpecifierSet(dependency.removeprefix("websockets")))


class TypeScript(Package):
    manifest = json.loads((TYPESCRIPT / "package.json").read_text())

    def test_units(self):
        self.run_as(["npm", "test"], cwd=typescript())

    def test_readme(self):
        """The programs, with the package as it is published."""
        name = f"cuegate-{VERSION}.tgz"
        modules = self.directory / "node_modules"
        with tarfile.open(typescript().parents[1] / name) as archive:
            archive.extractall(modules, filter="data")
        (modules / "package").rename(modules / "cuegate")
        (modules / "ws").symlink_to(MODULES / "ws")
        gateway = self.gateway()
        first, second = self.programs_of(TYPESCRIPT / "README.md", "js", gateway)
        run = ["node", "--throw-deprecation", "--input-type=module", "--eval"]
        self.assertRegex(self.run_as([*run, first], cwd=self.directory), r"^1 accepted, \d+ in the queue\n$")
        self.assertRegex(self.run_as([*run, second], cwd=self.directory), r"^(too late: already_sent\n)?$")

    def test_types(self):
        """What a program in TypeScript may and may not write."""
        wrong = {
            'client.publish("demo", { data: 1, merge: "avg" });': "2322",
            'client.publish("demo", { type: "x" });': "2345",
            'client.purge("demo", {});': "2345",
        }
        right = """
            const { rejected, etaMs } = await client.publish("demo", [{ data: null, at: new Date() }], { wait: 1000 });
            const receipt: Receipt = await (await client.session("demo", { window: 8 })).send({ data: rejected.length });
            const { queued } = await receipt.acknowledged;
            for await (const update of client.payloads("demo")) if (update.kind === "payload") update.n?.toFixed(queued + (etaMs ?? 0));
        """
        head = 'import { Client, type Receipt } from "cuegate";\nconst client = new Client("http://127.0.0.1");\n'
        path = typescript() / "test" / "types.mts"
        self.addCleanup(path.unlink)
        path.write_text(head + right + "\n" + "\n".join(wrong) + "\nexport type { Receipt };\n")
        tsc = [typescript() / "node_modules" / ".bin" / "tsc", "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"]
        ended = subprocess.run([*tsc, "--types", "node", path], cwd=typescript(), capture_output=True, text=True, timeout=STEP_S)
        self.assertEqual(re.findall(r"types\.mts.*error TS(\d+)", ended.stdout), list(wrong.values()), ended.stdout)

    def test_metadata(self):
        self.assertEqual(self.manifest["version"], VERSION)
        self.assertEqual(list(self.manifest["dependencies"]), ["ws"])
        pinned = json.loads((ROOT / "tests" / "interop" / "javascript" / "package.json").read_text())["dependencies"]
        for name, version in self.manifest["devDependencies"].items():
            self.assertEqual(pinned[name], version, name)
        major = self.manifest["dependencies"]["ws"].removeprefix("^").split(".")[0]
        self.assertEqual(pinned["ws"].split(".")[0], major)


if __name__ == "__main__":
    unittest.main()

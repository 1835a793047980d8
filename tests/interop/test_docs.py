"""Every command, program and snippet of the book and of CONTRIBUTING.md is run here, but for what it
would take to reach AWS. What the README has too is run by test_readme.py."""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest

import documents
import postgres
import programs
import test_helm
from documents import README, SOURCE
from programs import ROOT, Emulator, fetch, wait_until
from written import CARGO_RUN, Written

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
EMULATOR = SOURCE / "emulator.md"
QUIZ = SOURCE / "quiz.md"
CUEGATE = "target/release/cuegate"
OPERATORS = ("channels", "status", "pause", "purge", "resume", "dead-letters")

# The beginning of a command, and the test that runs it. The page about the emulator has its own
# commands, in an order of their own, and the chapter on a quiz is test_afternoon.py's.
RUNNERS = {
    CARGO_RUN: "test_a_day_with_the_gateway",
    "curl ": "test_a_day_with_the_gateway",
    "printf ": "test_a_day_with_the_gateway",
    "aws ": "test_a_day_with_the_gateway",
    f"{CUEGATE} send": "test_a_day_with_the_gateway",
    f"{CUEGATE} top": "test_a_day_with_the_gateway",
    **{f"{CUEGATE} {name}": "test_a_day_with_the_gateway" for name in OPERATORS},
    f"{CUEGATE} check-config": "test_a_day_with_the_gateway",
    f"{CUEGATE} doctor": "test_a_day_with_the_gateway",
    "CUEGATE__CHANNELS__ALLOW_UNLISTED=true cargo run": "test_sizing",
    f"{CUEGATE} load": "test_sizing",
    f"{CUEGATE} cluster": "test_several_nodes",
    # By Helm itself, in test_helm.py.
    "helm ": "test_helm_has_its_own",
    f"{CUEGATE} key": "test_a_key",
    "./run-tests": "test_scripts",
    "benches/run": "test_scripts",
    "cargo ": "test_scripts",
    "CUEGATE_REWRITE=1 ": "test_scripts",
    "./sbom": "test_the_sbom",
}
WEBHOOK_SECRET = "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
EMULATORS = ("target/release/local-ivs", "aws ivs ", "curl ")
# Rust is a test of its crate.
LANGUAGES = {"sh", "json", "toml", "js", "jsx", "python", "hcl", "text", "rust"}
# Members by which a JSON document of the book is known.
KINDS = {"data", "Statement", "e", "accepted", "ack", "msg", "source"}


def written(but=(EMULATOR, QUIZ)):
    """Every command in its order, but for those that the README has too, and a gateway is started once."""
    known = set(documents.commands(README.read_text()))
    pages = [page for page in [*documents.pages(), CONTRIBUTING] if page not in but]
    found = [command for page in pages for command in documents.commands(documents.read(page))]
    return [CARGO_RUN] + [command for command in found if command not in known]


def of(runner):
    """The commands that a test has to run."""
    found = [command for command in written() if runner_of(command) == runner]
    assert found, f"{runner} has nothing to run"
    return found


def runner_of(command):
    return next((name for start, name in RUNNERS.items() if command.startswith(start)), None)


class Docs(Written):
    def test_every_command_has_a_runner(self):
        for page in [*documents.pages(), CONTRIBUTING]:
            languages = {language for language, _ in documents.blocks(documents.read(page))}
            self.assertLessEqual(languages, LANGUAGES, page)
        for command in written():
            self.assertIsNotNone(runner_of(command), f"nothing runs {command!r}")
        for command in documents.commands(documents.read(EMULATOR)):
            self.assertTrue(command.startswith(EMULATORS) or command == CARGO_RUN, f"nothing runs {command!r}")
        for name in RUNNERS.values():
            self.assertTrue(callable(getattr(self, name)))

    def test_a_day_with_the_gateway(self):
        """All that is asked of a gateway in local mode, of one."""
        start, *steps = of("test_a_day_with_the_gateway")
        self.assertEqual(start, CARGO_RUN)
        gateway = self.start_gateway(start)
        shown = self.follow(f"{CUEGATE} tail demo")
        answers = [(step, self.run_shell(step)) for step in steps]
        self.events_were_taken(answers)
        self.payloads_were_seen(answers)
        self.programs_run()
        self.examples_are_taken()
        for text in ["as it is", "from boto3"]:
            wait_until(f"tail shows {text!r}", lambda text=text: f"{text}\n" in shown.text())
        self.assertEqual(gateway.stop(), 0, gateway.text())

    def events_were_taken(self, answers):
        """None was refused, and what is cancelled was there."""
        for step, answer in answers:
            sends = any(sent in step for sent in ("--json", "--data-binary", " -d "))
            if "/events" in step and sends or " send " in step:
                answer = json.loads(answer)
                again = answer["duplicates"] if "Idempotency-Key" in step else 0
                self.assertGreater(answer["accepted"] + again, 0, step)
                self.assertEqual((answer["rejected"], answer.get("pending", 0)), ([], 0), step)
            elif "DELETE" in step and "/events?" in step:
                self.assertEqual(json.loads(answer), {"cancelled": 1}, step)

    def payloads_were_seen(self, answers):
        (text,) = [answer for step, answer in answers if step.endswith("/metadata")]
        payloads = [json.loads(entry["metadata"]) for entry in json.loads(text)["metadata"]]
        items = [item for payload in payloads for item in payload["e"]]
        self.assertEqual(items[0], {"d": {"hello": "viewers"}, "t": "chat.cue"})
        self.assertEqual(items[1], {"d": 1, "t": "vote", "k": "a", "m": "sum"})

    def programs_run(self):
        """The programs of producers."""
        (boto3,) = documents.blocks_of(SOURCE / "aws-sdks.md", "python")
        self.run_with([sys.executable, "-"], boto3)
        (client,) = documents.blocks_of(SOURCE / "websocket.md", "js")
        # It is disconnected once: what it sends then must arrive too.
        story = """
            const refusals = [];
            console.error = (line) => refusals.push(line);
            publish({ data: "first" });
            publish({ data: 1, merge: "sum" });
            const end = setTimeout(() => process.exit(1), 30_000);
            const isQuiet = () => unacknowledged.length === 0;
            const until = async (look) => { while (!look()) await new Promise((next) => setTimeout(next, 20)); };
            await until(isQuiet);
            socket.close();
            publish({ data: "second" });
            await until(isQuiet);
            console.log(JSON.stringify(refusals));
            process.exit(0);
        """
        # Node.js 20 has WebSockets only where they are asked for.
        said = self.run_with(["node", "--experimental-websocket", "--no-warnings", "--input-type=module", "-"], client + story)
        (refusal,) = json.loads(said)
        self.assertIn("message 2: invalid_event", refusal)
        taken = Emulator(f"http://{self.addresses.ivs}").taken
        for text in ["first", "second"]:
            wait_until(f"{text!r} arrived", lambda text=text: f'"d":"{text}"' in "".join(taken("demo")))

    def examples_are_taken(self):
        url = f"http://{self.addresses.producers}/v1/channels/demo/events"
        for event in self.json_with("data"):
            if "timestamp" in event:
                # What a webhook is told.
                continue
            # The moment in it may lie too far ahead of the clock of this machine.
            event.pop("at")
            event["id"] += "-again"
            status, _, text = fetch(url, "POST", json.dumps(event))
            self.assertEqual(status, 202, text)
            answer = json.loads(text)
        for shown in self.json_with("accepted"):
            self.assertEqual(set(shown), set(answer))
            self.assertEqual(set(shown["rejected"][0]), {"index", "code", "detail"})

    def json_with(self, member):
        found = []
        for page in documents.pages():
            for document in map(json.loads, documents.blocks_of(page, "json")):
                self.assertTrue(KINDS & set(document), document)
                found += [document] if member in document else []
        self.assertTrue(found, member)
        return found

    def test_the_player(self):
        *library, snippet = documents.blocks_of(SOURCE / "players.md", "js")
        kinds = re.findall(r'attach\("(\w+)"', "".join(library))
        self.assertEqual(kinds, ["ivs", "hls", "videojs", "shaka", "native"])
        (plain,) = map(str.strip, documents.blocks_of(SOURCE / "players.md", "json"))
        ours = "metadata.live-video.net"
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
        self.assertEqual(command, CARGO_RUN)
        name, value = setting.split("=")
        gateway = self.start_gateway(command, **{name: value})
        for step in rest:
            self.assertIn("all is well", self.run_shell(step))
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
        text = documents.read(EMULATOR)
        steps = documents.commands(text)
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
        snippets = {language: text for language, text in documents.blocks(text) if language != "sh"}
        # The text is an encoder's command, which test_local_ivs_encoder.py runs.
        self.assertEqual(set(snippets), {"python", "js", "hcl", "text"})
        self.assertIn(":channel/", self.run_with([sys.executable, "-"], snippets["python"]))
        self.assertIn(":channel/", self.run_with(["node", "--input-type=module", "-"], snippets["js"]))
        # Terraform's provider is not there to run it: at least it names the emulator.
        self.assertIn('ivs = "http://127.0.0.1:4580"', snippets["hcl"])
        for step in steps:
            if step.startswith("curl"):
                self.assertNotIn('"error"', self.run_shell(step), step)
            elif step.endswith("--help"):
                self.assertIn("--credentials", self.run_shell(step))
        report = Emulator(url).report()
        self.assertTrue(report["channels"][programs.arn("quiz")]["live"])
        self.assertEqual(process.stop(), 0, process.text())

    def test_configurations_are_right(self):
        configurations = [text for page in documents.pages() for text in documents.blocks_of(page, "toml")]
        self.assertGreater(len(configurations), 1)
        for text in configurations:
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                file.write(text)
                file.flush()
                self.run_shell(f"QUIZ_WEBHOOK_SECRET={WEBHOOK_SECRET} {CUEGATE} check-config {file.name}")

    def test_a_webhook_is_verified(self):
        """By both programs, and a message that somebody changed is not."""
        (python,) = documents.blocks_of(SOURCE / "webhooks.md", "python")
        (node,) = documents.blocks_of(SOURCE / "webhooks.md", "js")
        (headers, body) = self.told_to_a_webhook()
        (shown,) = [document for document in self.json_with("data") if "timestamp" in document]
        told = json.loads(body)
        self.assertEqual(set(told), set(shown))
        self.assertLessEqual(set(told["data"]["ends"][0]), set(shown["data"]["ends"][0]))
        program = {}
        exec(python, program)
        for text, expected in [(body, True), (body + b" ", False)]:
            self.assertEqual(program["verify"](headers, text, WEBHOOK_SECRET), expected)
            asked = ", ".join(map(json.dumps, [headers, text.decode(), WEBHOOK_SECRET]))
            said = self.run_with(["node", "--input-type=module", "-"], f"{node}console.log(verify({asked}));")
            self.assertEqual(json.loads(said), expected)

    def told_to_a_webhook(self):
        """The headers and the body of a message that a gateway sent."""
        told = []

        class Endpoint(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                told.append((dict(self.headers), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        secret = pathlib.Path(directory.name) / "secret"
        secret.write_text(WEBHOOK_SECRET)
        gateway = programs.Gateway({"quiz": ""}, f"""
            [[webhook]]
            name = "crm"
            url = "http://127.0.0.1:{server.server_port}/"
            secret_file = "{secret}"
            allow_private = true
            batch_ms = 10
        """)
        self.addCleanup(gateway.close)
        fetch(f"{gateway.url}/v1/channels/quiz/events", "POST", '{"data":1,"id":"a"}')
        return wait_until("the webhook is told", lambda: told[0] if told else None)

    def test_the_policy_and_the_rule(self):
        (policy,) = self.json_with("Statement")
        self.assertEqual(policy["Statement"][0]["Action"], "ivs:PutMetadata")
        (rule,) = self.json_with("source")
        self.assertEqual(rule, {"source": ["aws.ivs"], "detail-type": ["IVS Stream State Change"]})

    def test_every_command_of_the_program_is_in_the_table(self):
        told = re.search(r"^Commands:\n(.*?)\n\n", self.run_shell(f"{CUEGATE} --help"), re.MULTILINE | re.DOTALL)[1]
        named = set(re.findall(r"^  ([\w-]+)", told, re.MULTILINE)) - {"help"}
        rows = re.findall(r"^\| (`cuegate [^|]+)", (SOURCE / "operations.md").read_text(), re.MULTILINE)
        self.assertEqual(set(re.findall(r"`cuegate ([\w-]+)", " ".join(rows))), named)

    @unittest.skipUnless(postgres.programs(), "CUEGATE_TEST_POSTGRES does not say where PostgreSQL's programs are")
    def test_several_nodes(self):
        database = postgres.Postgres()
        self.addCleanup(database.close)
        variables = f"CUEGATE__UPSTREAM__MODE=aws CUEGATE__CLUSTER__URL={database.url} "
        init, check, status = of("test_several_nodes")
        self.assertIn("made the tables", self.run_shell(variables + init))
        self.assertIn("wrote nothing", self.run_shell(variables + check))
        self.assertIn("nobody has owned an account", self.run_shell(variables + status))

    def test_scripts(self):
        """They take minutes, or change files: only that they can be started is tested."""
        for step in of("test_scripts"):
            words = [word for word in step.split() if "=" not in word]
            if words[0] != "cargo":
                self.assertTrue(os.access(ROOT / words[0], os.X_OK), f"{step} cannot be run")

    def test_helm_has_its_own(self):
        """Its test carries them out, as far as it goes without a cluster."""
        self.assertEqual(of("test_helm_has_its_own"), test_helm.commands())

    def test_the_sbom(self):
        for step in of("test_the_sbom"):
            printed = self.run_shell(step).strip()
            self.assertIn(f"`{printed}`", CONTRIBUTING.read_text())
            self.assertTrue((ROOT / printed).is_file())


if __name__ == "__main__":
    unittest.main()

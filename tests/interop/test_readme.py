"""The README: short enough to be read, and every command in it is run. What it leads to is the book's,
in test_docs.py and test_book.py."""

import json
import os
import re
import unittest

import documents
from documents import README
from programs import ROOT, wait_until
from written import CARGO_RUN, Written

TEXT = README.read_text()
WORDS = 900
# What is seen without scrolling, or nearly.
FIRST_SCREEN = 50
CUEGATE = "target/release/cuegate"

# The beginning of a command, and the test that runs it.
RUNNERS = {
    CARGO_RUN: "test_the_first_screen",
    "curl ": "test_the_first_screen",
    f"{CUEGATE} tail": "test_the_first_screen",
    f"{CUEGATE} top": "test_the_first_screen",
    f"{CUEGATE} check-config": "test_aws_steps",
    f"{CUEGATE} serve": "test_aws_steps",
    "./run-tests": "test_the_test_command",
}


def of(runner):
    """The commands that a test has to run."""
    mine = tuple(start for start, name in RUNNERS.items() if name == runner)
    found = [command for command in documents.commands(TEXT) if command.startswith(mine)]
    assert found, f"{runner} has nothing to run"
    return found


class Readme(Written):
    def test_it_is_short(self):
        self.assertLessEqual(len(TEXT.split()), WORDS)

    def test_every_command_has_a_runner(self):
        for language, _ in documents.blocks(TEXT):
            self.assertIn(language, {"sh", "json"})
        for command in documents.commands(TEXT):
            self.assertTrue(command.startswith(tuple(RUNNERS)), f"nothing runs {command!r}")
        for name in RUNNERS.values():
            self.assertTrue(callable(getattr(self, name)))

    def test_the_first_screen(self):
        """The program runs, and the payload that is shown comes out of it."""
        screen = "\n".join(TEXT.splitlines()[:FIRST_SCREEN])
        (shown,) = [json.loads(text) for language, text in documents.blocks(screen) if language == "json"]
        start, tail, *rest = of("test_the_first_screen")
        self.assertEqual(start, CARGO_RUN)
        self.assertIn(tail, screen)
        gateway = self.start_gateway(start)
        tail = self.follow(tail)
        for step in rest:
            answer = self.run_shell(step)
            if "/events" in step:
                self.assertIn(step, screen)
                self.assertEqual(json.loads(answer)["accepted"], 3)
        wait_until("tail shows it", lambda: "\n" in tail.text())
        (line,) = tail.text().splitlines()
        self.assertEqual({**json.loads(line), "n": 0}, {**shown, "n": 0})
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

    def test_the_test_command(self):
        """What runs this test."""
        for step in of("test_the_test_command"):
            script = ROOT / step
            self.assertTrue(os.access(script, os.X_OK))
            self.assertTrue(re.search(r"unittest discover .*tests/interop", script.read_text()))


if __name__ == "__main__":
    unittest.main()

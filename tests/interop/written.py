"""A test of commands that a document has: they are run as they are written, but for the addresses (a
test must not need port 8080). Nothing is asserted here but that a command succeeds."""

import os
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import programs
from programs import ROOT, Addresses, Process, environment

# `cargo run` may have to build first.
BUILD_S = 600
CARGO_RUN = "cargo run --release"


class Written(unittest.TestCase):
    def setUp(self):
        self.addresses = Addresses()
        # What an earlier run has sent is remembered in a journal for minutes.
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.journal = f"{directory.name}/journal"

    def here(self, command):
        """The command with this test's addresses and binaries."""
        for default, ours in [
            ("127.0.0.1:8080", self.addresses.producers),
            ("127.0.0.1:9464", self.addresses.metrics),
            ("127.0.0.1:8081", self.addresses.admin),
            ("127.0.0.1:4580", self.addresses.ivs),
        ]:
            command = command.replace(default, ours)
        # Whoever names binaries wants these to be tested, and not others to be built.
        if "CUEGATE_TEST_BINARIES" in os.environ:
            command = command.replace(CARGO_RUN, f"{programs.BINARIES}/cuegate")
        # A refusal is a failure of the command.
        command = command.replace("curl -s ", "curl -s --fail-with-body ")
        return command.replace("target/release", str(programs.BINARIES))

    def environment(self):
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return environment(
            PATH=path, CUEGATE_URL=f"http://{self.addresses.producers}", CUEGATE_ADMIN_URL=f"http://{self.addresses.admin}",
            CUEGATE__JOURNAL__DIR=self.journal,
            **self.addresses.variables(),
        )

    def run_shell(self, command):
        ended = subprocess.run(
            ["sh", "-c", self.here(command)],
            cwd=ROOT, env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )
        self.assertEqual(ended.returncode, 0, (command, ended.stdout, ended.stderr))
        return ended.stdout

    def run_with(self, arguments, text):
        """A program with a text to run, where it finds what npm installed."""
        ended = subprocess.run(
            arguments, cwd=ROOT / "target" / "node", env=self.environment(), input=self.here(text), capture_output=True, text=True,
            timeout=60,
        )
        self.assertEqual(ended.returncode, 0, (text, ended.stdout, ended.stderr))
        return ended.stdout

    def start(self, command, **more):
        arguments = shlex.split(self.here(command))
        process = Process(arguments, {**self.environment(), **more}, cwd=ROOT)
        self.addCleanup(process.close)
        return process

    def start_gateway(self, command, **more):
        """Until it is ready, though Cargo may build it first."""
        gateway = self.start(command, **more)
        before, programs.DEADLINE_S = programs.DEADLINE_S, BUILD_S
        try:
            gateway.wait_for(f"http://{self.addresses.metrics}/readyz")
        finally:
            programs.DEADLINE_S = before
        return gateway

    def follow(self, command):
        """A command that prints what is delivered, once it is connected."""
        process = self.start(command)
        metrics = f"http://{self.addresses.metrics}/metrics"
        connected = 'cuegate_connections{transport="http"} 1'
        programs.wait_until("tail is connected", lambda: connected in programs.fetch(metrics)[2])
        return process

"""A stranger's afternoon: a Debian that has nothing, the package, and what the book's chapter on a quiz says, until the tally is on
the picture. `run-tests` makes the Debian, in target/debian, where it may (root)."""

import importlib.machinery
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

import documents
import programs
from browser import Browser
from programs import ROOT, Process, wait_until
from written import Written

CHAPTER = documents.SOURCE / "quiz.md"
DEBIAN = ROOT / "target" / "debian"
CARGO_DEB = ROOT / "target" / "tools" / "bin" / "cargo-deb"
MOST = 10
# Of a picture that must load on a busy machine.
PATIENCE_S = 60


def package(to):
    """The Debian package: cargo-deb's where `release/make` has installed it, else one of the same files and scripts."""
    path = str(ROOT / "release" / "make")
    sys.path.insert(0, str(ROOT / "release"))
    loader = importlib.machinery.SourceFileLoader("release_make", path)
    make = importlib.util.module_from_spec(importlib.util.spec_from_loader("release_make", loader))
    loader.exec_module(make)
    make.stage(programs.BINARIES)
    if CARGO_DEB.exists():
        command = [CARGO_DEB, "--no-build", "--no-strip", "--fast", "--locked", "--output", to]
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    about = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]
    with tempfile.TemporaryDirectory() as directory:
        tree = Path(directory) / "tree"
        shutil.copytree(make.STAGE, tree)
        tree.chmod(0o755)
        control = tree / "DEBIAN"
        shutil.copytree(ROOT / about["metadata"]["deb"]["maintainer-scripts"], control)
        for script in control.iterdir():
            script.chmod(0o755)
        depends = about["metadata"]["deb"]["depends"].replace("$auto", "libc6")
        processor = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()
        fields = {
            "Package": about["name"], "Version": make.version(), "Architecture": processor, "Depends": depends,
            "Maintainer": about["metadata"]["deb"]["maintainer"], "Description": about["description"],
        }
        (control / "control").write_text("".join(f"{name}: {value}\n" for name, value in fields.items()))
        (control / "conffiles").write_text("".join(f"{name}\n" for name in about["metadata"]["deb"]["conf-files"]))
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, to], capture_output=True, check=True)


@unittest.skipUnless((DEBIAN / "made").exists(), "run-tests makes target/debian where it is root")
class Afternoon(Written):
    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name) / "root"
        subprocess.run(["cp", "-a", f"{DEBIAN}/.", self.root], check=True)
        # The terminal's directory.
        package(self.root / "root" / "cuegate_0_all.deb")
        self.journal = "/root/journal"

    def inside(self, command):
        """The arguments that run a command of the book in the clean root, with this test's addresses."""
        variables = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "CUEGATE_URL": f"http://{self.addresses.producers}",
            "CUEGATE_ADMIN_URL": f"http://{self.addresses.admin}", "CUEGATE__JOURNAL__DIR": self.journal, **self.addresses.variables(),
            # Whoever sets anything must say that it is meant; the chapter sets nothing.
            "CUEGATE__UPSTREAM__MODE": "local",
        }
        given = [f"{name}={value}" for name, value in variables.items()]
        return ["chroot", self.root, "env", "-i", *given, "sh", "-c", f"cd && {command}"]

    def run_shell(self, command):
        ended = subprocess.run(
            self.inside(self.here(command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S
        )
        self.assertEqual(ended.returncode, 0, (command, ended.stdout, ended.stderr))
        return ended.stdout

    def test_from_the_package_to_the_picture(self):
        steps = documents.commands(documents.read(CHAPTER))
        self.assertLessEqual(len(steps), MOST)
        install, version, serve, ready, quiz, after, lost = steps
        self.run_shell(install)
        self.assertIn(tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"], self.run_shell(version))
        gateway = Process(self.inside(f"exec {serve}"), os.environ)
        self.addCleanup(gateway.close)
        gateway.wait_for(f"http://{self.addresses.metrics}/readyz")
        self.assertIn("live", self.run_shell(ready))
        browser = self.watch()
        (program,) = documents.blocks_of(CHAPTER, "python")
        (self.root / "root" / "quiz.py").write_text(self.here(program))
        tally = json.loads(self.run_shell(quiz))
        self.assertEqual(sum(tally.values()), 10_000)
        # On the picture, in the order in which they were sent, and the state beside it.
        heard = lambda: browser.texts("#heard code")[::-1]
        wait_until("the end of the question", lambda: heard() and heard()[-1] == json.dumps(tally, separators=(",", ":")), PATIENCE_S)
        self.assertIn("Which planet is larger?", heard()[0])
        state = browser.text("#values")
        self.assertEqual((state[:7], json.loads(state.removeprefix("answers"))), ("answers", tally))
        self.assertIn("live", self.run_shell(after))
        self.run_shell(lost)
        self.assertEqual(programs.fetch(f"http://{self.addresses.admin}/admin/dead-letters")[0], 200)
        self.assertEqual(gateway.stop(), 0, gateway.text())

    def watch(self):
        """The page that the chapter names, and the click."""
        (page,) = [part for part in documents.read(CHAPTER).split("<") if part.startswith("http://127.0.0.1:8081/")]
        browser = Browser()
        self.addCleanup(browser.quit)
        browser.open(self.here(page.partition(">")[0]))
        browser.click("#watch")
        at = lambda: browser.run("return document.querySelector('video').currentTime")
        began = at()
        wait_until("the picture goes on", lambda: at() > began + 0.5, PATIENCE_S)
        return browser


if __name__ == "__main__":
    unittest.main()

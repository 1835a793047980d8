"""The library for players as one file, which is in the console. Nothing is asserted here."""

import subprocess

from programs import ROOT, environment

FILE = ROOT / "src" / "admin" / "console" / "player.js"
SOURCE = ROOT / "player" / "src"
ESBUILD = ROOT / "target" / "node" / "node_modules" / "esbuild" / "bin" / "esbuild"
HEAD = "// Made from player/src by tests/interop/bundle.py. CONTRIBUTING.md says how to make it anew.\n"
# What the console takes of it.
ENTRY = """
export { attach } from "./attach.js";
export { decode } from "./decode.js";
export { Slices } from "./slices.js";
"""


def made():
    """The file's text. It is not minified, so that a change can be read."""
    command = [ESBUILD, "--bundle", "--format=esm", "--target=es2022", "--charset=utf8", "--loader=ts"]
    # Its names for the files begin where it runs.
    ended = subprocess.run(command, input=ENTRY, cwd=SOURCE, env=environment(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return HEAD + ended.stdout

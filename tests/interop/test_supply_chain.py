"""What deny.toml allows has its reason; that no more comes in, `run-tests` has cargo-deny check. And
the document that `./sbom` writes: whether it is CycloneDX, and lists what Cargo builds the programs
from, each crate as its manifest and Cargo.lock have it."""

import json
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing
from packageurl import PackageURL

from programs import ROOT, environment

# What Cargo needs to know the graph, and the script itself.
SOURCES = ("Cargo.toml", "Cargo.lock", "benches", "crates", "src", "sbom")
# Only what the tests built in another way is built again.
BUILD_S = 600


def run(*arguments, cwd=ROOT):
    ended = subprocess.run(arguments, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=BUILD_S)
    assert ended.returncode == 0, (arguments, ended.stdout, ended.stderr)
    return ended.stdout


def written(root):
    """What `./sbom` writes there."""
    printed = run("./sbom", cwd=root)
    return (root / printed.strip()).read_text()


def built():
    """Every package that the compiler was, or would be, called for, by name and version: Cargo tells
    of those that are fresh too."""
    packages = json.loads(run("cargo", "metadata", "--locked", "--format-version=1"))["packages"]
    by_id = {package["id"]: package for package in packages}
    lines = run("cargo", "build", "--release", "--locked", "--message-format=json").splitlines()
    messages = [json.loads(line) for line in lines]
    used = [by_id[message["package_id"]] for message in messages if message["reason"] == "compiler-artifact"]
    return {(package["name"], package["version"]): package for package in used}


class Deny(unittest.TestCase):
    def test_every_entry_says_why(self):
        bans = tomllib.loads((ROOT / "deny.toml").read_text())["bans"]
        for entry in bans["deny"] + bans["skip"] + bans["skip-tree"]:
            self.assertTrue(entry.get("reason"), entry["crate"])


class Sbom(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = written(ROOT)
        cls.document = json.loads(cls.text)
        cls.root = cls.document["metadata"]["component"]
        cls.components = [cls.root, *cls.document["components"]]
        cls.built = built()
        locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
        cls.locked = {(package["name"], package["version"]): package for package in locked}

    def package(self, component):
        return self.built[component["name"], component["version"]]

    def test_it_is_cyclonedx(self):
        self.assertEqual(self.document["specVersion"], "1.6")
        self.assertIsNone(JsonStrictValidator(SchemaVersion.V1_6).validate_str(self.text))

    def test_it_lists_what_is_built(self):
        listed = [(component["name"], component["version"]) for component in self.components]
        self.assertCountEqual(listed, self.built)

    def test_it_names_the_programs(self):
        programs = {component["name"] for component in self.components if component["type"] == "application"}
        self.assertEqual(programs, {"cuegate", "local-ivs"})
        self.assertEqual(self.root["name"], "cuegate")

    def test_licences(self):
        spdx = get_spdx_licensing()
        for component in self.components:
            (licence,) = component["licenses"]
            expression = licence["expression"]
            self.assertEqual(spdx.validate(expression).errors, [], component["name"])
            theirs = re.split(r"\s*/\s*|\s+OR\s+", self.package(component)["license"])
            self.assertEqual(expression.split(" OR "), theirs, component["name"])

    def test_checksums_and_purls(self):
        for component in self.components:
            name, version = component["name"], component["version"]
            if self.package(component)["source"] is None:
                self.assertFalse({"hashes", "purl"} & set(component), f"{name} is ours, and on no registry")
                continue
            self.assertEqual(component["hashes"], [{"alg": "SHA-256", "content": self.locked[name, version]["checksum"]}])
            self.assertEqual(PackageURL.from_string(component["purl"]), PackageURL("cargo", None, name, version))

    def test_every_crate_is_there_for_another(self):
        uses = {entry["ref"]: entry["dependsOn"] for entry in self.document["dependencies"]}
        self.assertEqual(sorted(uses), sorted(component["bom-ref"] for component in self.components))
        for component in self.components:
            # Cargo.lock has those of tests and of features that are off as well.
            possible = {entry.split()[0] for entry in self.locked[component["name"], component["version"]].get("dependencies", [])}
            used = {reference.partition("@")[0] for reference in uses[component["bom-ref"]]}
            self.assertLessEqual(used, possible, component["name"])
        reached, ahead = set(), [self.root["bom-ref"]]
        while ahead:
            reference = ahead.pop()
            if reference not in reached:
                reached.add(reference)
                ahead += uses[reference]
        self.assertEqual(reached, set(uses))

    def test_another_checkout_gives_the_same(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        there = Path(directory.name).resolve()
        for source in SOURCES:
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, there / source)
        self.assertEqual(written(there), self.text)


if __name__ == "__main__":
    unittest.main()

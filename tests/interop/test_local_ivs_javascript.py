"""AWS's SDK for JavaScript, as it is, against the emulator: `javascript/local_ivs.cjs`, with what
`run-tests` put into target/node."""

import json
import subprocess
import unittest

import programs

SCRIPT = programs.ROOT / "tests" / "interop" / "javascript" / "local_ivs.cjs"
MODULES = programs.ROOT / "target" / "node" / "node_modules"


class JavaScript(unittest.TestCase):
    def test_the_sdk(self):
        process = programs.LocalIvs()
        self.addCleanup(process.close)
        ended = subprocess.run(
            ["node", SCRIPT, process.url],
            env=programs.environment(NODE_PATH=str(MODULES), AWS_EC2_METADATA_DISABLED="true"),
            capture_output=True, text=True, timeout=120,
        )
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_the_version_is_the_one_that_was_asked_for(self):
        wanted = json.loads((SCRIPT.parent / "package.json").read_text())["dependencies"]
        for name, version in wanted.items():
            installed = json.loads((MODULES / name / "package.json").read_text())["version"]
            self.assertEqual(installed, version, f"{name}: ./run-tests installs it")

    def test_the_lock_names_no_host(self):
        """It must work with whatever registry npm is set to."""
        packages = json.loads((SCRIPT.parent / "package-lock.json").read_text())["packages"]
        for path, package in packages.items():
            self.assertNotIn("resolved", package)
            self.assertTrue("integrity" in package or not path, path)
        self.assertIn("node_modules/@aws-sdk/client-ivs", packages)


if __name__ == "__main__":
    unittest.main()

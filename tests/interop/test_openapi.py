"""The document of the HTTP surface: that it is OpenAPI 3.1, and that a gateway answers as it
says, to requests that schemathesis makes of it."""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import schemathesis
from openapi_spec_validator import OpenAPIV31SpecValidator

import programs
from schemathesis_hooks import CHANNEL

HERE = pathlib.Path(__file__).parent
SECRET = "secret-of-the-test"
# About a minute; this is for one that hangs.
RUN_S = 1800
EVENTS = "/v1/channels/{channel}/events"


class Document(unittest.TestCase):
    def setUp(self):
        channels = {CHANNEL: "", "full": "queue_max_events = 1", "off": 'offline = "reject"'}
        self.gateway = programs.Gateway(channels, CUEGATE__EVENTBRIDGE__SECRET=SECRET)
        self.addCleanup(self.gateway.close)
        self.url = f"{self.gateway.url}/openapi.json"

    def test_it_is_openapi_3_1(self):
        status, headers, text = programs.fetch(self.url)
        self.assertEqual((status, headers["content-type"]), (200, "application/json"))
        document = json.loads(text)
        self.assertTrue(document["openapi"].startswith("3.1."))
        OpenAPIV31SpecValidator(document).validate()

    def test_answers_that_chance_does_not_find(self):
        document = schemathesis.openapi.from_url(self.url)

        def ask(channel, body, **query):
            parts = {"path_parameters": {"channel": channel}, "query": query, "body": body}
            case = document[EVENTS]["POST"].Case(media_type="application/json", **parts)
            return case.call_and_validate().status_code

        self.gateway.emulator.stream("off", "offline")
        self.assertEqual(ask("off", {"data": 1}), 202)
        programs.wait_until("it is offline", lambda: self.gateway.status("off")["state"] == "offline")
        programs.fetch(f"{self.gateway.url}/v1/channels/full/pause", "POST")
        one, two, large = {"data": 1}, [{"data": 1}, {"data": 2}], {"data": "x" * 1100}
        for expected, channel, body, query in [
            (413, CHANNEL, large, {}),
            (413, CHANNEL, [large, large], {}),
            (413, CHANNEL, [one, large], {"atomic": "true"}),
            (422, CHANNEL, [one, {"data": 1, "key": "é" * 65}], {"atomic": "true"}),
            (202, "full", two, {"wait": "delivered", "timeout_ms": 0}),
            (429, "full", one, {}),
            (429, "full", two, {}),
            (409, "off", one, {}),
        ]:
            with self.subTest(expected=expected, channel=channel, query=query):
                self.assertEqual(ask(channel, body, **query), expected)

    def test_schemathesis_finds_no_failure(self):
        ended = subprocess.run(
            [
                pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "schemathesis.toml",
                "run", self.url, "--phases", "examples,coverage,fuzzing", "--checks", "all", "--no-color",
            ],
            cwd=self.gateway.directory.name, env=dict(os.environ, PYTHONPATH=str(HERE), CUEGATE_URL=self.gateway.url),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RUN_S,
        )
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        generated, passed = map(int, re.search(r"(\d+) generated, (\d+) passed", ended.stdout).groups())
        self.assertEqual(passed, generated, ended.stdout)
        self.assertGreater(generated, 1000, ended.stdout)
        # It has seen the gateway, and the gateway has lived through it.
        self.assertGreater(self.gateway.status(CHANNEL)["totals"]["accepted"], 100, ended.stdout)
        self.assertEqual(self.gateway.stop(), 0, self.gateway.text())


if __name__ == "__main__":
    unittest.main()

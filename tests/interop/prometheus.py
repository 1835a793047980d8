"""The real Prometheus and its promtool, as Debian ships them; ./run-tests unpacks them below
target/. Nothing is asserted here."""

import json
import os
import pathlib
import subprocess
import tempfile
import urllib.parse

from programs import ROOT, Process, environment, fetch, free_port

BIN = pathlib.Path(os.environ.get("CUEGATE_TEST_PROMETHEUS", ROOT / "target/prometheus/usr/bin"))


def promtool(*arguments, cwd=None, given=None):
    """Exit code and all that it said."""
    ended = subprocess.run(
        [BIN / "promtool", *arguments], cwd=cwd, input=given, capture_output=True, text=True, timeout=120, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


class Prometheus(Process):
    """With this configuration, and files beside it."""

    def __init__(self, config, files):
        self.directory = tempfile.TemporaryDirectory()
        home = pathlib.Path(self.directory.name)
        for name, text in {**files, "prometheus.yml": config}.items():
            (home / name).write_text(text)
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        arguments = [
            BIN / "prometheus",
            f"--config.file={home}/prometheus.yml",
            f"--storage.tsdb.path={home}/data",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ]
        super().__init__(arguments, environment(), cwd=home)
        self.wait_for(f"{self.url}/-/ready")

    def get(self, path, **parameters):
        status, _, text = fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(text)
        if status != 200 or answer["status"] != "success":
            raise AssertionError((path, parameters, text))
        return answer["data"]

    def query(self, expression):
        """Labels and value of each series that an instant query gives."""
        data = self.get("query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(entry["metric"], float(entry["value"][1])) for entry in data["result"]]

    def firing(self):
        """The names of the alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self.get("alerts")["alerts"] if alert["state"] == "firing"}

    def close(self):
        super().close()
        self.directory.cleanup()

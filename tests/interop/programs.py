"""Starts the real binaries for the tests beside it, each on ports of its own, and ends them
by their handles. Nothing is asserted here."""

import hashlib
import json
import os
import pathlib
import random
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("CUEGATE_TEST_BINARIES", ROOT / "target" / "release"))
ACCOUNT = "000000000000"
DEADLINE_S = 20


def arn(name):
    return f"arn:aws:ivs:us-west-2:{ACCOUNT}:channel/{name}"


GIVEN = set()


def free_port():
    """Below the range that outgoing connections take their ports from; never the same twice, because a
    program that is started again comes back to its own."""
    while True:
        port = random.randrange(10_000, 32_000)
        if port in GIVEN:
            continue
        GIVEN.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_until(what, look, seconds=None):
    seconds = seconds or DEADLINE_S
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def environment(**more):
    """The environment without anything that could configure the programs or an AWS client."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CUEGATE_"))}
    kept.update(
        AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test",
        AWS_CONFIG_FILE="/dev/null",
        AWS_SHARED_CREDENTIALS_FILE="/dev/null",
        AWS_EC2_METADATA_DISABLED="true",
    )
    kept.update(more)
    return kept


def fetch(url, method="GET", body=None, **more):
    """Status, headers and text of an answer, whatever the status. `more` are headers."""
    data = body.encode() if isinstance(body, str) else body
    headers = {"content-type": "application/json"} if body else {}
    headers |= more
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


def is_up(url):
    try:
        return fetch(url)[0] == 200
    except OSError:
        return False


def key_table(name, key, scopes, more='channels = ["*"]'):
    """The lines of a configuration for an API key."""
    hashed = hashlib.sha256(key.encode()).hexdigest()
    return f'[[api_key]]\nname = "{name}"\nsha256 = "{hashed}"\nscopes = {json.dumps(scopes)}\n{more}\n'


class Emulator:
    """The local IVS, in a process of its own or in the gateway's."""

    def __init__(self, url):
        self.url = url

    def taken(self, channel):
        _, _, text = fetch(f"{self.url}/_local/channels/{arn(channel)}/metadata")
        return [entry["metadata"] for entry in json.loads(text)["metadata"]]

    def wait_for(self, channel, text, number):
        """Until it took this text so often."""
        wait_until(f"{number} of {text!r}", lambda: self.taken(channel).count(text) >= number)

    def stream(self, channel, state):
        status, _, text = fetch(
            f"{self.url}/_local/channels/{arn(channel)}/stream", "POST", json.dumps({"state": state})
        )
        assert status == 200, text

    def report(self):
        return json.loads(fetch(f"{self.url}/_local/report")[2])


class Process:
    def __init__(self, arguments, env, cwd=None):
        self.log = tempfile.TemporaryFile("w+")
        self.child = subprocess.Popen(
            arguments, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )

    def text(self):
        # Its own position is shared with the child's: read through another handle.
        return pathlib.Path(f"/proc/self/fd/{self.log.fileno()}").read_text()

    def wait_for(self, url):
        def look():
            if self.child.poll() is not None:
                raise AssertionError(f"it ended at once: {self.text()}")
            return is_up(url)

        wait_until(f"{url} answers", look)

    def stop(self):
        """SIGTERM, and its exit code."""
        if self.child.poll() is None:
            self.child.terminate()
        try:
            return self.child.wait(DEADLINE_S)
        finally:
            self.child.kill()
            self.child.wait()

    def close(self):
        self.child.kill()
        self.child.wait()
        self.log.close()


class LocalIvs(Process):
    def __init__(self, *arguments):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        super().__init__([BINARIES / "local-ivs", "--listen", f"127.0.0.1:{port}", *arguments], environment())
        self.wait_for(f"{self.url}/_local/report")
        self.emulator = Emulator(self.url)


class Addresses:
    """The four listeners of a gateway."""

    def __init__(self):
        self.producers, self.metrics, self.admin, self.ivs = (f"127.0.0.1:{free_port()}" for _ in range(4))

    def variables(self):
        return {
            "CUEGATE__SERVER__LISTEN": self.producers,
            "CUEGATE__METRICS__LISTEN": self.metrics,
            "CUEGATE__ADMIN__LISTEN": self.admin,
            "CUEGATE__LOCAL_IVS__LISTEN": self.ivs,
        }


class Gateway(Process):
    """In local mode, with these channels: a name and more lines of its table each. `rest` is more
    of its file, `variables` more of its environment. Returns when `probe` is answered by 200."""

    def __init__(self, channels, rest="", probe="readyz", **variables):
        self.directory = tempfile.TemporaryDirectory()
        self.config = pathlib.Path(self.directory.name) / "cuegate.toml"
        tables = (f'[[channel]]\nname = "{name}"\narn = "{arn(name)}"\n{keys}\n' for name, keys in channels.items())
        self.config.write_text('[upstream]\nmode = "local"\n' + "".join(tables) + rest)
        self.addresses = Addresses()
        self.url = f"http://{self.addresses.producers}"
        super().__init__(
            [BINARIES / "cuegate", "serve", "--config", self.config],
            environment(**self.addresses.variables(), **variables),
            cwd=self.directory.name,
        )
        self.wait_for(f"http://{self.addresses.metrics}/{probe}")
        self.emulator = Emulator(f"http://{self.addresses.ivs}")

    def status(self, channel):
        return json.loads(fetch(f"{self.url}/v1/channels/{channel}")[2])

    def scrape(self):
        return fetch(f"http://{self.addresses.metrics}/metrics")[2]

    def drained(self, channel):
        wait_until("the queue is empty", lambda: self.status(channel)["queued"] == 0)

    def close(self):
        super().close()
        self.directory.cleanup()

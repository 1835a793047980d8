"""A PostgreSQL for a test, on loopback, of the programs that CUEGATE_TEST_POSTGRES names. Nothing is
asserted here."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from programs import free_port, wait_until

# Debian's `nobody`: the server refuses to run as root.
NOBODY = "65534"
SETTINGS = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB"]


def programs():
    """Where they are; none: the tests that need them say that they were skipped."""
    return os.environ.get("CUEGATE_TEST_POSTGRES")


class Postgres:
    """A server with a role `cuegate` that needs no password."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp())
        data = self.directory / "data"
        self.user = []
        if os.getuid() == 0:
            shutil.chown(self.directory, int(NOBODY), int(NOBODY))
            self.user = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]
        made = ["--auth=trust", "--username=cuegate", "--locale=C", "--encoding=UTF8", "--no-sync", "--pgdata", str(data)]
        subprocess.run(self.command("initdb") + made, env=self.environment(), stdout=subprocess.DEVNULL, check=True)
        port = free_port()
        settings = [word for setting in [*SETTINGS, f"port={port}"] for word in ("-c", setting)]
        self.process = subprocess.Popen(
            self.command("postgres") + ["-D", str(data), *settings],
            env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        state = data / "postmaster.pid"
        wait_until("the database is ready", lambda: state.exists() and "ready" in state.read_text())
        self.url = f"postgres://cuegate@127.0.0.1:{port}/postgres"

    def command(self, name):
        return [*self.user, f"{programs()}/{name}"]

    def environment(self):
        libraries = os.environ.get("CUEGATE_TEST_POSTGRES_LIBRARIES", "")
        return {**os.environ, "LD_LIBRARY_PATH": libraries} if libraries else dict(os.environ)

    def close(self):
        # It ends its sessions, and then itself.
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory)

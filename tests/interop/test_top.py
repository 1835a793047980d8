"""`cuegate top` on a terminal: it refreshes, fits, and outlives the gateway."""

import os
import pty
import re
import subprocess
import threading
import unittest

import programs
from programs import BINARIES, environment, wait_until


class Terminal:
    """A program on a terminal of 90 columns and 12 lines; what it wrote is kept."""

    def __init__(self, arguments):
        self.ours, theirs = pty.openpty()
        self.child = subprocess.Popen(
            arguments, env=environment(COLUMNS="90", LINES="12"), stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.seen = b""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        # The terminal ends with an error once nobody has its other side.
        try:
            while some := os.read(self.ours, 65536):
                self.seen += some
        except OSError:
            pass

    def screens(self):
        """Every screen but the last, which may not be whole, without control sequences."""
        whole = self.seen.decode(errors="replace").split("\x1b[H")[1:-1]
        return [re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\r", "", screen) for screen in whole]

    def close(self):
        self.child.kill()
        self.child.wait()
        self.reader.join()
        os.close(self.ours)


class Top(unittest.TestCase):
    def test_it_refreshes_and_outlives_the_gateway(self):
        gateway = programs.Gateway({f"show-{n:02}": "" for n in range(20)})
        self.addCleanup(gateway.close)
        terminal = Terminal([BINARIES / "cuegate", "top", "--url", gateway.url, "--interval", "0.1"])
        self.addCleanup(terminal.close)
        wait_until("two tables", lambda: len([s for s in terminal.screens() if "show-00" in s]) > 1)
        self.assertIn("20 channels, 11 not shown", terminal.screens()[-1])
        gateway.stop()
        wait_until("it says that the gateway is away", lambda: "Trying again" in terminal.screens()[-1])
        self.assertIn("show-00", terminal.screens()[-1], "what was known last stays")
        again = programs.Process(
            [BINARIES / "cuegate", "serve", "--config", gateway.config],
            environment(**gateway.addresses.variables()),
            cwd=gateway.directory.name,
        )
        self.addCleanup(again.close)
        count = len(terminal.screens())
        wait_until("it is back", lambda: any("Trying again" not in s for s in terminal.screens()[count:]))
        for screen in terminal.screens():
            lines = screen.splitlines()
            self.assertLess(len(lines), 12, screen)
            self.assertLessEqual(max(map(len, lines)), 90, screen)


if __name__ == "__main__":
    unittest.main()

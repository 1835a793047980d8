"""What producers write must not steer the terminal of whoever looks at it: the commands that print it, on a
terminal and through a pipe."""

import json
import os
import pty
import subprocess
import unittest

from programs import BINARIES, Gateway, environment, fetch, wait_until

# Writes to the clipboard (OSC 52), begins a sequence in one character (CSI), and turns the direction.
NASTY = "\x1b]52;c;eA==\x07 \x9b31m \u202eabc"
STEERS = "\x1b\x07\x9b\u202e"


class Running:
    """A command whose output is read as it comes, from a terminal or from a pipe."""

    def __init__(self, arguments, on_terminal):
        self.reader, writer = pty.openpty() if on_terminal else os.pipe()
        command = [BINARIES / "cuegate", *arguments]
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=writer, env=environment())
        os.close(writer)
        os.set_blocking(self.reader, False)
        self.read = b""

    def text(self):
        try:
            while chunk := os.read(self.reader, 65536):
                self.read += chunk
        except OSError:
            # Nothing more for now, or the terminal's other side is closed.
            pass
        return self.read.decode(errors="replace").replace("\r\n", "\n")

    def close(self):
        self.child.kill()
        self.child.wait()
        os.close(self.reader)


class Terminal(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway({"raw": 'envelope = "raw"', "dead": "", "cue": ""})
        self.addCleanup(self.gateway.close)
        fault = {"kind": "error", "status": 403, "code": "AccessDeniedException", "probability": 1}
        fault["channel"] = "arn:aws:ivs:us-west-2:000000000000:channel/dead"
        status, _, text = fetch(f"{self.gateway.emulator.url}/_local/faults", "POST", json.dumps(fault))
        self.assertEqual(status, 200, text)

    def publish(self, channel):
        body = json.dumps({"data": NASTY, "type": NASTY[:30]}, ensure_ascii=False)
        status, _, text = fetch(f"{self.gateway.url}/v1/channels/{channel}/events", "POST", body)
        self.assertEqual(status, 202, text)

    def run_until(self, arguments, part, on_terminal, each=lambda: None):
        running = Running(arguments, on_terminal)
        self.addCleanup(running.close)

        def look():
            each()
            return part in running.text()

        wait_until(f"{arguments}: {part!r}", look)
        return running.text()

    def check(self, arguments, shown, as_it_is, **more):
        text = self.run_until(arguments, shown, True, **more)
        self.assertEqual([c for c in text if c in STEERS], [], repr(text))
        # Programs get every byte.
        self.assertIn(as_it_is, self.run_until(arguments, as_it_is, False, **more))

    def test_tail(self):
        for channel, shown, as_it_is in [
            ("raw", "\\u001b]52;c;eA==\\u0007 \\u009b31m \\u202eabc", NASTY),
            # JSON escapes the first of them itself.
            ("cue", "\\u009b31m \\u202eabc", "\x9b31m \u202eabc"),
        ]:
            arguments = ["tail", channel, "--url", self.gateway.url]
            # Until it listens, and beyond.
            self.check(arguments, shown, as_it_is, each=lambda: self.publish(channel))

    def test_dead_letters(self):
        self.publish("dead")
        wait_until("it is dead", lambda: self.gateway.status("dead")["queued"] == 0)
        arguments = ["dead-letters", "list", "--admin-url", f"http://{self.gateway.addresses.admin}"]
        self.check(arguments, "\\u009b31m \\u202eabc", "\x9b31m \u202eabc")


if __name__ == "__main__":
    unittest.main()

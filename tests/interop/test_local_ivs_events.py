"""Stream state changes as an HTTP endpoint behind EventBridge gets them from the emulator."""

import collections
import datetime
import http.server
import json
import re
import tempfile
import threading
import time
import unittest

import programs
from local_ivs_api import Api, arn, quoted
from wire import RFC3339, UUID

# Every event there is, by type.
KINDS = {
    "IVS Stream State Change": [
        "Session Created", "Session Ended", "Stream Start", "Stream End", "Stream Failure", "Stream Takeover",
        "Stream Takeover Failure",
    ],
    "IVS Stream Health Change": ["Starvation Start", "Starvation End"],
    "IVS Limit Breach": ["Ingest Bitrate", "Ingest Resolution", "Concurrent Broadcasts", "Concurrent Viewers"],
    "IVS Recording State Change": ["Recording Start", "Recording End", "Recording Start Failure", "Recording End Failure"],
}
LIFE = ["Session Created", "Stream Start", "Stream End", "Session Ended"]


class Receiver:
    """An HTTP endpoint that keeps what it gets, and answers with these statuses, then with 200."""

    def __init__(self, statuses=()):
        self.posts, self.statuses, self.lock = [], list(statuses), threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver.lock:
                    status = receiver.statuses.pop(0) if receiver.statuses else 200
                    receiver.posts.append((time.monotonic(), self.path, self.headers, body, status))
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/eventbridge?from=ivs"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def events(self):
        """What was taken, in its order."""
        with self.lock:
            return [json.loads(body) for _, _, _, body, status in self.posts if status == 200]

    def wait_for(self, number):
        programs.wait_until(f"{number} events came", lambda: len(self.events()) >= number)
        return self.events()


def names(events):
    return [event["detail"]["event_name"] for event in events]


class Events(unittest.TestCase):
    def setUp(self):
        self.receiver = self.receive()

    def receive(self, *statuses):
        receiver = Receiver(statuses)
        self.addCleanup(receiver.close)
        return receiver

    def start(self, *arguments):
        process = programs.LocalIvs(*arguments)
        self.addCleanup(process.close)
        return Api(process.url)

    def lives(self, api, channel, number):
        """So many streams, one after the other."""
        for _ in range(number):
            api.stream(channel, "live")
            api.stream(channel, "offline")

    def tally(self, api, **expected):
        """The report's figures, as soon as they are these."""
        last = {}

        def look():
            last.update(api.local("GET", "report")["events"])
            return all(last[name] == value for name, value in expected.items())

        try:
            programs.wait_until(f"the report says {expected}", look)
        except AssertionError as error:
            raise AssertionError(f"{error}: {last}") from None
        return last

    def test_a_stream_as_eventbridge_tells_it(self):
        api = self.start("--events-url", self.receiver.url, "--events-secret", "sesame")
        first = self.receiver.wait_for(2)
        self.assertEqual(first[0]["resources"], [arn("channel", "demo")], "live from the start")
        channel, key = api.channel(name="quiz")
        api.ingest(key["value"])
        stream = api.call("GetStream", channelArn=channel)["stream"]
        api.call("StopStream", channelArn=channel)
        events = self.receiver.wait_for(6)[2:]
        self.assertEqual(names(events), LIFE)
        for event in events:
            ours = {"id": event["id"], "time": event["time"], "event": event["detail"]["event_name"]}
            self.assertEqual(event, {
                "version": "0", "id": ours["id"], "detail-type": "IVS Stream State Change", "source": "aws.ivs",
                "account": programs.ACCOUNT, "time": ours["time"], "region": "us-west-2", "resources": [channel],
                "detail": {"event_name": ours["event"], "channel_name": "quiz", "stream_id": stream["streamId"]},
            })
            self.assertRegex(event["id"], UUID)
            self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.assertTrue(RFC3339.fullmatch(event["time"]))
        self.assertEqual(len({event["id"] for event in self.receiver.events()}), 6)
        start = stream["startTime"].strftime("%Y-%m-%dT%H:%M:%SZ")
        self.assertEqual([event["time"] for event in events[:2]], [start, start])
        for _, path, headers, body, _ in self.receiver.posts:
            self.assertEqual(path, "/v1/eventbridge?from=ivs")
            self.assertEqual(headers["x-cuegate-secret"], "sesame")
            self.assertTrue(headers["content-type"].startswith("application/json"))
            self.assertEqual(headers["host"], re.match("http://([^/]+)", self.receiver.url)[1])
            self.assertEqual(json.loads(body)["version"], "0")
        self.assertEqual(
            self.tally(api, posted=6), {"events": 6, "posted": 6, "retried": 0, "dropped": 0, "failed": 0}
        )

    def test_a_stream_that_fails(self):
        api = self.start("--events-url", self.receiver.url)
        channel, key = api.channel(name="frail")
        api.ingest(key["value"])
        api.ingest(key["value"], state="failed")
        events = self.receiver.wait_for(7)[2:]
        self.assertEqual(names(events), [*LIFE[:2], "Stream Failure", *LIFE[2:]])
        self.assertEqual({event["resources"][0] for event in events}, {channel})

    def test_life_takes_the_time_that_is_set(self):
        """Session Created, and later Stream Start; the session may end before its stream."""
        api = self.start("--events-url", self.receiver.url)
        self.receiver.wait_for(2)
        life = {"stream_start_ms": 1500, "end_ms": 1200, "session_ended_first": True}
        self.assertEqual(api.local("POST", "life", life), life)
        channel, key = api.channel()
        api.ingest(key["value"])
        self.assertEqual(api.error("GetStream", channelArn=channel)[0], "ChannelNotBroadcasting")
        self.assertEqual(api.error("UpdateChannel", arn=channel, name="x")[0], "ConflictException")
        is_live = lambda: api.error("GetStream", channelArn=channel) is None
        programs.wait_until("it is live", is_live)
        api.call("StopStream", channelArn=channel)
        self.assertFalse(is_live())
        events = self.receiver.wait_for(6)[2:]
        self.assertEqual(names(events), ["Session Created", "Stream Start", "Session Ended", "Stream End"])
        times = [datetime.datetime.fromisoformat(event["time"]).timestamp() for event in events]
        self.assertGreaterEqual(times[1] - times[0], 1)
        self.assertGreaterEqual(times[3] - times[2], 1)
        api.local("DELETE", "life")
        self.assertEqual(api.local("GET", "life"), {"stream_start_ms": 0, "end_ms": 0, "session_ended_first": False})

    def test_every_kind_of_event(self):
        """Those that happen by themselves, and any other on demand; the session remembers them."""
        api = self.start("--events-url", self.receiver.url)
        self.receiver.wait_for(2)
        channel, key = api.channel(name="vod", recordingConfigurationArn=api.recording())
        api.ingest(key["value"])
        api.ingest(key["value"], health="STARVING")
        api.ingest(key["value"], health="HEALTHY")
        api.ingest(key["value"], priority=2)
        api.ingest(key["value"], priority=1, expect=409)
        api.call("StopStream", channelArn=channel)
        events = self.receiver.wait_for(12)[2:]
        said = lambda event: event["detail"].get("event_name") or event["detail"]["recording_status"]
        self.assertEqual([said(event) for event in events], [
            "Session Created", "Stream Start", "Recording Start", "Starvation Start", "Starvation End", "Stream Takeover",
            "Stream Takeover Failure", "Stream End", "Recording End", "Session Ended",
        ])
        stream = events[0]["detail"]["stream_id"]
        for event in events:
            self.assertEqual((event["resources"], event["detail"]["channel_name"], event["detail"]["stream_id"]), ([channel], "vod", stream))
        self.assertEqual(events[6]["detail"]["code"], "StreamTakeoverInvalidPriority")
        self.assertEqual({event["detail-type"] for event in events[3:5]}, {"IVS Stream Health Change"})
        recorded = events[8]
        self.assertEqual(recorded["detail-type"], "IVS Recording State Change")
        self.assertEqual(recorded["detail"]["recording_session_stream_ids"], [stream])
        self.assertEqual(recorded["detail"]["recording_s3_bucket_name"], "recordings")
        identifier = channel.rsplit("/", 1)[1]
        self.assertRegex(recorded["detail"]["recording_s3_key_prefix"], rf"^ivs/v1/{programs.ACCOUNT}/{identifier}/\d{{4}}(/\d+){{4}}/\w+$")
        session = api.call("GetStreamSession", channelArn=channel)["streamSession"]
        self.assertEqual([event["name"] for event in session["truncatedEvents"]], [said(event) for event in reversed(events)])
        self.assertEqual([event["type"] for event in session["truncatedEvents"]], [event["detail-type"] for event in reversed(events)])

        number = 12
        for kind, each in KINDS.items():
            for name in each:
                body = {"type": kind, "name": name, "code": "Why", "detail": {"limit_value": 1}}
                api.local("POST", f"channels/{quoted(channel)}/events", body)
                number += 1
        posted = self.receiver.wait_for(number)[12:]
        member = {"IVS Limit Breach": "limit_name", "IVS Recording State Change": "recording_status"}
        got = [(event["detail-type"], event["detail"][member.get(event["detail-type"], "event_name")]) for event in posted]
        self.assertEqual(got, [(kind, name) for kind, each in KINDS.items() for name in each])
        for event in posted:
            is_accounts = event["detail"].get("limit_name", "").startswith("Concurrent")
            self.assertEqual(event["resources"], [] if is_accounts else [channel])
            self.assertEqual((event["detail"]["code"], event["detail"]["limit_value"]), ("Why", 1))

    def test_a_stream_whose_process_was_killed(self):
        """Nobody could tell then; the next start does."""
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        process = programs.LocalIvs("--data-dir", directory.name)
        self.addCleanup(process.close)
        api = Api(process.url)
        channel, key = api.channel()
        api.ingest(key["value"])
        stream = api.call("GetStream", channelArn=channel)["stream"]["streamId"]
        process.child.kill()
        process.child.wait(programs.DEADLINE_S)
        self.start("--data-dir", directory.name, "--events-url", self.receiver.url)
        ours = lambda: [event for event in self.receiver.events() if event["resources"] == [channel]]
        programs.wait_until("the end is told", lambda: len(ours()) >= 2)
        self.assertEqual(names(ours())[-2:], LIFE[2:])
        self.assertEqual({event["detail"]["stream_id"] for event in ours()}, {stream})

    def test_set_at_run_time(self):
        api = self.start()
        channel = arn("channel", "here")
        self.lives(api, channel, 1)
        self.assertEqual(api.local("GET", "events"), {"events": None})
        listed = api.local("POST", "events", {"url": self.receiver.url, "header": "X-Api-Key", "secret": "sesame"})
        self.assertNotIn("sesame", json.dumps(listed))
        self.assertEqual(api.local("GET", "events"), listed)
        self.lives(api, channel, 1)
        self.assertEqual(names(self.receiver.wait_for(4)), LIFE, "none of before")
        self.assertEqual(self.receiver.posts[0][2]["x-api-key"], "sesame")
        # Another place, then none.
        other = self.receive()
        api.local("POST", "events", {"url": other.url})
        self.lives(api, channel, 1)
        self.assertEqual(names(other.wait_for(4)), LIFE)
        self.assertNotIn("x-api-key", other.posts[0][2])
        api.local("DELETE", "events")
        self.lives(api, channel, 1)
        api.local("POST", "events", {"url": other.url})
        api.stream(channel, "live")
        self.assertEqual(names(other.wait_for(6)[4:]), LIFE[:2])
        self.assertEqual(len(self.receiver.events()), 4)

    def test_settings_that_are_wrong(self):
        api = self.start()
        for body in [
            {}, {"url": "https://127.0.0.1/"}, {"url": "not a url"}, {"url": "http://h", "header": "X"},
            {"url": "http://h", "drop": 2}, {"url": "http://h", "delay_ms": [2, 1]}, {"url": "http://h", "speed": 1},
        ]:
            status, _, text = programs.fetch(f"{api.url}/_local/events", "POST", json.dumps(body))
            self.assertEqual(status, 400, (body, text))
            self.assertTrue(json.loads(text)["error"])
        self.assertEqual(api.local("GET", "events"), {"events": None})
        for arguments in [("--events-url", "https://127.0.0.1/"), ("--events-secret", "s"), ("--events-url", "http://h", "--events-header", "X")]:
            process = programs.Process(
                [programs.BINARIES / "local-ivs", "--listen", "127.0.0.1:0", *arguments], programs.environment()
            )
            self.addCleanup(process.close)
            self.assertEqual(process.child.wait(programs.DEADLINE_S), 2, arguments)
        self.assertIn("without TLS", self.usage("--events-url", "https://127.0.0.1/"))

    def usage(self, *arguments):
        process = programs.Process([programs.BINARIES / "local-ivs", *arguments], programs.environment())
        self.addCleanup(process.close)
        process.child.wait(programs.DEADLINE_S)
        return process.text()

    def test_what_goes_wrong_by_the_seed(self):
        """Twice the same seed, twice the same events; another seed, others."""
        runs = []
        for seed in (7, 7, 8):
            receiver, api = self.receive(), self.start()
            settings = {"url": receiver.url, "drop": 0.3, "repeat": 0.3, "reorder": 0.3, "seed": seed}
            api.local("POST", "events", settings)
            channel = arn("channel", "unlucky")
            self.lives(api, channel, 10)
            dropped = self.tally(api, events=40)["dropped"]
            self.assertIn(dropped, range(1, 40))
            programs.wait_until("all came", lambda: len({e["id"] for e in receiver.events()}) == 40 - dropped)
            # The very last may still be held back; nothing after that.
            self.tally(api, posted=len(receiver.wait_for(40 - dropped)))
            events = receiver.events()
            streams = list(dict.fromkeys(event["detail"]["stream_id"] for event in events))
            runs.append([(streams.index(event["detail"]["stream_id"]), event["detail"]["event_name"]) for event in events])
            copies = collections.Counter(event["id"] for event in events)
            self.assertEqual(set(copies.values()), {1, 2}, "some came twice, with one id")
            twice = [event for event in events if copies[event["id"]] == 2]
            self.assertEqual(len({json.dumps(event) for event in twice}), len(twice) // 2)
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])

    def test_each_of_them_alone(self):
        api = self.start()
        channel = arn("channel", "alone")
        swapped = ["Stream Start", "Session Created", "Session Ended", "Stream End"]
        for settings, expected in [
            ({}, LIFE),
            ({"repeat": 1}, [name for name in LIFE for _ in range(2)]),
            ({"reorder": 1}, swapped),
            ({"delay_ms": [300, 300]}, LIFE),
        ]:
            receiver = self.receive()
            api.local("POST", "events", {"url": receiver.url, **settings})
            began = time.monotonic()
            self.lives(api, channel, 1)
            self.assertEqual(names(receiver.wait_for(len(expected))), expected, settings)
            if "delay_ms" in settings:
                self.assertGreaterEqual(receiver.posts[0][0] - began, 0.3)
        before = api.local("GET", "report")["events"]["dropped"]
        api.local("POST", "events", {"url": self.receiver.url, "drop": 1})
        self.lives(api, channel, 1)
        self.tally(api, dropped=before + 4)
        self.assertEqual(self.receiver.posts, [])

    def test_answers_that_are_not_200(self):
        """What may pass is tried again, what may not is given up; either way the API goes on."""
        receiver = self.receive(503, 429, 200, 404)
        api = self.start("--events-url", receiver.url)
        receiver.wait_for(1)
        api.stream(arn("channel", "x"), "live")
        self.tally(api, events=4, failed=1, retried=2, posted=3)
        statuses = sorted(status for *_, status in receiver.posts)
        self.assertEqual(statuses, [200, 200, 200, 404, 429, 503])

    def test_nobody_listens(self):
        nobody = f"http://127.0.0.1:{programs.free_port()}/"
        api = self.start("--events-url", nobody)
        began = time.monotonic()
        self.lives(api, arn("channel", "x"), 5)
        self.assertLess(time.monotonic() - began, 20, "the API does not wait for events: they take minutes")
        # Two of the demo channel, twenty of ours: each is tried six times.
        self.tally(api, events=22, failed=22, retried=22 * 5)


if __name__ == "__main__":
    unittest.main()

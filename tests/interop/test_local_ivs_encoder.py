"""An encoder that streams to the emulator: ffmpeg, with the command of the book. What viewers get is its picture, with the
metadata where it was put, and a browser hears each payload while its picture is on the screen.

tests/playback has the browser watch for a minute, by itself: CUEGATE_PLAYBACK=full."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

import documents
import frames
import programs
import viewers
from frames import FAR, NEAR, Offs, after, frames_off
from local_ivs_api import Api, quoted
from programs import environment, fetch, wait_until

FULL = os.environ.get("CUEGATE_PLAYBACK") == "full"
# More for longer runs by hand: four a second.
PUTS = int(os.environ.get("CUEGATE_TEST_PUTS", 24))
# What a browser has to hear, and how many seconds apart.
SEEN, APART_S = (100, 0.6) if FULL else (40, 0.25)
# Frames a second.
RATE = 25
# Longer than any test: encoders are told to stop.
STREAM_S = 600
# Starting ffmpeg takes its time on a busy machine.
PATIENCE_S = 60
ID3 = 0x102
VIDEO = 0x100


def command(ingest, key, seconds):
    """The book's, with an address and a stream key."""
    texts = documents.blocks_of(documents.SOURCE / "emulator.md", "text")
    (written,) = [text for text in texts if text.startswith("ffmpeg ")]
    for old, new in [("127.0.0.1:1935", ingest), ("STREAM_KEY", key), ("-t 60", f"-t {seconds}")]:
        assert old in written, (old, written)
        written = written.replace(old, new)
    return [*shlex.split(written), "-nostdin", "-loglevel", "warning"]


def marked(source):
    """The source of a picture with the number of each frame on it, as the emulator's own test picture has it: ten blocks at
    the top, of which the first is white, the next eight are the number's bits, and the last makes the white ones of these nine even."""
    number = f"mod(N,{frames.LOOP})"
    bits = "+".join(f"mod(floor({number}/{2 ** bit}),2)" for bit in range(8))
    block = f"if(eq(X,0),1,if(eq(X,9),mod({bits},2),mod(floor({number}/pow(2,8-X)),2)))"
    # A pixel a block, which is cheap to compute.
    strip = f"color=size=10x2:rate={RATE},format=gray,geq=lum='255*{block}',scale=320:32:flags=neighbor"
    return f"{source}[picture];{strip}[strip];[picture][strip]overlay"


def units(data, pid):
    """PTS and payload of each PES packet of a stream."""
    whole = []
    for at in range(0, len(data), 188):
        packet = data[at : at + 188]
        assert packet[0] == 0x47 and len(packet) == 188, at
        if int.from_bytes(packet[1:3], "big") & 0x1FFF != pid:
            continue
        start = 4 if not packet[3] & 0x20 else 5 + packet[4]
        if packet[1] & 0x40:
            whole.append(b"")
        whole[-1] += packet[start:]
    found = []
    for pes in whole:
        stamp = int.from_bytes(pes[9:14], "big")
        pts = (stamp >> 3 & 7 << 30) | (stamp >> 2 & 0x7FFF << 15) | (stamp >> 1 & 0x7FFF)
        found.append((pts, pes[9 + pes[8] :]))
    return found


class Viewer(threading.Thread):
    """Reads the playlist as a player does, and keeps every segment with the time at which it began."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.segments, self.is_over = url, {}, False

    def run(self):
        while not self.is_over:
            status, _, text = fetch(self.url)
            if status == 200:
                for began, name in re.findall(r"PROGRAM-DATE-TIME:(.*)\n.*\n(.*)\n", text):
                    if name not in self.segments:
                        with urllib.request.urlopen(urllib.parse.urljoin(self.url, name), timeout=10) as answer:
                            self.segments[name] = (began, answer.read())
            time.sleep(0.1)

    def all(self):
        """Time and bytes, oldest first."""
        return [self.segments[name] for name in sorted(list(self.segments))]


def seconds(text):
    """Of an RFC 3339 time, since the Unix epoch."""
    whole, fraction = text.rstrip("Z").split(".")
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone + float(f"0.{fraction}")


class Encoder(unittest.TestCase):
    def setUp(self):
        self.assertTrue(shutil.which("ffmpeg"), "ffmpeg is missing: run-tests installs it")
        self.ingest = f"127.0.0.1:{programs.free_port()}"
        self.server = programs.LocalIvs("--ingest", self.ingest)
        self.addCleanup(self.server.close)
        self.api = Api(self.server.url)
        self.arn, key = self.api.channel(name="live")
        self.key = key["value"]

    def encoder(self, key, source=None):
        """With the book's picture, or another."""
        line = command(self.ingest, key, STREAM_S)
        if source:
            line[line.index("-i") + 1] = source
        process = programs.Process(line, environment())
        self.addCleanup(process.close)
        return process

    def playlist(self, name="playback.m3u8"):
        return f"{self.server.url}/_local/channels/{quoted(self.arn)}/{name}"

    def is_offline(self):
        return self.api.error("GetStream", channelArn=self.arn)

    def test_from_the_encoder_to_the_viewer(self):
        encoder = self.encoder(self.key)
        wait_until("it can be played", lambda: fetch(self.playlist())[0] == 200, PATIENCE_S)
        viewer = Viewer(self.playlist("playback-high.m3u8"))
        viewer.start()
        puts = []
        for n in range(PUTS):
            text, before = f"payload {n}", time.time()
            self.api.call("PutMetadata", channelArn=self.arn, metadata=text)
            puts.append((text, before, time.time()))
            time.sleep(0.23)
        self.refusals()
        self.facts()
        last = lambda: max(seconds(began) for began, _ in viewer.all())
        wait_until("what was put has been seen", lambda: last() > puts[-1][2], PATIENCE_S)
        encoder.child.send_signal(signal.SIGINT)
        encoder.child.wait(PATIENCE_S)
        wait_until("its end ends the stream", self.is_offline)
        viewer.is_over = True
        viewer.join()
        self.assertEqual(fetch(self.playlist())[0], 404)
        (session,) = self.api.call("ListStreamSessions", channelArn=self.arn)["streamSessions"]
        self.assertIn("endTime", session)
        self.assertFalse(session["hasErrorEvent"])
        self.payloads(viewer.all(), puts)
        self.decodes(b"".join(data for _, data in viewer.all()))

    def refusals(self):
        """A second encoder, and a key that is none."""
        for key, reason in [(self.key, "a second encoder is refused"), ("sk_us-west-2_none", "no channel has this stream key")]:
            second = self.encoder(key)
            self.assertNotEqual(second.child.wait(PATIENCE_S), 0, reason)
            wait_until(reason, lambda reason=reason: reason in self.server.text())
        self.assertIsNone(self.is_offline())

    def facts(self):
        shown = self.api.call("GetStreamSession", channelArn=self.arn)["streamSession"]["ingestConfiguration"]
        video, audio = shown["video"], shown["audio"]
        self.assertEqual((video["videoWidth"], video["videoHeight"], video["targetFramerate"]), (640, 360, 25))
        self.assertTrue(video["codec"].startswith("avc1.64"), video)
        self.assertEqual((audio["codec"], audio["channels"], audio["sampleRate"]), ("mp4a.40.2", 1, 44_100))
        self.assertGreater(video["targetBitrate"], 10_000)

    def payloads(self, segments, puts):
        """Each is there once, in the order of the calls, in the segment of its moment: the one whose first picture came before
        it, and the next one's after it."""
        found = []
        begins = [seconds(began) for began, _ in segments] + [float("inf")]
        for (_, data), began, ended in zip(segments, begins, begins[1:]):
            pictures = sorted(pts for pts, _ in units(data, VIDEO))
            for pts, tag in units(data, ID3)[1:]:
                found.append((tag.split(b"metadata.live-video.net\0", 1)[1].decode(), began, ended, pts - pictures[0]))
                self.assertLessEqual(pictures[0], pts)
                self.assertLess(pts, pictures[-1] + 9_000)
        self.assertEqual([text for text, *_ in found], [text for text, *_ in puts])
        off = []
        # Times in a playlist are cut to milliseconds.
        for (text, began, ended, passed), (_, before, after) in zip(found, puts):
            self.assertLessEqual(began, after, text)
            self.assertLessEqual(before, ended + 0.001, text)
            at = began + passed / 90_000
            off.append(max(before - at, at - after, 0))
        # No more is asserted of it: the encoder sends in bursts, and the machine may be busy.
        print(f"{len(found)} payloads, off by at most {1_000 * max(off):.0f} ms", flush=True)

    def decodes(self, data):
        """ffmpeg reads all of it without a complaint."""
        with tempfile.NamedTemporaryFile(suffix=".ts") as file:
            file.write(data)
            file.flush()
            check = ["ffmpeg", "-nostdin", "-v", "error", "-i", file.name, "-map", "0:v", "-map", "0:a", "-f", "null", "-"]
            ended = subprocess.run(check, capture_output=True, text=True, timeout=60)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""))
            show = ["ffprobe", "-v", "error", "-show_streams", "-count_packets", "-of", "json", file.name]
            streams = json.loads(subprocess.run(show, capture_output=True, text=True, timeout=60).stdout)["streams"]
        kinds = {stream["codec_name"]: int(stream["nb_read_packets"]) for stream in streams}
        self.assertEqual(set(kinds), {"h264", "aac", "timed_id3"})
        self.assertEqual(kinds["h264"] % 50, 0, "whole groups of pictures")

    def test_a_browser_hears_each_payload_on_its_frame(self):
        self.encoder(self.key, marked(f"testsrc2=size=320x180:rate={RATE}"))
        wait_until("it can be played", lambda: fetch(self.playlist())[0] == 200, PATIENCE_S)
        segments = Viewer(self.playlist("playback-high.m3u8"))
        segments.start()
        theatre = viewers.Theatre()
        self.addCleanup(theatre.close)
        viewer = theatre.watch("seen", "hls", self.playlist())
        wait_until("it plays", viewer.is_playing, PATIENCE_S)
        sent = [f"payload {n}" for n in range(SEEN)]
        for text in sent:
            self.api.call("PutMetadata", channelArn=self.arn, metadata=text)
            time.sleep(APART_S)
        wait_until("it heard all", lambda: len(viewer.heard()) >= SEEN, PATIENCE_S)
        heard, shown = viewer.heard(), viewer.shown()
        segments.is_over = True
        segments.join()
        self.assertEqual(([entry["text"] for entry in heard], viewer.errors()), (sent, []))
        known, stood = self.frames_of_payloads(segments.all())
        taken = Offs(after(known[text], stood[text]) for text in sent)
        plainly = Offs(after(entry["frame"], known[entry["text"]]) for entry in heard)
        fairly = Offs(frames_off(entry, known[entry["text"]], shown) for entry in heard)
        print(f"in the stream: {taken}; in the browser: {plainly}; of frames that were shown, {fairly}", flush=True)
        # Whether the encoder kept its pace is the machine's.
        self.assertLessEqual(taken.half, NEAR)
        if FULL:
            self.assertLessEqual(max(taken.all, plainly.all), NEAR)
        else:
            self.assertTrue(fairly.most <= NEAR and fairly.all <= FAR, f"{fairly}; {plainly}")

    def frames_of_payloads(self, segments):
        """Two numbers of a frame for each payload: that on which its time in the stream falls, and that at which the picture stood
        when it was taken. The stream's first picture is frame 0."""
        _, _, text = fetch(f"{self.server.url}/_local/channels/{quoted(self.arn)}/metadata")
        moments = {entry["metadata"]: entry["time_us"] / 1_000_000 for entry in json.loads(text)["metadata"]}
        first = min(pts for pts, _ in units(segments[0][1], VIDEO))
        frame = lambda pts: (pts - first) * RATE / 90_000
        known, stood = {}, {}
        for began, data in segments:
            start = frame(min(pts for pts, _ in units(data, VIDEO)))
            for pts, tag in units(data, ID3)[1:]:
                text = tag.split(b"metadata.live-video.net\0", 1)[1].decode()
                known[text] = frame(pts) % frames.LOOP
                stood[text] = (start + (moments[text] - seconds(began)) * RATE) % frames.LOOP
        return known, stood

    def test_a_stop_ends_the_connection(self):
        encoder = self.encoder(self.key)
        wait_until("it is live", lambda: not self.is_offline(), PATIENCE_S)
        self.api.call("StopStream", channelArn=self.arn)
        self.assertNotEqual(encoder.child.wait(PATIENCE_S), 0)
        self.assertIsNotNone(self.is_offline())

    def test_who_is_no_encoder_is_sent_away(self):
        answer = subprocess.run(["curl", "-s", "-m", "5", f"http://{self.ingest}/"], capture_output=True, timeout=20)
        self.assertEqual(answer.stdout, b"")
        wait_until("it says so", lambda: "this is not RTMP" in self.server.text())


if __name__ == "__main__":
    unittest.main()

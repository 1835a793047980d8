"""The library for players on real players, in a real browser, on what the gateway sent and the emulator plays: hls.js, video.js,
Shaka Player and the Amazon IVS player hear every event once, in order and on its frame, with the state of its key; who goes back has
the state of that time, and who joins late the whole state.

tests/playback runs the whole matrix, by itself: CUEGATE_PLAYBACK=full."""

import contextlib
import itertools
import json
import os
import random
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

import viewers
from frames import FAR, NEAR, Offs, after, frames_off
from programs import Gateway, fetch, free_port, wait_until
from viewers import KINDS

FULL = os.environ.get("CUEGATE_PLAYBACK") == "full"
CHANNEL = "quiz"
# A player that has to wait for a busy machine, and what is behind the picture.
PATIENCE_S = 60
# Of what is compressed nothing is left to gain: these are all of ASCII but what JSON escapes.
DENSE = [chr(code) for code in range(33, 127) if chr(code) not in '"\\']
# The IVS player itself tells of its cues late, a few times a second. In frames.
IVS_NEAR = 7.5
# On a machine that is busy with other tests. There, frames are not shown: the next one that is counts. When the IVS player finds time to tell of
# its cues is then nobody's promise.
IVS_HALF, IVS_MOST = 12, 75
# More frames than are lost: the player went elsewhere.
JUMP = 13
IVS_NEAR, IVS_FAR = 12, 50
BACK_S = 2
# Of this size, what cannot be compressed leaves in three slices.
SLICED = 2_400
# Values that fill a dozen payloads: keyframes alone take as many to tell all of the state.
LARGE_KEYS, LARGE = 20, 400
# What is newer is not told over HTTP, and how soon after its first frame a viewer has the whole state from there.
DELAY_S, WHOLE_S = 2, 3


class Show:
    """Sends events of every form, as fast as the channel's rate allows, each step in a payload of its own."""

    def __init__(self, gateway, seed):
        self.gateway, self.random = gateway, random.Random(seed)
        self.sent = itertools.count()
        self.url = f"{gateway.url}/v1/channels/{CHANNEL}/events?wait=delivered&timeout_ms=30000"

    def event(self, data, **more):
        return {"data": data, "id": f"event-{next(self.sent)}", "type": "show", **more}

    def dense(self, length):
        """A text that cannot be compressed."""
        return "".join(self.random.choices(DENSE, k=length))

    def batch(self, step):
        return {
            0: [self.event({"user": f"user-{nth}", "points": nth * step}) for nth in range(20)],
            1: [self.event(self.dense(300))],
            2: [{"data": f"somebody else's, {next(self.sent)}", "envelope": "raw"}],
            3: [self.event({"home": step, "away": 0}, key="score", merge="replace")],
            4: [self.event(step, key="votes", merge="sum"), self.event({f"round {step % 5}": step}, key="rounds", merge="patch")],
            # Its value fits no keyframe, so whoever missed it knows it when it comes again.
            5: [self.event(self.dense(SLICED), key="board", merge="replace")],
            6: [self.event([{"rank": rank, "name": f"player {self.random.randrange(9999)}"} for rank in range(120)])],
        }.get(step % 8) or [self.event({"step": step})]

    def post(self, batch):
        status, _, text = fetch(self.url, "POST", json.dumps(batch))
        assert status < 300, text

    def go_on(self, steps):
        for step in range(steps):
            self.post(self.batch(step))

    def resend(self):
        """A payload whose answer was lost, so that it is in the stream twice."""
        faults = f"{self.gateway.emulator.url}/_local/faults"
        taken = lambda: sum('"twice"' in (viewers.plain(sent) or "") for sent in self.gateway.emulator.taken(CHANNEL))
        before = taken()
        fetch(faults, "POST", json.dumps({"kind": "reply_lost"}))
        with ThreadPoolExecutor() as pool:
            posting = pool.submit(self.post, [self.event("twice")])
            try:
                wait_until("the call is taken", lambda: taken() > before)
            finally:
                fetch(faults, "DELETE")
            posting.result()
        wait_until("it is taken again", lambda: taken() > before + 1)

    def resend_a_slice(self):
        """The answer to each slice is lost once, so that all are in the stream twice, or more often."""
        faults = f"{self.gateway.emulator.url}/_local/faults"
        slices = lambda: [sent for sent in self.gateway.emulator.taken(CHANNEL) if sent.startswith("~2")]
        known = set(slices())
        again = lambda: [sent for sent in slices() if sent not in known]
        fetch(faults, "POST", json.dumps({"kind": "reply_lost"}))
        with ThreadPoolExecutor() as pool:
            posting = pool.submit(self.post, [self.event(self.dense(SLICED))])
            try:
                wait_until("a slice is taken twice", lambda: len(again()) > len(set(again())))
            finally:
                fetch(faults, "DELETE")
            posting.result()

    def fill_state(self):
        """Keys whose values are long and cannot be compressed."""
        self.post([self.event(self.dense(LARGE), key=f"large {nth}", merge="replace") for nth in range(LARGE_KEYS)])

    @contextlib.contextmanager
    def going_on(self):
        """Sends until what is done meanwhile is done."""
        ended = threading.Event()

        def go_on():
            for step in itertools.count():
                if ended.is_set():
                    return
                self.post(self.batch(step))

        with ThreadPoolExecutor() as pool:
            going = pool.submit(go_on)
            try:
                yield
            finally:
                ended.set()
            going.result()


def about(entry):
    """What is compared of an event: as a viewer heard it, and as the stream has it."""
    if "text" in entry:
        return entry["text"]
    item = entry.get("item")
    if item is None:
        return entry["n"], entry["data"], entry.get("type"), entry.get("key"), entry.get("id")
    return entry["n"], item["d"], item.get("t"), item.get("k"), item.get("i")


def about_all(entries):
    return [about(entry) for entry in entries]


class Audience(unittest.TestCase):
    def setUp(self):
        self.seed = int(os.environ.get("CUEGATE_TEST_SEED", random.getrandbits(32)))
        address = f"127.0.0.1:{free_port()}"
        self.state_url = f"http://{address}/v1/channels/{CHANNEL}/state"
        rules = f'envelope_fields = ["type", "key", "id"]\ncompress = "deflate"\nevent_max_bytes = 65536\nkeyframes = true\nstate_http = true\nstate_delay_ms = {1_000 * DELAY_S}'
        self.gateway = Gateway({CHANNEL: rules}, f'[state]\nlisten = "{address}"\n')
        self.addCleanup(self.gateway.close)
        self.theatre = viewers.Theatre()
        self.addCleanup(self.theatre.close)
        self.show = Show(self.gateway, self.seed)

    def join(self, kinds, prefix="", state_url=None):
        found = [self.theatre.viewer(prefix + kind, kind, self.gateway.emulator, CHANNEL, state_url) for kind in kinds]
        for viewer in found:
            self.eventually(viewer, "it plays", viewer.is_playing)
        return found

    def eventually(self, viewer, what, look):
        try:
            return wait_until(f"{viewer.name}: {what}", look, PATIENCE_S)
        except AssertionError as late:
            state = {name: getattr(viewer, name)() for name in ("errors", "position", "ready", "paused", "frame")}
            raise AssertionError(f"{late}; seed {self.seed}; {state}; {self.theatre.browser.log()[-5:]}") from None

    def stream(self):
        return viewers.stream(self.gateway.emulator, CHANNEL)

    def all_is_heard(self, audience, on_frames=True):
        stream = self.stream()
        self.assertEqual({entry["form"] for entry in stream}, {"plain", "compressed", "sliced", "foreign"}, self.seed)
        for viewer in audience:
            with self.subTest(viewer=viewer.name, seed=self.seed):
                self.hears_all(viewer, stream, on_frames)

    def hears_all(self, viewer, stream, on_frames):
        self.eventually(viewer, f"all {len(stream)} events", lambda: len(viewer.events()) >= len(stream))
        heard = viewer.events()
        self.same(heard, stream)
        if on_frames:
            self.on_their_frames(viewer, heard, stream)
        self.states_are_right(heard, stream)
        self.has_the_state(viewer)
        self.assertEqual(viewer.errors(), [])

    def states_are_right(self, heard, stream, unless=lambda entry: False):
        """With each event came the state of its key."""
        pairs = zip(heard, stream, strict=True)
        wrong = [(entry, known["state"]) for entry, known in pairs if "item" in known and not unless(entry) and entry["state"] != known["state"]]
        self.assertEqual(wrong[:3], [])

    def has_the_state(self, viewer):
        """It is the gateway's, and it is known to be."""
        status, _, text = fetch(f"{self.gateway.url}/v1/channels/{CHANNEL}/state")
        self.assertEqual(status, 200, text)
        state = {entry["k"]: entry["d"] for entry in json.loads(text)["s"]}
        self.assertIn("votes", state)
        self.eventually(viewer, "the whole state", viewer.complete)
        self.assertEqual(viewer.state(), state)

    def on_their_frames(self, viewer, heard, stream):
        shown = viewer.shown()
        pairs = [(entry, known["frame"]) for entry, known in zip(heard, stream, strict=True)]
        plainly = Offs(after(entry["frame"], frame) for entry, frame in pairs)
        fairly = Offs(frames_off(entry, frame, shown) for entry, frame in pairs)
        if FULL:
            print(f"{viewer.name}: {plainly}; of frames that were shown, {fairly}")
        is_ivs = viewer.kind == "ivs"
        if FULL:
            self.assertTrue(plainly.most <= (IVS_NEAR if is_ivs else NEAR) and plainly.all <= FAR, plainly)
        elif is_ivs:
            self.assertTrue(plainly.half <= IVS_HALF and plainly.most <= IVS_MOST, plainly)
        else:
            self.assertTrue(fairly.most <= NEAR and fairly.all <= FAR, f"{fairly}; {plainly}")

    def goes_back(self, audience):
        """Who goes back, while the show goes on, hears again what comes after that time, once and in order."""
        with self.show.going_on():
            for viewer in audience:
                heard = len(viewer.heard())
                self.eventually(viewer, "more events", lambda: len(viewer.heard()) > heard + 20)
                viewer.back(BACK_S)
        stream = self.stream()
        went = []
        for viewer in audience:
            with self.subTest(viewer=viewer.name, seed=self.seed):
                self.eventually(viewer, "the last event", lambda: about(viewer.events()[-1]) == about(stream[-1]))
                heard = viewer.heard()
                mark = next(at for at, entry in enumerate(heard) if "seek" in entry)
                before, again = heard[:mark], heard[mark + 1:]
                self.same(before, stream[:len(before)])
                self.states_are_right(before, stream[:len(before)])
                if len(before) > self.hears_the_rest(viewer, again, stream, heard[mark]["shown"]):
                    went.append(viewer)
        # Where a busy machine is late, a player goes to the end of the live stream by itself.
        self.assertGreaterEqual(len(went), len(audience) if FULL else 1)

    def late_ones(self, kinds):
        """Who joins in the middle, while the show goes on, hears all from there on, and has the whole state: soon where it asks for it,
        and else with the keyframes."""
        self.show.fill_state()
        with self.show.going_on():
            taken = len(self.gateway.emulator.taken(CHANNEL))
            wait_until("the show goes on", lambda: len(self.gateway.emulator.taken(CHANNEL)) > taken + 10)
            audience = self.join(kinds, "late-", self.state_url) + self.join(kinds[:1], "later-")
            for viewer in audience:
                self.eventually(viewer, "the first events", lambda: len(viewer.events()) > 20 and "board" in viewer.state())
        stream = self.stream()
        for viewer in audience:
            with self.subTest(viewer=viewer.name, seed=self.seed):
                self.eventually(viewer, "the last event", lambda: about(viewer.events()[-1]) == about(stream[-1]))
                self.hears_the_rest(viewer, viewer.heard(), stream)
                self.has_the_state(viewer)
                print(f"{viewer.name}: the whole state after {viewer.whole():.1f} s", flush=True)
                if viewer.name.startswith("late-"):
                    self.assertLess(viewer.whole(), DELAY_S + WHOLE_S)

    def hears_the_rest(self, viewer, heard, stream, since=0):
        """All that comes after its picture began, which had shown so many frames before. Returns how many events came before."""
        first = about_all(stream).index(about(heard[0]))
        missed, rest = stream[:first], stream[first:]
        self.same(heard, rest)
        # Who joined late does not know all at first, and knows that.
        self.states_are_right(heard, rest, unless=lambda entry: not since and not entry["known"])
        began = rest[0]["frame"] + after(self.picture_began(viewer.shown(), since, heard[0]), rest[0]["frame"])
        if missed:
            self.assertGreater(began, missed[-1]["frame"] - NEAR, viewer.shown()[since:since + 60])
        # What was due before its picture comes at once, and late.
        self.on_their_frames(viewer, *zip(*(pair for pair in zip(heard, rest) if pair[1]["frame"] > began)))
        self.assertEqual(viewer.errors(), [])
        return first

    def picture_began(self, shown, since, first):
        """The first frame of the picture, from which it went on. Players may go elsewhere at the beginning."""
        shown = [frame for frame in shown[since:first["shown"]] if frame is not None] + [first["frame"]]
        began = shown[0]
        for frame, following in itertools.pairwise(shown):
            if not 0 <= after(following, frame) < JUMP:
                began = following
        return began

    def same(self, heard, stream):
        """The same events in the same order."""
        found, known = about_all(heard), about_all(stream)
        at = next((at for at, pair in enumerate(itertools.zip_longest(found, known)) if pair[0] != pair[1]), None)
        if at is not None:
            near = [{name: entry.get(name) for name in ("n", "id", "text", "time", "late", "at", "frame")} for entry in heard[max(0, at - 3):at + 3]]
            self.fail(f"event {at} of {len(known)}, {len(found)} heard: {known[at:at + 1]}; heard {near}; missing {[entry for entry in known if entry not in found][:5]}")


class Playback(Audience):
    def test_every_player_hears_every_event(self):
        audience = self.join(KINDS)
        self.show.go_on(12)
        self.show.resend()
        self.show.resend_a_slice()
        self.show.go_on(20)
        self.all_is_heard(audience)
        self.goes_back(audience)
        for viewer in audience:
            viewer.leave()
        self.late_ones(KINDS)


@unittest.skipUnless(FULL, "tests/playback runs these")
class Matrix(Audience):
    """Each player by itself, and what happens to viewers."""

    def test_alone(self):
        for kind in KINDS:
            [viewer] = self.join([kind], "alone-")
            with self.show.going_on():
                self.eventually(viewer, "many events", lambda: len(viewer.events()) > 500)
            stream = self.stream()
            with self.subTest(viewer=viewer.name, seed=self.seed):
                self.eventually(viewer, "the last event", lambda: about(viewer.events()[-1]) == about(stream[-1]))
                self.hears_the_rest(viewer, viewer.heard(), stream)
            viewer.leave()

    def test_a_switch_of_quality(self):
        audience = self.join(KINDS)
        with self.show.going_on():
            for turn in range(6):
                for viewer in audience:
                    heard = len(viewer.events())
                    self.eventually(viewer, "more events", lambda: len(viewer.events()) > heard + 20)
                    viewer.quality(turn % viewer.qualities())
        self.all_is_heard(audience, on_frames=False)

    def test_a_hidden_tab(self):
        audience = self.join(KINDS)
        driver = self.theatre.browser.driver
        seen = driver.current_window_handle
        self.show.go_on(12)
        driver.switch_to.new_window("tab")
        self.show.go_on(60)
        driver.switch_to.window(seen)
        self.show.go_on(12)
        self.all_is_heard(audience, on_frames=False)


if __name__ == "__main__":
    unittest.main()

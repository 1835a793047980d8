"""Writes `vectors.json`: sequences of payloads, and the events and the state after each, as a player must have them. The tests of
the library and of the gateway's encoder read it, and so would ports to other languages.

`python3 player/vectors.py` writes the file, `python3 player/vectors.py --check` compares it. `python3 player/vectors.py --random SEED`
prints others of the same form, which are new with every seed.

- `basE91`: bytes in hexadecimal, and their text. `decoded`: texts of form `~0`, and the plain payload or null. `slices`: texts of form
  `~0`, and the slices of the same payload.
- `sequences`: each begins with a new player. A step is `push` (a text, and its time if it has one), `tick` (the clock goes on to
  this time) or `seek`. After it come `events` (none: it is not there) and, where they changed, `state` (each key's value),
  `known` (the keys of these whose value is certain) and `complete`. Events in a row that are `#state` are in any order.
- `zlib`: the version that compressed the texts. Others may compress them to other texts that mean the same."""

import json
import pathlib
import random
import sys
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).parent / "reference"))

import events
import forms
import model

FILE = pathlib.Path(__file__).parent / "vectors.json"
SEED = 20
N = 1_790_000_000_000


def written(value):
    """Doubles that are whole numbers, as they were written."""
    if isinstance(value, dict):
        return {name: written(member) for name, member in value.items()}
    if isinstance(value, list):
        return [written(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def text(n, e=(), **members):
    return json.dumps({"v": 1, "n": n, **members, "e": list(e)}, separators=(",", ":"), ensure_ascii=False)


def item(data, key=None, merge=None, **members):
    return {"d": data} | ({"k": key} if key is not None else {}) | ({"m": merge} if merge else {}) | members


def entry(key, *value, **members):
    return {"k": key} | ({"d": value[0]} if value else {}) | members


class Sequence:
    all = []

    def __init__(self, name):
        self.player, self.steps, self.last = model.Player(), [], {"state": {}, "known": [], "complete": False}
        self.all.append({"name": name, "steps": self.steps})

    def push(self, payload, time=None):
        self.player.push(payload, time)
        return self.step({"push": payload} | ({} if time is None else {"time": time}))

    def tick(self, now):
        self.player.tick(now)
        return self.step({"tick": now})

    def seek(self, to):
        self.player.seek(to)
        return self.step({"seek": to})

    def step(self, did):
        player = self.player
        values = player.state.values()
        known = sorted(key for key in values if player.state.is_known(key))
        after = {"state": values, "known": known, "complete": player.state.complete}
        changed = {name: value for name, value in after.items() if not model.same(value, self.last[name])}
        happened = {"events": player.events} if player.events else {}
        self.steps.append(written(did | happened | changed))
        self.last, player.events = after, []
        return self

    def all_of(self, payloads):
        for each in payloads:
            self.push(each)
        return self


def plain_sequences():
    Sequence("items without keys").push(text(1, [item(1), item({"a": [None, True]}, t="quiz.answer", i="id-1"), item(None, t="*"), item("x", t="#state")])).push(text(2))
    Sequence("100 items of one key in a payload").push(text(5, [item(1, "k", "sum") for _ in range(100)]))
    Sequence("a number that jumps, duplicates, and what comes late").all_of(
        [text(1, [item(1, "k", "sum")]), text(N, [item(2, "k", "sum")]), text(1, [item(1, "k", "sum")]), text(N, [item(2, "k", "sum")]),
         text(7, [item(5, "k", "sum"), item(7, "other")]), text(N + 1, [item(4, "k", "sum")])])
    Sequence("replace, null, and the place it leaves").all_of(
        [text(3, [item({"a": 1}, "k", t="t")]), text(5, [item(None, "k")]), text(4, [item(9, "k")]), text(6, [item(0, "k")]), text(7, [item(False, "k")])])
    Sequence("numbers").all_of(
        [text(1, [item(0.1, "s", "sum"), item(0.2, "s", "sum"), item(1000000.1, "c", "sum"), item(-1000000, "c", "sum")]),
         text(2, [item(123456789012345, "s", "sum"), item(1e-7, "c", "sum"), item(5e-7, "c", "sum"), item(1e30, "b", "sum"), item(1, "b", "sum"), item(-1e30, "b", "sum")]),
         text(3, [item(3, "x", "max"), item(2, "x", "max"), item(4.5, "x", "max"), item(3, "y", "min"), item(5, "y", "min"), item(-1, "y", "min")]),
         text(4, [item(1.7e308, "h", "sum"), item(1.7e308, "h", "sum")])])
    Sequence("objects of numbers, field by field").all_of(
        [text(1, [item({"a": 1, "b": 2}, "k", "sum"), item({"b": 0.5, "c": 1}, "k", "sum")]),
         text(2, [item({"a": 5, "b": 1}, "k", "max"), item({"a": 4, "c": -1}, "k", "min")])])
    Sequence("kinds that change").all_of(
        [text(1, [item("x", "k"), item(2, "k", "sum"), item({"a": 1}, "k", "sum"), item(3, "k", "max")]),
         text(2, [item({"a": "x", "b": 1, "c": None}, "k"), item({"a": 1, "b": 2, "c": 3, "d": 4}, "k", "sum"), item([1], "k", "sum"), item(1, "k", "min")]),
         text(3, [item(None, "k"), item(1, "k", "min"), item(None, "n", "sum"), item(2, "n", "sum"), item(True, "b"), item(1, "b", "sum")])])
    Sequence("patches").all_of(
        [text(1, [item({"a": 1, "b": None, "c": {"d": None, "e": 1}}, "k", "patch")]), text(2, [item({"a": None, "c": {"f": 2}}, "k", "patch")]),
         text(3, [item({"c": [1, None], "a": {"x": None}}, "k", "patch")]), text(4, [item("s", "k", "patch")]), text(5, [item({"a": 1}, "k", "patch")]),
         text(6, [item(None, "k", "patch")]), text(7, [item({"a": 2}, "k", "patch")]), text(8, [item({"a": 2}, "k", "patch")])])
    Sequence("items that are no state").all_of(
        [text(1, [item(1, "k", "none"), item(1, "k", "avg"), item(1, "k", 5)]), text(2, [item(7, "k"), item(1, "k", "none")]), text(3, [{"d": 1, "k": 5, "t": 6, "i": 7, "m": "sum"}])])
    odd = ["__proto__", "toString", "constructor", "hasOwnProperty", "", "\ud800", "é\u0000\"", "0"]
    Sequence("odd names").all_of(
        [text(1, [item({name: n for n, name in enumerate(odd)}, name, t=name, i=name) for name in odd]),
         text(2, [item({"__proto__": 1, "toString": 2}, "p", "sum"), item({"__proto__": 2}, "p", "sum"), item({"__proto__": {"x": 1}}, "q", "patch"),
                  item({"__proto__": {"y": 1}, "constructor": None}, "q", "patch"), item({"__proto__": None}, "q", "patch")]),
         text(3, [], s=[entry(name, x=1) for name in odd])])
    Sequence("the same value is no change").all_of(
        [text(1, [item({"a": [1, {"b": 2}]}, "k")]), text(2, [item({"a": [1, {"b": 2}]}, "k")]), text(3, [], s=[entry("k", {"a": [1, {"b": 2}]})]), text(4, [item({"a": [1, {"b": True}]}, "k")])])


def keyframe_sequences():
    Sequence("entries: as of every payload before").all_of(
        [text(10, [item(1, "k", "sum")]), text(12, [item(1, "k", "sum")], s=[entry("k", 40, m="sum")]), text(11, [item(100, "k", "sum")]),
         text(12, [], s=[entry("k", 0)]), text(13, [], s=[entry("k", 50), entry("k", 60), entry("new", None, t="t", m="patch")])])
    Sequence("an entry that comes late counts for nothing").all_of([text(20, [item(1, "k", "sum")]), text(19, [], s=[entry("k", 9)]), text(21, [], s=[entry("k", 1)])])
    Sequence("two entries of a key in a payload").all_of(
        [text(5, [], s=[entry("a", 1), entry("b", 1), entry("a", x=1), entry("b", 2), entry("c", x=1), entry("c", 3), entry("d", 1), entry("d")])])
    Sequence("deletions and what comes late").all_of(
        [text(5, [item(1, "k", "sum")]), text(8, [], s=[entry("k", x=1)]), text(7, [item(1, "k", "sum")]), text(8, [item(2, "k", "sum")]), text(9, [item(3, "k", "sum")]),
         text(10, [item(4, "k", "sum")], s=[entry("k", x=1, d=5), entry("never", x=1), entry("l", 1, x=2), entry("m", 1, x=True)])])
    Sequence("an entry without a value").all_of(
        [text(1, [item(1, "held")]), text(2, [], s=[entry("held"), entry("unheld")]), text(3, [item(1, "unheld", "sum")]), text(2, []), text(4, [], s=[entry("held", x=1)]), text(5, [], s=[entry("held")])])
    Sequence("a cycle").all_of(
        [text(1, [item(1, "gone"), item(1, "kept", "sum"), item(1, "changed")]), text(2, [], s=[entry("kept", 7)], c=[0, 0, 0]), text(3, [item(2, "changed")]),
         text(4, [], s=[entry("b", 1)], c=[2, 1, 1]), text(5, [item(1, "kept", "sum"), item(2, "first", "sum")])])
    Sequence("an empty state sends its cycle").all_of([text(1, [item(1, "a"), item(2, "b")]), text(9, [], s=[], c=[0, 0, 1])])
    Sequence("a key of the last part's own items stays").all_of([text(1, [item(1, "k", "sum")]), text(2, [], c=[0, 0, 0]), text(3, [item(1, "k", "sum")], c=[1, 1, 1])])
    Sequence("cycles cut, restarted, out of order, meaningless").all_of(
        [text(10, [item(1, "z")], c=[0, 1, 0]), text(11, [], c=[1, 2, 1]), text(12, [], c=[0, 0, 0], s=[entry("a", 1)]), text(14, [], c=[0, 0, 0], s=[entry("a", 2)]),
         text(13, [], c=[1, 1, 1]), text(15, [], c=[1, 2, 1]), text(17, [], c=[-3, 0, 1]), text(18, [], c=[4, -1, 1]), text(19, [], c=[5, 1, 2]), text(16, [], c=[2, 1, 0])])
    Sequence("reset: whatever is below counts for no state").all_of(
        [text(10, [item(1, "k", "sum"), item(1, "l", "sum")]), text(12, [item(2, "k", "sum")]), text(14, [item(4, "k", "sum")], s=[entry("m", 3)], r=12),
         text(11, [item(8, "k", "sum"), item(8, "new", "sum")], s=[entry("m", 9)], r=10), text(15, [], s=[entry("k", 6)], c=[0, 0, 1], r=12), text(16, [], s=[], r=16), text(17, [item(1, "k", "sum")])])


def form_sequences(chance):
    some = [events.item(chance) for _ in range(12)]
    payload = text(N, some)
    three = text(N + 3, [item({"rows": [[f"{chance.getrandbits(64):x}", n] for n in range(60)]}, "board", t="board")])
    parts = forms.slices(three, 3)
    first = Sequence("forms mixed in one stream").push(forms.compressed(payload)).push(payload).push("~0").push("~").push("").push("[1]").push("anything else").push(" " + payload)
    for part in [parts[0], "~1" + parts[0][2:], parts[0], text(N + 2, [item(1)]), parts[2], parts[2], parts[1], parts[1], *parts]:
        first.push(part)
    small = lambda n, key="s": forms.slices(text(n, [item(n, key)]), 2)
    many = Sequence("at most 3 open ids; the oldest goes first")
    for n in range(1, 5):
        many.push(small(n)[0])
    for n in range(1, 5):
        many.push(small(n)[1])
    many.push(small(1)[0])
    bad = Sequence("slices that are none")
    good = small(9)
    for each in ["~2", "~2AAAA", "~2AAAAA", good[0][:7] + "A" + good[0][8:], good[0][:6] + "C" + good[0][7:], good[0][:7] + "R" + good[0][8:], "~2\"" + good[0][3:], "~2AAAAAB", *forms.slices(text(10, [item(1)]), 1)]:
        bad.push(each)
    bad.push(good[0]).push(good[1][:8] + "A" + good[1][9:]).push(good[1])
    wrong = [each[:2] + "AAAA" + each[6:] for each in small(11)]
    bad.push(wrong[0]).push(wrong[1]).push(small(11)[0]).push(small(11)[1])
    again = Sequence("what is finished and comes again takes no place of an open id").push(small(1)[0]).push(small(1)[1])
    for n in range(2, 5):
        again.push(small(n)[0])
    again.push(small(1)[0]).push(small(2)[1]).push(small(3)[1]).push(small(4)[1])
    timed = Sequence("slices with times: it fires at the time of the last, and 30 s are the most").tick(0)
    a, b = small(3, "a"), small(4, "b")
    timed.push(a[1], 2).push(a[0], 1).push(b[0], 3).tick(1.9).tick(2).push(b[1], 34).tick(35).push(b[0], 34.2).tick(36)
    Sequence("a seek forgets open ids").tick(0).push(small(5)[0], 1).seek(9).push(small(5)[1], 9.5).tick(10).push(small(5)[0], 9.6).tick(11)


def timed_sequences():
    pay = lambda n, **more: text(n, [item(1, "k", "sum", t="t")], **more)
    wait = Sequence("before the media: nothing is due").tick(-1)
    wait.push(pay(2), 2).push(pay(1), 1).push("foreign", 1).push("foreign", 1).tick(0).tick(0.98).tick(0.97).tick(5)
    Sequence("without a clock everything fires at once").push(pay(1), 5).push(pay(2)).push("foreign", 5).push("foreign").push("foreign").tick(3).push(pay(3), 4).push(pay(4)).tick(4)
    Sequence("unordered and doubled, by time and number").tick(0).push(pay(3), 1).push(pay(2), 1).push(pay(1), 1).push(pay(3), 1).push(pay(9), 0.5).push(pay(2), 1).tick(2)
    clock = Sequence("ticks every 4 s, and one back").tick(0)
    for n in range(1, 10):
        clock.push(pay(n), n)
    clock.tick(4).tick(8).tick(3).tick(12).push(pay(10), 11).tick(12)
    back = Sequence("a seek back, and the same again").tick(0)
    for n in range(1, 7):
        back.push(text(n, [item(n, "k", "sum")], s=[entry("z", n)], **({"c": [0, 0, 1]} if n == 2 else {})), n)
    back.tick(6).seek(3.5).tick(3.6).push(text(4, [item(4, "k", "sum")]), 4).tick(4.1).tick(7).seek(1).tick(1).tick(7).seek(0).seek(7).tick(8)
    ahead = Sequence("a seek forward: what is held counts without events, what is not is missing").tick(0)
    for n in range(1, 7):
        ahead.push(text(n, [item(1, "k", "sum")], c=[0, 0, 1], s=[entry("k", n - 1)]), n)
    ahead.tick(1).seek(4.5).tick(5).seek(100).push(text(90, [item(1, "k", "sum")]), 99.5).push(text(91, [item(1, "k", "sum"), item(1, "new", "sum")]), 101).tick(102)
    ahead.push(text(92, [], s=[entry("k", 70)], c=[0, 0, 1]), 103).tick(103).seek(50).push(text(50, [item(1, "k", "sum")]), 51).tick(52).seek(102.5).tick(104)
    skipped = Sequence("after a seek, what comes from before it counts without events").tick(0).push(text(1, [item(1, "k", "sum")]), 1).tick(1).seek(10)
    for n, time in (9, 9.9), (8, 9.5), (2, 2), (10, 10), (11, 10.5):
        skipped.push(text(n, [item(n, "k", "sum")]), time)
    skipped.push("foreign", 9).tick(10).push(text(7, [item(7, "k", "sum")]), 7).tick(11).seek(9.7).tick(11)
    reset = Sequence("a reset, and a seek to before it").tick(0).push(text(1, [item(1, "k", "sum")]), 1).push(text(2, [item(2, "k", "sum")]), 2).push(text(3, [item(4, "k", "sum")], s=[], r=2), 3)
    reset.tick(2.5).tick(3.5).seek(1.5).tick(4)
    twice = Sequence("duplicates more than 64 apart")
    for n in range(1, 71):
        twice.push(text(n, [item(1, "k", "sum")]))
    twice.push(text(1, [item(1, "k", "sum")])).push(text(3, [item(1, "k", "sum")]))


def malformed(chance):
    """Shapes that are nearly right, then valid payloads with changes."""
    shapes = Sequence("malformed shapes are foreign as a whole")
    right = {"v": 1, "n": 5, "s": [{"k": "a", "d": 1}], "c": [0, 0, 0], "r": 1, "e": [{"d": 1, "k": "k"}]}
    wrong = [("v", w) for w in (2, "1", True, None, 1.5)] + [("n", w) for w in (-1, 1.5, "5", None, True, 2**53, [5])]
    wrong += [("e", w) for w in (None, {}, 1, [1], [None], [{}], [{"k": "k"}], [[]], [{"d": 1}, {}])]
    wrong += [("s", w) for w in (None, {}, [1], [{}], [{"k": 1}], [{"k": None}], [{"k": "a"}, {"d": 1}], [[]])]
    wrong += [("c", w) for w in (None, 1, [], [0, 0], [0, 0, 0, 0], [0, 0, "1"], [0, 0, 0.5], [0, 0, True], {})]
    wrong += [("r", w) for w in (None, "1", 1.5, True, [])]
    for name, value in wrong:
        shapes.push(json.dumps(right | {name: value}, separators=(",", ":")))
    for name in "vne":
        shapes.push(json.dumps({key: value for key, value in right.items() if key != name}, separators=(",", ":")))
    deep = lambda depth: '{"v":1,"n":%d,"e":[{"d":%s%s}]}' % (depth, "[" * depth, "]" * depth)
    for each in [deep(67), deep(68), deep(2000), '{"v":1,"n":1e2,"e":[]}', '{"v":1.0,"n":101,"e":[],"r":-1,"c":[-1,-2,-3]}', '{"v":1,"n":102,"e":[{"d":NaN}]}',
                 '{"v":1,"n":103,"e":[]} ', '{"v":1,"n":104,"e":[]}x', '{"v":1,"n":105,"e":[],"v":2}', '{"v":2,"n":106,"e":[],"v":1,"z":[]}', '{"v":1,"n":107,"e":[{"d":"\t"}]}', "{", "{}", '{"v":1,"n":1e999,"e":[]}']:
        shapes.push(each)
    changed = Sequence(f"valid payloads with changes, seed {SEED}")
    for n in range(150):
        payload = text(n, [item(chance.choice([1, "x", {"a": n}, None]), chance.choice("kl"), chance.choice(["sum", "max", "patch", None]))],
                       s=[entry("m", n), entry("k", x=1)][: chance.randrange(3)], c=[0, 0, 1], r=chance.randrange(n + 1))
        if chance.random() < 0.5:
            payload = forms.compressed(payload)
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(2 if payload[0] == "~" else 1, len(payload))
            payload = payload[:at] + chance.choice(["", payload[at] * 2, chance.choice(forms.ALPHABET), chance.choice('0123456789{}[],:"')]) + payload[at + chance.randrange(2):]
        changed.push(payload)


class Gateway:
    """A show: the state that everybody should have, and payloads with items, entries, deletions and cycles."""

    def __init__(self, chance):
        self.chance, self.n, self.state, self.tour, self.began, self.part, self.deleted = chance, 1000, {}, [], 0, 0, []

    def payload(self):
        chance = self.chance
        self.n += chance.randint(1, 3)
        made, before = [], dict(self.state)
        for _ in range(chance.randrange(4)):
            key = chance.choice("abcdef")
            data = {"a": chance.randrange(9)} if key in "ab" else chance.choice([1, 2.5, 10])
            merge = {"a": "sum", "b": "patch", "c": "sum", "d": "max", "e": "min"}.get(key)
            if key in self.state and chance.random() < 0.1:
                del self.state[key]
                made.append(item(None, key))
                continue
            made.append(item(data, key, merge, t=f"t.{key}"))
            given = model.read_json(json.dumps(data))
            old = self.state.get(key)
            self.state[key] = given if old is None else model.combined(merge or "replace", old, given)
        members = {}
        if chance.random() < 0.7:
            shown, busy = [], {each["k"] for each in made}
            if not self.tour:
                self.tour, self.began, self.part = sorted(before), self.n, 0
            while self.tour and len(shown) < 2:
                key = self.tour.pop()
                if key in before:
                    shown.append(entry(key, written(before[key])))
                elif key not in busy:
                    shown.append(entry(key, x=1))
            members = {"s": shown, "c": [self.n - self.began, self.part, int(not self.tour)]}
            self.part += 1
        return text(self.n, made, **members)


def shows(chance):
    for name, loss, joins in ("a show, whole", 0, 0), ("a show, joined late", 0, 12), ("a show with losses, duplicates and seeks", 0.15, 5):
        gateway, viewer = Gateway(chance), Sequence(f"{name}, seed {SEED}")
        sent = [(gateway.payload(), second) for second in range(45)]
        come = [pair for pair in sent[joins:] if chance.random() >= loss]
        now = come[0][1] - 1
        viewer.tick(now)
        for nth, (payload, at) in enumerate(come):
            sealed = forms.compressed(payload)
            viewer.push(min(payload, sealed, key=len), at)
            if loss and chance.random() < 0.2:
                viewer.push(payload, at + 0.5)
            if nth % 3 == 2:
                now = max(now, at - 1)
                viewer.tick(now)
            if loss and nth % 14 == 13:
                now = now - chance.randrange(1, 12) if nth % 28 == 13 else now + 1
                viewer.seek(now)
        viewer.tick(now + 60)
        if not loss:
            player = viewer.player.state
            assert player.complete and model.same(player.values(), gateway.state), (player.values(), gateway.state)


def decoded(sealed):
    """The plain payload in a text of form `~0`, or null; of a long one the length and the beginning."""
    found = forms.decoded(sealed[2:])
    if found is None or model.plain(found) is None:
        return None
    return found if len(found) < 9999 else {"length": len(found), "begins": found[:40]}


def anything(chance):
    """Sequences in which all that there is comes together."""
    value = lambda: chance.choice([1, 2.5, -3, 0.1, True, None, "x", [1], {"a": 1, "b": chance.randrange(5)}, {"a": None, "c": {"d": 1}}, {"__proto__": 2}])
    key = lambda: chance.choice(["a", "b", "c", "__proto__"])
    for nth in range(40):
        sequence, n, now, began, part = Sequence(f"anything, {nth}"), 100, 0, 100, 0
        timed = chance.random() < 0.8
        if timed:
            sequence.tick(chance.choice([-1, 0]))
        for _ in range(50):
            n += chance.choice([1, 1, 1, 2, 0, -3, 20])
            items = [item(value(), *chance.choice([(), (key(),), (key(), chance.choice([*model.MERGES, "none"]))])) for _ in range(chance.randrange(4))]
            members = {}
            if chance.random() < 0.5:
                entries = [entry(key(), value()), entry(key(), x=1), entry(key())]
                members["s"] = chance.choices(entries, k=chance.randrange(4))
            if chance.random() < 0.5:
                if chance.random() < 0.4:
                    began, part = n, 0
                members["c"] = [n - began, part, int(chance.random() < 0.4)]
                part += 1
            if chance.random() < 0.1:
                members["r"] = n - chance.randrange(6)
            payload = text(n, items, **members)
            form = chance.randrange(6)
            texts = forms.slices(payload, chance.randint(1, 4)) if form == 0 else [forms.compressed(payload) if form < 3 else payload if form < 5 else f"foreign {n}"]
            if chance.random() < 0.3:
                chance.shuffle(texts)
            for each in texts[: None if chance.random() < 0.9 else 1]:
                sequence.push(each, *([now + chance.randrange(-20, 40) / 10] if timed and chance.random() < 0.9 else []))
            if timed and chance.random() < 0.4:
                now += chance.randrange(20) / 10
                sequence.tick(now)
            if timed and chance.random() < 0.08:
                now = max(0, now + chance.randrange(-80, 80) / 10)
                sequence.seek(now)


def made():
    chance = random.Random(SEED)
    Sequence.all = []
    octets = [b"", b"\0", b"\xff", b"\0" * 13, b"\xff" * 26, bytes(range(256)), *(chance.randbytes(size) for size in range(1, 40))]
    payload = text(N, [events.item(chance) for _ in range(10)])
    raw = lambda content, dictionary=None: "~0" + forms.base91(forms.deflate(content, dictionary))
    whole = forms.compressed(payload)
    huge = text(N, [item("a" * 65_480)])
    decoders = [
        whole, "~0" + forms.base91(forms.deflate(payload.encode(), None, 4)), "~0" + forms.base91(b"\x01" + len(text(1)).to_bytes(2, "little") + (65535 - len(text(1))).to_bytes(2, "little") + text(1).encode()),
        raw(text(1, [item("ü€😀\u2028")]).encode()), raw(payload.encode(), b""), whole[:-1], whole[:-9], whole + "A", whole + "AAAA", whole[:9] + '"' + whole[10:], "~0", "~0A", "~0AA",
        raw(huge.encode()), raw(huge.encode() + b" " * (65_536 - len(huge))), raw(huge.encode() + b" " * (65_537 - len(huge))), raw(b"a" * 10_000_000)[:2000],
        raw(b'{"v":1,"n":1,"e":[{"d":"\xc3"}]}'), raw(b'{"v":1,"n":1,"e":[{"d":"\xed\xa0\x80"}]}'), raw(b'{"v":1,"n":1,"e":[{"d":"\xc0\xaf"}]}'), raw(b"[1]"), raw(b'~0"'), raw(b'\xef\xbb\xbf{"v":1,"n":1,"e":[]}'),
        *("~0" + forms.base91(stream) for stream in (b"\x07", b"\x06", b"\x03\x00", b"\x01\x00\x00\x00\x00", b"\x01\x00\x00\xff\xff", b"\x05", b"\x04\xc0\x81\x08\x00")),
    ]
    plain_sequences()
    keyframe_sequences()
    form_sequences(chance)
    timed_sequences()
    malformed(chance)
    shows(chance)
    rows = lambda count: text(N + count, [item([[f"{chance.getrandbits(32):x}", n] for n in range(20 * count)], "board")])
    return {
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "basE91": [[each.hex(), forms.base91(each)] for each in octets],
        "decoded": [[each, decoded(each)] for each in decoders],
        "slices": [[forms.compressed(payload), forms.slices(payload, count)] for count in (2, 3, 5, 16) for payload in [rows(count)]],
        "sequences": Sequence.all,
    }


def lines(vectors):
    """A line for each vector and each step, so that a change shows where it is."""
    compact = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)
    rows = lambda values: ",\n".join(map(compact, values))
    sequences = ",\n".join(f'{{"name":{compact(each["name"])},"steps":[\n{rows(each["steps"])}]}}' for each in vectors["sequences"])
    return f'{{"zlib":{compact(vectors["zlib"])},\n"basE91":[\n{rows(vectors["basE91"])}],\n"decoded":[\n{rows(vectors["decoded"])}],\n"slices":[\n{rows(vectors["slices"])}],\n"sequences":[\n{sequences}]}}\n'


def replayed(vectors):
    """The same vectors, with what the reference answers to what the file puts in."""
    Sequence.all = []
    for each in vectors["sequences"]:
        again = Sequence(each["name"])
        for step in each["steps"]:
            if "push" in step:
                again.push(step["push"], step.get("time"))
            else:
                again.tick(step["tick"]) if "tick" in step else again.seek(step["seek"])
    return {
        "zlib": vectors["zlib"],
        "basE91": [[octets, forms.base91(bytes.fromhex(octets))] for octets, _ in vectors["basE91"]],
        "decoded": [[sealed, decoded(sealed)] for sealed, _ in vectors["decoded"]],
        "slices": [[sealed, forms.slices(forms.decoded(sealed[2:]), len(parts))] for sealed, parts in vectors["slices"]],
        "sequences": Sequence.all,
    }


def check():
    found = FILE.read_text()
    vectors = json.loads(found)
    if lines(replayed(vectors)) != found:
        return f"{FILE} is not what the reference answers"
    if vectors["zlib"] == zlib.ZLIB_RUNTIME_VERSION and lines(made()) != found:
        return f"{FILE} is not what this program writes"
    return 0


def random_ones(seed):
    Sequence.all = []
    anything(random.Random(seed))
    return {"zlib": zlib.ZLIB_RUNTIME_VERSION, "basE91": [], "decoded": [], "slices": [], "sequences": Sequence.all}


def main():
    if "--random" in sys.argv[1:]:
        print(lines(random_ones(int(sys.argv[-1]))))
        return
    if "--check" in sys.argv[1:]:
        sys.exit(check())
    FILE.write_text(lines(made()))


if __name__ == "__main__":
    main()

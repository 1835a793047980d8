"""What a player does with payloads: the reference that `vectors.json` is made with. It is written for one who reads it, not for
speed, and from the description of the forms and of the state alone."""

import dataclasses
import json
import math
from decimal import Decimal, localcontext

import forms

HELD_MAX = 2000
HELD_CHARACTERS_MAX = 1 << 20
NESTING_MAX = 70
SLICES_MAX = 16
OPEN_MAX = 3
OPEN_S = 30
FINISHED_MAX = 8
EARLY_S = 0.02
END = math.inf
MERGES = ("replace", "sum", "max", "min", "patch")
NONE = object()


def is_number(value):
    return isinstance(value, float) and math.isfinite(value)


def is_integer(value):
    return is_number(value) and value.is_integer()


def nesting(value):
    if isinstance(value, dict):
        return 1 + max(map(nesting, value.values()), default=0)
    return 1 + max(map(nesting, value), default=0) if isinstance(value, list) else 0


def read_json(text):
    def refuse(_):
        raise ValueError

    # Every number is a double, as in JavaScript.
    return json.loads(text, parse_int=float, parse_float=float, parse_constant=refuse)


def plain(text):
    """A plain payload that is well formed, or `None`."""
    if not text.startswith("{"):
        return None
    try:
        value = read_json(text)
    except (ValueError, RecursionError):
        return None
    of_objects = lambda found: isinstance(found, list) and all(isinstance(each, dict) for each in found)
    good = (
        value.get("v") == 1.0
        and not isinstance(value["v"], bool)
        and is_integer(value.get("n"))
        and 0 <= value["n"] < 2**53
        and of_objects(value.get("e"))
        and all("d" in item for item in value["e"])
        and ("s" not in value or of_objects(value["s"]) and all(isinstance(entry.get("k"), str) for entry in value["s"]))
        and ("c" not in value or isinstance(value["c"], list) and len(value["c"]) == 3 and all(map(is_integer, value["c"])))
        and ("r" not in value or is_integer(value["r"]))
        and nesting(value) <= NESTING_MAX
    )
    return value if good else None


def same(a, b):
    """As JSON: true is not 1, and the order of members means nothing."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def add(a, b):
    """The exact decimal sum of what the two are written as, and then the nearest double."""
    with localcontext() as context:
        context.prec = 2000
        total = float(Decimal(repr(a)) + Decimal(repr(b)))
    return total if math.isfinite(total) else math.copysign(1.7976931348623157e308, total)


NUMBERS = {"sum": add, "max": lambda a, b: b if a < b else a, "min": lambda a, b: b if a > b else a}


def combined(merge, value, data):
    if merge == "replace":
        return data
    if merge == "patch":
        return patched(value, data)
    number = NUMBERS[merge]
    if is_number(value) and is_number(data):
        return number(value, data)
    if isinstance(value, dict) and isinstance(data, dict):
        both = lambda name: is_number(value.get(name)) and is_number(data[name])
        return value | {name: number(value[name], data[name]) if both(name) else data[name] for name in data}
    return data


def patched(value, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    made = dict(value) if isinstance(value, dict) else {}
    for name, member in patch.items():
        if member is None:
            made.pop(name, None)
        else:
            made[name] = patched(made.get(name), member)
    return made


@dataclasses.dataclass
class Known:
    """What is known of a key: the value (`NONE`: it has none), its place, the payload that told of it, whether it is certain."""

    value: object
    place: tuple
    told: float
    sure: bool


class State:
    def __init__(self, floor=-1, complete=False):
        self.floor, self.complete, self.keys, self.cycle, self.changes = floor, complete, {}, None, []

    def values(self):
        return {key: known.value for key, known in self.keys.items() if known.value is not NONE}

    def is_known(self, key):
        return self.keys[key].sure if key in self.keys else self.complete

    def put(self, key, value, place, told, sure):
        before = self.keys[key].value if key in self.keys else NONE
        if before is not NONE and value is not NONE and same(before, value):
            value = before
        elif before is not value:
            self.changes.append(key)
        self.keys[key] = Known(value, place, told, sure)

    def entries(self, payload):
        n = payload["n"]
        if n < self.floor:
            return
        last = {entry["k"]: entry for entry in payload.get("s", ())}
        for key, entry in last.items():
            known = self.keys.get(key)
            if known is not None and n <= known.place[0]:
                continue
            place = (n - 1, END)
            held = known.value if known else NONE
            if is_number(entry.get("x")) and entry["x"] == 1:
                self.put(key, NONE, place, n, True)
            elif "d" in entry:
                self.put(key, entry["d"], place, n, True)
            else:
                self.put(key, held, place, n, held is not NONE and known.sure)

    def item(self, n, position, item):
        key, merge = item.get("k"), item.get("m", "replace")
        if not isinstance(key, str) or merge not in MERGES or n < self.floor:
            return
        known = self.keys.get(key)
        if known is not None and (n, position) <= known.place:
            return
        data = item["d"]
        held = known.value if known else NONE
        if merge == "replace":
            made = NONE if data is None else data
        elif held is NONE:
            made = patched({}, data) if merge == "patch" else data
        else:
            made = combined(merge, held, data)
        self.put(key, made, (n, position), n, merge == "replace" or self.is_known(key))

    def end(self, payload):
        """What a cycle says when its payload is done. Whether it made the state complete."""
        if "c" not in payload:
            return False
        offset, part, last = payload["c"]
        start = payload["n"] - offset
        if offset < 0 or part < 0 or last not in (0, 1) or self.cycle and start < self.cycle["start"]:
            return False
        if not self.cycle or start > self.cycle["start"]:
            self.cycle = {"start": start, "parts": set(), "last": None}
        self.cycle["parts"].add(part)
        if last:
            self.cycle["last"] = part
        end = self.cycle["last"]
        if end is None or not all(i in self.cycle["parts"] for i in range(int(min(end, HELD_MAX)) + 1)):
            return False
        for key, known in self.keys.items():
            if known.told < start:
                self.put(key, NONE, known.place, known.told, True)
        was, self.complete = self.complete, True
        return not was

    def gap(self):
        """Payloads may be missing here."""
        self.complete, self.cycle = False, None
        for known in self.keys.values():
            known.sure = False


@dataclasses.dataclass
class Held:
    at: float
    order: tuple
    payload: dict | None
    text: str
    time: float | None
    run: int
    done: bool = False


class Player:
    def __init__(self):
        self.state, self.now, self.held, self.sought, self.stale = State(), None, [], -END, False
        self.run = self.entered = 0
        self.open, self.finished, self.events = {}, [], []

    # What comes in.

    def push(self, text, time=None):
        if text.startswith("~2"):
            self.slice(text, time)
            return
        found = text if text.startswith("{") else forms.decoded(text[2:]) if text.startswith("~0") else None
        self.hold(plain(found) if found is not None else None, text, time)

    def slice(self, text, time):
        part, count = (forms.ALPHABET.find(c) for c in (text[6:7] or "!!", text[7:8] or "!!"))
        if len(text) < 8 or not 1 <= count <= SLICES_MAX or not 0 <= part < count or any(c not in forms.ALPHABET for c in text[2:6]):
            self.hold(None, text, time)
            return
        name = text[2:6] + text[7]
        if name in self.finished:
            return
        clock = next(t for t in (time, self.now, 0) if t is not None)
        self.open = {key: each for key, each in self.open.items() if abs(clock - each["since"]) <= OPEN_S}
        if name not in self.open:
            if len(self.open) == OPEN_MAX:
                del self.open[next(iter(self.open))]
            self.open[name] = {"since": clock, "parts": {}, "time": None}
        found = self.open[name]
        found["parts"].setdefault(part, text[8:])
        found["time"] = max((t for t in (found["time"], time) if t is not None), default=None)
        if len(found["parts"]) < count:
            return
        del self.open[name]
        self.finished = [*self.finished, name][-FINISHED_MAX:]
        body = "".join(found["parts"][i] for i in range(count))
        joined = forms.decoded(body) if forms.identity(body) == text[2:6] else None
        payload = plain(joined) if joined is not None else None
        if payload is not None:
            self.hold(payload, body, found["time"])

    def hold(self, payload, text, time):
        for each in self.held:
            if payload is not None and each.payload is not None and each.payload["n"] == payload["n"]:
                each.run = self.run
                return
            if payload is None and each.payload is None and time is not None and (each.time, each.text) == (time, text):
                each.run = self.run
                return
        n = payload["n"] if payload is not None and time is not None else END
        at = time
        if at is None:
            at = self.now if self.now is not None else max((each.at for each in self.held), default=-END)
        silent = time is not None and time <= self.sought
        self.held.append(Held(at, (at, n), payload, text, time, self.run, silent))
        while len(self.held) > HELD_MAX or sum(len(each.text) for each in self.held) > HELD_CHARACTERS_MAX:
            self.held.pop(0)
        self.stale = self.stale or silent
        if self.now is None or time is None:
            self.fire()

    # The clock.

    def tick(self, now):
        self.now = now
        self.fire()

    def fire(self):
        if self.stale:
            self.rebuild(sorted((each for each in self.held if each.done), key=lambda each: each.order), self.run)
        until = END if self.now is None else self.now + EARLY_S
        due = sorted((each for each in self.held if not each.done and each.at <= until), key=lambda each: each.order)
        for record in due:
            late = max(0, self.now - record.time) if self.now is not None and record.time is not None else 0
            self.apply(record, late)

    def seek(self, to):
        self.open, self.finished, self.now, self.sought = {}, [], to, to
        ordered = sorted(self.held, key=lambda each: each.order)
        for each in ordered:
            each.done = each.at <= to
        before = [each for each in ordered if each.done]
        after = [each for each in ordered if not each.done]
        if before and after and before[-1].run == after[0].run:
            self.run = after[0].run
        else:
            self.run = 1 + max([self.run, *(each.run for each in self.held)])
        self.rebuild(before, self.run)

    # What it does.

    def rebuild(self, records, run, floor=-1, complete=False):
        """The state anew from these payloads, without events of theirs."""
        self.stale = False
        old, payloads = self.state, [each for each in records if each.payload]
        state = self.state = State(max([floor, *(each.payload.get("r", -1) for each in payloads)]), complete)
        self.entered = payloads[0].run if payloads else run
        for each in payloads:
            self.enter(each.run)
            state.entries(each.payload)
            for position, item in enumerate(each.payload["e"]):
                state.item(each.payload["n"], position, item)
            state.end(each.payload)
        self.enter(run)
        state.complete = state.complete or complete
        before, after = old.values(), state.values()
        state.changes = []
        for key in sorted(before.keys() | after.keys()):
            if key in before and key in after and same(before[key], after[key]):
                state.keys[key].value = before[key]
            else:
                state.changes.append(key)
        self.tell_changes()
        if state.complete and not old.complete:
            self.events.append({"on": "#complete"})

    def enter(self, run):
        if run != self.entered:
            self.state.gap()
            self.entered = run

    def tell_changes(self):
        values = self.state.values()
        for key in self.state.changes:
            told = {"on": "#state", "key": key}
            self.events.append(told | ({"value": values[key]} if key in values else {"deleted": True}))
        self.state.changes = []

    def apply(self, record, late):
        payload, record.done = record.payload, True
        when = {} if record.time is None else {"time": record.time}
        if payload is None:
            self.events.append({"on": "#foreign", "text": record.text, **when, "late": late})
            return
        self.enter(record.run)
        self.run = record.run
        n = payload["n"]
        if payload.get("r", -1) > self.state.floor:
            done = sorted((each for each in self.held if each.done and each is not record), key=lambda each: each.order)
            self.rebuild(done, record.run, payload["r"], self.state.complete)
        state = self.state
        state.entries(payload)
        self.tell_changes()
        for position, item in enumerate(payload["e"]):
            state.item(n, position, item)
            self.tell_changes()
            self.events.append({"on": "*", **self.event(item, n, late), **when})
        completed = state.end(payload)
        self.tell_changes()
        if completed:
            self.events.append({"on": "#complete"})

    def event(self, item, n, late):
        text = lambda name: item[name] if isinstance(item.get(name), str) else None
        merge = item.get("m", "replace")
        key = text("k")
        made = {"type": text("t"), "key": key, "id": text("i"), "merge": merge if key is not None and merge in MERGES else None}
        made = {name: value for name, value in made.items() if value is not None} | {"data": item["d"], "n": n, "late": late}
        values = self.state.values()
        return made | ({"state": values[key]} if key in values else {})

"""Varied events of a live show, as items of a `cue` payload: about 86 bytes each. The same seed, the same events.
`python3 player/reference/events.py [SEED]` measures how many fit a payload of 1,024 bytes, plain and in form `~0`."""

import json
import random
import sys

import forms

NAMES = "anna ben chloe dmitri elif fatima george hana ivan jun kemal lena mateo nora omar priya quinn rosa sam tariq uma vera wen yara".split()
WORDS = (
    "which river runs through the city where was first song of album by who scored final goal in match what a nice shot "
    "hello from here love this show can you play it again please next round starts now good luck everyone best moment ever"
).split()
TEAMS = "lions tigers sharks eagles bears wolves".split()
COLOURS = "red blue green black white yellow".split()


def words(chance, few, many):
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(few, many)))


def user(chance):
    return f"{chance.choice(NAMES)}{chance.randrange(1000)}"


def item(chance):
    """One event: what a program would send, with data of many shapes."""
    kinds = {
        "quiz.question": lambda: {"d": {"id": chance.randrange(10**4), "text": words(chance, 8, 14), "seconds": chance.choice([10, 15, 20])}},
        "quiz.answer": lambda: {"d": {"question": chance.randrange(10**4), "answer": chance.choice("ABCD"), "correct": chance.random() < 0.5, "share": round(chance.random(), 3)}},
        "vote": lambda: {"d": {o: chance.randrange(500) for o in "abcd"}, "k": f"poll-{chance.randrange(40)}", "m": "sum"},
        "chat.message": lambda: {"d": {"user": user(chance), "text": words(chance, 6, 12)}},
        "reaction": lambda: {"d": {"name": chance.choice(["heart", "clap", "wow", "fire"]), "count": chance.randrange(1, 4000), "x": round(chance.random(), 2), "y": round(chance.random(), 2)}},
        "score": lambda: {"d": {"home": chance.choice(TEAMS), "away": chance.choice(TEAMS), "score": [chance.randrange(9), chance.randrange(9)], "minute": chance.randrange(95)}, "k": f"match-{chance.randrange(20)}"},
        "product.show": lambda: {"d": {"sku": f"{chance.getrandbits(32):08x}", "price": chance.randrange(100, 9999) / 100, "color": chance.choice(COLOURS), "stock": chance.randrange(900), "url": f"/p/{chance.randrange(10**5)}"}},
        "leaderboard": lambda: {"d": [[user(chance), chance.randrange(99999)] for _ in range(4)], "k": "top"},
        "cue": lambda: {"d": {"action": chance.choice(["show", "hide", "start", "stop"]), "overlay": chance.choice(NAMES), "at": round(chance.random() * 9000, 1), "duration": chance.randrange(60), "layer": chance.randrange(4)}},
        "bid": lambda: {"d": chance.randrange(100, 10**6), "k": f"lot-{chance.randrange(300)}", "m": "max"},
    }
    kind = chance.choice(list(kinds))
    made = kinds[kind]()
    return {"d": made.pop("d"), "t": kind, **made}


def text_of(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def payload(n, items):
    return '{"v":1,"n":%d,"e":[%s]}' % (n, ",".join(items))


def packed(items, form, limit=1024):
    """How many payloads all items take, each with as many as fit in the form."""
    count, start, n = 0, 0, 1_790_000_000_000
    while start < len(items):
        end = start + 1
        while end < len(items) and len(form(payload(n, items[start : end + 1]))) <= limit:
            end += 1
        count, start, n = count + 1, end, n + 211
    return count


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    chance = random.Random(seed)
    items = [text_of(item(chance)) for _ in range(10_000)]
    print(f"seed {seed}: {len(items)} events of {sum(len(i.encode()) for i in items) / len(items):.1f} bytes")
    bare = lambda text: "~0" + forms.base91(forms.deflate(text.encode(), b""))
    plain, compressed, without = (packed(items, form) for form in (lambda t: t.encode(), forms.compressed, bare))
    for name, count in ("plain", plain), ("~0", compressed), ("without the dictionary", without):
        print(f"{name}: {len(items) / count:.1f} events in a payload, {plain / count:.2f} times")


if __name__ == "__main__":
    main()

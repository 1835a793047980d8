"""How far off the picture was when a viewer heard of something, in frames of a picture that repeats. Nothing is asserted here."""

# Frames of the picture until it repeats: it shows its number in eight bits.
LOOP = 200
# What is near, for 95 of 100, and what no event may exceed.
NEAR, FAR = 2, 10


def after(frame, other):
    """By how many frames one comes after another, of two that are less than half a loop apart."""
    return (frame - other + LOOP / 2) % LOOP - LOOP / 2


def frames_off(entry, frame, shown):
    """How far off the picture was from an event's frame, or from the first one after it that was on the screen."""
    first = entry["frame"]
    for other in reversed(shown[:entry["shown"] + 1]):
        if other is None or after(other, frame) < -0.5 or after(first, other) < 0:
            break
        first = other
    off = after(entry["frame"], frame)
    return after(entry["frame"], first) if off > NEAR else off


class Offs:
    """How far off events were, in frames: half of them, 95 of 100 and all."""

    def __init__(self, offs):
        offs = sorted(map(abs, offs))
        self.count = len(offs)
        self.half, self.most, self.all = (offs[len(offs) * part // 100] if part < 100 else offs[-1] for part in (50, 95, 100))

    def __str__(self):
        return f"{self.count} events, half within {self.half:.1f} frames, 95 of 100 within {self.most:.1f}, all within {self.all:.1f}"

#!/usr/bin/env python3
"""Makes `sample.ts`, the test picture that `local-ivs` plays. Needs ffmpeg; nothing else ever does.

    python3 crates/local-ivs/playback/make_sample.py

The sample is 8 s of H.264 (baseline, 320x180, 25 frames a second, no B frames, a closed GOP each second) and AAC (32 kHz,
mono) in an MPEG transport stream. 8 s are exactly 250 frames of that AAC, so a loop does not drift. Every second
begins with its PAT and PMT, so that `src/playback/sample.rs` can take it as a segment.

24 s are encoded and the 8 s in the middle are kept: there the encoders repeat themselves, and the seam of the loop is like
any other second.

The picture, for programs: a row of ten blocks of 32x32 pixels at the top. The first is white, then come eight bits of the
frame number within the loop (0 to 199, the highest first, white is 1), then a bit that makes the number of
white ones among the nine even. For people: seconds and hundredths within the loop, and a bar that moves once
across the picture in 8 s. Each second begins with a beep.
"""

import pathlib
import subprocess

WIDTH, HEIGHT, RATE, LOOP = 320, 180, 25, 8
FRAMES = LOOP * RATE
BLOCK = 32
DARK, GREY, WHITE = 16, 60, 235
# Limited range; the bar's colour is orange.
BAR = {"y": 150, "u": 60, "v": 180}
BAR_TOP, BAR_WIDTH = 152, 16
PACKET = 188
SDT_PID = 0x11
DIGITS = {
    "0": "7555557", "1": "2622227", "2": "7117447", "3": "7117117", "4": "5557111",
    "5": "7447117", "6": "7447557", "7": "7111222", "8": "7557557", "9": "7557117", ".": "0000002",
}
SCALE = 13


def bits(number):
    """The blocks of a frame, from the left."""
    shown = [number >> bit & 1 for bit in reversed(range(8))]
    return [1, *shown, sum(shown) % 2]


def fill(plane, stride, left, top, width, height, value):
    for row in range(top, top + height):
        plane[row * stride + left:row * stride + left + width] = bytes([value]) * width


def write(plane, text, left, top):
    for glyph in (DIGITS[letter] for letter in text):
        for row, cells in enumerate(glyph):
            for column in range(3):
                if int(cells) >> 2 - column & 1:
                    fill(plane, WIDTH, left + column * SCALE, top + row * SCALE, SCALE, SCALE, WHITE)
        left += 4 * SCALE


def picture(frame):
    """One frame, planar YUV 4:2:0."""
    number = frame % FRAMES
    luma = bytearray([GREY]) * (WIDTH * HEIGHT)
    chroma = {name: bytearray([128]) * (WIDTH * HEIGHT // 4) for name in "uv"}
    for place, bit in enumerate(bits(number)):
        fill(luma, WIDTH, place * BLOCK, 0, BLOCK, BLOCK, WHITE if bit else DARK)
    write(luma, f"{number // RATE}.{number % RATE * 100 // RATE:02}", 62, 48)
    left = number * (WIDTH - BAR_WIDTH) // FRAMES & ~1
    fill(luma, WIDTH, left, BAR_TOP, BAR_WIDTH, HEIGHT - BAR_TOP, BAR["y"])
    for name in "uv":
        fill(chroma[name], WIDTH // 2, left // 2, BAR_TOP // 2, BAR_WIDTH // 2, (HEIGHT - BAR_TOP) // 2, BAR[name])
    return bytes(luma + chroma["u"] + chroma["v"])


def encoded():
    """Three loops, as ffmpeg multiplexes them: PAT and PMT before each key frame only, one AAC frame a PES packet."""
    seconds = 3 * LOOP
    beep = f"aevalsrc=0.2*sin(2*PI*880*t)*lt(mod(t\\,1)\\,0.08):s=32000:d={seconds}"
    command = (
        "ffmpeg -v error -f rawvideo -pix_fmt yuv420p -s", f"{WIDTH}x{HEIGHT}", f"-r {RATE} -i - -f lavfi -i", beep,
        "-c:v libx264 -profile:v baseline -preset veryslow -tune animation -crf 30 -bf 0 -refs 1 -g", str(RATE),
        f"-keyint_min {RATE} -sc_threshold 0 -x264-params open-gop=0:aud=1:threads=1 -bitexact",
        "-c:a aac -ac 1 -ar 32000 -b:a 16k -f mpegts -muxdelay 0 -muxpreload 0 -pes_payload_size 0",
        "-pat_period 3600 -sdt_period 3600 -",
    )
    words = [word for part in command for word in ([part] if part == beep else part.split())]
    frames = b"".join(picture(frame) for frame in range(seconds * RATE))
    return subprocess.run(words, input=frames, stdout=subprocess.PIPE, check=True).stdout


def main():
    stream = encoded()
    packets = [stream[at:at + PACKET] for at in range(0, len(stream), PACKET)]
    packets = [packet for packet in packets if (packet[1] & 31) << 8 | packet[2] != SDT_PID]
    tables = [at for at, packet in enumerate(packets) if (packet[1] & 31) << 8 | packet[2] == 0]
    assert len(tables) == 3 * LOOP, f"{len(tables)} program tables"
    sample = b"".join(packets[tables[LOOP]:tables[2 * LOOP]])
    target = pathlib.Path(__file__).parent / "sample.ts"
    target.write_bytes(sample)
    print(f"{target}: {len(sample)} bytes")


if __name__ == "__main__":
    main()

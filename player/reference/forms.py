"""The forms of a payload, written from their description alone: basE91, raw DEFLATE with the preset dictionary, slices."""

import pathlib
import zlib

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~-"
DICTIONARY = (pathlib.Path(__file__).parents[1] / "dictionary.txt").read_bytes()
DECODED_MAX = 65_536


def base91(octets):
    out, bits, held = [], 0, 0
    for octet in octets:
        bits |= octet << held
        held += 8
        if held > 13:
            value, taken = bits & 8191, 13
            if value <= 88:
                value, taken = bits & 16383, 14
            bits >>= taken
            held -= taken
            out.append(ALPHABET[value % 91] + ALPHABET[value // 91])
    if held:
        out.append(ALPHABET[bits % 91])
        if held > 7 or bits > 90:
            out.append(ALPHABET[bits // 91])
    return "".join(out)


def deflate(octets, dictionary=None, strategy=zlib.Z_DEFAULT_STRATEGY):
    dictionary = DICTIONARY if dictionary is None else dictionary
    maker = zlib.compressobj(9, zlib.DEFLATED, -15, 9, strategy, dictionary) if dictionary else zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    return maker.compress(octets) + maker.flush()


def compressed(text):
    return "~0" + base91(deflate(text.encode()))

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


def unbase91(text):
    """The bytes of basE91 text; `None` where a character is none of its alphabet."""
    out, bits, held, value = bytearray(), 0, 0, None
    for character in text:
        digit = ALPHABET.find(character)
        if digit < 0:
            return None
        if value is None:
            value = digit
            continue
        value += digit * 91
        bits |= value << held
        held += 13 if value & 8191 > 88 else 14
        while held > 7:
            out.append(bits & 255)
            bits >>= 8
            held -= 8
        value = None
    if value is not None:
        out.append((bits | value << held) & 255)
    return bytes(out)


def inflate(octets):
    """The text of a compressed payload; `None` where it is none: one whole stream, nothing behind it, UTF-8, within the bound."""
    reader = zlib.decompressobj(-15, DICTIONARY)
    try:
        plain = reader.decompress(octets, DECODED_MAX + 1)
        if len(plain) > DECODED_MAX or not reader.eof or reader.unused_data:
            return None
        return plain.decode()
    except (zlib.error, UnicodeDecodeError):
        return None


def decoded(body):
    octets = unbase91(body)
    return None if octets is None else inflate(octets)


def digits(number, count):
    """A number in characters of the alphabet, the low ones first."""
    return "".join(ALPHABET[number // 91**place % 91] for place in range(count))


def identity(body):
    """FNV-1a-32 of the text, mod 91^4, in 4 characters."""
    hashed = 0x811C9DC5
    for octet in body.encode():
        hashed = (hashed ^ octet) * 0x01000193 & 0xFFFFFFFF
    return digits(hashed % 91**4, 4)


def slices(text, count):
    """A plain payload in form `~2`, in so many slices of about the same size."""
    body = base91(deflate(text.encode()))
    size = -(-len(body) // count)
    head = "~2" + identity(body)
    return [head + ALPHABET[i] + ALPHABET[count] + body[i * size : (i + 1) * size] for i in range(count)]

"""Public keys as IVS takes them: ECDSA on P-384, PEM. Python's library makes none, and the tests
need real points of the curve, not secret ones."""

import base64

# SEC 2, version 2.0, section 2.5.1: secp384r1.
P = 2**384 - 2**128 - 2**96 + 2**32 - 1
G = (
    0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
    0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
)
# RFC 5480: SubjectPublicKeyInfo of id-ecPublicKey on secp384r1, up to the uncompressed point.
PREFIX = bytes.fromhex("3076301006072a8648ce3d020106052b8104002203620004")


def add(a, b):
    if a is None:
        return b
    slope = 3 * (a[0] ** 2 - 1) * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope**2 - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def public_key(secret):
    """The PEM of a secret number's public key; 1 is the curve's generator."""
    point, power = None, G
    while secret:
        if secret & 1:
            point = add(point, power)
        power, secret = add(power, power), secret >> 1
    text = base64.b64encode(PREFIX + b"".join(n.to_bytes(48, "big") for n in point)).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])

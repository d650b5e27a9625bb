"""Text that something went wrong with, for readers that must refuse or survive it."""

import random

PIECES = (
    *(b"0", b"9", b"-", b"-1", b".", b"1e9", b"1e999", b"9" * 30),
    *(b"null", b"true", b"[", b"[]", b"{}", b'"', b'""', b",", b"\xff"),
)


def damaged(text: bytes, chance: random.Random, most: int) -> bytes:
    """`text`, not empty, with one to `most` bytes or pieces of it changed, lost or put in."""
    out = bytearray(text)
    for _ in range(chance.randint(1, most)):
        at = chance.randrange(len(out))
        match chance.randrange(5):
            case 0:
                out[at] = chance.randrange(256)
            case 1:
                del out[at : at + chance.choice((1, 2, 4, 9, 40))]
            case 2:
                out[at : at + chance.choice((0, 1, 4))] = chance.choice(PIECES)
            case 3:
                out[at : at + 1] = str(chance.randrange(1 << 65)).encode()
            case _:
                other = chance.randrange(len(text))
                out[at:at] = text[other : other + chance.randrange(40)]
        if not out:
            out += b"{"
    return bytes(out)

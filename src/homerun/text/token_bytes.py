"""What bytes a piece of the vocabulary stands for, as the decoder in tokenizer.json says.

Knows the byte-level and the metaspace (byte fallback) alphabets; knows nothing of ids.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from homerun.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class PieceDecoder:
    """Turns pieces into bytes; an answer is the UTF-8 text of all of them."""

    piece_bytes: Callable[[str], bytes]
    leading_spaces: int
    """How many spaces decoding takes off the very start of an answer (Llama-2: 1)."""


def read_piece_decoder(state: bytes | None) -> PieceDecoder:
    """Reads the `decoder` of tokenizer.json (as JSON). Raises CheckpointError for unknown ones."""
    steps = list(_flatten(json.loads(state))) if state else []
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"]:
        return PieceDecoder(_byte_level, 0)
    if not steps or not set(kinds) <= {"Replace", "Metaspace", "ByteFallback", "Fuse", "Strip"}:
        raise CheckpointError(
            f"tokenizer.json: the decoder {' + '.join(kinds) or 'null'} is not supported; "
            "byte-level and metaspace decoders with byte fallback are"
        )
    replacements: list[tuple[str, str]] = []
    leading_spaces = 0
    for step in steps:
        match step["type"]:
            case "Replace" if "String" in step["pattern"]:
                replacements.append((step["pattern"]["String"], step["content"]))
            case "Metaspace":
                replacements.append((step["replacement"], " "))
                leading_spaces = 0 if step.get("prepend_scheme") == "never" else 1
            case "Strip" if step["content"] == " " and not step["stop"]:
                leading_spaces = step["start"]
            case "ByteFallback" | "Fuse":
                pass
            case kind:
                raise CheckpointError(
                    f"tokenizer.json: this {kind} of the decoder is not supported"
                )
    byte_fallback = "ByteFallback" in kinds

    def metaspace(piece: str) -> bytes:
        if byte_fallback and (byte := _FALLBACK.get(piece)) is not None:
            return byte
        for pattern, content in replacements:
            piece = piece.replace(pattern, content)
        return piece.encode()

    return PieceDecoder(metaspace, leading_spaces)


def _flatten(decoder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if decoder["type"] != "Sequence":
        yield decoder
        return
    for step in cast(list[dict[str, Any]], decoder["decoders"]):
        yield from _flatten(step)


_FALLBACK = {f"<0x{byte:02X}>": bytes((byte,)) for byte in range(256)}


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's map: printable Latin-1 stands for itself, the other bytes for U+0100 upwards."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {
        chr(0x100 + index): byte for index, byte in enumerate(others)
    }


_BYTE_OF = _byte_alphabet()


def _byte_level(piece: str) -> bytes:
    try:
        return bytes([_BYTE_OF[character] for character in piece])
    except KeyError:  # an added token: written as plain text
        return piece.encode()

"""The head of homerun's own files: magic, version, and a JSON text that is whole or refused.

    magic (8 bytes), version (uint32), length of the header (uint64), SHA-256 of the header
    the header: JSON, padded with spaces to the next multiple of 4 KiB of the file

Numbers are little-endian. Knows nothing of what the text says or of what follows it.
"""

import hashlib
import json
import struct
from dataclasses import dataclass

from homerun import __version__
from homerun.errors import CheckpointError
from homerun.model.json_fields import parse_json_object
from homerun.model.safetensors_file import display

PAGE = 4096
_PREAMBLE = struct.Struct("<8sIQ32s")
_LENGTH_LIMIT = 64 << 20
"""Bytes; the header of a model of 1,024 layers has 2 MB."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """One kind of file."""

    magic: bytes
    version: int
    name: str
    """"a packed file of homerun"."""
    advice: str
    """What to do about a file that cannot be read."""


def encode(kind: FileKind, values: dict[str, object]) -> bytes:
    """Everything before the contents, which begin at a multiple of 4 KiB."""
    text = json.dumps(values, separators=(",", ":")).encode()
    header = text.ljust(to_page(_PREAMBLE.size + len(text)) - _PREAMBLE.size)
    digest = hashlib.sha256(header).digest()
    return _PREAMBLE.pack(kind.magic, kind.version, len(header), digest) + header


def read_text(kind: FileKind, data: memoryview, source: str) -> tuple[bytes, int]:
    """The header's JSON out of a file's bytes, undamaged, and where the contents begin.

    Raises CheckpointError.
    """
    if len(data) < _PREAMBLE.size or bytes(data[: len(kind.magic)]) != kind.magic:
        raise CheckpointError(f"{source} is not {kind.name}")
    _, version, length, digest = _PREAMBLE.unpack_from(data)
    header = bytes(data[_PREAMBLE.size : _PREAMBLE.size + min(length, _LENGTH_LIMIT)])
    if version != kind.version:
        raise CheckpointError(
            f"{source} has format {version}, written by homerun {_writer(header)}; "
            f"this is homerun {__version__}, which reads format {kind.version}: {kind.advice}"
        )
    if len(header) != length:
        raise CheckpointError(f"{source} is cut off in its header, or damaged: {kind.advice}")
    if hashlib.sha256(header).digest() != digest:
        raise CheckpointError(f"{source}: the header is damaged: {kind.advice}")
    start = _PREAMBLE.size + length
    if start % PAGE:
        raise CheckpointError(f"{source}: the arrays begin at byte {start}, which is no page")
    return header, start


def to_page(size: int) -> int:
    """`size` rounded up to a multiple of 4 KiB."""
    return -(-size // PAGE) * PAGE


def parse_checksum(value: object, what: str) -> int:
    """16 hexadecimal digits. Raises CheckpointError."""
    try:
        if not isinstance(value, str) or len(value) != 16:
            raise ValueError
        return int(value, 16)
    except ValueError:
        raise CheckpointError(f"{what} has no checksum") from None


def _writer(header: bytes) -> str:
    """Version of homerun that wrote a header of another format, as far as it can be read."""
    try:
        return display(str(parse_json_object(header, "").get("written_by", "of another version")))
    except CheckpointError:
        return "of another version"

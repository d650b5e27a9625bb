"""A multipart form with one file, read piece by piece: what came of the file so far, never all.

Knows the form's syntax and the two fields of an asset upload; knows nothing of adapters or disks.
"""

from collections.abc import Callable
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from homerun.errors import BadInput

FORM_BYTES = 64 * 1024
"""Most bytes of a body besides the file's own."""
_MAX_FIELD_BYTES = 1024
_MAX_PARTS = 64
_PLAIN_ENCODINGS = (b"", b"7bit", b"8bit", b"binary")


class AssetForm:
    """`file_name`, a text, and `file`, in any order; the file's own name means nothing."""

    def __init__(self, content_type: str) -> None:
        """Raises BadInput for another content type."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise BadInput("the body must be multipart/form-data with a boundary")
        self.complete = False
        """Whether the form's end was seen."""
        self.ignored: list[str] = []
        """Names of other fields."""
        self._texts: dict[str, bytearray] = {}
        self._pieces: list[bytes] = []
        self._headers: dict[bytes, bytes] = {}
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._field: str | None = None
        self._parts = 0
        callbacks: dict[str, Callable[..., Any]] = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._take_header_name,
            "on_header_value": self._take_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._name_part,
            "on_part_data": self._take_data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)  # pyright: ignore[reportArgumentType]
        except FormParserError as error:
            raise BadInput(f"the form cannot be read: {error}") from None

    @property
    def file_name(self) -> str | None:
        """The field of this name; None before it has come as a whole, and if it is missing."""
        if "file_name" not in self._texts or self._field == "file_name":
            return None
        return self._texts["file_name"].decode("utf-8", "replace")

    @property
    def has_file(self) -> bool:
        return "file" in self._texts

    def feed(self, chunk: bytes) -> list[bytes]:
        """Reads on; returns the bytes of the file that are in `chunk`. Raises BadInput."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise BadInput(f"the form cannot be read: {error}") from None
        pieces, self._pieces = self._pieces, []
        return pieces

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise BadInput(f"the form has more than {_MAX_PARTS} fields")
        self._headers = {}

    def _end_part(self) -> None:
        self._field = None

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _name_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name not in ("file", "file_name"):
            self.ignored.append(name)
            return
        if name in self._texts:
            raise BadInput(f"'/{name}' occurs twice")
        encoding = self._headers.get(b"content-transfer-encoding", b"").strip().lower()
        if encoding not in _PLAIN_ENCODINGS:
            raise BadInput(f"'/{name}' must not be encoded")
        self._field = name
        self._texts[name] = bytearray()

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        if self._field == "file":
            self._pieces.append(data[start:end])
        elif self._field is not None:
            text = self._texts[self._field]
            text += data[start:end]
            if len(text) > _MAX_FIELD_BYTES:
                raise BadInput(f"Length of '/{self._field}' must be <= {_MAX_FIELD_BYTES}")

    def _end(self) -> None:
        self.complete = True

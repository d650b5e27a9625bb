"""Strict JSON of checkpoint files, read field by field with the file and field named in errors.

Knows JSON and ranges; knows nothing of what a field means.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from homerun.errors import CheckpointError
from homerun.files import open_regular

SIZE_LIMIT = 16 << 20
"""Bytes; the largest index files of public checkpoints are a few MB."""


def read_json_object(path: Path, *, limit: int = SIZE_LIMIT) -> tuple[dict[str, object], bytes]:
    """The JSON object in `path`, and its bytes. Raises CheckpointError."""
    try:
        with open_regular(path) as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise CheckpointError(f"{path} is larger than {limit} bytes")
    return parse_json_object(data, str(path)), data


def parse_json_object(data: bytes, source: str) -> dict[str, object]:
    """Strict JSON (UTF-8, no duplicate keys, no NaN or Infinity). Raises CheckpointError."""
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CheckpointError(f"{source} is not valid JSON: {reason}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{source} is not a JSON object")
    return cast(dict[str, object], value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


class Fields:
    """Typed access to a JSON object. A field that is null counts as absent.

    Every method raises CheckpointError when the field has the wrong type or is out of range, and
    when it is absent and has no default.
    """

    def __init__(self, source: str, values: Mapping[str, object]) -> None:
        self.source = source
        self._values = values

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def raw(self, name: str) -> object:
        """The value as it stands, None if absent."""
        return self._values.get(name)

    def integer(self, name: str, *, low: int, high: int, default: int | None = None) -> int:
        """An integer in [low, high]."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(name, f"must be an integer, not {value!r}")
        if not low <= value <= high:
            raise self.error(name, f"must be between {low} and {high}, not {shorten(value)}")
        return value

    def number(self, name: str, *, low: float, high: float, default: float | None = None) -> float:
        """A finite number in [low, high]."""
        value = self._get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(name, f"must be a number, not {value!r}")
        # Compared before conversion: a huge JSON integer does not fit a float.
        if not (low <= value <= high and math.isfinite(value)):
            raise self.error(name, f"must be between {low:g} and {high:g}, not {shorten(value)}")
        return float(value)

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise self.error(name, f"must be true or false, not {value!r}")
        return value

    def text(self, name: str, *, default: str | None = None) -> str:
        value = self._get(name, default)
        if not isinstance(value, str):
            raise self.error(name, f"must be a string, not {value!r}")
        return value

    def child(self, name: str) -> "Fields | None":
        """The object under `name`, None if absent."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.error(name, f"must be an object, not {value!r}")
        return Fields(f"{self.source}: {name}", cast(dict[str, object], value))

    def values(self) -> list[object]:
        """All values in order, whatever their names."""
        return list(self._values.values())

    def error(self, name: str, what: str) -> CheckpointError:
        return CheckpointError(f"{self.source}: {name} {what}")

    def _get(self, name: str, default: object) -> object:
        value = self._values.get(name)
        if value is None:
            value = default
        if value is None:
            raise self.error(name, "is missing")
        return value


def shorten(value: object) -> str:
    """`str(value)` of at most 40 characters, for messages about hostile numbers."""
    try:
        text = str(value)
    except ValueError:  # an integer of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 40 else text[:37] + "..."

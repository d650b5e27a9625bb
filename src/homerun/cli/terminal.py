"""Text on a terminal: streamed, and without the power to control it."""

import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

_CONTROL = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def safe(text: str) -> str:
    """`text` without control characters: what a model says may not move the cursor."""
    return text.translate(_CONTROL)


def print_stream(parts: Iterable[str]) -> None:
    """Writes each part as it comes, then a line end. A pipe gets the text as it is."""
    plain = sys.stdout.isatty()
    try:
        for part in parts:
            sys.stdout.write(safe(part) if plain else part)
            sys.stdout.flush()
        sys.stdout.write("\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough; nothing is left to be flushed at exit.
        sys.stdout = None  # pyright: ignore[reportAttributeAccessIssue]


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns of equal width, the headings first; no row moves the cursor."""
    shown = [[safe(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def fail(message: object, status: int = 1) -> NoReturn:
    """Ends the command with a message for a person."""
    print(f"homerun: {message}", file=sys.stderr)
    raise SystemExit(status)

"""`homerun models`: weights as homerun keeps them."""

import shlex
from pathlib import Path

from homerun.cli.terminal import print_table, progress_line
from homerun.errors import CheckpointError, ConfigurationError
from homerun.model.memory import gigabytes
from homerun.native import configure
from homerun.service.comparison import compare
from homerun.service.library import ImportedModel, Library, age, verify
from homerun.settings import Settings

FEW_TOKENS = 1000
"""On fewer a perplexity may move by a percent for no reason."""


def add(
    name: str, path: Path, dtype: str | None, groups: tuple[int, int], settings: Settings
) -> None:
    """Packs a checkpoint and says what became of it."""
    model = Library(settings.home).add(
        name, path.expanduser(), dtype or settings.dtype, groups, progress=_show_bytes
    )
    facts = model.facts
    print(f"{name}: {gigabytes(model.size)} of {facts.dtype} weights in {model.directory}")
    print(f"Serve it with: homerun serve {shlex.quote(name)}")


def show(settings: Settings) -> None:
    """Prints every imported model."""
    models = Library(settings.home).all()
    if not models:
        print("No models are imported. homerun models import NAME PATH imports one.")
        return
    rows = [("NAME", "DTYPE", "SIZE", "IMPORTED", "SOURCE"), *map(_row, models)]
    print_table(rows)


def remove(name: str, settings: Settings) -> None:
    """Deletes an imported model."""
    model = Library(settings.home).remove(name)
    print(f"{name} is removed: {gigabytes(model.size)} are free again.")


def check(
    name: str, text: Path | None, source: Path | None, window: int, settings: Settings
) -> None:
    """Verifies a model's file; with a text, compares it with the checkpoint it came from."""
    model = Library(settings.home).get(name)
    if source is not None and text is None:
        raise ConfigurationError("--source is for --text: a comparison needs a text")
    words = None if text is None else _read(text)
    configure(settings.threads, settings.instruction_set)
    file = verify(model.directory)
    print(f"{name}: {gigabytes(model.size)}, {file.header.facts.dtype}, checksums fit", flush=True)
    del file
    if words is None:
        return
    found = compare(model, words, source, window, _show_windows)
    print(f"perplexity on {text} ({found.tokens} tokens, windows of {found.window}):")
    print(f"  packed  {found.packed_dtype:5} {found.packed:.4f}")
    print(f"  source  {found.source_dtype:5} {found.source:.4f}")
    print(f"  difference    {found.difference:+.2f} %")
    if found.tokens < FEW_TOKENS:
        print(f"  (by chance as well: a text of at least {FEW_TOKENS:,} tokens says more)")


def _row(model: ImportedModel) -> tuple[str, str, str, str, str]:
    try:
        facts = model.facts
    except CheckpointError:
        why = "(homerun models check says what is wrong)"
        return model.name, "unusable", gigabytes(model.size), age(model), why
    return model.name, facts.dtype, gigabytes(model.size), age(model), facts.source


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None


def _show_bytes(done: int, count: int) -> None:
    progress_line(f"packing: {gigabytes(done)} of {gigabytes(count)}", last=done == count)


def _show_windows(what: str, done: int, count: int) -> None:
    progress_line(f"{what}: window {done} of {count}", last=done == count)

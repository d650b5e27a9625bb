"""An imported model against the checkpoint it was made from, on somebody's own text.

Knows which two models to load and how a text is cut into windows; the arithmetic is elsewhere.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from homerun.errors import ConfigurationError
from homerun.model.checkpoint import Checkpoint
from homerun.model.config import read_config
from homerun.model.loader import load_model
from homerun.model.perplexity import perplexity
from homerun.service.library import ORIGIN, ImportedModel
from homerun.text.tokenizer import Tokenizer

DEFAULT_WINDOW = 512

Progress = Callable[[str, int, int], None]
"""Told what is measured, windows done and windows in all."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Perplexities of the same windows of a text."""

    tokens: int
    """Foretold tokens."""
    window: int
    packed: float
    packed_dtype: str
    source: float
    source_dtype: str

    @property
    def difference(self) -> float:
        """Of the packed model to its source, in percent; positive is worse."""
        return 100 * (self.packed / self.source - 1)


def compare(
    model: ImportedModel,
    text: str,
    source: Path | None = None,
    window: int = DEFAULT_WINDOW,
    progress: Progress | None = None,
) -> Comparison:
    """Measures both models, one after the other: never two in memory at once.

    `source` None takes the directory the model was imported from. The source runs in its stored
    dtype. Raises CheckpointError and ConfigurationError in plain words.
    """
    directory = source or _source_of(model)
    _check_same_sizes(model.directory, directory)
    windows = _windows(Tokenizer.load(model.directory), text, window)

    def measure(what: str, path: Path) -> tuple[float, str]:
        loaded = load_model(path, dtype=None)
        longest = loaded.config.max_position_embeddings
        if window > longest:
            raise ConfigurationError(f"--window {window} is more than the trained {longest}")
        told = None if progress is None else partial(progress, what)
        return perplexity(loaded, windows, told), loaded.config.dtype

    packed, packed_dtype = measure("packed", model.directory)
    gc.collect()  # the weights are gone before the others come
    original, source_dtype = measure("source", directory)
    tokens = sum(len(one) - 1 for one in windows)
    return Comparison(tokens, window, packed, packed_dtype, original, source_dtype)


def _check_same_sizes(packed: Path, source: Path) -> None:
    """Raises ConfigurationError if the two cannot be one model: a dtype is all that may differ."""
    one, other = read_config(packed), read_config(source)
    if replace(one, dtype=other.dtype, stop_ids=other.stop_ids) != other:
        raise ConfigurationError(
            f"{source} is another model than the imported one: its config.json differs"
        )


def _source_of(model: ImportedModel) -> Path:
    """Where it was imported from, if that is still the same. Raises ConfigurationError."""
    facts = model.facts
    path = Path(facts.source)
    if not facts.source:
        what = "nobody remembers it"
    elif facts.source.startswith(ORIGIN):
        what = f"the download of {facts.source} was not kept"
    elif not path.is_dir():
        what = f"{path} is not there any more"
    elif Checkpoint(path).digest().hex() != facts.source_digest:
        what = f"{path} has changed since"
    else:
        return path
    raise ConfigurationError(
        f"the checkpoint that {model.name} was imported from is needed, but {what}: "
        "name it with --source PATH"
    )


def _windows(tokenizer: Tokenizer, text: str, window: int) -> list[list[int]]:
    """The text in pieces of `window` tokens at most, each after BOS where the model has one."""
    ids = tokenizer.encode_text(text)
    lead = tokenizer.with_bos([])
    step = window - len(lead)
    windows = [[*lead, *ids[start : start + step]] for start in range(0, len(ids), step)]
    windows = [one for one in windows if len(one) > 1]
    if not windows:
        raise ConfigurationError("the text is too short: there is nothing to foretell")
    return windows

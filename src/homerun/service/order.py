"""What somebody wants to have imported, checked as far as it can be without the weights.

Knows names, dtypes and what a checkpoint must fit; knows nothing of where models are kept.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from homerun.errors import CheckpointError, ConfigurationError
from homerun.model.config import ModelConfig, read_config
from homerun.model.dtypes import DType, chosen_dtype
from homerun.model.packed_header import Facts, arrange
from homerun.model.quantize import DEFAULT_GROUPS, check_groups
from homerun.service.catalog import Catalog, CatalogModel, is_model_name
from homerun.text.templates import ChatTemplate, template_for
from homerun.text.tokenizer import Tokenizer

NAME_LIMIT = 240
"""Bytes of a directory's name; the rest of the system's 255 is for prefixes."""


@dataclass(frozen=True, slots=True)
class Order:
    """A model to import: as what, in which dtype, with which groups."""

    name: str
    known: CatalogModel | None
    """What the catalog has under `name`."""
    dtype: DType | None
    """None: as the checkpoint is stored."""
    groups: tuple[int, int]
    """Of weights and of activations, for int8."""

    @classmethod
    def of(
        cls, name: str, dtype: str | None = None, groups: tuple[int, int] = DEFAULT_GROUPS
    ) -> "Order":
        """`dtype` None: as the catalog says for `name`. Raises ConfigurationError."""
        if not is_model_name(name) or len(directory_name(name)) > NAME_LIMIT:
            raise ConfigurationError(f"{name!r} cannot be the name of a model")
        known = Catalog.load().get(name)
        if known is not None and known.bundled is not None:
            raise ConfigurationError(f"{name} comes with homerun; import under another name")
        try:
            check_groups(*groups)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
        chosen = chosen_dtype("--dtype", dtype) or (known.dtype if known else None)
        return cls(name, known, chosen, groups)

    def check(self, source: Path) -> None:
        """Raises CheckpointError or ConfigurationError if the checkpoint in `source` does not fit.

        Needs its small files only.
        """
        config = read_config(source)
        open_text(self.known, config, source)
        dtype = self.dtype or config.dtype
        if self.groups != DEFAULT_GROUPS and dtype != "int8":
            raise ConfigurationError(f"groups are for int8, and {self.name} becomes {dtype}")

    def packed_size(self, source: Path) -> int:
        """Bytes of the packed file, as config.json foretells it. Raises CheckpointError."""
        config = read_config(source)
        dtype = self.dtype or config.dtype
        table = config.dtype if dtype == "int8" else dtype
        assert table != "int8", "no checkpoint is stored in int8"
        facts = Facts(dtype, table, *self.groups, "", "")
        return arrange(replace(config, dtype=dtype), facts)[-1].end


def open_text(
    known: CatalogModel | None, config: ModelConfig, directory: Path
) -> tuple[Tokenizer, ChatTemplate]:
    """The text side of the model in `directory`, whose config is `config`.

    Raises CheckpointError if it is broken, or cannot be what the catalog has as `known`.
    """
    if known is not None and config.family != known.family:
        raise CheckpointError(
            f"{directory} is a model of the {config.family} family, and {known.name} of "
            f"{known.family}: take another name for it"
        )
    tokenizer = Tokenizer.load(directory)
    template = template_for(known.template if known else None, tokenizer, directory)
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            f"{directory}: tokenizer.json has {tokenizer.vocab_size} tokens, the model only "
            f"{config.vocab_size}"
        )
    return tokenizer, template


def directory_name(name: str) -> str:
    """One path segment per name, readable and reversible; never hidden."""
    quoted = quote(name, safe="@ +,=")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted

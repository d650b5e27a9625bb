"""The models known by name, read from `data/`: what each is, may be asked and promises.

Knows nothing of HTTP, weights or where checkpoints lie.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import msgspec

from homerun.errors import InvalidModelName, NoRoute, NoSuchModel

Schema = Mapping[str, Any]
"""One JSON Schema, as decoded JSON."""

NEWEST_SCHEMA = "text-generation.json"
MAX_NAME_LENGTH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogModel:
    """One entry of the catalog."""

    name: str
    id: str
    """Uuid in the public catalog; a served checkpoint has its name here."""
    description: str
    author: str
    family: str
    """"llama" or "gemma"."""
    context_window: int
    """Most tokens that prompt and max_tokens may have together."""
    dtype: str | None = None
    """"fp32", "fp16", "bf16" or "int8"; None: as the checkpoint is stored."""
    template: str | None = None
    """Name of a chat template of ours; None: the checkpoint's own."""
    lora: bool = False
    beta: bool = False
    schema: str = NEWEST_SCHEMA
    """File in `data/schemas/`."""
    upstream: str | None = None
    """Hugging Face repository of the weights."""
    created_at: str | None = None
    shape: str | None = None
    """Architecture in `model.shapes.SHAPES`; None: that of the checkpoint that is served."""
    bundled: str | None = None
    """Directory in `data/` with the weights, for a model that comes with homerun."""

    @property
    def input_schema(self) -> Schema:
        """JSON Schema of a request, verbatim from the model's page."""
        return _schemas(self.schema)["input"]

    @property
    def output_schema(self) -> Schema:
        """JSON Schema of an answer, verbatim from the model's page."""
        return _schemas(self.schema)["output"]


class Catalog:
    """The known models by name, in the order of `models.toml`."""

    def __init__(self, models: Iterable[CatalogModel]) -> None:
        self._models = {model.name: model for model in models}

    @classmethod
    def load(cls) -> "Catalog":
        """The catalog that is part of the package."""
        text = files("homerun").joinpath("data", "models.toml").read_bytes()
        return cls(msgspec.toml.decode(text, type=_ModelsFile).model)

    def plus(self, models: Iterable[CatalogModel]) -> "Catalog":
        """A catalog that also has `models` (checkpoints served under names of their own)."""
        return Catalog([*self, *models])

    def get(self, name: str) -> CatalogModel | None:
        return self._models.get(name)

    def find(self, name: str) -> CatalogModel:
        """The model that a request names.

        Raises InvalidModelName for what cannot be a name, NoSuchModel for an unknown name that
        looks like a catalog id (`@…`), and NoRoute for any other unknown name.
        """
        if model := self.get(name):
            return model
        if not is_model_name(name):
            raise InvalidModelName
        if name.startswith("@"):
            raise NoSuchModel(name)
        raise NoRoute

    def __iter__(self) -> Iterator[CatalogModel]:
        return iter(self._models.values())

    def __len__(self) -> int:
        return len(self._models)


def is_model_name(name: str) -> bool:
    """Whether `name` may name a model: printable, short, no empty or dotted path segment."""
    return (
        0 < len(name) <= MAX_NAME_LENGTH
        and name.isprintable()
        and "\\" not in name
        and all(segment.strip(".") for segment in name.split("/"))
    )


class _ModelsFile(msgspec.Struct, forbid_unknown_fields=True):
    model: list[CatalogModel]


@cache
def _schemas(file: str) -> Mapping[str, Schema]:
    text = files("homerun").joinpath("data", "schemas", file).read_bytes()
    return MappingProxyType(msgspec.json.decode(text, type=dict[str, Any]))

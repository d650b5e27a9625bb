"""Names to loaded models: which checkpoint answers for which name, with which window.

Knows catalog entries, checkpoints and memory; knows nothing of requests.
"""

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from homerun import __version__
from homerun.engine.adapter_slots import AdapterSlots
from homerun.engine.lane import BLOCK_SIZE, MAX_DRAFT_ROWS, Lane, LaneLimits
from homerun.engine.runner import Runner
from homerun.errors import ConfigurationError
from homerun.model.config import ModelConfig, read_config
from homerun.model.dtypes import DType, chosen_dtype, kv_dtype_for
from homerun.model.kv_cache import KVCache
from homerun.model.loader import LoadedModel, load_model
from homerun.model.memory import available_memory, shortage
from homerun.model.packed_file import has_packed_file
from homerun.model.shapes import known_config
from homerun.native import configure
from homerun.service.catalog import Catalog, CatalogModel, is_model_name
from homerun.service.library import Library, text_digest
from homerun.service.order import open_text
from homerun.settings import Settings
from homerun.text.templates import ChatTemplate
from homerun.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)

ROOKIE = "@homerun/rookie"
ARITHMETIC_DIGITS = 12
WINDOWS_OF_KV = 8
"""How many full windows the KV cache holds where nothing is asked for and memory allows."""
SPARE_BYTES = 1 << 30
"""Memory that has to be left, beside the weights, for KV blocks to get theirs before their use."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What `homerun serve` was given: a catalog or imported name, or a name and a directory."""

    name: str
    directory: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "ModelSpec":
        """`MODEL` or `NAME=PATH`. Raises ConfigurationError."""
        name, equals, path = text.partition("=")
        if not name or (equals and not path):
            raise ConfigurationError(f"{text!r} is neither MODEL nor NAME=PATH")
        if not is_model_name(name):
            raise ConfigurationError(f"{name!r} cannot be the name of a model")
        return cls(name, Path(path).expanduser() if equals else None)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """One name that requests can use."""

    name: str
    lane: str
    """The loaded model that answers; not `name` for a stand-in."""
    tokenizer: Tokenizer
    template: ChatTemplate
    stop_ids: frozenset[int]
    window: int
    """Most tokens that prompt and max_tokens may have together."""
    trained_context: int
    """A request beyond it uses scaled rotary positions as a whole."""
    lora: bool
    arithmetic: str
    """Where this is equal, a request with a seed gets equal bytes: see `_arithmetic`."""
    base: ModelConfig
    """What adapters must fit: for a stand-in the model that it stands for."""

    @property
    def stand_in(self) -> str | None:
        """Name of the model that really answers, if it is another one."""
        return self.lane if self.lane != self.name else None


@dataclass(frozen=True, slots=True)
class ServedModels:
    """Everything that was loaded."""

    catalog: Catalog
    """The package's catalog and the checkpoints served under names of their own."""
    by_name: Mapping[str, ServedModel]
    lanes: Sequence[Lane]

    @property
    def bases(self) -> dict[str, ModelConfig]:
        """What adapters must fit, by the name of their model."""
        return {one.name: one.base for one in self.by_name.values()}


def load_models(specs: Iterable[ModelSpec], settings: Settings) -> ServedModels:
    """Loads every checkpoint once. Raises CheckpointError or ConfigurationError in plain words."""
    configure(settings.threads, settings.instruction_set)
    catalog = Catalog.load()
    specs = list(specs)
    if settings.stand_in:
        library = Library(settings.home)
        specs = [spec for spec in specs if not _is_elsewhere(spec, catalog, library)]
        if all(spec.name != ROOKIE for spec in specs):
            specs.append(ModelSpec(ROOKIE))
    room = _Room(available_memory(), settings.kv_memory is not None)
    by_name: dict[str, ServedModel] = {}
    lanes: list[Lane] = []
    own: list[CatalogModel] = []
    for spec in specs:
        if spec.name in by_name:
            raise ConfigurationError(f"{spec.name} is given twice")
        known = catalog.get(spec.name)
        directory = checkpoint_directory(spec, known, settings.home)
        entry = known or _entry(spec.name, read_config(directory))
        if known is None:
            own.append(entry)
        stood_for = [m for m in catalog if _needs_stand_in(m, specs, settings, spec)]
        served, lane = _load(entry, directory, stood_for, settings, room)
        by_name.update((one.name, one) for one in served)
        lanes.append(lane)
    return ServedModels(catalog.plus(own), by_name, lanes)


def checkpoint_directory(
    spec: ModelSpec, known: CatalogModel | None, home: Path | None = None
) -> Path:
    """Where the weights of `spec` are: given, part of the package, or imported into `home`.

    `known` is its catalog entry. Raises ConfigurationError.
    """
    if spec.directory is not None:
        return spec.directory
    if known is not None and known.bundled is not None:
        return Path(str(files("homerun").joinpath("data", known.bundled)))
    imported = Library(home).find(spec.name) if home else None
    if imported is not None:
        return imported.directory
    if known is None:
        meant = [one.name for one in Catalog.load() if one.name.endswith(f"/{spec.name}")]
        raise ConfigurationError(
            f"{spec.name} is neither in the catalog nor imported"
            f"{f' (did you mean {meant[0]}?)' if meant else ''}; a checkpoint directory is "
            f"served as {spec.name}=PATH, or once imported (homerun models import {spec.name} "
            f"PATH) as {spec.name}"
        )
    raise ConfigurationError(
        f"the weights of {spec.name} are not here; fetch and serve them with: "
        f"{fetching_command(known)}\n(or let rookie answer in its place: --stand-in)"
    )


def find_base(spec: ModelSpec, home: Path) -> tuple[CatalogModel, ModelConfig]:
    """What adapters of a model must fit, loaded or not: its checkpoint's shape if that is here.

    Raises ConfigurationError and CheckpointError.
    """
    known = Catalog.load().get(spec.name)
    elsewhere = known is not None and known.bundled is None and spec.directory is None
    if known is not None and known.shape and elsewhere and not Library(home).find(spec.name):
        return known, known_config(known.shape)
    config = read_config(checkpoint_directory(spec, known, home))
    return known or _entry(spec.name, config), config


def fetching_command(model: CatalogModel) -> str:
    """What to type so that a catalog model can be served."""
    return f"homerun models pull {model.name} && homerun serve {model.name}"


def kv_cache_bytes(config: ModelConfig, window: int, settings: Settings) -> int:
    """Memory of the KV cache of a model served with this window. Raises ConfigurationError."""
    dtype = chosen_kv_dtype(settings, config)
    blocks = _num_blocks(config, dtype, min(window, settings.max_model_len or window), settings)
    return blocks * KVCache.bytes_per_block(config, BLOCK_SIZE, dtype)


def chosen_kv_dtype(settings: Settings, config: ModelConfig) -> DType:
    """dtype of K and V: the setting's, else what fits the weights. Raises ConfigurationError."""
    dtype = chosen_dtype("--kv-dtype", settings.kv_dtype)
    return dtype or kv_dtype_for(config.dtype)


def make_lane(
    name: str,
    model: LoadedModel,
    kv_dtype: DType,
    limits: LaneLimits,
    adapter_memory: int | None = None,
) -> Lane:
    """A lane of the engine for a loaded model, with its KV cache and room for its adapters.

    `adapter_memory` in bytes; None for a model that takes no adapters.
    """
    cache = KVCache(model.config, limits.num_blocks, limits.block_size, kv_dtype)
    runner = Runner(model, cache)
    adapters = None if adapter_memory is None else AdapterSlots(runner.load_adapter, adapter_memory)
    # Page cache counts as available memory, but the mapped weights are to stay in it.
    weights = 0 if model.packed is None else model.packed.data.nbytes
    populate = partial(cache.populate_ahead, spare=weights + SPARE_BYTES)
    return Lane(name, runner, f"{model.revision}/{kv_dtype}", limits, adapters, populate)


def _is_elsewhere(spec: ModelSpec, catalog: Catalog, library: Library) -> bool:
    """Whether `spec` is a catalog model whose weights nobody pointed to or imported."""
    known = catalog.get(spec.name)
    if spec.directory is not None or known is None or known.bundled is not None:
        return False
    return library.find(spec.name) is None


def _needs_stand_in(
    model: CatalogModel, specs: Sequence[ModelSpec], settings: Settings, spec: ModelSpec
) -> bool:
    return (
        settings.stand_in
        and spec.name == ROOKIE
        and model.bundled is None
        and all(other.name != model.name for other in specs)
    )


def _entry(name: str, config: ModelConfig) -> CatalogModel:
    return CatalogModel(
        name=name,
        id=name,
        description=f"A {config.family} checkpoint of this machine",
        author="",
        family=config.family,
        context_window=config.max_position_embeddings,
        lora=True,
    )


@dataclass(slots=True)
class _Room:
    """Memory for the models that are loaded one after the other."""

    available: int | None
    """Bytes before the first of them; None where nobody knows."""
    is_chosen: bool
    """Whether somebody said how large KV caches are: what is impossible is refused."""
    taken: int = 0

    def take(self, name: str, weights: int, cache: int) -> None:
        """Counts a model, in bytes. Raises ConfigurationError for a cache it has no room for.

        Models that do not fit together only get a warning: mapped weights are read again.
        """
        if self.available is None:
            return
        alone = shortage(weights, cache, self.available)
        if alone is not None and self.is_chosen:
            raise ConfigurationError(f"{name}: {alone[0]}: {alone[1]}")
        if beside := shortage(weights, cache, max(0, self.available - self.taken)):
            others = " beside the models before it" if self.taken else ""
            logger.warning("%s: %s%s: %s", name, beside[0], others, beside[1])
        self.taken += weights + cache


def _load(
    entry: CatalogModel,
    directory: Path,
    stood_for: Sequence[CatalogModel],
    settings: Settings,
    memory: _Room,
) -> tuple[list[ServedModel], Lane]:
    if not directory.is_dir():
        raise ConfigurationError(f"{directory} is not a directory")
    tokenizer, template = open_text(entry, read_config(directory), directory)
    models = (entry, *stood_for)
    promised = max(one.context_window for one in models)
    dtype = chosen_dtype("--dtype", settings.dtype)
    # Positions are scaled to the promised window, also where a setting shortens it: no setting of
    # the server may change an answer.
    # A packed file has the dtype that was chosen when it was imported.
    stored = None if has_packed_file(directory) else entry.dtype
    model = load_model(
        directory,
        dtype=dtype or stored,
        max_model_len=promised,
        weights_in_ram=settings.weights_in_ram,
    )
    window = min(promised, settings.max_model_len or promised)
    kv_dtype = chosen_kv_dtype(settings, model.config)
    num_blocks = _num_blocks(model.config, kv_dtype, window, settings)
    cache = kv_cache_bytes(model.config, promised, settings)
    memory.take(entry.name, model.weight_bytes, cache)
    room = num_blocks * BLOCK_SIZE
    if room < window:
        logger.warning(
            "%s: the KV memory holds %d tokens, which is now the context window", entry.name, room
        )
    arithmetic = _arithmetic(model, kv_dtype, entry.template, directory)
    served = [
        ServedModel(
            name=one.name,
            lane=entry.name,
            tokenizer=tokenizer,
            template=template,
            stop_ids=model.config.stop_ids | template.stop_tokens,
            window=min(one.context_window, window, room),
            trained_context=model.config.max_position_embeddings,
            lora=one.lora,
            arithmetic=arithmetic,
            base=model.config if one is entry or one.shape is None else known_config(one.shape),
        )
        for one in models
    ]
    limits = LaneLimits(
        num_blocks=num_blocks,
        max_batch_tokens=settings.max_batch_tokens,
        max_sequences=settings.max_sequences,
        queue_timeout=settings.queue_timeout,
        max_draft_rows=MAX_DRAFT_ROWS if settings.speculation else 0,
    )
    return served, make_lane(entry.name, model, kv_dtype, limits, settings.adapter_memory)


def _arithmetic(model: LoadedModel, kv_dtype: DType, template: str | None, directory: Path) -> str:
    """`0.1.0/amx/int8/bf16/0123456789ab`: everything that decides the bytes of an answer.

    Version, instruction set, dtypes of weights and of K and V, and a hash of the model's revision,
    tokenizer and template.
    """
    state = hashlib.sha256(bytes.fromhex(model.revision) + text_digest(directory))
    state.update((template or "").encode())
    parts = __version__, model.instruction_set, model.config.dtype, kv_dtype
    return "/".join((*parts, state.hexdigest()[:ARITHMETIC_DIGITS]))


def _num_blocks(config: ModelConfig, kv_dtype: DType, window: int, settings: Settings) -> int:
    per_block = KVCache.bytes_per_block(config, BLOCK_SIZE, kv_dtype)
    blocks_of_window = -(-window // BLOCK_SIZE)
    if settings.kv_memory is None:
        quarter = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
        return max(1, min(WINDOWS_OF_KV * blocks_of_window, quarter // per_block))
    if settings.kv_memory < per_block:
        raise ConfigurationError(
            f"--kv-memory {settings.kv_memory} is less than one block of {BLOCK_SIZE} tokens "
            f"({per_block} bytes)"
        )
    return settings.kv_memory // per_block

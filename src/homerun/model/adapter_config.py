"""A LoRA adapter's adapter_config.json, as PEFT writes it: which modules, which rank and scaling.

Knows PEFT's fields and what each means for the arithmetic; knows nothing of tensors. A field that
is not known here and is set to something is refused: it could change what the adapter computes.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from homerun.errors import AdapterIncompatible, CheckpointError
from homerun.model.config import ModelConfig
from homerun.model.json_fields import Fields, parse_json_object, shorten
from homerun.model.module_pattern import ModulePattern
from homerun.model.weights import linear_shapes

CONFIG_FILE = "adapter_config.json"
SIZE_LIMIT = 1 << 20
"""Bytes; an EVA config that names the rank of every module of a 70B model has 50 kB."""
_MAX_RANK = 1 << 16
_MAX_ALPHA = 1e6
_MAX_ENTRIES = 4096
"""Of a list or a *_pattern; the linear layers of a 70B model are 560."""
_MAX_PATTERNS = 16
"""Entries of one *_pattern that are more than a module's name."""
_ALL_LINEAR = "all-linear"

_ONLY_FOR_TRAINING = frozenset(
    "alora_invocation_string auto_mapping base_model_name_or_path corda_config ensure_weight_tying "
    "eva_config inference_mode layers_pattern loftq_config lora_dropout lora_ga_config "
    "megatron_core parent_library peft_version qalora_group_size revision runtime_config "
    "velora_config".split()
)
"""Fields that say how the adapter was made or kept; the product is the same whatever they hold."""
_READ = frozenset(
    "alpha_pattern bias exclude_modules fan_in_fan_out init_lora_weights layers_to_transform "
    "lora_alpha model_type peft_type r rank_pattern target_modules task_type use_rslora".split()
)
_CHANGE_THE_BASE = ("pissa", "corda", "olora", "lora_ga", "loftq")
"""Initialisations that take something out of the base's weights, which must be put back first."""
_LITERAL = re.compile(r"\^?(?:[\w-]|\\?\.)*\$?", re.ASCII)
"""A module's name, with or without its dots escaped: nothing in it can repeat."""


@dataclass(frozen=True, slots=True)
class TargetModule:
    """One linear layer that an adapter changes."""

    name: str
    """As in the base, `model.layers.0.self_attn.q_proj`."""
    rank: int
    scaling: float
    """alpha / rank, or alpha / √rank for rank-stabilised LoRA (arXiv 2312.03732)."""


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """What the config means for one base model."""

    rank: int
    """`r`; single modules may have others."""
    targets: tuple[TargetModule, ...]
    """In the order of the base's layers."""


def parse_adapter_config(data: bytes, base: ModelConfig, *, rank_limit: int) -> AdapterConfig:
    """`data`: the bytes of an adapter_config.json. Raises CheckpointError in plain words.

    AdapterIncompatible for one of another family.
    """
    if len(data) > SIZE_LIMIT:
        raise CheckpointError(f"{CONFIG_FILE} is larger than {SIZE_LIMIT} bytes")
    values = parse_json_object(data, CONFIG_FILE)
    fields = Fields(CONFIG_FILE, values)
    _check_kind(fields, base)
    _refuse_unsupported(fields, values)
    rank = fields.integer("r", low=1, high=_MAX_RANK)
    alpha = fields.number("lora_alpha", low=-_MAX_ALPHA, high=_MAX_ALPHA)
    stabilised = fields.flag("use_rslora", default=False)
    ranks = _Patterns(fields, "rank_pattern")
    alphas = _Patterns(fields, "alpha_pattern")

    targets: list[TargetModule] = []
    for name in _target_names(fields, list(linear_shapes(base))):
        key = ranks.key_for(name)
        own_rank = ranks.fields.integer(key, low=1, high=_MAX_RANK) if key else rank
        if own_rank > rank_limit:
            where = f"rank_pattern: {key}" if key else "r"
            raise fields.error(where, f"is {own_rank}, over this server's limit of {rank_limit}")
        key = alphas.key_for(name)
        bounds = {"low": -_MAX_ALPHA, "high": _MAX_ALPHA}
        own_alpha = alphas.fields.number(key, **bounds) if key else alpha
        targets.append(
            TargetModule(
                name, own_rank, own_alpha / (math.sqrt(own_rank) if stabilised else own_rank)
            )
        )
    return AdapterConfig(rank, tuple(targets))


def _check_kind(fields: Fields, base: ModelConfig) -> None:
    kind = fields.text("peft_type")
    if kind != "LORA":
        raise fields.error("peft_type", f"is {shorten(kind)!r}; homerun serves LORA")
    task = fields.text("task_type", default="CAUSAL_LM")
    if task != "CAUSAL_LM":
        raise fields.error("task_type", f"is {shorten(task)!r}; homerun serves CAUSAL_LM")
    if not fields.has("model_type"):
        raise fields.error(
            "model_type", f'is missing: add "model_type": "{base.family}" for this base model'
        )
    model_type = fields.text("model_type")
    if model_type != base.family:
        raise AdapterIncompatible(
            f"{CONFIG_FILE}: model_type is {shorten(model_type)!r}, and the base model is a "
            f"{base.family} model"
        )


def _refuse_unsupported(fields: Fields, values: Mapping[str, object]) -> None:
    bias = fields.text("bias", default="none")
    if bias != "none":
        raise fields.error("bias", f"is {shorten(bias)!r}; homerun serves adapters without biases")
    if fields.flag("fan_in_fan_out", default=False):
        raise fields.error("fan_in_fan_out", "is true, which no Llama or Gemma layer needs")
    way = str(values.get("init_lora_weights")).lower()
    if way.startswith(_CHANGE_THE_BASE):
        raise fields.error(
            "init_lora_weights",
            f"is {shorten(way)!r}, which changes the base's weights: save the adapter with "
            "path_initial_model_for_weight_conversion, or merge it",
        )
    for name, value in values.items():
        if name not in _READ | _ONLY_FOR_TRAINING and value not in (None, False, [], {}, ""):
            raise fields.error(shorten(name), f"is set ({shorten(value)}), and not supported")


def _target_names(fields: Fields, modules: list[str]) -> list[str]:
    """Those of `modules` that the adapter changes (PEFT's `check_target_module_exists`)."""
    if not fields.has("target_modules"):
        raise fields.error("target_modules", "is missing")
    wanted = fields.raw("target_modules")
    if isinstance(wanted, str):
        everything = wanted.lower() == _ALL_LINEAR
        found = modules if everything else _described(wanted, "target_modules", fields, modules)
    else:
        suffixes = _names(fields, "target_modules")
        for suffix in suffixes:
            if not any(_ends_with(name, suffix) for name in modules):
                raise fields.error(
                    "target_modules", f"names {shorten(suffix)!r}, which is {_no_module(modules)}"
                )
        layers = _layers(fields)
        found = [
            name
            for name in modules
            if name in suffixes  # whole names count whatever the layer
            or (
                any(_ends_with(name, suffix) for suffix in suffixes)
                and (layers is None or _layer(name) in layers)
            )
        ]
    excluded: set[str] = set()
    if isinstance(pattern := fields.raw("exclude_modules"), str):
        excluded = set(_described(pattern, "exclude_modules", fields, modules))
    elif fields.has("exclude_modules"):
        suffixes = _names(fields, "exclude_modules")
        excluded = {name for name in modules if any(_ends_with(name, one) for one in suffixes)}
    if not set(found) - excluded:
        raise fields.error("target_modules", f"describes {_no_module(modules)}")
    return [name for name in found if name not in excluded]


def _no_module(modules: Iterable[str]) -> str:
    known = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in modules))
    return f"no linear layer that homerun serves ({known})"


def _described(pattern: str, field: str, fields: Fields, modules: list[str]) -> list[str]:
    try:
        compiled = ModulePattern(pattern)
        return [name for name in modules if compiled.fullmatch(name)]
    except CheckpointError as error:
        raise fields.error(field, f"cannot be used: {error}") from None


def _names(fields: Fields, field: str) -> list[str]:
    """A list of strings, each once."""
    value = fields.raw(field)
    items = cast(list[object], value) if isinstance(value, list) else None
    if items is None or not all(isinstance(item, str) and item for item in items):
        raise fields.error(field, "must be a string or a list of strings")
    if len(items) > _MAX_ENTRIES:
        raise fields.error(field, f"has {len(items)} entries, over the limit of {_MAX_ENTRIES}")
    return list(dict.fromkeys(cast(list[str], items)))


def _layers(fields: Fields) -> frozenset[int] | None:
    """`layers_to_transform`: a number or a list of them; None and [] are all layers."""
    value = fields.raw("layers_to_transform")
    if value is None or value == []:
        return None
    pattern = fields.raw("layers_pattern")
    if pattern not in (None, "", [], "layers", ["layers"]):
        raise fields.error("layers_pattern", f"is {shorten(pattern)!r}; the layers are in 'layers'")
    items = cast(list[object], value) if isinstance(value, list) else [value]
    if not all(type(item) is int for item in items):
        raise fields.error("layers_to_transform", "must be layer numbers")
    return frozenset(cast(list[int], items))


def _layer(name: str) -> int:
    return int(name.split(".")[2])


def _ends_with(name: str, suffix: str) -> bool:
    return name == suffix or name.endswith(f".{suffix}")


class _Patterns:
    """`rank_pattern` or `alpha_pattern`: the first entry whose pattern ends a module's name."""

    def __init__(self, fields: Fields, field: str) -> None:
        self.fields = fields.child(field) or Fields(f"{fields.source}: {field}", {})
        self._matches: list[tuple[str, re.Pattern[str] | ModulePattern]] = []
        value = fields.raw(field)
        keys = list(cast(dict[str, object], value)) if isinstance(value, dict) else []
        if len(keys) > _MAX_ENTRIES:
            raise fields.error(field, f"has {len(keys)} entries, over the limit of {_MAX_ENTRIES}")
        patterns = 0
        for key in keys:
            # As PEFT's `get_pattern_key` puts them together.
            whole = rf"(.*\.)?({key})"
            if _LITERAL.fullmatch(key):
                self._matches.append((key, re.compile(whole)))
                continue
            patterns += 1
            if patterns > _MAX_PATTERNS:
                raise fields.error(field, f"has more than {_MAX_PATTERNS} patterns")
            try:
                self._matches.append((key, ModulePattern(whole)))
            except CheckpointError as error:
                raise fields.error(field, f"cannot be used: {error}") from None

    def key_for(self, name: str) -> str | None:
        return next((key for key, match in self._matches if match.fullmatch(name)), None)

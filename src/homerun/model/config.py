"""The shape of a model, read from config.json and generation_config.json.

Knows both spellings of the keys (transformers 4 and 5); knows nothing of tensors.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from homerun.errors import CheckpointError
from homerun.model.dtypes import DType
from homerun.model.json_fields import Fields, read_json_object
from homerun.model.rope import RopeConfig, RopeKind

Family = Literal["llama", "gemma"]
Activation = Literal["silu", "gelu_tanh"]

_ARCHITECTURES: dict[str, Family] = {"LlamaForCausalLM": "llama", "GemmaForCausalLM": "gemma"}
_DTYPES: dict[str, DType] = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
_ACTIVATIONS: dict[Family, dict[str, Activation]] = {
    "llama": {"silu": "silu", "swish": "silu"},
    # Gemma's first release says "gelu" and means the tanh approximation.
    "gemma": dict.fromkeys(("gelu", "gelu_pytorch_tanh", "gelu_new"), "gelu_tanh"),
}
_DEFAULT_ACTIVATION = {"llama": "silu", "gemma": "gelu_pytorch_tanh"}
_DEFAULT_POSITIONS = {"llama": 2048, "gemma": 8192}

SIZE_LIMIT = 1 << 17
"""Of hidden and intermediate sizes: 127 · 127 · 2^17 still fits the int8 path's int32 sums."""
VOCAB_LIMIT = 1 << 22
POSITION_LIMIT = 1 << 24
"""Positions above are not exact in float32."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Everything the maths needs to know; sizes are counts of elements."""

    family: Family
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rms_norm_eps: float
    rope: RopeConfig
    max_position_embeddings: int
    """The trained length."""
    tie_word_embeddings: bool
    activation: Activation
    dtype: DType
    """From read_config what config.json says; from load_model what the weights run in."""
    stop_ids: frozenset[int]
    """config.json's and generation_config.json's end-of-sequence ids."""


def read_config(directory: Path) -> ModelConfig:
    """The config of the checkpoint in `directory`. Raises CheckpointError in plain words."""
    if not directory.is_dir():
        raise CheckpointError(f"{directory} is not a directory")
    path = directory / "config.json"
    config = parse_config(Fields(str(path), read_json_object(path)[0]))
    more_stop_ids = _generation_stop_ids(directory, config.vocab_size)
    return replace(config, stop_ids=config.stop_ids | more_stop_ids)


def parse_config(fields: Fields) -> ModelConfig:
    """The config that is in the fields of one config.json. Raises CheckpointError."""
    family = _family(fields)
    _refuse_unsupported(fields, family)

    hidden_size = fields.integer("hidden_size", low=1, high=SIZE_LIMIT)
    num_heads = fields.integer("num_attention_heads", low=1, high=1024)
    num_kv_heads = fields.integer("num_key_value_heads", low=1, high=1024, default=num_heads)
    if num_heads % num_kv_heads:
        raise fields.error(
            "num_attention_heads", f"({num_heads}) is no multiple of the {num_kv_heads} KV heads"
        )
    if not fields.has("head_dim") and family == "llama" and hidden_size % num_heads:
        raise fields.error("hidden_size", f"({hidden_size}) is no multiple of {num_heads} heads")
    default_head_dim = 256 if family == "gemma" else hidden_size // num_heads
    head_dim = fields.integer("head_dim", low=2, high=1024, default=default_head_dim)
    if head_dim % 2:
        raise fields.error("head_dim", f"must be even, not {head_dim}")
    positions = fields.integer(
        "max_position_embeddings", low=1, high=POSITION_LIMIT, default=_DEFAULT_POSITIONS[family]
    )
    vocab_size = fields.integer("vocab_size", low=2, high=VOCAB_LIMIT)
    return ModelConfig(
        family=family,
        vocab_size=vocab_size,
        hidden_size=hidden_size,
        intermediate_size=fields.integer("intermediate_size", low=1, high=SIZE_LIMIT),
        num_layers=fields.integer("num_hidden_layers", low=1, high=1024),
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        rms_norm_eps=fields.number("rms_norm_eps", low=0.0, high=1.0, default=1e-6),
        rope=_rope(fields, positions),
        max_position_embeddings=positions,
        tie_word_embeddings=fields.flag("tie_word_embeddings", default=family == "gemma"),
        activation=_activation(fields, family),
        dtype=_dtype(fields),
        stop_ids=_stop_ids(fields, vocab_size),
    )


def _family(fields: Fields) -> Family:
    architectures = fields.raw("architectures")
    if isinstance(architectures, list) and architectures:
        name = str(cast(list[object], architectures)[0])
        family = _ARCHITECTURES.get(name)
    else:
        name = fields.text("model_type")
        family = name if name in ("llama", "gemma") else None
    if family is None:
        known = ", ".join(sorted(_ARCHITECTURES))
        raise fields.error("architectures", f"names {name!r}; homerun runs {known}")
    return family


def _refuse_unsupported(fields: Fields, family: Family) -> None:
    if fields.raw("quantization_config") is not None:
        raise fields.error(
            "quantization_config", "is set: take the unquantized checkpoint (int8 is made at load)"
        )
    for name in ("attention_bias", "mlp_bias", "use_bidirectional_attention"):
        if fields.flag(name, default=False):
            raise fields.error(name, f"is true, which no released {family} model has")
    if fields.number("partial_rotary_factor", low=0, high=1, default=1.0) != 1.0:
        raise fields.error("partial_rotary_factor", "below 1 is not supported")


def _activation(fields: Fields, family: Family) -> Activation:
    # `hidden_activation` is Gemma's newer key; null there means the tanh approximation.
    key = "hidden_activation" if fields.has("hidden_activation") else "hidden_act"
    name = fields.text(key, default=_DEFAULT_ACTIVATION[family])
    activation = _ACTIVATIONS[family].get(name)
    if activation is None:
        raise fields.error(key, f"{name!r} is not an activation of the {family} family")
    return activation


def _dtype(fields: Fields) -> DType:
    key = "dtype" if fields.has("dtype") else "torch_dtype"
    name = fields.text(key, default="float32").removeprefix("torch.")
    dtype = _DTYPES.get(name)
    if dtype is None:
        raise fields.error(key, f"{name!r} is not one of {', '.join(_DTYPES)}")
    return dtype


def _rope(fields: Fields, positions: int) -> RopeConfig:
    """transformers 5 has everything in `rope_parameters`, 4 has `rope_theta` and `rope_scaling`."""
    theta = fields.number("rope_theta", low=1.001, high=1e12, default=10000.0)
    scaling = fields.child("rope_parameters") or fields.child("rope_scaling")
    if scaling is None:
        return RopeConfig(theta=theta)
    theta = scaling.number("rope_theta", low=1.001, high=1e12, default=theta)
    key = "rope_type" if scaling.has("rope_type") else "type"
    kind = scaling.text(key, default="default")
    if kind not in ("default", "linear", "llama3", "yarn"):
        raise scaling.error(key, f"{kind!r} is not supported (default, linear, llama3, yarn are)")
    if scaling.number("partial_rotary_factor", low=0, high=1, default=1.0) != 1.0:
        raise scaling.error("partial_rotary_factor", "below 1 is not supported")
    if kind == "default":
        return RopeConfig(theta=theta)
    original = scaling.integer(
        "original_max_position_embeddings", low=1, high=POSITION_LIMIT, default=positions
    )
    low = scaling.number("low_freq_factor", low=1e-6, high=1e6, default=1.0)
    high = scaling.number("high_freq_factor", low=1e-6, high=1e6, default=4.0)
    if kind == "llama3" and high <= low:
        raise scaling.error("high_freq_factor", f"({high:g}) must exceed low_freq_factor ({low:g})")
    attention_factor = None
    if scaling.has("attention_factor"):
        attention_factor = scaling.number("attention_factor", low=1e-6, high=1e6)
    implied = max(positions / original, 1.0) if kind == "yarn" else None
    return RopeConfig(
        kind=cast(RopeKind, kind),
        theta=theta,
        factor=scaling.number("factor", low=1.0, high=1e6, default=implied),
        original_max_position_embeddings=original,
        low_freq_factor=low,
        high_freq_factor=high,
        beta_fast=scaling.number("beta_fast", low=1e-6, high=1e6, default=32.0),
        beta_slow=scaling.number("beta_slow", low=1e-6, high=1e6, default=1.0),
        attention_factor=attention_factor,
        mscale=scaling.number("mscale", low=0.0, high=1e6, default=0.0),
        mscale_all_dim=scaling.number("mscale_all_dim", low=0.0, high=1e6, default=0.0),
        truncate=scaling.flag("truncate", default=True),
    )


def _stop_ids(fields: Fields, vocab_size: int) -> frozenset[int]:
    """`eos_token_id`: one id, a list of ids, or nothing."""
    value = fields.raw("eos_token_id")
    ids = cast(list[object], value) if isinstance(value, list) else [value]
    found: set[int] = set()
    for item in ids:
        if item is None:
            continue
        if isinstance(item, bool) or not isinstance(item, int) or not 0 <= item < vocab_size:
            raise fields.error("eos_token_id", f"must hold ids below {vocab_size}, not {item!r}")
        found.add(item)
    return frozenset(found)


def _generation_stop_ids(directory: Path, vocab_size: int) -> frozenset[int]:
    path = directory / "generation_config.json"
    if not path.exists():
        return frozenset()
    return _stop_ids(Fields(str(path), read_json_object(path)[0]), vocab_size)

"""A checkpoint's tensors -> the decoder's weights: names, shapes, checks, dtype, packing.

Knows Hugging Face's tensor names of Llama and Gemma; knows nothing of files or arithmetic.
"""

import math
from collections.abc import Callable

import numpy as np

from homerun.errors import CheckpointError
from homerun.model.checkpoint import Checkpoint
from homerun.model.config import ModelConfig
from homerun.model.decoder import DecoderWeights, LayerWeights
from homerun.model.dtypes import (
    F32,
    FP16_MAX,
    DType,
    FloatDType,
    Tensor,
    from_float32,
    to_float32,
)
from homerun.model.ops.base import LinearWeight, Ops
from homerun.model.quantize import quantize_weight
from homerun.model.safetensors_file import display

EMBEDDING = "model.embed_tokens.weight"
FINAL_NORM = "model.norm.weight"
HEAD = "lm_head.weight"
_IGNORED_SUFFIX = ".rotary_emb.inv_freq"  # old checkpoints store what the config implies
_CHECKED_ELEMENTS = 1 << 16
"""Elements per tensor that are looked at for NaN and infinity, evenly spread."""


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor the family has, by name; HEAD is left out of tied models."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_heads * config.head_dim
    keys = config.num_kv_heads * config.head_dim
    shapes: dict[str, tuple[int, ...]] = {
        EMBEDDING: (config.vocab_size, hidden),
        FINAL_NORM: (hidden,),
    }
    if not config.tie_word_embeddings:
        shapes[HEAD] = (config.vocab_size, hidden)
    for index in range(config.num_layers):
        layer = f"model.layers.{index}."
        shapes[layer + "input_layernorm.weight"] = (hidden,)
        shapes[layer + "self_attn.q_proj.weight"] = (queries, hidden)
        shapes[layer + "self_attn.k_proj.weight"] = (keys, hidden)
        shapes[layer + "self_attn.v_proj.weight"] = (keys, hidden)
        shapes[layer + "self_attn.o_proj.weight"] = (hidden, queries)
        shapes[layer + "post_attention_layernorm.weight"] = (hidden,)
        shapes[layer + "mlp.gate_proj.weight"] = (inner, hidden)
        shapes[layer + "mlp.up_proj.weight"] = (inner, hidden)
        shapes[layer + "mlp.down_proj.weight"] = (hidden, inner)
    return shapes


def check_shapes(config: ModelConfig, found: dict[str, tuple[int, ...]], source: str) -> None:
    """Raises CheckpointError naming the first tensors that are missing, misshapen or unknown."""
    expected = expected_shapes(config)
    missing = [name for name in expected if name not in found]
    if missing == [HEAD]:
        raise CheckpointError(
            f"{source} has no {HEAD}, and its config.json does not set tie_word_embeddings"
        )
    if missing:
        raise CheckpointError(f"{source} lacks {_listed(missing)}")
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(
                f"{source}: {name} has shape {list(found[name])} where config.json needs "
                f"{list(shape)}"
            )
    # A tied model may carry a copy of its embedding as the head; transformers ignores it too.
    unknown = [
        name
        for name in found
        if name not in expected and name != HEAD and not name.endswith(_IGNORED_SUFFIX)
    ]
    if unknown:
        raise CheckpointError(
            f"{source} holds {_listed(unknown)}, which a {config.family} model of "
            f"{config.num_layers} layers does not have"
        )


def read_weights(
    checkpoint: Checkpoint, config: ModelConfig, dtype: DType, ops: Ops
) -> DecoderWeights:
    """All weights in `dtype`, packed for `ops`. Raises CheckpointError.

    q, k, v and gate, up become one matrix each: the rows of a product stay the same numbers.
    With int8 every matrix but the embedding table is quantized; that keeps its stored dtype.
    """
    check_shapes(config, checkpoint.shapes, str(checkpoint.directory))

    def tensor(name: str, target: FloatDType) -> Tensor:
        found = checkpoint.tensor(name)
        _check_finite(found, name)
        return _convert(found, target, name)

    def norm(name: str) -> F32:
        found = checkpoint.tensor(name)
        _check_finite(found, name)
        weight = to_float32(found.data, found.dtype)
        return weight + np.float32(1) if config.family == "gemma" else weight.copy()

    def matrix(*names: str) -> LinearWeight:
        return _pack([lambda target, name=name: tensor(name, target) for name in names], dtype, ops)

    def layer(index: int) -> LayerWeights:
        prefix = f"model.layers.{index}."
        attention, mlp = prefix + "self_attn.", prefix + "mlp."
        return LayerWeights(
            input_norm=norm(prefix + "input_layernorm.weight"),
            qkv=matrix(*(f"{attention}{part}_proj.weight" for part in "qkv")),
            output=matrix(attention + "o_proj.weight"),
            post_attention_norm=norm(prefix + "post_attention_layernorm.weight"),
            gate_up=matrix(mlp + "gate_proj.weight", mlp + "up_proj.weight"),
            down=matrix(mlp + "down_proj.weight"),
        )

    table_dtype = checkpoint.tensor(EMBEDDING).dtype if dtype == "int8" else dtype
    return DecoderWeights(
        embedding=tensor(EMBEDDING, table_dtype),
        embedding_scale=_embedding_scale(config, table_dtype),
        layers=tuple(layer(index) for index in range(config.num_layers)),
        final_norm=norm(FINAL_NORM),
        head=matrix(EMBEDDING if config.tie_word_embeddings else HEAD),
    )


def _pack(parts: list[Callable[[FloatDType], Tensor]], dtype: DType, ops: Ops) -> LinearWeight:
    """One matrix of the rows of all parts, in `dtype`."""
    if dtype == "int8":
        wide = [part("fp32").data for part in parts]
        return ops.pack_linear(quantize_weight(np.concatenate(wide)))
    found = [part(dtype).data for part in parts]
    return ops.pack_linear(Tensor(found[0] if len(found) == 1 else np.concatenate(found), dtype))


def _convert(tensor: Tensor, target: FloatDType, name: str) -> Tensor:
    if tensor.dtype == target:
        return tensor
    wide = to_float32(tensor.data, tensor.dtype)
    if target == "fp16" and np.abs(wide).max(initial=0.0) > FP16_MAX:
        raise CheckpointError(f"{display(name)} has numbers beyond float16's {FP16_MAX:g}")
    return Tensor(from_float32(wide, target), target)


def _check_finite(tensor: Tensor, name: str) -> None:
    flat = tensor.data.reshape(-1)
    step = max(1, flat.size // _CHECKED_ELEMENTS)
    if not np.isfinite(to_float32(flat[::step], tensor.dtype)).all():
        raise CheckpointError(f"{display(name)} holds NaN or infinity: the checkpoint is damaged")


def _embedding_scale(config: ModelConfig, dtype: FloatDType) -> float:
    if config.family != "gemma":
        return 1.0
    root = np.array([math.sqrt(config.hidden_size)], np.float32)
    return float(to_float32(from_float32(root, dtype), dtype)[0])


def _listed(names: list[str]) -> str:
    shown = ", ".join(display(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"

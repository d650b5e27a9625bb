"""A checkpoint's tensors -> the decoder's weights: names, shapes, checks, dtype, packing.

Knows Hugging Face's tensor names of Llama and Gemma; knows nothing of files or arithmetic.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.errors import CheckpointError
from homerun.model import weight_source
from homerun.model.checkpoint import Checkpoint
from homerun.model.config import ModelConfig
from homerun.model.dtypes import (
    F32,
    FP16_MAX,
    DType,
    FloatDType,
    Tensor,
    from_float32,
    to_float32,
)
from homerun.model.packing import PackedMatrix, pack
from homerun.model.quantize import quantize_weight
from homerun.model.safetensors_file import display

EMBEDDING = "model.embed_tokens.weight"
FINAL_NORM = "model.norm.weight"
HEAD = "lm_head.weight"
_LAYER_PARTS = {
    "input_norm": ("input_layernorm",),
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "output": ("self_attn.o_proj",),
    "post_attention_norm": ("post_attention_layernorm",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}
_IGNORED_SUFFIX = ".rotary_emb.inv_freq"  # old checkpoints store what the config implies
_CHECKED_ELEMENTS = 1 << 16
"""Elements per tensor that are looked at for NaN and infinity, evenly spread."""


def linear_shapes(config: ModelConfig) -> dict[str, tuple[int, int]]:
    """Every linear layer between embedding and head, by name: [out_features, in_features]."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries = config.num_heads * config.head_dim
    keys = config.num_kv_heads * config.head_dim
    shapes: dict[str, tuple[int, int]] = {}
    for index in range(config.num_layers):
        layer = f"model.layers.{index}."
        shapes[layer + "self_attn.q_proj"] = (queries, hidden)
        shapes[layer + "self_attn.k_proj"] = (keys, hidden)
        shapes[layer + "self_attn.v_proj"] = (keys, hidden)
        shapes[layer + "self_attn.o_proj"] = (hidden, queries)
        shapes[layer + "mlp.gate_proj"] = (inner, hidden)
        shapes[layer + "mlp.up_proj"] = (inner, hidden)
        shapes[layer + "mlp.down_proj"] = (hidden, inner)
    return shapes


def expected_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor the family has, by name; HEAD is left out of tied models."""
    hidden = config.hidden_size
    shapes: dict[str, tuple[int, ...]] = {
        EMBEDDING: (config.vocab_size, hidden),
        FINAL_NORM: (hidden,),
    }
    if not config.tie_word_embeddings:
        shapes[HEAD] = (config.vocab_size, hidden)
    for index in range(config.num_layers):
        layer = f"model.layers.{index}."
        shapes[layer + "input_layernorm.weight"] = (hidden,)
        shapes[layer + "post_attention_layernorm.weight"] = (hidden,)
    shapes.update((f"{name}.weight", shape) for name, shape in linear_shapes(config).items())
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


class CheckpointWeights:
    """A checkpoint as a `weight_source.WeightSource`: converts and packs what it is asked for.

    q, k, v and gate, up become one matrix each: the rows of a product stay the same numbers.
    With int8 every matrix but the embedding table is quantized; that keeps its stored dtype.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        config: ModelConfig,
        dtype: DType,
        weight_group: int = 0,
        activation_group: int = 0,
    ) -> None:
        """`dtype` and, for int8, groups of the matrices. The shapes are checked already."""
        self._checkpoint = checkpoint
        self._config = config
        self._dtype: DType = dtype
        self._groups = (weight_group, activation_group)

    def embedding(self) -> Tensor:
        return self._tensor(EMBEDDING, table_dtype(self._checkpoint, self._dtype))

    def norm(self, name: str) -> F32:
        weight = self._tensor(self._theirs(name)[0], "fp32").data
        # A copy: a view would keep the mapped file.
        return weight + np.float32(1) if self._config.family == "gemma" else weight.copy()

    def matrix(self, name: str) -> PackedMatrix:
        theirs = self._theirs(name)
        if self._dtype != "int8":
            return pack(Tensor(_joined(theirs, self._dtype, self._tensor), self._dtype))
        wide = _joined(theirs, "fp32", self._tensor)
        return pack(quantize_weight(wide, *self._groups))

    def _theirs(self, name: str) -> list[str]:
        """Names of the checkpoint for one of ours."""
        if name == weight_source.FINAL_NORM:
            return [FINAL_NORM]
        if name == weight_source.HEAD:
            return [EMBEDDING if self._config.tie_word_embeddings else HEAD]
        prefix, _, last = name.rpartition(".")
        return [f"model.{prefix}.{part}.weight" for part in _LAYER_PARTS[last]]

    def _tensor(self, name: str, target: FloatDType) -> Tensor:
        """In dtype `target`. Raises CheckpointError for NaN and infinity."""
        found = self._checkpoint.tensor(name)
        _check_finite(found, name)
        return _convert(found, target, name)


def table_dtype(checkpoint: Checkpoint, dtype: DType) -> FloatDType:
    """What the embedding table is kept in when the matrices are in `dtype`."""
    return checkpoint.tensor(EMBEDDING).dtype if dtype == "int8" else dtype


def _joined(
    names: list[str], dtype: FloatDType, tensor: Callable[[str, FloatDType], Tensor]
) -> NDArray[Any]:
    """The rows of all tensors, one after the other."""
    found = [tensor(name, dtype).data for name in names]
    return found[0] if len(found) == 1 else np.concatenate(found)


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


def _listed(names: list[str]) -> str:
    shown = ", ".join(display(name) for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"

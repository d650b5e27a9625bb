"""From a checkpoint directory to a decoder that can run.

Knows the order of loading; the parts know the rest. Nothing here runs code from a checkpoint.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from homerun.errors import CheckpointError
from homerun.model.checkpoint import Checkpoint
from homerun.model.config import ModelConfig, read_config
from homerun.model.decoder import Decoder
from homerun.model.dtypes import parse_dtype
from homerun.model.ops import best_ops
from homerun.model.ops.base import Ops
from homerun.model.rope import RopeTables, scaled_beyond_training
from homerun.model.weight_source import read_weights
from homerun.model.weights import EMBEDDING, CheckpointWeights


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to run."""

    config: ModelConfig
    """`dtype` is what the weights run in."""
    decoder: Decoder
    revision: str
    """Hex hash of everything that decides a hidden row but its tokens: keys the prefix cache."""
    instruction_set: str
    """What arithmetic runs, see `ops.base.Ops.instruction_set`."""


def load_model(
    directory: Path, *, dtype: str | None, max_model_len: int | None = None, ops: Ops | None = None
) -> LoadedModel:
    """Loads the checkpoint in `directory`.

    `dtype` None runs the weights as they are stored. `max_model_len` is the window to serve; beyond
    the trained length it sets the factor of the scaled RoPE variant (`rope.SCALED`).
    Raises CheckpointError in plain words.
    """
    config = read_config(directory)
    checkpoint = Checkpoint(directory)
    stored = checkpoint.tensor(EMBEDDING).dtype if EMBEDDING in checkpoint.shapes else config.dtype
    chosen = stored if dtype is None else parse_dtype(dtype)
    if chosen is None:
        raise CheckpointError(f"{dtype!r} is not a dtype; choose int8, bf16, fp16 or fp32")
    config = replace(config, dtype=chosen)

    ops = ops or best_ops()
    window = max_model_len or config.max_position_embeddings
    scaled = scaled_beyond_training(config.rope, config.max_position_embeddings, window)
    rope = RopeTables(config.rope, scaled, config.head_dim)
    weights = read_weights(CheckpointWeights(checkpoint, config, chosen), config, ops)
    decoder = Decoder(config, weights, rope, ops)
    identity = repr((replace(config, stop_ids=frozenset()), scaled)).encode() + checkpoint.digest()
    return LoadedModel(config, decoder, hashlib.sha256(identity).hexdigest(), ops.instruction_set)

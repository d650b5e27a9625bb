"""From a directory with a checkpoint or a packed file to a decoder that can run.

Knows the order of loading; the parts know the rest. Nothing here runs code from a checkpoint.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path

from homerun.errors import CheckpointError
from homerun.model.checkpoint import Checkpoint
from homerun.model.config import ModelConfig, read_config
from homerun.model.decoder import Decoder
from homerun.model.dtypes import DType
from homerun.model.memory import check_fits, is_in_memory
from homerun.model.ops import best_ops
from homerun.model.ops.base import Ops
from homerun.model.packed_file import PackedFile, has_packed_file
from homerun.model.packed_header import FILE_NAME, IMPORT_AGAIN, Facts, arrange
from homerun.model.quantize import DEFAULT_GROUPS
from homerun.model.rope import RopeConfig, RopeTables, scaled_beyond_training
from homerun.model.weight_source import WeightSource, parts, read_weights
from homerun.model.weights import EMBEDDING, CheckpointWeights, check_shapes, table_dtype
from homerun.native import REFERENCE


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
    weight_bytes: int
    """What they take of the available memory: of the file they are mapped from, unless that is in
    memory already (tmpfs), or of what was made of it."""
    packed: PackedFile | None = None
    """The file the weights are in; None if they were packed from a checkpoint."""


def load_model(
    directory: Path,
    *,
    dtype: DType | None,
    max_model_len: int | None = None,
    ops: Ops | None = None,
    weights_in_ram: bool = False,
) -> LoadedModel:
    """Loads the packed file or, where there is none, the checkpoint in `directory`.

    `dtype` None runs the weights as they are stored; a packed file has one dtype and refuses any
    other. `max_model_len` is the window to serve; beyond the trained length it sets the factor of
    the scaled RoPE variant (`rope.SCALED`). `weights_in_ram` copies a packed file into memory of
    this process instead of mapping it.
    Raises CheckpointError in plain words, also for a model that does not fit the memory.
    """
    ops = ops or best_ops()
    if has_packed_file(directory):
        config = read_config(directory)
        packed = PackedFile(directory / FILE_NAME, config, in_ram=weights_in_ram)
        facts = packed.header.facts
        if dtype is not None and dtype != facts.dtype:
            raise CheckpointError(
                f"{packed.path} holds {facts.dtype} weights, not {dtype}: {IMPORT_AGAIN} "
                f"with --dtype {dtype}"
            )
        config = replace(config, dtype=facts.dtype)
        already = not weights_in_ram and is_in_memory(packed.path)
        size = bytes_in_memory(config, packed.data.nbytes, ops.instruction_set, already=already)
        if ops.instruction_set == REFERENCE:  # that the file itself fits is known
            check_fits(str(directory), size)
        packed.verify()
        source: WeightSource = packed
    else:
        checkpoint, config = open_checkpoint(directory, dtype)
        packed, facts = None, checkpoint_facts(checkpoint, config)
        size = bytes_in_memory(config, arrange(config, facts)[-1].end, ops.instruction_set)
        check_fits(str(directory), size)
        groups = facts.weight_group, facts.activation_group
        source = CheckpointWeights(checkpoint, config, config.dtype, *groups)

    window = max_model_len or config.max_position_embeddings
    scaled = scaled_beyond_training(config.rope, config.max_position_embeddings, window)
    rope = RopeTables(config.rope, scaled, config.head_dim)
    decoder = Decoder(config, read_weights(source, config, ops), rope, ops)
    revision = _revision(config, scaled, facts)
    return LoadedModel(config, decoder, revision, ops.instruction_set, size, packed)


def open_checkpoint(directory: Path, dtype: DType | None) -> tuple[Checkpoint, ModelConfig]:
    """A checkpoint and its config, with the dtype the weights shall run in.

    `dtype` None stands for the stored one. Raises CheckpointError.
    """
    config = read_config(directory)
    checkpoint = Checkpoint(directory)
    stored = checkpoint.tensor(EMBEDDING).dtype if EMBEDDING in checkpoint.shapes else config.dtype
    check_shapes(config, checkpoint.shapes, str(directory))
    return checkpoint, replace(config, dtype=dtype or stored)


def checkpoint_facts(
    checkpoint: Checkpoint, config: ModelConfig, groups: tuple[int, int] = DEFAULT_GROUPS
) -> Facts:
    """How a checkpoint is packed in `config.dtype`; `groups` of weights, activations for int8."""
    int8 = config.dtype == "int8"
    weight_group, activation_group = groups if int8 else (0, 0)
    return Facts(
        dtype=config.dtype,
        embedding_dtype=table_dtype(checkpoint, config.dtype),
        weight_group=weight_group,
        activation_group=activation_group,
        source=str(checkpoint.directory.resolve()),
        source_digest=checkpoint.digest().hex(),
    )


def bytes_in_memory(
    config: ModelConfig, stored: int, instruction_set: str, *, already: bool = False
) -> int:
    """What weights of `stored` packed bytes take of the available memory.

    `already`: they are mapped from where they are in memory (tmpfs). The NumPy reference makes
    copies in float32, whatever is mapped.
    """
    if instruction_set == REFERENCE:
        return 4 * sum(math.prod(part.shape) for part in parts(config))
    return 0 if already else stored


def _revision(config: ModelConfig, scaled: RopeConfig, facts: Facts) -> str:
    """One for a packed file and the checkpoint it was made from, if the arithmetic is the same."""
    groups = facts.weight_group, facts.activation_group
    identity = repr((replace(config, stop_ids=frozenset()), scaled, groups)).encode()
    return hashlib.sha256(identity + bytes.fromhex(facts.source_digest)).hexdigest()

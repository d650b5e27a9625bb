"""All layers in one native call: the bytes of the single operations, which are its definition."""

import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homerun.model.config import Activation
from homerun.model.dtypes import DType, FloatDType, Tensor
from homerun.model.loader import load_model
from homerun.model.ops.base import LayerWeights
from homerun.model.ops.layers import OneByOne
from homerun.model.ops.native import NativeOps
from homerun.model.packing import pack
from homerun.native import native_available
from tests.checkpoints import write_checkpoint
from tests.model.sequences import Sequences, random_ids
from tests.random_adapters import pack as pack_adapter
from tests.random_adapters import random_factors

if not native_available():
    pytest.skip("homerun._native is not built", allow_module_level=True)

from homerun import _native

LENGTHS = (1, 40, 17, 3, 65, 29)


class SingleOps(NativeOps):
    """The kernels, called one by one."""

    def load_layers(
        self, layers: Sequence[LayerWeights], eps: float, activation: Activation
    ) -> OneByOne:
        return OneByOne(self, layers, eps, activation)


@pytest.mark.parametrize("family", ["llama", "gemma"])
@pytest.mark.parametrize(
    ("dtype", "kv_dtype"),
    [("int8", "bf16"), ("int8", "int8"), ("bf16", "bf16"), ("fp16", "fp16"), ("fp32", "fp32")],
)
@pytest.mark.parametrize("with_adapters", [False, True])
def test_the_bytes_of_single_operations(
    family: str, dtype: DType, kv_dtype: Any, with_adapters: bool, tmp_path: Path
) -> None:
    directory = write_checkpoint(tmp_path, family)
    hidden: list[list[bytes]] = []
    for ops in (NativeOps(), SingleOps()):
        model = load_model(directory, dtype=dtype, ops=ops)
        adapters = None
        if with_adapters:
            one, other = (
                model.decoder.load_adapter(
                    pack_adapter(
                        tmp_path,
                        model.config,
                        random_factors(model.config, seed, targets=targets),
                        seed,
                    )
                )
                for seed, targets in ((1, ["q_proj", "down_proj"]), (2, ["o_proj", "up_proj"]))
            )
            adapters = [one, None, other, one, None, one]
        ids = [
            random_ids(length, model.config.vocab_size, seed) for seed, length in enumerate(LENGTHS)
        ]
        sequences = Sequences(
            model,
            ids,
            kv_dtype=kv_dtype,
            chance=random.Random(4),
            adapters=adapters or [None] * len(LENGTHS),
        )
        hidden.append([rows.tobytes() for rows in sequences.run_mixed(30)])
    assert hidden[0] == hidden[1]


def linear(n: int, k: int, dtype: FloatDType = "fp32") -> Any:
    return NativeOps().load_linear(pack(Tensor(np.zeros((n, k), np.float32), dtype)))


def norm(width: int) -> Any:
    return np.ones(width, np.float32)


def test_a_child_forked_during_a_step_can_compute(tmp_path: Path) -> None:
    program = f"""
import os, sys, threading, time
from pathlib import Path
from homerun.model.loader import load_model
from homerun.model.ops.native import NativeOps
from tests.model.sequences import Sequences
directory = Path({str(write_checkpoint(tmp_path, "llama"))!r})
model = load_model(directory, dtype="int8", ops=NativeOps())
expected = Sequences(model, [[1, 2, 3]]).run_alone()[0].tobytes()
def work():
    while True: Sequences(model, [[4] * 400]).run_alone()
threading.Thread(target=work, daemon=True).start()
for _ in range(10):
    time.sleep(0.01)
    child = os.fork()
    if child == 0:
        os._exit(Sequences(model, [[1, 2, 3]]).run_alone()[0].tobytes() != expected)
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_bad_arguments() -> None:
    """One head of 8 beside one KV head, hidden 16, intermediate 24."""
    fitting = (norm(16), linear(24, 16), linear(16, 8), norm(16), linear(48, 16), linear(16, 24))
    make = _native.DecoderLayers
    with pytest.raises(ValueError, match="at least one layer"):
        make([], 1e-5, "silu")
    with pytest.raises(ValueError, match="silu or gelu"):
        make([fitting], 1e-5, "relu")  # type: ignore[arg-type]
    for place, wrong in enumerate(
        (norm(15), linear(24, 15), linear(15, 8), norm(17), linear(50, 16), linear(16, 23))
    ):
        layer = (*fitting[:place], wrong, *fitting[place + 1 :])
        with pytest.raises(ValueError, match="do not fit together"):
            make([layer], 1e-5, "silu")  # type: ignore[list-item]
    for wrong in (norm(16).astype(np.float64), np.ones(32, np.float32)[::2]):
        with pytest.raises(TypeError):
            make([(wrong, *fitting[1:])], 1e-5, "silu")
    with pytest.raises(TypeError, match="are Linear"):
        make([(norm(16), None, *fitting[2:])], 1e-5, "silu")  # type: ignore[list-item]
    layers = make([fitting], 1e-5, "silu")
    table = np.zeros(1, np.int32)
    segment = type("Segment", (), {"first_row": 0, "rows": 2, "start": 0, "block_table": table})
    plan = _native.AttentionPlan([segment], 16)
    good: dict[str, Any] = {
        "x": np.zeros((2, 16), np.float32),
        "cosines": np.ones((2, 4), np.float32),
        "sines": np.zeros((2, 4), np.float32),
        "keys": np.zeros((1, 1, 1, 8, 16), np.float32),
        "values": np.zeros((1, 1, 1, 16, 8), np.float32),
        "dtype": "fp32",
        "slots": np.array([0, 1]),
        "plan": plan,
        "scales": None,
        "adapters": None,
    }
    layers.run(**good)
    for message, change in [
        ("x must be", {"x": np.zeros((2, 15), np.float32)}),
        ("another number of rows", {"x": np.zeros((1, 16), np.float32)} | rows_of_one()),
        ("number of layers", {"keys": np.zeros((2, 1, 1, 8, 16), np.float32)}),
        ("heads of the cache", cache_of(kv_heads=2, head_dim=8)),
        ("heads of the cache", cache_of(kv_heads=1, head_dim=6)),
        ("cosines and sines", {"sines": np.zeros((2, 3), np.float32)}),
        ("a slot is beyond", {"slots": np.array([0, 16])}),
        ("slots must be", {"slots": np.array([0])}),
        ("int8 cache", {"scales": np.zeros((1, 1, 1, 2, 16), np.float32)}),
    ]:
        with pytest.raises(ValueError, match=message):
            layers.run(**good | change)
    read_only = np.zeros((2, 16), np.float32)
    read_only.flags.writeable = False
    for x in (read_only, np.zeros((2, 16)), np.zeros((16, 2), np.float32).T):
        with pytest.raises(TypeError):
            layers.run(**good | {"x": x})
    segment.block_table = np.ones(1, np.int32)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="block number is beyond"):
        layers.run(**good | {"plan": _native.AttentionPlan([segment], 16)})
    data = np.zeros(4096, np.uint8)
    empty = (16, 0, [])
    for message, places, rows in [
        ("no such place", [empty], [0]),
        ("not the product's k", [(17, 0, [(1, 1.0, 0, 4, 0)]), *[empty] * 3], [0]),
        ("columns that the product has not", [(16, 0, [(1, 1.0, 0, 25, 0)]), *[empty] * 3], [0]),
        ("rows that the product has not", [empty] * 4, [2]),
    ]:
        adapter = _native.Adapter("bf16", data, places)  # type: ignore[arg-type]
        plan = _native.AdapterPlan([(adapter, np.array(rows, np.int32))])
        with pytest.raises(ValueError, match=message):
            layers.run(**good | {"adapters": plan})


def rows_of_one() -> dict[str, Any]:
    return {
        "cosines": np.ones((1, 4), np.float32),
        "sines": np.zeros((1, 4), np.float32),
        "slots": np.array([0]),
    }


def cache_of(kv_heads: int, head_dim: int) -> dict[str, Any]:
    return {
        "keys": np.zeros((1, 1, kv_heads, head_dim, 16), np.float32),
        "values": np.zeros((1, 1, kv_heads, 16, head_dim), np.float32),
    }

"""Packed adapters: layout, file, damage; and the decoder with any mixture of them."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homerun.errors import CheckpointError
from homerun.model import lora
from homerun.model.adapter_file import AdapterFile, factor_dtype, write_adapter_file
from homerun.model.config import ModelConfig, read_config
from homerun.model.dtypes import F32, DType, FloatDType, from_float32, to_float32
from homerun.model.loader import load_model
from homerun.model.lora import pack_a, pack_b, unpack_a, unpack_b
from homerun.model.ops.base import AdapterWeight, Additions, Step
from homerun.model.ops.layers import OneByOne
from homerun.model.ops.native import NativeLayers
from tests.arithmetic import ARITHMETICS, ops_named
from tests.checkpoints import write_checkpoint
from tests.model.sequences import Sequences, random_ids
from tests.random_adapters import ALL, ATTENTION, RandomFactor, pack, random_factors


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ModelConfig:
    return read_config(write_checkpoint(tmp_path_factory.mktemp("base"), "llama"))


def rounded(x: F32, dtype: FloatDType) -> F32:
    return to_float32(from_float32(x, dtype), dtype)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize(("rank", "width"), [(1, 1), (3, 17), (4, 16), (9, 200), (32, 33)])
def test_packing_and_back(rank: int, width: int, dtype: FloatDType) -> None:
    x = np.random.default_rng(1).normal(size=(rank, width)).astype(np.float32)
    packed = pack_a(x, dtype)
    assert packed.size == lora.a_size(rank, width)
    assert unpack_a(packed, rank, width, dtype).tobytes() == rounded(x, dtype).tobytes()
    packed = pack_b(x.T, dtype)
    assert packed.size == lora.b_size(rank, width)
    assert unpack_b(packed, rank, width, dtype).tobytes() == rounded(x.T, dtype).tobytes()


def test_a_file_gives_back_what_was_written(config: ModelConfig, tmp_path: Path) -> None:
    ranks = {name: 1 + i for i, name in enumerate(ALL)}
    factors = random_factors(config, 1, targets=[*ATTENTION, "up_proj"], ranks=ranks, layers=[1])
    path = tmp_path / "adapter"
    write_adapter_file(path, config, factors, version="ab12")
    file = AdapterFile(path, config)
    file.verify()
    assert (file.version, file.nbytes) == ("ab12", path.stat().st_size)
    assert list(tmp_path.iterdir()) == [path], "nothing else is left"
    names = {(1, one.name): one for one in lora.modules(config) if (1, one.name) in factors}
    found = {}
    for number, place in enumerate(file.adapter.places):
        ranks_before = 0
        for part in place.parts:
            key = next(
                key
                for key, one in names.items()
                if 4 + one.site == number and one.first_column == part.first_column
            )
            a = file.adapter.a(number)[ranks_before : ranks_before + part.rank]
            ranks_before += part.rank
            found[key] = (part.scaling, a.tobytes(), file.adapter.b(part).tobytes())
    expected = {
        key: (one.scaling, rounded(one.a(), "fp32").tobytes(), one.b().tobytes())
        for key, one in factors.items()
    }
    assert found == expected


def halves(dtype: FloatDType, scale: float = 1.0) -> dict[tuple[int, str], RandomFactor]:
    rng = np.random.default_rng(1)
    a, b = (
        rounded((rng.normal(size=s) * scale).astype(np.float32), dtype)
        for s in ((4, 200), (120, 4))
    )
    return {(0, "q_proj"): RandomFactor(4, 1.0, a, b)}


@pytest.mark.parametrize(
    ("stored", "scale", "base", "kept"),
    [
        ("fp16", 1.0, "fp32", "fp16"),
        ("bf16", 1.0, "fp32", "fp16"),  # it holds those exactly, too
        ("bf16", 1e-4, "fp32", "bf16"),
        ("bf16", 1e-4, "fp16", "bf16"),
        ("fp16", 1.0, "bf16", "fp16"),
        ("fp32", 1.0, "fp32", "fp32"),
        ("fp32", 1.0, "int8", "fp16"),
        ("fp32", 1e-7, "int8", "bf16"),
        ("fp32", 1e5, "bf16", "bf16"),
    ],
)
def test_what_factors_are_kept_in(
    stored: FloatDType, scale: float, base: DType, kept: FloatDType
) -> None:
    assert factor_dtype(halves(stored, scale), base) == kept


def test_a_file_is_refused_if_a_byte_is_wrong(config: ModelConfig, tmp_path: Path) -> None:
    path = tmp_path / "adapter"
    write_adapter_file(path, config, random_factors(config, 1, ranks=4), version="00")
    whole = path.read_bytes()
    chance = random.Random(2)
    for _ in range(60):
        damaged = bytearray(whole)
        place = chance.randrange(len(whole))
        damaged[place] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="adapter"):
            AdapterFile(path, config).verify()
    for size in (0, 10, 51, 52, 4096, len(whole) - 1, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(CheckpointError):
            AdapterFile(path, config).verify()
    path.write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError, match="bytes where its header needs"):
        AdapterFile(path, config)
    path.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        AdapterFile(path, config)


def test_a_file_of_another_base_is_refused(config: ModelConfig, tmp_path: Path) -> None:
    path = tmp_path / "adapter"
    write_adapter_file(path, config, random_factors(config, 1), version="00")
    for change in ({"num_layers": 3}, {"hidden_size": 208}, {"family": "gemma"}):
        with pytest.raises(CheckpointError, match="another shape"):
            AdapterFile(path, replace(config, **change))


def test_ranks_beyond_the_kernels_are_refused(config: ModelConfig, tmp_path: Path) -> None:
    factors = random_factors(config, 1, targets=ATTENTION, ranks=400, layers=[1])
    with pytest.raises(CheckpointError, match="add up to 1200"):
        write_adapter_file(tmp_path / "adapter", config, factors, version="00")
    assert not list(tmp_path.iterdir())


def test_a_file_may_go_while_it_is_used(config: ModelConfig, tmp_path: Path) -> None:
    path = tmp_path / "adapter"
    write_adapter_file(path, config, random_factors(config, 1), version="00")
    file = AdapterFile(path, config)
    before = file.adapter.data.tobytes()
    write_adapter_file(path, config, random_factors(config, 2), version="01")
    path.unlink()
    assert file.adapter.data.tobytes() == before


IDS = [random_ids(n, 300, seed=n) for n in (1, 5, 33, 70, 2, 9, 40, 17)]
MIXES: dict[str, Sequence[int | None]] = {
    "distinct": range(8),
    "uniform": [0, 1, 2, 3, 0, 1, 2, 3],
    "skewed": [0, 0, 0, 0, 0, 1, 1, 2],
    "identical": [0] * 8,
    "with base rows": [0, None, 1, None, 2, 0, None, 3],
}


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_any_mixture_gives_the_rows_of_each_alone(
    family: str, dtype: str, arithmetic: str, tmp_path: Path
) -> None:
    model = load_model(write_checkpoint(tmp_path, family), dtype=dtype, ops=ops_named(arithmetic))
    kinds: list[dict[str, Any]] = [
        {"targets": ALL, "ranks": 8},
        {"targets": ["q_proj", "v_proj"], "ranks": 16},
        {"targets": ["o_proj"], "ranks": 1},
        {"targets": ALL, "ranks": {name: 1 + 5 * i for i, name in enumerate(ALL)}},
        {"targets": ["down_proj", "k_proj"], "ranks": 32, "layers": [1]},
        {"targets": ["gate_proj"], "ranks": 3},
        {"targets": ATTENTION, "ranks": 24},
        {"targets": ["up_proj", "q_proj"], "ranks": 5},
    ]
    loaded = [
        model.decoder.load_adapter(
            pack(tmp_path, model.config, random_factors(model.config, i, **kind), i)
        )
        for i, kind in enumerate(kinds)
    ]

    def run(mix: Sequence[int | None], chance: random.Random | None) -> list[F32]:
        adapters: list[AdapterWeight | None] = [None if i is None else loaded[i] for i in mix]
        sequences = Sequences(model, IDS, adapters=adapters)
        if chance is None:
            return sequences.run_alone()
        sequences.chance = chance
        return sequences.run_mixed(max_chunk=50)

    base = run([None] * 8, None)
    for seed, mix in enumerate(MIXES.values()):
        alone = run(mix, None)
        for one, mixed in zip(alone, run(mix, random.Random(seed)), strict=True):
            assert one.tobytes() == mixed.tobytes()
        for which, one, plain in zip(mix, alone, base, strict=True):
            assert (one.tobytes() == plain.tobytes()) == (which is None)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_steps_of_the_base_model_know_nothing_of_adapters(
    arithmetic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ops = ops_named(arithmetic)
    model = load_model(write_checkpoint(tmp_path, "llama"), dtype="int8", ops=ops)
    factors = random_factors(model.config, 1, targets=["q_proj", "down_proj"])
    adapter = model.decoder.load_adapter(pack(tmp_path, model.config, factors, 1))
    kind, layers = type(ops), OneByOne if arithmetic == "reference" else NativeLayers
    plans: list[Any] = []
    steps: list[Step] = []
    additions: list[Additions] = []
    plan_adapters, run = kind.plan_adapters, layers.run
    monkeypatch.setattr(
        kind, "plan_adapters", lambda self, uses: plans.append(uses) or plan_adapters(self, uses)
    )

    def watched_run(self: Any, x: F32, step: Step) -> None:
        steps.append(step)
        run(self, x, step)

    monkeypatch.setattr(layers, "run", watched_run)

    def watch(name: str) -> None:
        genuine = getattr(kind, name)

        def watched(self: Any, *args: Any) -> Any:
            additions.extend(one for one in args if isinstance(one, Additions))
            return genuine(self, *args)

        monkeypatch.setattr(kind, name, watched)

    for name in ("norm_linear", "linear_add", "gated_linear_add"):
        watch(name)
    Sequences(model, IDS, adapters=[None] * 8).run_alone()
    assert (plans, additions) == ([], [])
    assert len(steps) == len(IDS)
    assert all(step.adapters is None for step in steps)
    Sequences(model, IDS[:1], adapters=[adapter]).run_alone()
    assert len(plans) == 1
    assert steps[-1].adapters is not None
    if arithmetic == "reference":
        assert [one.place for one in additions] == list(range(8))

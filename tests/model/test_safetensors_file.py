"""Our reader against the safetensors package, and hostile headers against our reader."""

import json
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from homerun.errors import CheckpointError
from homerun.model.dtypes import to_float32
from homerun.model.safetensors_file import HEADER_LIMIT, SafetensorsFile, parse_header
from tests.damage import damaged


def test_reads_what_the_package_writes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = {
        "a": torch.randn(3, 5),
        "half": torch.randn(7).half(),
        "brain": torch.randn(2, 3, 4).bfloat16(),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5),
        "ünïcode": torch.randn(1, 1),
    }
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    file = SafetensorsFile(path)
    for name, expected in load_file(path).items():
        found = file.tensor(name)
        assert found.shape == tuple(expected.shape)
        np.testing.assert_array_equal(to_float32(found.data, found.dtype), expected.float().numpy())
        with pytest.raises(ValueError, match="read-only"):
            found.data[...] = 0
    assert set(file.entries) == set(tensors)


def entry(dtype: Any = "F32", shape: Any = (2, 2), start: Any = 0, end: Any = 16) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


HOSTILE: list[tuple[Any, str]] = [
    ([], "not a JSON object"),
    ({"a": 1}, "not described by an object"),
    ({"a": {}}, "F32, F16 and BF16"),
    ({"a": entry(dtype="I64", end=32)}, "is I64"),
    ({"a": entry(dtype="F8_E4M3", end=4)}, "is F8_E4M3"),
    ({"a": entry(dtype=["F32"])}, "F32, F16 and BF16"),
    ({"a": entry() | {"extra": 1}}, "unknown field extra"),
    ({"a": entry(shape=None)}, "shape is not a list"),
    ({"a": entry(shape="22")}, "shape is not a list"),
    ({"a": entry(shape=[-2, -2])}, "-2, which is no size"),
    ({"a": entry(shape=[2.0, 2])}, "2.0, which is no size"),
    ({"a": entry(shape=[True, 4])}, "True, which is no size"),
    ({"a": entry(shape=[1 << 63, 2])}, "which is no size"),
    ({"a": entry(shape=[1 << 62, 1 << 62])}, "bytes where its shape needs"),
    ({"a": entry(shape=[1 << 32, 1 << 30])}, "bytes where its shape needs"),  # 2^64: 0 if cut
    ({"a": entry(shape=[1] * 5000, end=4)}, "5000 dimensions"),
    ({"a": entry(shape=[2, 3])}, "16 bytes where its shape needs 24"),
    ({"a": entry() | {"data_offsets": [0]}}, "data_offsets must be"),
    ({"a": entry() | {"data_offsets": [0, 8, 16]}}, "data_offsets must be"),
    ({"a": entry(start=16, end=0)}, "data_offsets must be"),
    ({"a": entry(start=-16, end=0)}, "no size"),
    ({"a": entry(start="0")}, "no size"),
    ({"a": entry(start=16, end=32)}, "starts at byte 16, not 0"),
    ({"a": entry(), "b": entry()}, "starts at byte 0, not 16"),
    ({"a": entry(), "b": entry(start=8, end=24)}, "starts at byte 8, not 16"),
    ({"a": entry(), "b": entry(start=20, end=36)}, "starts at byte 20, not 16"),
    ({"a": entry(), "b": entry(start=16, end=32)}, "end at byte 32 of 16"),
    ({"a": entry(shape=[1], end=4)}, "end at byte 4 of 16"),
    ({}, "end at byte 0 of 16"),
    ({"__metadata__": [], "a": entry()}, "__metadata__"),
    ({"\x1b[31m" + "x" * 500: entry(dtype="I8")}, r"\?\[31mx+\.\.\. is I8"),
]


def write(path: Path, header: bytes, data: bytes = bytes(16), length: int | None = None) -> Path:
    claimed = len(header) if length is None else length
    path.write_bytes(struct.pack("<Q", claimed) + header + data)
    return path


@pytest.mark.parametrize(("header", "told"), HOSTILE)
def test_hostile_headers(header: Any, told: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", json.dumps(header).encode())
    with pytest.raises(CheckpointError, match=told) as caught:
        SafetensorsFile(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_hostile_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    good = json.dumps({"a": entry()}).encode()
    assert SafetensorsFile(write(path, good + b"   ")).tensor("a").shape == (2, 2)
    twice = good[:-1] + b", " + good[1:]
    texts = [b"", b"{", good[:-1], b"\xff" + good, twice, b"[" * 50_000, b"{}" + good]
    for text in texts:
        with pytest.raises(CheckpointError, match="not valid JSON"):
            SafetensorsFile(write(path, text))
    for length in (HEADER_LIMIT + 1, 1 << 63, (1 << 64) - 1, len(good) + 17):
        with pytest.raises(CheckpointError, match="claims a header"):
            SafetensorsFile(write(path, good, length=length))
    for data in (b"", b"1234567"):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="too short"):
            SafetensorsFile(path)
    with pytest.raises(CheckpointError, match="is missing"):
        SafetensorsFile(tmp_path / "none")
    with pytest.raises(CheckpointError, match="cannot be read"):
        SafetensorsFile(tmp_path)


def mutate(rounds: int) -> int:
    """Random damage to a good header: it parses or is refused, nothing else. Counts refusals."""
    chance = random.Random(0)
    good = json.dumps(
        {"__metadata__": {"format": "pt"}, "a": entry(), "b": entry("F16", [3], 16, 22)}
    ).encode()
    refused = 0
    for _ in range(rounds):
        try:
            entries = parse_header(damaged(good, chance, 4), 22, "x")
        except CheckpointError:
            refused += 1
        else:
            assert sum(one.end - one.start for one in entries.values()) == 22
    return refused


def test_mutated_headers() -> None:
    assert mutate(2_000) > 1_500


@pytest.mark.nightly
def test_many_mutated_headers() -> None:
    assert mutate(100_000) > 75_000

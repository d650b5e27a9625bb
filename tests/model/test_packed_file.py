"""Packed files: the same model as its checkpoint, and every kind of damage told in words."""

import hashlib
import json
import os
import random
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homerun.errors import CheckpointError
from homerun.model import memory, packed_file, packed_header
from homerun.model.checksum import checksum, numpy_checksum
from homerun.model.config import read_config
from homerun.model.framed_header import PAGE
from homerun.model.loader import LoadedModel, checkpoint_facts, load_model, open_checkpoint
from homerun.model.packed_file import PackedFile, read_facts, write_packed_file
from homerun.model.packed_header import FILE_NAME
from homerun.model.random_model import write_random_model
from homerun.model.shapes import SHAPES
from homerun.model.weights import CheckpointWeights
from homerun.native import native_available
from tests.checkpoints import write_checkpoint
from tests.model.sequences import Sequences, random_ids

PREAMBLE = struct.Struct("<8sIQ32s")


def pack_checkpoint(
    source: Path, target: Path, dtype: str | None, groups: tuple[int, int] = (0, 0)
) -> Path:
    """A directory with the packed form of the checkpoint in `source`."""
    checkpoint, config = open_checkpoint(source, dtype)
    facts = checkpoint_facts(checkpoint, config, groups)
    target.mkdir()
    for name in ("config.json", "generation_config.json"):
        (target / name).write_bytes((source / name).read_bytes())
    used = facts.weight_group, facts.activation_group
    weights = CheckpointWeights(checkpoint, config, config.dtype, *used)
    write_packed_file(target / FILE_NAME, config, weights, facts)
    return target


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    source = write_checkpoint(tmp_path / "checkpoint", "llama")
    return pack_checkpoint(source, tmp_path / "packed", "int8")


def outputs(model: LoadedModel) -> bytes:
    ids = [random_ids(n, 300, seed=n) for n in (3, 40)]
    hidden = np.concatenate(Sequences(model, ids).run_alone())
    return hidden.tobytes() + model.decoder.logits(hidden).tobytes()


@pytest.mark.parametrize("family", ["llama", "gemma"])
@pytest.mark.parametrize("dtype", [None, "fp32", "fp16", "bf16", "int8"])
def test_the_same_model_as_the_checkpoint(family: str, dtype: str | None, tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "checkpoint", family)
    packed = pack_checkpoint(source, tmp_path / "packed", dtype)
    from_checkpoint, from_file = load_model(source, dtype=dtype), load_model(packed, dtype=dtype)
    assert from_file.config == from_checkpoint.config
    assert from_file.revision == from_checkpoint.revision
    assert outputs(from_file) == outputs(from_checkpoint)
    copied = load_model(packed, dtype=None, weights_in_ram=True)
    assert outputs(copied) == outputs(from_checkpoint)


def test_groups_change_the_answer_and_the_revision(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "checkpoint", "llama")
    plain = load_model(pack_checkpoint(source, tmp_path / "a", "int8"), dtype="int8")
    grouped = load_model(pack_checkpoint(source, tmp_path / "b", "int8", (64, 128)), dtype="int8")
    assert plain.revision != grouped.revision
    assert outputs(plain) != outputs(grouped)


def test_arrays_are_views_of_the_file(packed: Path) -> None:
    file = PackedFile(packed / FILE_NAME, read_config(packed))
    for view in (file.matrix("layers.1.down").panels, file.norm("final_norm")):
        assert np.shares_memory(view, file.data)
        assert not view.flags.writeable
        assert (view.ctypes.data - file.data.ctypes.data) % PAGE == 0
    copy = PackedFile(packed / FILE_NAME, read_config(packed), in_ram=True)
    np.testing.assert_array_equal(copy.data, file.data)
    assert not copy.norm("final_norm").flags.writeable


def test_writing_gives_the_same_bytes_again(packed: Path, tmp_path: Path) -> None:
    again = pack_checkpoint(tmp_path / "checkpoint", tmp_path / "again", "int8")
    assert (again / FILE_NAME).read_bytes() == (packed / FILE_NAME).read_bytes()


def test_facts_without_loading(packed: Path, tmp_path: Path) -> None:
    facts = read_facts(packed)
    assert (facts.dtype, facts.embedding_dtype) == ("int8", "fp32")
    assert facts.source == str(tmp_path / "checkpoint")


# What is refused.


def refused(directory: Path, *told: str, **options: Any) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_model(directory, dtype=options.pop("dtype", None), **options)
    for text in told:
        assert text in str(caught.value)


def change(directory: Path, function: Callable[[bytearray], Any]) -> None:
    path = directory / FILE_NAME
    data = bytearray(path.read_bytes())
    function(data)
    path.write_bytes(data)


def change_header(directory: Path, function: Callable[[dict[str, Any]], Any]) -> None:
    """Changes the header's JSON and everything that must fit it: what an attacker could do."""

    def rewrite(data: bytearray) -> None:
        _, version, length, _ = PREAMBLE.unpack_from(data)
        values = json.loads(data[PREAMBLE.size : PREAMBLE.size + length])
        function(values)
        put_header(data, json.dumps(values).encode(), version)

    change(directory, rewrite)


def put_header(data: bytearray, text: bytes, version: int = 1) -> None:
    length = PREAMBLE.unpack_from(data)[2]
    header = text.ljust(-(-(PREAMBLE.size + len(text)) // PAGE) * PAGE - PREAMBLE.size)
    digest = hashlib.sha256(header).digest()
    data[: PREAMBLE.size + length] = PREAMBLE.pack(b"HOMERUNW", version, len(header), digest)
    data[PREAMBLE.size : PREAMBLE.size] = header


@pytest.mark.parametrize("size", [0, 1, 7, 51, 52, 500, PAGE, 5 * PAGE, -PAGE, -1])
def test_cut_off_anywhere(size: int, packed: Path) -> None:
    change(packed, lambda data: data.__delitem__(slice(size, None)))
    refused(packed, FILE_NAME)
    if size < 0:
        refused(packed, "is cut off: it has", "copy it again")


def test_bytes_to_spare(packed: Path) -> None:
    change(packed, lambda data: data.extend(b"\0" * 5))
    refused(packed, "has 5 bytes more than its header says")


def test_another_format(packed: Path) -> None:
    def set_version(data: bytearray) -> None:
        data[8] = 9

    change_header(packed, lambda values: values.update(written_by="9.8.7"))
    change(packed, set_version)
    refused(packed, "has format 9, written by homerun 9.8.7", "run homerun models import again")
    (packed / FILE_NAME).write_bytes(b"GGUF" + b"\0" * 10000)
    refused(packed, "is not a packed file of homerun")


def test_every_flipped_bit_of_the_head_is_found(packed: Path) -> None:
    """The head: what is before the first array, one bit at a time, spread over it."""
    original = (packed / FILE_NAME).read_bytes()
    start = PREAMBLE.size + PREAMBLE.unpack_from(original)[2]
    bits = [*range(8 * PREAMBLE.size), *range(8 * PREAMBLE.size, 8 * start, 97)]
    path, config = packed / FILE_NAME, read_config(packed)
    for bit in bits:
        data = bytearray(original[: start + PAGE])
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match=r"damaged|not a packed file|has format"):
            PackedFile(path, config)


def test_flipped_bits_of_the_contents_are_found(packed: Path) -> None:
    original = (packed / FILE_NAME).read_bytes()
    start = PREAMBLE.size + PREAMBLE.unpack_from(original)[2]
    chance = random.Random(0)
    for _ in range(40):
        data = bytearray(original)
        bit = chance.randrange(8 * start, 8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        (packed / FILE_NAME).write_bytes(data)
        file = PackedFile(packed / FILE_NAME, read_config(packed))
        with pytest.raises(CheckpointError, match="is damaged"):
            file.verify()
    refused(packed, "is damaged (its checksum is another)", "run homerun models import again")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("layout", "panels-64", "layout 'panels-64' is not 'panels-32'"),
        ("layout", 3, "layout must be a string"),
        ("family", "gemma", "family is gemma, config.json says llama"),
        ("family", "\x1b[2J", "family is ?[2J, config.json says llama"),
        ("dtype", "int4", "is not a dtype"),
        ("embedding_dtype", "int8", "is not a dtype"),
        ("weight_group", 63, "0 or a multiple of 64"),
        ("activation_group", -64, "must be between"),
        ("activation_group", 1.0, "must be an integer"),
        ("source_digest", "xyz", "not hexadecimal"),
        ("arrays", {}, "is not a list"),
        ("arrays", [], "has 0 entries where"),
    ],
)
def test_headers_that_lie(field: str, value: Any, told: str, packed: Path) -> None:
    change_header(packed, lambda values: values.update({field: value}))
    refused(packed, told)


@pytest.mark.parametrize(
    ("field", "value"),
    [("offset", 0), ("offset", 1 << 60), ("offset", -4096), ("offset", True), ("bytes", 0),
     ("shape", [1 << 40]), ("shape", None), ("dtype", "fp64"), ("name", "layers.0.qkv"),
     ("checksum", "12"), ("checksum", 7), ("checksum", None), ("checksum", "-00000000000000f"),
     ("more", 1)],
)  # fmt: skip
def test_arrays_that_lie(field: str, value: Any, packed: Path) -> None:
    """Outside the file, over each other, of another size: anything but what config.json needs."""
    change_header(packed, lambda values: values["arrays"][3].update({field: value}))
    refused(packed, "where config.json needs" if field != "checksum" else "layers.0.qkv.scales")


def test_another_config(packed: Path) -> None:
    path = packed / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 301}))
    refused(packed, "where config.json needs embedding fp32 [301, 200]")


def test_another_dtype_is_not_made_of_a_packed_file(packed: Path) -> None:
    refused(packed, "holds int8 weights, not bf16", "--dtype bf16", dtype="bf16")


def test_hostile_headers(packed: Path) -> None:
    """2,000 mutations of the JSON with a header that fits them: refused, or the same model."""
    path, config = packed / FILE_NAME, read_config(packed)
    original = path.read_bytes()
    length = PREAMBLE.unpack_from(original)[2]
    text = original[PREAMBLE.size : PREAMBLE.size + length].rstrip()
    contents = original[PREAMBLE.size + length :]
    chance = random.Random(3)
    pieces = [
        b"-1",
        b"1e999",
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b"9" * 30,
        b"\xff",
        b'"',
        b",",
    ]
    accepted = 0
    for _ in range(2000):
        mutated = bytearray(text)
        for _ in range(chance.choice((1, 1, 2, 5))):
            at = chance.randrange(len(mutated))
            end = at + chance.choice((0, 1, 1, 4, 40))
            kind = chance.randrange(3)
            if kind == 0:
                mutated[at:end] = chance.choice(pieces)
            elif kind == 1:
                mutated[at] = chance.randrange(256)
            else:
                other = chance.randrange(len(text))
                mutated[at:end] = text[other : other + chance.randrange(40)]
        data = bytearray(original[: PREAMBLE.size + length])
        put_header(data, bytes(mutated))
        try:
            packed_header.parse(packed_header.read_text(memoryview(data), "")[0], config, "")
            path.write_bytes(data + contents)
            file = PackedFile(path, config)
            file.verify()
        except CheckpointError:
            continue
        accepted += 1
        assert file.matrix("head").panels.tobytes() in contents
    assert accepted < 400


# Memory.


def fake_system(root: Path, available_kb: int, group: dict[str, str] | None = None) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {available_kb} kB\n")
    (root / "proc/self/cgroup").write_text("0::/a/b\n")
    inner = root / "sys/fs/cgroup/a/b"
    inner.mkdir(parents=True)
    for name, text in (group or {}).items():
        (inner.parent / name).write_text(text)
    return root


def test_available_memory(tmp_path: Path) -> None:
    assert memory.available_memory(fake_system(tmp_path / "1", 1000)) == 1000 * 1024
    group = {"memory.max": "500000\n", "memory.current": "300000\n"}
    group["memory.stat"] = "anon 5\ninactive_file 1000\nactive_file 200\n"
    assert memory.available_memory(fake_system(tmp_path / "2", 1000, group)) == 201200
    group["memory.max"] = "max\n"
    assert memory.available_memory(fake_system(tmp_path / "3", 1000, group)) == 1000 * 1024
    assert memory.available_memory(tmp_path / "4") is None
    memory.check_fits("anything", 1 << 60, tmp_path / "4")


def test_larger_than_memory(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = (packed / FILE_NAME).stat().st_size
    monkeypatch.setattr(packed_file, "is_in_memory", lambda path: False)
    monkeypatch.setattr(memory, "available_memory", lambda root: size - 1)
    for in_ram in (False, True):
        refused(
            packed, f"needs {memory.gigabytes(size)} of memory, but only", weights_in_ram=in_ram
        )
    monkeypatch.setattr(memory, "available_memory", lambda root: 10_000)
    source = Path(read_facts(packed).source)
    refused(source, "of memory, but only 0.01 MB are available")


# Writing.


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "checkpoint", "llama")
    code = "import resource, sys; from pathlib import Path; "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
    code += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "from tests.model.test_packed_file import pack_checkpoint; "
    code += "pack_checkpoint(Path(sys.argv[1]), Path(sys.argv[2]), 'int8')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    target = tmp_path / "packed"
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(target)],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "model.homerun cannot be written: File too large" in done.stderr
    assert sorted(path.name for path in target.iterdir()) == [
        "config.json",
        "generation_config.json",
    ]


def test_random_models(tmp_path: Path) -> None:
    """rookie's shape in every dtype: loads, and answers with finite numbers."""
    for dtype in ("int8", "bf16", "fp16", "fp32"):
        write_random_model(tmp_path / dtype, "rookie", dtype)
        model = load_model(tmp_path / dtype, dtype=dtype)
        hidden = Sequences(model, [[5, 6, 7]]).run_alone()[0]
        logits = model.decoder.logits(hidden)
        assert np.isfinite(logits).all()
        assert logits.std() > 0.01
    write_random_model(tmp_path / "grouped", "rookie", "int8", 1, 128, 64)
    assert read_facts(tmp_path / "grouped").weight_group == 128


def test_shapes_of_random_models() -> None:
    """Weights per shape in billions, as the authors count them (embedding once)."""
    billions = {"llama-2-7b": 6.738, "llama-1.1b": 1.100, "gemma-2b": 2.506, "gemma-7b": 8.538}
    for name, expected in billions.items():
        shape = SHAPES[name]
        hidden, inner, heads = (
            shape["hidden_size"], shape["intermediate_size"], shape["num_attention_heads"],
        )  # fmt: skip
        both = heads + shape["num_key_value_heads"]
        layer = 2 * both * shape["head_dim"] * hidden + 3 * hidden * inner
        tables = shape["vocab_size"] * hidden * (1 if name.startswith("gemma") else 2)
        total = shape["num_hidden_layers"] * layer + tables
        assert round(total / 1e9, 3) == pytest.approx(expected, abs=0.0011)


# The checksum.


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 4096, (1 << 20) - 1, 1 << 20, (3 << 20) + 4099])
def test_both_forms_of_the_checksum_agree(size: int) -> None:
    if not native_available():
        pytest.skip("the extension is absent")
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
    assert checksum(data) == numpy_checksum(data)


def test_the_checksum_by_its_definition() -> None:
    """Plain integers, word by word."""
    data = np.random.default_rng(0).integers(0, 256, (1 << 20) + 10, dtype=np.uint8)
    total = 0
    for number, start in enumerate((0, 1 << 20), 1):
        chunk = data[start : start + (1 << 20)].tobytes()
        chunk += bytes(-len(chunk) % 4)
        words = struct.unpack(f"<{len(chunk) // 4}I", chunk)
        total_of_chunk = sum(w * ((1 + i * 2 * 0x4F1BBCDD) % 2**32) for i, w in enumerate(words))
        x = (total_of_chunk + number * 0x9E3779B97F4A7C15) % 2**64
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        total += x ^ x >> 31
    assert numpy_checksum(data) == total % 2**64


@pytest.mark.parametrize("kind", ["numbers", "zeros", "bytes of one value"])
def test_what_the_checksum_finds(kind: str) -> None:
    rng = np.random.default_rng(1)
    data = rng.integers(0, 256, 3 << 20, dtype=np.uint8)
    if kind == "zeros":
        data[:] = 0
    elif kind == "bytes of one value":
        data[:] = 128
        data[:: 1 << 16] = 129  # words that differ in one bit
    expected = checksum(data)

    def found(change: Callable[[Any], Any]) -> bool:
        changed = data.copy()
        change(changed)
        return checksum(changed) != expected

    for bit in [0, 1, 31, 32, 8 * data.size - 1, *rng.integers(0, 8 * data.size, 40)]:
        assert found(lambda d, bit=int(bit): d.__setitem__(bit // 8, d[bit // 8] ^ 1 << bit % 8))
    if kind == "zeros":
        return
    words = data.view(np.uint32)
    for i, j in (
        rng.integers(0, words.size, (40, 2)) if kind == "numbers" else [(0, 1), (0, 1 << 14)]
    ):
        if words[i] != words[j]:
            assert found(lambda d, i=i, j=j: d.view(np.uint32).__setitem__([i, j], words[[j, i]]))
    if kind == "numbers":
        assert found(lambda d: d.__setitem__(slice(None), np.roll(data, 1 << 20)))
        assert found(lambda d: d.__setitem__(slice(None), np.roll(data, 4)))

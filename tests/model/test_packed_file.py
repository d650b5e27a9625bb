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
from homerun.model.config import read_config
from homerun.model.framed_header import PAGE
from homerun.model.loader import LoadedModel, checkpoint_facts, load_model, open_checkpoint
from homerun.model.packed_file import PackedFile, read_facts, write_packed_file
from homerun.model.packed_header import FILE_NAME
from homerun.model.weights import CheckpointWeights
from tests.checkpoints import write_checkpoint
from tests.damage import damaged
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
    accepted = 0
    for _ in range(2000):
        data = bytearray(original[: PREAMBLE.size + length])
        put_header(data, damaged(text, chance, 4))
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

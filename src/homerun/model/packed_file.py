"""A packed file: a model's weights as the kernels read them, mapped into memory as they are.

Knows reading, checking and writing; `packed_header` knows the format. Nothing is converted or
copied at load.
"""

import mmap
import os
from collections.abc import Callable, Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.errors import CheckpointError
from homerun.files import open_regular
from homerun.model import packed_header
from homerun.model.checksum import checksum
from homerun.model.config import ModelConfig
from homerun.model.dtypes import F32, Tensor
from homerun.model.json_fields import Fields, parse_json_object
from homerun.model.memory import check_fits, is_in_memory
from homerun.model.packed_header import FILE_NAME, IMPORT_AGAIN, SCALES, Facts, StoredArray
from homerun.model.packing import PackedMatrix
from homerun.model.weight_source import EMBEDDING, WeightSource, parts

Bytes = NDArray[np.uint8]
_PIECE = 64 << 20
"""Bytes read at a time into memory of our own."""


class PackedFile:
    """An open file whose header fits `config`; a `WeightSource` of read-only views.

    The views keep the mapping alive. The file must not be changed in place while it is in use;
    replacing it by rename, as homerun does, is fine.
    """

    def __init__(
        self, path: Path, config: ModelConfig, *, in_ram: bool = False, check_memory: bool = True
    ) -> None:
        """Maps the file, or with `in_ram` copies it into memory of this process's own.

        Checks everything but the contents, see `verify`; with `check_memory` also that the memory
        has room for all of it at once. Raises CheckpointError in plain words.
        """
        self.path = path
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
                text, start = packed_header.read_text(memoryview(mapping), str(path))
                self.header = packed_header.parse(text, config, str(path))
                _check_size(path, size, start + self.header.data_size)
                if check_memory and (in_ram or not is_in_memory(path)):
                    check_fits(str(path), size)
                self.data: Bytes = np.frombuffer(mapping, np.uint8)
                """The whole file."""
                if in_ram:
                    self.data = _copy(file, size)
        except FileNotFoundError:
            raise CheckpointError(f"{path} is missing") from None
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
        self._contents = self.data[start:]
        self._arrays = {array.name: array for array in self.header.arrays}
        self._shapes = {part.name: part.shape for part in parts(config)}

    def verify(self) -> None:
        """Reads the whole file and compares checksums. Raises CheckpointError."""
        for array, expected in zip(self.header.arrays, self.header.checksums, strict=True):
            if checksum(self._contents[array.offset : array.end]) != expected:
                raise CheckpointError(
                    f"{self.path}: {array.name} is damaged (its checksum is another): "
                    f"{IMPORT_AGAIN}, and check the disk and memory of this machine"
                )

    def embedding(self) -> Tensor:
        return Tensor(self._view(EMBEDDING), self.header.facts.embedding_dtype)

    def norm(self, name: str) -> F32:
        return self._view(name)

    def matrix(self, name: str) -> PackedMatrix:
        facts = self.header.facts
        (n, k), panels = self._shapes[name], self._view(name)
        if facts.dtype != "int8":
            return PackedMatrix(facts.dtype, n, k, panels)
        scales = self._view(name + SCALES)
        groups = facts.weight_group, facts.activation_group
        return PackedMatrix("int8", n, k, panels, scales, *groups)

    def _view(self, name: str) -> NDArray[Any]:
        array = self._arrays[name]
        contents = self._contents[array.offset : array.offset + array.nbytes]
        return contents.view(array.type).reshape(array.shape)


def has_packed_file(directory: Path) -> bool:
    return (directory / FILE_NAME).is_file()


def read_facts(directory: Path) -> Facts:
    """What the packed file in `directory` says of itself; its arrays are not looked at.

    Raises CheckpointError.
    """
    path = directory / FILE_NAME
    try:
        with open_regular(path) as file:
            text, _ = packed_header.read_text(memoryview(file.read(_PIECE)), str(path))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    return packed_header.parse_facts(Fields(str(path), parse_json_object(text, str(path))))


def write_packed_file(
    path: Path,
    config: ModelConfig,
    source: WeightSource,
    facts: Facts,
    *,
    durable: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes the weights of `source` to `path`, which appears when it is complete.

    Holds one matrix at a time. `facts` say what `source` delivers. `durable` waits for the disk.
    `progress` is told bytes written and in all. Raises CheckpointError for what `source` refuses
    and where the disk is full.
    """
    arrays = packed_header.arrange(config, facts)
    checksums = [0] * len(arrays)
    start = len(packed_header.encode(config, facts, checksums))
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb", buffering=0) as file:
            for index, (array, data) in enumerate(_delivered(arrays, source)):
                assert (data.shape, data.dtype) == (array.shape, array.type), array.name
                plain = np.ascontiguousarray(data).reshape(-1).view(np.uint8)
                checksums[index] = checksum(plain)
                file.seek(start + array.offset)
                _write(file, plain)
                if progress is not None:
                    progress(array.end, arrays[-1].end)
            file.truncate(start + arrays[-1].end)
            file.seek(0)
            _write(file, np.frombuffer(packed_header.encode(config, facts, checksums), np.uint8))
            if durable:
                os.fsync(file.fileno())
        partial.replace(path)
        if durable:
            sync_directory(path.parent)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Makes renames in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delivered(
    arrays: tuple[StoredArray, ...], source: WeightSource
) -> Iterator[tuple[StoredArray, NDArray[Any]]]:
    """Each array with its data; an int8 matrix is asked for once and gives panels and scales."""
    scales: NDArray[Any] | None = None
    for array in arrays:
        if array.name == EMBEDDING:
            yield array, source.embedding().data
        elif array.name.endswith(SCALES):
            assert scales is not None
            yield array, scales
        elif array.name.endswith("norm"):
            yield array, source.norm(array.name)
        else:
            matrix = source.matrix(array.name)
            scales = matrix.scales
            yield array, matrix.panels


def _write(file: RawIOBase, data: Bytes) -> None:
    """All of `data`: a raw write may take less."""
    done = 0
    while done < data.size:
        done += file.write(data[done : done + _PIECE].data) or 0


def _check_size(path: Path, size: int, expected: int) -> None:
    if size < expected:
        raise CheckpointError(
            f"{path} is cut off: it has {size} of {expected} bytes: copy it again, or "
            f"{IMPORT_AGAIN}"
        )
    if size > expected:
        raise CheckpointError(
            f"{path} has {size - expected} bytes more than its header says: {IMPORT_AGAIN}"
        )


def _copy(file: BufferedReader, size: int) -> Bytes:
    """The file in memory of our own, in huge pages where the system gives them."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    view = memoryview(memory)
    file.seek(0)
    done = 0
    while done < size:
        count = file.readinto(view[done : done + _PIECE])
        if not count:
            raise CheckpointError(f"{size - done} bytes went missing while a file was read")
        done += count
    data = np.frombuffer(memory, np.uint8)
    data.flags.writeable = False
    return data

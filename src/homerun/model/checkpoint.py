"""A checkpoint directory: which safetensors files make it up, and what it is, as a hash.

Knows file names, shards and what is refused; knows nothing of layers.
"""

import hashlib
from pathlib import Path

from homerun.errors import CheckpointError
from homerun.model.dtypes import Tensor
from homerun.model.json_fields import Fields, read_json_object
from homerun.model.safetensors_file import SafetensorsFile, display

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
REFUSED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".gguf", ".ggml", ".h5", ".msgpack", ".onnx")
_HASH_WHOLE_LIMIT = 64 << 20
"""Bytes; of larger files head, tail and evenly spread samples are hashed."""
_SAMPLES = 64
_SAMPLE_BYTES = 4096


class Checkpoint:
    """All tensors of a directory, whichever file they are in."""

    def __init__(self, directory: Path) -> None:
        """Opens and checks every file. Raises CheckpointError."""
        self.directory = directory
        self._files = [SafetensorsFile(directory / name) for name in _file_names(directory)]
        self._owner: dict[str, SafetensorsFile] = {}
        for file in self._files:
            for name in file.entries:
                if name in self._owner:
                    raise CheckpointError(
                        f"{display(name)} is in {self._owner[name].path.name} and {file.path.name}"
                    )
                self._owner[name] = file

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: file.entries[name].shape for name, file in self._owner.items()}

    def tensor(self, name: str) -> Tensor:
        """A read-only view; KeyError if there is none of this name."""
        return self._owner[name].tensor(name)

    def digest(self) -> bytes:
        """SHA-256 over headers, sizes and contents (sampled where a file is large)."""
        state = hashlib.sha256()
        for file in self._files:
            state.update(f"{file.size}:{len(file.header)}:".encode())
            state.update(file.header)
            if file.size <= _HASH_WHOLE_LIMIT:
                state.update(file.sample(0, file.size))
                continue
            for i in range(_SAMPLES):
                offset = i * (file.size - _SAMPLE_BYTES) // (_SAMPLES - 1)
                state.update(file.sample(offset, _SAMPLE_BYTES))
        return state.digest()


def _file_names(directory: Path) -> list[str]:
    if (directory / WEIGHTS).exists():
        return [WEIGHTS]
    if (directory / INDEX).exists():
        return shard_names(directory / INDEX)
    others = sorted(path.name for path in directory.iterdir() if path.suffix in REFUSED)
    if others:
        raise CheckpointError(
            f"{directory} has its weights in {others[0]}: homerun reads safetensors files only "
            "(the other formats can run code or need a converter)"
        )
    raise CheckpointError(f"{directory} has neither {WEIGHTS} nor {INDEX}")


def shard_names(path: Path) -> list[str]:
    """The shards an index names, each a plain file name beside it."""
    fields = Fields(str(path), read_json_object(path)[0])
    weight_map = fields.child("weight_map")
    names = weight_map.values() if weight_map is not None else []
    if not names:
        raise fields.error("weight_map", "is missing or empty")
    plain: set[str] = set()
    for name in names:
        if not isinstance(name, str) or not _is_plain_name(name):
            raise fields.error("weight_map", f"names {name!r}, which is no file beside the index")
        plain.add(name)
    return sorted(plain)


def _is_plain_name(name: str) -> bool:
    return (
        name.endswith(".safetensors")
        and not name.startswith(".")
        and len(name) <= 255
        and all(c.isascii() and c.isprintable() and c not in '/\\:"' for c in name)
    )

"""What is no regular file is refused in words, at once: opening a pipe would wait for ever."""

import os
import shutil
import socket
from importlib.resources import files
from pathlib import Path

import pytest

from homerun.errors import CheckpointError
from homerun.files import open_regular
from homerun.service.library import COPIED, Library

ROOKIE = Path(str(files("homerun").joinpath("data", "rookie")))


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    (tmp_path / "link").symlink_to(path)
    for one in (path, tmp_path / "link"):
        with open_regular(one) as file:
            assert file.read() == b"content"


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="it is not a regular file"):
            open_regular(path)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match="No such device"):
            open_regular(tmp_path / "socket")
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "missing")


@pytest.mark.parametrize("name", [*COPIED, "model.safetensors"])
def test_a_pipe_in_a_checkpoint_blocks_nothing(name: str, tmp_path: Path) -> None:
    source = tmp_path / "checkpoint"
    shutil.copytree(ROOKIE, source)
    (source / name).unlink(missing_ok=True)
    os.mkfifo(source / name)
    with pytest.raises(CheckpointError, match=rf"{name} cannot be read: it is not a regular file"):
        Library(tmp_path / "home").add("mine", source)


def test_a_pipe_in_place_of_a_packed_file(tmp_path: Path) -> None:
    library = Library(tmp_path)
    model = library.add("mine", ROOKIE)
    (model.directory / "model.homerun").unlink()
    os.mkfifo(model.directory / "model.homerun")
    with pytest.raises(CheckpointError, match=r"model\.homerun cannot be read: it is not a reg"):
        _ = model.facts

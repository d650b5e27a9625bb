"""`python -m training` with options that cannot work: told at once, not after hours."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")


def refusal(*arguments: str | Path) -> str:
    command = [sys.executable, "-m", "training", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert "--steps and --threads start at 1" in refusal("--out", tmp_path, "--steps", "0")
    assert "--workers is 1 to 2" in refusal("--out", tmp_path, "--workers", "3")
    assert f"--out {file} is a file" in refusal("--out", file)
    assert "the stage train needs" in refusal("--out", tmp_path, "--stages", "train")
    missing = refusal("--out", tmp_path, "--stages", "tokenizer", "export")
    assert f"the stage export needs {tmp_path / 'state.pt'}" in missing
    assert sorted(tmp_path.iterdir()) == [file]

"""A server of random weights, for the benchmarks that go through HTTP.

Knows processes and ports; what is sent and measured is theirs.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import turns

from homerun.cli.bench.shapes import random_model
from homerun.settings import Settings

MODEL = "@bench/random"
READY_SECONDS = 120.0
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def servable(case: turns.Case, folder: Path) -> Path:
    """The random model with a tokenizer: rookie's, grown to the vocabulary by made-up words."""
    model = random_model(case.shape, case.dtype, Settings.from_environment())
    for path in model.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    rookie = Path(str(files("homerun").joinpath("data", "rookie")))
    tokenizer: dict[str, Any] = json.loads((rookie / "tokenizer.json").read_text())
    vocabulary: dict[str, int] = tokenizer["model"]["vocab"]
    wanted = json.loads((model / "config.json").read_text())["vocab_size"]
    vocabulary.update({f"word{number}": number for number in range(len(vocabulary), wanted)})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    shutil.copy(rookie / "tokenizer_config.json", folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@contextmanager
def homerun_server(
    case: turns.Case, directory: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """A running server's port; `MODEL` is the model in `directory`. Speculation is off."""
    port = free_port()
    settings = {
        "HOMERUN_THREADS": str(case.threads),
        "HOMERUN_SPECULATION": "0",
        "HOMERUN_DTYPE": case.dtype,
        "HOMERUN_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "homerun", "serve", f"{MODEL}={directory}"]
    command += ["--port", str(port)]
    with process(command, {**settings, **(environment or {})}) as server:
        wait_until_ready(server, port, "/readyz")
        yield port


@contextmanager
def process(
    command: list[str], environment: Mapping[str, str], *, quiet: bool = False
) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that is told to end afterwards. `quiet`: its complaints are not shown."""
    null = subprocess.DEVNULL
    server = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=null, stderr=null if quiet else None
    )
    try:
        yield server
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_until_ready(server: "subprocess.Popen[bytes]", port: int, path: str) -> None:
    """Ends this process if the server does not answer `path` with 200 in time."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with status {server.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"the server was not ready within {READY_SECONDS:.0f} s")

"""Adapters through real processes: kill -9 while uploading, memory, stand-ins, the command line."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from importlib.resources import files
from pathlib import Path

import pytest
import requests

from homerun.model.config import read_config
from homerun.model.shapes import known_config
from homerun.store.adapters import ASSETS, AdapterStore
from tests.adapters import adapter_files
from tests.e2e.server import Server

ROOKIE = "@homerun/rookie"
GEMMA = "@cf/google/gemma-2b-it-lora"
BASE = read_config(Path(str(files("homerun").joinpath("data", "rookie"))))
CONFIG, WEIGHTS = ASSETS


def root(server: Server) -> str:
    return f"{server.url}/client/v4/accounts/any/ai/finetunes"


def create(server: Server, name: str, model: str = ROOKIE) -> None:
    body = {"model": model, "name": name, "description": ""}
    assert requests.post(root(server), json=body, timeout=30).status_code == 200


def upload(server: Server, name: str, asset: str, data: object) -> requests.Response:
    return requests.post(
        f"{root(server)}/{name}/finetune-assets/",
        data={"file_name": asset},
        files={"file": ("blob", data)},  # type: ignore[dict-item]
        timeout=120,
    )


def test_a_stand_in_checks_adapters_and_says_that_it_leaves_them(tmp_path: Path):
    with Server(tmp_path, "--stand-in") as server:
        ask = {"prompt": "Hello", "max_tokens": 5, "lora": "mine"}
        assert server.run(GEMMA, ask).json()["errors"][0]["code"] == 3037
        create(server, "mine", GEMMA)
        unready = server.run(GEMMA, ask).json()["errors"][0]
        assert unready["code"] == 3039
        assert f"missing required files ({CONFIG} and {WEIGHTS})" in unready["message"]
        found = adapter_files(known_config("gemma-2b"), rank=2)
        for asset in ASSETS:
            assert upload(server, "mine", asset, found[asset]).status_code == 200
        for lora in (
            "mine",
            requests.get(f"{root(server)}/mine", timeout=9).json()["result"]["id"],
        ):
            for extra in ({}, {"prompt": None, "messages": [{"role": "user", "content": "Hi"}]}):
                answer = server.run(GEMMA, {**ask, "lora": lora, **extra})
                assert answer.status_code == 200, answer.text
                assert answer.headers["homerun-lora"] == "not applied"
                assert answer.headers["homerun-stand-in"] == ROOKIE
        streamed = server.run(GEMMA, {**ask, "stream": True})
        assert streamed.headers["homerun-lora"] == "not applied"
        assert "homerun-lora" not in server.run(GEMMA, {"prompt": "Hello"}).headers
        other = server.run("@cf/meta-llama/llama-2-7b-chat-hf-lora", ask).json()["errors"][0]
        assert (other["code"], GEMMA in other["message"]) == (3030, True)
        no_lora = server.run("@cf/meta/llama-2-7b-chat-int8", ask)
        assert (no_lora.status_code, no_lora.json()["errors"][0]["code"]) == (405, 5005)
        # The command line works on the same store while the server runs.
        command = [sys.executable, "-m", "homerun", "adapters", "rm", "mine"]
        subprocess.run(command, env=server.environment, check=True, stdout=subprocess.DEVNULL)
        assert server.run(GEMMA, ask).json()["errors"][0]["code"] == 3037


def memory(server: Server) -> int:
    """Bytes of the process's own memory at its highest, mapped files left out."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    peak, mapped = (int(fields[name].split()[0]) for name in ("VmHWM", "RssFile"))
    return (peak - mapped) << 10


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    "size",
    [pytest.param(16_000_000), pytest.param(301_000_000, marks=pytest.mark.nightly)],
)
def test_an_upload_of_any_size_leaves_the_memory_flat(size: int, tmp_path: Path):
    noise = os.urandom(1_000_000)
    source = tmp_path / "source"
    with source.open("wb") as file:
        for _ in range(size // 1_000_000):
            file.write(noise)
    # An idle engine takes memory for its KV cache bit by bit: here a cache too small to be seen.
    cache = {"HOMERUN_KV_MEMORY": "1M"}
    limit = size - 1_000_000
    with Server(tmp_path / "home", HOMERUN_ADAPTER_LIMIT=str(size), **cache) as server:
        create(server, "mine")
        upload(server, "mine", WEIGHTS, b"warm up")
        before = memory(server)
        with source.open("rb") as file:
            assert upload(server, "mine", WEIGHTS, file).status_code == 200
        grown = memory(server) - before
    assert grown < 8 << 20, f"{grown:,} bytes"
    with Server(tmp_path / "home", HOMERUN_ADAPTER_LIMIT=str(limit), **cache) as server:
        create(server, "other")
        before = memory(server)
        with source.open("rb") as file:
            refused = upload(server, "other", WEIGHTS, file)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (413, 3006)
        assert memory(server) - before < 8 << 20
        assert requests.get(f"{root(server)}/other", timeout=9).json()["result"]["state"] == "new"
    assert len(os.listdir(tmp_path / "home" / "adapters")) == 1


def kill_in_a_loop(home: Path, rounds: int, seed: int = 0) -> int:
    """Uploads until the server is killed, again and again. Returns how many were acknowledged.

    After every restart: what was acknowledged is there with its bytes, nothing is half there.
    """
    chance = random.Random(seed)
    acknowledged: dict[str, dict[str, bytes]] = {}
    ready: set[str] = set()
    number = 0
    for _ in range(rounds):
        with Server(home, HOMERUN_MAX_ADAPTERS="100000") as server:
            check(server, home, acknowledged, ready)

            def kill(process: "subprocess.Popen[bytes]" = server.process) -> None:
                time.sleep(chance.choice([0.0, 0.002, 0.01, 0.05]))
                process.send_signal(signal.SIGKILL)

            killer = threading.Thread(target=kill)
            steps = 0
            fatal = chance.randint(2, 7)
            try:
                while True:
                    number += 1
                    name = f"a{number}"
                    found = adapter_files(BASE, rank=chance.choice([1, 16]), seed=number)
                    create(server, name)
                    acknowledged[name] = {}
                    for asset in chance.sample(ASSETS, 2):
                        steps += 1
                        if steps == fatal:
                            killer.start()
                        answer = upload(server, name, asset, found[asset])
                        assert answer.status_code == 200, answer.text
                        acknowledged[name][asset] = found[asset]
                    ready.add(name)
            except requests.RequestException:
                pass
            killer.join()
            server.process.wait()
    with Server(home) as server:
        check(server, home, acknowledged, ready)
    return sum(len(kept) for kept in acknowledged.values())


def check(
    server: Server, home: Path, acknowledged: dict[str, dict[str, bytes]], ready: set[str]
) -> None:
    shown = {one["name"]: one for one in requests.get(root(server), timeout=9).json()["result"]}
    assert acknowledged.keys() <= shown.keys()
    assert all(shown[name]["state"] == "ready" for name in ready)
    kept = {one.name: one for one in AdapterStore(home).all("local")}
    for name, assets in acknowledged.items():
        for asset, data in assets.items():
            assert kept[name].assets[asset].path.read_bytes() == data
    # Nothing is on the disk that no row names: a start sweeps.
    named = {asset.path.name for one in kept.values() for asset in one.assets.values()}
    assert set(os.listdir(home / "adapters") if (home / "adapters").exists() else ()) == named
    for name in sorted(ready)[-1:]:
        answer = server.run(ROOKIE, {"prompt": "x", "max_tokens": 1, "lora": name})
        assert answer.status_code == 200, answer.text
    # What is not ready cannot be used, and says so.
    for name in shown.keys() - ready:
        answer = server.run(ROOKIE, {"prompt": "x", "max_tokens": 1, "lora": name}).json()
        if shown[name]["state"] != "ready":
            assert answer["errors"][0]["code"] == 3039


def test_killed_while_uploading(tmp_path: Path):
    assert kill_in_a_loop(tmp_path, 3) >= 3


# Fifty in all; in one test a slow machine would take them for a hang.
@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1, 6))
def test_killed_ten_times_while_uploading(seed: int, tmp_path: Path):
    assert kill_in_a_loop(tmp_path, 10, seed) >= 10


def test_an_upload_does_not_change_what_streams_say(tmp_path: Path):
    ask = {"prompt": "Tell me a story", "max_tokens": 60, "seed": 5}
    with Server(tmp_path) as server:
        alone = server.run(ROOKIE, ask).json()["result"]["response"]
        create(server, "mine")
        found = adapter_files(BASE, rank=32, target_modules=["q_proj", "k_proj", "up_proj"])
        answers: list[str] = []

        def stream() -> None:
            answers.append(server.run(ROOKIE, ask).json()["result"]["response"])

        threads = [threading.Thread(target=stream) for _ in range(4)]
        for thread in threads:
            thread.start()
        for asset in ASSETS:
            assert upload(server, "mine", asset, found[asset]).status_code == 200
        for thread in threads:
            thread.join()
        assert answers == [alone] * 4
        shown = requests.get(f"{root(server)}/mine", timeout=9).json()["result"]
        assert json.dumps(shown["state"]) == '"ready"'

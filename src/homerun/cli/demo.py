"""`homerun demo`: the whole thing once, for a newcomer: a server, a request, an answer, an end."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from homerun.cli.client import Client
from homerun.cli.terminal import print_stream
from homerun.errors import HomerunError
from homerun.settings import Settings

MODEL = "@cf/meta/llama-2-7b-chat-int8"
REQUEST: dict[str, Any] = {
    "messages": [
        {"role": "system", "content": "You are a friendly assistant"},
        {"role": "user", "content": "What is the origin of the phrase Hello, World"},
    ],
    "stream": True,
}
READY = "ready in"


class DemoFailed(HomerunError):
    """The server of the demo did not come up or went away."""


def demo(settings: Settings) -> None:
    """Starts a server, asks it, and stops it; on a terminal it stays up until Enter."""
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
        print(f"\n$ curl http://{address}/client/v4/accounts/your-account-id/ai/run/{MODEL} \\")
        print("    -H 'Authorization: Bearer None' -X POST \\")
        print('    -d \'{ "stream": true, "messages": [')
        print('          { "role": "system", "content": "You are a friendly assistant" },')
        print('          { "role": "user", "content": ', end="")
        print('"What is the origin of the phrase Hello, World" }]}\'\n')
        events = client.stream(MODEL, REQUEST, account="your-account-id")
        print_stream(event.get("response") or "" for event in events)
        name = _command_name()
        print(
            "\nThat was rookie, homerun's own small model, standing in for Llama 2. Go on with:\n"
            f'  {name} run @homerun/rookie "Tell me a story"\n'
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

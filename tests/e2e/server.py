"""A real `homerun serve` in a process of its own, on a free port of loopback."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import requests


class Server:
    """Started on entry, stopped on exit; `output` is what it said."""

    def __init__(self, home: Path, *arguments: str, port: int = 0, **environment: str) -> None:
        command = [sys.executable, "-m", "homerun", "serve", "--port", str(port), *arguments]
        self.home = home
        self._log = home / "server.log"
        home.mkdir(parents=True, exist_ok=True)
        self.environment = {**os.environ, "HOMERUN_HOME": str(home), **environment}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment
            )
        self.port = self._wait()
        self.url = f"http://127.0.0.1:{self.port}"

    def _wait(self) -> int:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = re.search(r"on http://\S+?:(\d+), ready", self.output)
            if found:
                return int(found[1])
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self.output}")

    @property
    def output(self) -> str:
        return self._log.read_text()

    def run(self, model: str, body: object, **options: object) -> requests.Response:
        url = f"{self.url}/client/v4/accounts/your-account-id/ai/run/{model}"
        return requests.post(url, json=body, timeout=60, **options)  # type: ignore[arg-type]

    def metric(self, name: str) -> float:
        """Sum of a metric over its labels."""
        text = requests.get(f"{self.url}/metrics", timeout=10).text
        lines = [line for line in text.splitlines() if line.startswith(name)]
        assert f"# HELP {name.split('{')[0]}" in text, f"no metric {name}"
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

"""Every setting of the server in one place: flag > environment > default.

Knows names, types and defaults; knows nothing of what the settings do.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from homerun.machine import MAX_THREADS

ENVIRONMENT_PREFIX = "HOMERUN_"

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")

MIB = 1 << 20


def default_home() -> Path:
    """Where tokens are kept: `$XDG_DATA_HOME/homerun`, else `~/.local/share/homerun`."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "homerun"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Sizes are bytes and times seconds unless the name says otherwise."""

    host: str = "127.0.0.1"
    port: int = 11787
    home: Path = field(default_factory=default_home)
    token: str | None = None
    """One static token that closes the server without a database entry (`HOMERUN_TOKEN`)."""
    allow_host: tuple[str, ...] = ()
    allow_origin: tuple[str, ...] = ()

    stand_in: bool = False
    dtype: str | None = None
    max_model_len: int | None = None
    kv_memory: int | None = None
    """Bytes of KV cache per model; None lets the server choose from the window and free memory."""
    kv_dtype: str | None = None
    adapter_memory: int = 2 << 30
    """Bytes of the LoRA adapters of one model that are mapped at a time."""
    weights_in_ram: bool = False
    """Copy packed weights into memory of the process, instead of mapping the file."""
    require_native: bool = False
    threads: int | None = None
    """Threads that compute; None is as many as the process may use CPUs."""
    instruction_set: str | None = None
    """What the kernels may use, where the best is not wanted; "reference" is NumPy."""

    max_batch_tokens: int = 256
    """Rows of one engine step over all its sequences."""
    max_sequences: int = 64
    """Sequences that run at once; the others wait in order of arrival."""
    speculation: bool = True
    """Guess tokens from the text so far where that is nearly free; no answer depends on it."""
    max_queue: int = 512
    """Requests that may wait; the next one is told to come back (3040)."""
    queue_timeout: float = 30.0
    body_limit: int = MIB
    adapter_limit: int = 300_000_000
    """Bytes of an adapter's weights."""
    adapter_rank: int = 32
    """The highest rank of an adapter."""
    max_adapters: int = 100
    """Adapters of one account."""
    upload_timeout: float = 600.0
    """For one file of an adapter as a whole; `body_timeout` is the longest pause within it."""
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    send_timeout: float = 60.0
    """A client that takes in nothing of an answer for so long is cut off (Linux)."""
    keepalive_timeout: float = 75.0
    max_connections: int = 1024
    shutdown_timeout: float = 30.0
    heartbeat_limit: float = 30.0
    """An engine that has work and made no step for so long is not ready."""
    log_level: str = "info"
    bench_dir: Path | None = None
    """Where `homerun bench` keeps its random models; None is `bench` in `home`."""
    account: str = "local"
    """Whose account `homerun run` names to a server with tokens."""

    def __post_init__(self) -> None:
        """Raises ValueError for values that cannot work, alone or together."""
        for name in ("max_batch_tokens", "max_sequences", "max_queue", "body_limit", *_ADAPTERS):
            if getattr(self, name) < 1:
                raise ValueError(f"{ENVIRONMENT_PREFIX}{name.upper()} must be at least 1")
        if self.threads is not None and not 1 <= self.threads <= MAX_THREADS:
            raise ValueError(f"HOMERUN_THREADS must be between 1 and {MAX_THREADS}")
        if self.max_model_len is not None and self.max_model_len < 1:
            raise ValueError("HOMERUN_MAX_MODEL_LEN must be at least 1")
        if self.max_sequences > self.max_batch_tokens:
            raise ValueError(
                f"HOMERUN_MAX_BATCH_TOKENS ({self.max_batch_tokens}) must not be less than "
                f"HOMERUN_MAX_SEQUENCES ({self.max_sequences})"
            )
        if not 0.001 <= self.send_timeout <= 86400:
            raise ValueError("HOMERUN_SEND_TIMEOUT must be between 0.001 and 86400")
        if self.log_level.lower() not in LOG_LEVELS:
            raise ValueError(f"HOMERUN_LOG_LEVEL is one of {', '.join(LOG_LEVELS)}")

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] | None = None, **flags: object
    ) -> "Settings":
        """Defaults, overlaid by `HOMERUN_<NAME>`, overlaid by `flags` that are not None.

        Raises ValueError naming the variable that cannot be read.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, object] = {}
        for item in fields(cls):
            text = environment.get(ENVIRONMENT_PREFIX + item.name.upper())
            if text is not None:
                values[item.name] = _parse(item.name, _kind(item.type), text)
        values.update({name: value for name, value in flags.items() if value is not None})
        return cls(**values)  # pyright: ignore[reportArgumentType]


def _kind(annotation: object) -> str:
    """`int` -> "int", `int | None` -> "int | None"."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _parse(name: str, kind: str, text: str) -> object:
    variable = ENVIRONMENT_PREFIX + name.upper()
    if name in _SIZES:
        try:
            return parse_bytes(text)
        except ValueError as error:
            raise ValueError(f"{variable}: {error}") from None
    try:
        if kind == "bool":
            return _BOOLEANS[text.strip().lower()]
        if kind.startswith("int"):
            return int(text)
        if kind == "float":
            return float(text)
    except (ValueError, KeyError):
        raise ValueError(f"{variable}={text!r} is not a valid {kind.split(' ')[0]}") from None
    if "Path" in kind:
        return Path(text)
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off", ""), False),
}
_ADAPTERS = ("adapter_limit", "adapter_memory", "adapter_rank", "max_adapters")
_SIZES = frozenset({"kv_memory", "body_limit", "adapter_limit", "adapter_memory"})
_UNITS = {"": 1, "k": 1 << 10, "m": MIB, "g": 1 << 30}


def parse_bytes(text: str) -> int:
    """`4096`, `512M`, `2GiB`, `2gb` -> bytes (binary units). Raises ValueError."""
    digits = text.strip().lower().removesuffix("b").removesuffix("i")
    unit = digits[-1:] if digits[-1:].isalpha() else ""
    if unit not in _UNITS:
        raise ValueError(f"{text!r} is not a size; write bytes or 512M, 2G")
    try:
        size = float(digits.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        raise ValueError(f"{text!r} is not a size; write bytes or 512M, 2G") from None
    if not 0 < size < 1 << 62:
        raise ValueError(f"{text!r} is not a size above zero")
    return int(size)

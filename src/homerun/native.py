"""Whether the C++ extension is there, and which instructions it may use on this machine.

Knows that `homerun._native` may be absent (an install without a compiler); knows nothing of what
its kernels compute.
"""

from typing import Any

from homerun.errors import ConfigurationError

try:
    from homerun import _native
except ImportError as error:
    _native = None
    _missing: str | None = str(error)
else:
    _missing = None


def extension() -> Any:
    """The module `homerun._native`. Raises ConfigurationError where it is absent."""
    if _native is None:
        raise ConfigurationError(f"the C++ extension cannot be used ({_missing})")
    return _native


def native_available() -> bool:
    """True if the kernels can be used; without them the NumPy reference runs."""
    return _native is not None


def instruction_set() -> str:
    """What arithmetic runs here: "avx512_vnni", "avx2", "neon", "portable", or "reference".

    "reference" is NumPy, where the extension is absent.
    """
    return "reference" if _native is None else _native.instruction_set()


def cpu_features() -> dict[str, bool]:
    """Instruction sets by the names of /proc/cpuinfo, and whether each may be used.

    Empty where the extension is absent: then nobody has looked.
    """
    return {} if _native is None else _native.cpu_features()


def require_native(required: bool) -> None:
    """Hold the setting `require_native` (`HOMERUN_REQUIRE_NATIVE=1`) to its word.

    Raises ConfigurationError if it is on and the extension is absent or does not load.
    """
    if required and _native is None:
        raise ConfigurationError(
            f"HOMERUN_REQUIRE_NATIVE is set but the C++ extension cannot be used ({_missing}). "
            "Install a C++ compiler and Python's headers (Debian: apt install g++ python3-dev), "
            "then install homerun again."
        )

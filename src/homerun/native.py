"""Whether the C++ extension is there, and which instructions it may use on this machine.

Knows that `homerun._native` may be absent (an install without a compiler); knows nothing of what
its kernels compute.
"""

from typing import Any

from homerun.errors import ConfigurationError
from homerun.machine import usable_cpus

try:
    from homerun import _native
except ImportError as error:
    _native = None
    _missing: str | None = str(error)
else:
    _missing = None

REFERENCE = "reference"
_reference_wanted = False


def extension() -> Any:
    """The module `homerun._native`. Raises ConfigurationError where it is absent."""
    if _native is None:
        raise ConfigurationError(f"the C++ extension cannot be used ({_missing})")
    return _native


def missing() -> str | None:
    """Why the extension cannot be used; None if it can."""
    return _missing


def native_available() -> bool:
    """True if the kernels run; else the NumPy reference does."""
    return _native is not None and not _reference_wanted


def instruction_set() -> str:
    """What arithmetic runs here: one of `instruction_sets()`."""
    return _native.instruction_set() if _native is not None and native_available() else REFERENCE


def instruction_sets() -> list[str]:
    """What can run here, worst first: "reference" (NumPy), then the kernels' sets."""
    return [REFERENCE, *([] if _native is None else _native.instruction_sets())]


def configure(threads: int | None, wanted: str | None) -> None:
    """Holds the settings `threads` and `instruction_set` to their word.

    None stands for one thread for each usable CPU, and for the best instructions. Called before a
    model is loaded. Raises ConfigurationError if `wanted` cannot be had here.
    """
    global _reference_wanted
    if wanted is not None:
        if wanted not in instruction_sets():
            raise ConfigurationError(
                f"HOMERUN_INSTRUCTION_SET is {wanted!r}; this machine and this build have "
                f"{', '.join(instruction_sets())}"
            )
        _reference_wanted = wanted == REFERENCE
        if not _reference_wanted:
            extension().force_instruction_set(wanted)
    if _native is not None:
        _native.set_threads(threads or usable_cpus())


def threads() -> int | None:
    """How many threads compute an operation together; None for the reference."""
    return _native.threads() if _native is not None and native_available() else None


def arithmetic() -> str:
    """What computes here, in words: "amx, 2 threads"."""
    count = threads()
    if count is None:
        return "NumPy"
    return f"{instruction_set()}, {count} thread{'s' * (count != 1)}"


def warning() -> str | None:
    """What a person should be told of the arithmetic before they wait for it."""
    if _native is not None:
        return None
    return "NO NATIVE EXTENSION (no C++ compiler at install): everything runs on NumPy"


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

"""The C++ extension: what it detects, and what its absence means."""

import os
from pathlib import Path

import pytest

from homerun import native
from homerun.errors import ConfigurationError
from homerun.settings import Settings

CPUINFO = Path("/proc/cpuinfo")


@pytest.fixture
def extension() -> None:
    if native.native_available():
        return
    if Settings.from_environment().require_native:
        pytest.fail("HOMERUN_REQUIRE_NATIVE is set, and homerun._native is not installed")
    pytest.skip("homerun was installed without its C++ extension (no compiler was found)")


@pytest.fixture
def no_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_native", None)
    monkeypatch.setattr(native, "_missing", "No module named 'homerun._native'")


@pytest.mark.usefixtures("extension")
@pytest.mark.skipif(
    not CPUINFO.exists() or os.uname().machine != "x86_64",
    reason="the kernel lists these flags on Linux x86 only",
)
def test_features_are_those_the_kernel_reports() -> None:
    line = next(line for line in CPUINFO.read_text().splitlines() if line.startswith("flags"))
    flags = set(line.split())
    features = native.cpu_features()
    assert features == {name: name in flags for name in features}


@pytest.mark.usefixtures("extension")
def test_the_instruction_set_follows_from_the_features() -> None:
    features = native.cpu_features()
    avx2 = {"avx2", "fma", "f16c"}
    avx512 = {*avx2, "avx512f", "avx512_vnni", "avx512bw", "avx512vl", "avx512dq"}
    needed: dict[str, set[str]] = {
        "portable": set(),
        "neon": {"neon"},
        "avx2": avx2,
        "avx512_vnni": avx512,
        "avx512_bf16": {*avx512, "avx512_bf16"},
        "amx": {*avx512, "avx512_bf16", "amx_int8", "amx_bf16"},
    }
    usable = {name for name, parts in needed.items() if all(features[part] for part in parts)}
    offered = native.extension().instruction_sets()
    # A build may lack sets that its compiler does not know, but never the portable one.
    assert offered == [name for name in needed if name in offered]
    assert {"portable"} <= set(offered) <= usable


@pytest.mark.usefixtures("extension")
def test_any_set_that_is_offered_can_be_forced_and_no_other() -> None:
    extension = native.extension()
    before = native.instruction_set()
    try:
        for name in extension.instruction_sets():
            assert extension.force_instruction_set(name)
            assert native.instruction_set() == name
        assert not extension.force_instruction_set("mmx")
        assert native.instruction_set() == name
    finally:
        assert extension.force_instruction_set(before)


@pytest.mark.usefixtures("extension")
def test_what_is_required_and_there_is_accepted() -> None:
    native.require_native(True)


@pytest.mark.usefixtures("no_extension")
def test_without_the_extension_the_reference_is_named() -> None:
    assert not native.native_available()
    assert native.instruction_set() == "reference"
    assert native.cpu_features() == {}
    native.require_native(False)


@pytest.mark.usefixtures("no_extension")
def test_without_the_extension_a_requirement_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(
        ConfigurationError, match=r"HOMERUN_REQUIRE_NATIVE.*homerun\._native.*g\+\+"
    ):
        native.require_native(True)

"""What is shipped: the requirements, the version, and wheels built with and without a compiler."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import homerun
from homerun.service import hub
from tests.project.source import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def installed_closure(requirements: list[str]) -> dict[str, str]:
    """Name -> version of all distributions that these need here, extras and markers followed."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    queue = [(Requirement(text), "") for text in requirements]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ["", *requirement.extras]:
            if (name, wanted) in seen:
                continue
            seen.add((name, wanted))
            dist = distribution(name)
            found[name] = dist.version
            queue += [(Requirement(text), wanted) for text in dist.requires or []]
    return found


def test_the_base_install_is_small_and_has_no_torch() -> None:
    try:
        closure = installed_closure(PROJECT["dependencies"])
    except PackageNotFoundError as error:
        pytest.fail(f"a requirement of homerun is not installed here: {error}")
    assert len(closure) + 1 < 45, sorted(closure)  # + homerun itself
    heavy = {"torch", "triton", "transformers", "ray", "safetensors", "scipy", "pandas"}
    assert not heavy & closure.keys()


def test_downloads_add_nothing_to_the_base_install() -> None:
    """huggingface-hub comes along anyway; extra and code agree on its version."""
    base = PROJECT["dependencies"]
    extra = PROJECT["optional-dependencies"]["hub"]
    assert installed_closure([*base, *extra]) == installed_closure(base)
    (requirement,) = map(Requirement, extra)
    for version in ("2.4.0", "2.99", "2.3.9", "1.0", "3.0"):
        parts = tuple(map(int, version.split(".")[:2]))
        assert requirement.specifier.contains(version) == (hub.NEEDED_VERSION <= parts < (3,))


def test_rookie_and_its_adapters_take_little_room() -> None:
    """All weights of the package together: at most 16 MB."""
    data = ROOT / "src" / "homerun" / "data"
    sizes = {
        path: path.stat().st_size
        for name in ("rookie", "rookie-adapters")
        for path in (data / name).rglob("*.safetensors")
    }
    assert len(sizes) == 3
    assert sum(sizes.values()) <= 16_000_000, sizes


# Wheels. Each is built as `pip` would build it for a user, in an environment of its own.


def build(directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "HOMERUN_REQUIRE_NATIVE"}
    return subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", directory, str(ROOT)],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def the_wheel(directory: Path, result: subprocess.CompletedProcess[str]) -> Path:
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    (wheel,) = directory.glob("*.whl")
    return wheel


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="module")
def pure_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pure")
    return the_wheel(directory, build(directory, CXX="/nonexistent/c++"))


@pytest.fixture(scope="module")
def native_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("c++") is None and shutil.which("g++") is None:
        pytest.skip("no C++ compiler on this machine")
    directory = tmp_path_factory.mktemp("native")
    return the_wheel(directory, build(directory, HOMERUN_REQUIRE_NATIVE="1"))


@pytest.mark.nightly
def test_without_a_compiler_the_wheel_is_pure(pure_wheel: Path) -> None:
    assert pure_wheel.name.endswith("-py3-none-any.whl")


@pytest.mark.nightly
def test_without_a_compiler_a_required_extension_is_an_error(tmp_path: Path) -> None:
    result = build(tmp_path, CXX="/nonexistent/c++", HOMERUN_REQUIRE_NATIVE="1")
    assert result.returncode != 0
    assert "HOMERUN_REQUIRE_NATIVE is set" in result.stdout + result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.nightly
def test_with_a_compiler_the_wheel_has_the_extension(native_wheel: Path) -> None:
    with zipfile.ZipFile(native_wheel) as archive:
        extensions = [name for name in archive.namelist() if name.endswith(".so")]
    assert len(extensions) == 1
    assert extensions[0].startswith("homerun/_native.")
    stable = sys.version_info >= (3, 12)
    assert ("-cp312-abi3-" if stable else "-cp311-cp311-") in native_wheel.name


@pytest.mark.nightly
@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs readelf (binutils)")
def test_the_extension_names_no_path_of_the_build_machine(
    native_wheel: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(native_wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        extension = archive.extract(name, tmp_path)
    dynamic = subprocess.run(
        ["readelf", "--dynamic", extension], capture_output=True, text=True, check=True
    ).stdout
    assert "(NEEDED)" in dynamic
    assert "RPATH" not in dynamic
    assert "RUNPATH" not in dynamic


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["pure_wheel", "native_wheel"])
def test_metadata_and_contents(kind: str, request: pytest.FixtureRequest) -> None:
    wheel: Path = request.getfixturevalue(kind)
    metadata = metadata_of(wheel)
    assert metadata["Name"] == "homerun"
    assert metadata["Version"] == homerun.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    base = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    assert len(base) == len(PROJECT["dependencies"])

    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {
        f"homerun/{path.relative_to(ROOT / 'src' / 'homerun')}"
        for path in (ROOT / "src" / "homerun").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources <= names
    info = f"homerun-{homerun.__version__}.dist-info"
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= names
    assert not {name for name in names if not name.startswith(("homerun/", info))}

"""Instruction sets against each other, in plain C++: the same bytes, and no code of one in another.

`native/tests` holds the program `agree`. Built here into build/agree, which is kept. Nightly, since
the first run compiles every kernel for every instruction set.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.nightly

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "agree"
X86 = os.uname().machine == "x86_64"


def run(*command: str | Path) -> str:
    """What the command printed. Fails, with that, where its status is not 0."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"{command[0]}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def need(*programs: str) -> None:
    if missing := [program for program in programs if shutil.which(program) is None]:
        pytest.skip(f"needs {' and '.join(missing)} on the PATH")


def agreed(output: str) -> str:
    """The digest of all results."""
    match = re.search(r"^all agree on ([0-9a-f]{16})$", output, re.MULTILINE)
    assert match, output
    return match[1]


@pytest.fixture(scope="module")
def agree() -> Path:
    need("cmake", "g++")
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    options = ["-DHOMERUN_NATIVE_TESTS=ON", "-DCMAKE_BUILD_TYPE=Release"]
    if not (BUILD / "CMakeCache.txt").exists():
        run("cmake", *generator, "-S", ROOT, "-B", BUILD, *options)
    run("cmake", "--build", BUILD, "--parallel", str(os.cpu_count() or 1))
    return BUILD / "native" / "tests" / "agree"


@pytest.fixture(scope="module")
def objects(agree: Path) -> dict[str, list[Path]]:
    """Object files of the kernels by instruction set."""
    found: dict[str, list[Path]] = {}
    for path in BUILD.glob("CMakeFiles/homerun_*.dir/native/kernels/**/*.o"):
        name = path.relative_to(BUILD / "CMakeFiles").parts[0]
        found.setdefault(name.removeprefix("homerun_").removesuffix(".dir"), []).append(path)
    found.pop("kernels")  # what is compiled once
    return found


def test_every_instruction_set_gives_the_same_bytes(agree: Path) -> None:
    agreed(run(agree))


def test_nothing_compiled_for_one_instruction_set_is_shared(
    objects: dict[str, list[Path]],
) -> None:
    # Of inline functions outside its namespace the linker would keep the copy of any one set.
    need("nm")
    for isa, paths in objects.items():
        own = re.compile(rf"_Z(?:Z|T[VIS]|GV)*NK?7homerun{len(isa)}{isa}")
        for line in run("nm", "--defined-only", *paths).splitlines():
            if match := re.fullmatch(r"[0-9a-f]+ ([A-Zuvw]) (\S+)", line):
                # The first is a pointer to the C++ runtime's handler of exceptions.
                known = match[2] == "DW.ref.__gxx_personality_v0" or own.match(match[2])
                assert known, f"{isa} defines {match[2]}"


@pytest.mark.skipif(not X86, reason="registers of x86")
def test_an_instruction_set_keeps_to_its_instructions(objects: dict[str, list[Path]]) -> None:
    need("objdump")
    tiles = r"\s(?:tdp|tile|ldtile|sttile)\w+"
    beyond = {
        "portable": r"%[yz]mm|\sv[a-z]+\s+.*%xmm",
        "avx2": r"%zmm|%[xy]mm(?:1[6-9]|[23]\d)|%k[0-7]\b",
        "avx512_vnni": rf"\svdpbf16ps|\svcvtne2?ps2?bf16|{tiles}",
        "avx512_bf16": tiles,
    }
    assert {"portable", "avx2"} <= set(objects)
    for isa in beyond.keys() & objects.keys():
        code = run("objdump", "-d", "--no-show-raw-insn", *objects[isa])
        found = re.search(rf"^.*(?:{beyond[isa]}).*$", code, re.MULTILINE)
        assert not found, f"{isa}: {found[0]}"


def test_neon_gives_the_bytes_that_x86_gives(agree: Path) -> None:
    need("aarch64-linux-gnu-g++", "qemu-aarch64-static")
    arm = run(ROOT / "native" / "tests" / "arm64.sh", ROOT / "build" / "arm64")
    assert re.search(r"^neon: ", arm, re.MULTILINE), arm
    assert agreed(arm) == agreed(run(agree))

r"""Random weights of one shape under homerun and under llama.cpp, side by side in one run.

    python benchmarks/compare_llama_cpp.py --llama-bin DIR --peer-python PYTHON \
        --shape llama-1.1b --dtype int8 --phase decode --batch 8

int8 is Q8_0 for llama.cpp. A prefill and a single sequence are measured by llama-bench, several
sequences by llama-batched-bench. Flash attention is tried on and off, and --llama-bin may be given
several times (builds with and without AMX, say): the fastest of all counts.

llama.cpp is built from the sources inside the source package of llama-cpp-python:

    pip download --no-deps --no-binary :all: llama-cpp-python && tar xf llama_cpp_python-*.tar.gz
    cmake -G Ninja -S llama_cpp_python-*/vendor/llama.cpp -B lb -DCMAKE_BUILD_TYPE=Release \
        -DGGML_NATIVE=ON -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF \
        -DLLAMA_BUILD_EXAMPLES=OFF -DBUILD_SHARED_LIBS=ON
    ninja -C lb llama-bench llama-batched-bench llama-server      # DIR is lb/bin

Add -DGGML_AVX512_BF16=ON where the CPU has it. On a CPU with AMX compiled by GCC 12 it crashes
(llama.cpp pull request 26954: the tile configuration is optimized away); this line before building
cures it:

    sed -i 's|^    _tile_loadconfig(&tc);|__asm__ volatile("" : : "r"(\&tc) : "memory"); &|' \
        llama_cpp_python-*/vendor/llama.cpp/ggml/src/ggml-cpu/amx/mmq.cpp

PYTHON is an interpreter with
benchmarks/requirements.txt, which writes the GGUF file once into --files.
"""

import argparse
import json
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median

import turns

FLASH = ("off", "on")


def main() -> None:
    options = _options()
    case = turns.case_of(options)
    path = options.files / f"{case.shape}-{case.dtype}.gguf"
    model = turns.made_once(path, options.peer_python, "random_gguf.py", case)
    subjects = {"homerun": lambda: turns.homerun(case)["tokens_per_s"]}
    for folder in options.llama_bin:
        for flash in FLASH:
            peer = partial(measure_llama_cpp, case, model, folder, flash)
            subjects[f"{folder.parent.name}, flash {flash}"] = peer
    runs = turns.take_turns(subjects, options.rounds, quiet=options.json)
    about = f"llama.cpp {version(options.llama_bin[0])}"
    turns.show(case, runs, about, as_json=options.json)


def version(folder: Path) -> str:
    done = subprocess.run(
        [folder / "llama-bench", "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"version: (.*)", done.stdout + done.stderr)
    return found[1] if found else "of an unknown version"


def measure_llama_cpp(case: turns.Case, model: Path, folder: Path, flash: str) -> float:
    """Tokens per second over all sequences, of one process."""
    command = ["-m", str(model), "-t", str(case.threads)]
    if case.batch > 1:
        return _batched(case, folder, [*command, "-fa", flash])
    prompt, generated = (case.tokens, 0) if case.phase == "prefill" else (0, case.tokens)
    command += ["-p", str(prompt), "-n", str(generated), "-d", str(case.context)]
    command += ["-r", str(case.repeat), "-fa", flash, "-o", "json"]
    printed = _run(folder, "llama-bench", command)
    (result,) = json.loads(printed)
    return median(result["samples_ts"])


def _batched(case: turns.Case, folder: Path, command: list[str]) -> float:
    """llama-batched-bench computes prompts of all sequences, then tokens of all in one batch."""
    prefill = case.phase == "prefill"
    if prefill and case.context:
        raise SystemExit("llama-batched-bench cannot prefill several sequences after a context")
    prompt, generated = (case.tokens, 1) if prefill else (case.context, case.tokens)
    room = case.batch * (prompt + generated)
    command += ["-tb", str(case.threads), "-c", str(room), "-b", "2048", "-ub", "512"]
    command += ["-npp", str(prompt), "-ntg", str(generated)]
    command += ["-npl", ",".join([str(case.batch)] * case.repeat), "--output-format", "jsonl"]
    printed = _run(folder, "llama-batched-bench", command)
    results = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    if not results:
        raise SystemExit("llama-batched-bench printed no result")
    return median(result["speed_pp" if prefill else "speed_tg"] for result in results)


def _run(folder: Path, program: str, arguments: list[str]) -> str:
    """What the program prints; it loads the libraries beside it, wherever it was built."""
    libraries = {"LD_LIBRARY_PATH": str(folder.resolve())}
    return turns.output(program, [str(folder / program), *arguments], libraries)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    turns.add_options(parser, ("int8", "fp16", "bf16"))
    parser.add_argument(
        "--llama-bin", type=Path, action="append", required=True, help="directory of llama-bench"
    )
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter with gguf")
    parser.add_argument("--files", type=Path, default=Path("peer-files"), help="of the peer")
    return parser.parse_args()


if __name__ == "__main__":
    main()

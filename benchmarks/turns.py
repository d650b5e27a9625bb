"""Two engines on the same work, taking turns: what the comparisons with peers share.

Each measurement is a process of its own and they alternate (A B A B …), so that neither shares
memory or caches with the other and a change of the machine's mood meets both. Knows processes,
medians and homerun's command; knows no peer.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homerun.model.shapes import SHAPES

PHASES = ("prefill", "decode")


@dataclass(frozen=True)
class Case:
    """What both sides compute."""

    shape: str | None
    """None: a checkpoint of the caller's."""
    dtype: str
    """homerun's; a peer's own is told beside it."""
    phase: str
    tokens: int
    """Timed tokens per sequence: of the prompt, or generated."""
    context: int
    """Tokens in the cache before that."""
    batch: int
    repeat: int
    """Timed rounds within a process."""
    threads: int


def add_options(parser: argparse.ArgumentParser, dtypes: Sequence[str]) -> None:
    """The options that `case_of` reads, and --rounds and --json."""
    parser.add_argument(
        "--shape", choices=tuple(SHAPES), default="llama-1.1b", help="random weights"
    )
    parser.add_argument("--dtype", choices=dtypes, default=dtypes[0])
    parser.add_argument("--phase", choices=PHASES, default="decode")
    parser.add_argument("--tokens", type=int, help="timed; default: prefill 512, decode 32")
    parser.add_argument("--context", type=int, help="default: prefill 0, decode 512")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3, help="within a process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each")
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="of both sides")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def case_of(options: argparse.Namespace) -> Case:
    prefill = options.phase == "prefill"
    return Case(
        options.shape,
        options.dtype,
        options.phase,
        options.tokens or (512 if prefill else 32),
        (0 if prefill else 512) if options.context is None else options.context,
        options.batch,
        options.repeat,
        options.threads,
    )


def shape_json(shape: str) -> str:
    """config.json's fields, for a peer's own interpreter."""
    gemma = shape.startswith("gemma")
    implied = {
        "model_type": "gemma" if gemma else "llama",
        "rms_norm_eps": 1e-6 if gemma else 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": gemma,
    }
    return json.dumps({**implied, **SHAPES[shape]})


def made_once(path: Path, python: str, script: str, case: Case) -> Path:
    """`path`, written by `script` in the peer's interpreter if it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"writing random weights to {path}, once", file=sys.stderr, flush=True)
        unfinished = path.with_name(f"unfinished-{path.name}")
        command = [python, str(Path(__file__).with_name(script)), str(unfinished)]
        assert case.shape
        command += ["--shape-json", shape_json(case.shape), "--dtype", case.dtype]
        output(script, command)
        unfinished.rename(path)
    return path


def usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def homerun(case: Case, *model: str) -> dict[str, Any]:
    """One run of `homerun bench engine`: its JSON object. `model` in place of the case's shape."""
    command = [sys.executable, "-m", "homerun", "bench", "engine"]
    command += model or ("--shape", str(case.shape))
    command += ["--dtype", case.dtype, "--phase", case.phase, "--tokens", str(case.tokens)]
    command += ["--context", str(case.context), "--batch", str(case.batch)]
    command += ["--repeat", str(case.repeat), "--json"]
    return json.loads(output("homerun", command, {"HOMERUN_THREADS": str(case.threads)}))


def output(name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a process prints. Ends this one with its last words if it fails."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    if done.returncode:
        sys.stderr.write(done.stderr[-4000:])
        raise SystemExit(f"the {name} process failed (status {done.returncode})")
    return done.stdout


def take_turns(
    subjects: Mapping[str, Callable[[], float]], rounds: int, *, quiet: bool
) -> dict[str, list[float]]:
    """Tokens per second of every process, by name. Each call runs one process to its end."""
    runs: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds):
        for name, measure in subjects.items():
            runs[name].append(measure())
            if not quiet:
                print(f"round {number + 1}: {name:24} {runs[name][-1]:10,.1f} tokens/s", flush=True)
    return runs


def show(case: Case, runs: Mapping[str, Sequence[float]], about: Any, *, as_json: bool) -> None:
    """Medians, spread, and homerun against the best of the others."""
    medians = {name: statistics.median(figures) for name, figures in runs.items()}
    peers = {name: median for name, median in medians.items() if name != "homerun"}
    best = max(peers, key=lambda name: peers[name])
    ratio = medians["homerun"] / medians[best]
    if as_json:
        result = {**asdict(case), "tokens_per_s": medians, "runs": runs, "peer": best}
        print(json.dumps({**result, "ratio": ratio, "about": about}))
        return
    print(
        f"\n{case.shape or 'checkpoint'} {case.dtype}, {case.phase} of {case.tokens} tokens, "
        f"context {case.context}, batch {case.batch}, {case.threads} threads, {about}"
    )
    for name, figures in runs.items():
        print(
            f"{name:24} {medians[name]:10,.1f} tokens/s  ({min(figures):,.1f} to "
            f"{max(figures):,.1f} over {len(figures)} processes)"
        )
    print(f"homerun is {ratio:.2f} times as fast as {best}")

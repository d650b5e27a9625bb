"""Knows the order tokenizer, train, export, adapters, evaluate; refuses to do any of them."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from training.corpus import conversations
from training.tokenizer import train_tokenizer
from training.train import OUT, TrainConfig, train

STAGES = ("tokenizer", "train", "export", "adapters", "evaluate")
NEEDS = {
    "train": ("tokenizer.json",),
    "export": ("tokenizer.json", "state.pt"),
    "adapters": ("checkpoint/config.json",),
    "evaluate": ("checkpoint/config.json",),
}
MAKES = {"tokenizer": "tokenizer.json", "train": "state.pt", "export": "checkpoint/config.json"}
TOKENIZER_SEED = 5
TOKENIZER_CONVERSATIONS = 40_000


def main() -> None:
    """Runs the chosen stages; without arguments, all of them."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Makes rookie.")
    parser.add_argument(
        "--out",
        type=Path,
        default=OUT,
        help=f"folder for the state, the log and the checkpoint ({OUT})",
    )
    parser.add_argument("--steps", type=int, default=TrainConfig.steps)
    parser.add_argument(
        "--workers",
        type=int,
        default=TrainConfig.parts,
        help=f"processes that train together, at most {TrainConfig.parts}",
    )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each worker")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument("--report", type=Path, default=Path("training/report.md"))
    options = parser.parse_args()
    if problem := _problem(options):
        parser.error(problem)
    torch.set_num_threads(options.workers * options.threads)
    out: Path = options.out
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / "checkpoint"
    if "tokenizer" in options.stages and not (out / "tokenizer.json").exists():
        talks = conversations(TOKENIZER_SEED, TOKENIZER_CONVERSATIONS)
        train_tokenizer((text for talk in talks for _, text in talk.turns), out / "tokenizer.json")
    if "train" in options.stages:
        config = dataclasses.replace(TrainConfig(), steps=options.steps)
        train(config, out, options.workers, options.threads)
    if "export" in options.stages:
        from training.export import export_checkpoint

        export_checkpoint(out / "state.pt", out / "tokenizer.json", checkpoint)
    if "adapters" in options.stages:
        from training.adapters import train_adapters

        train_adapters(checkpoint, out / "adapters")
    if "evaluate" in options.stages:
        from training.evaluate import evaluate

        evaluate(checkpoint, out / "adapters", out / "log.jsonl", options.report)


def _problem(options: argparse.Namespace) -> str | None:
    """What cannot work, before hours go into it."""
    if min(options.steps, options.threads) < 1:
        return "--steps and --threads start at 1"
    if not 1 <= options.workers <= TrainConfig.parts:
        return f"--workers is 1 to {TrainConfig.parts}: a step has so many batches to share"
    out: Path = options.out
    if out.exists() and not out.is_dir():
        return f"--out {out} is a file"
    made = {MAKES[stage] for stage in options.stages if stage in MAKES}
    for stage in options.stages:
        for name in NEEDS.get(stage, ()):
            if name not in made and not (out / name).exists():
                return f"the stage {stage} needs {out / name}: run the stages before it too"
    return None


if __name__ == "__main__":
    main()

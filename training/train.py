"""Knows the training loop, its schedule and checkpoints; refuses to know what the text says."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from training.batches import Batch, collate, encode, random_copies
from training.corpus import conversations
from training.model import ModelConfig, Rookie


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the result, beside the corpus itself."""

    seed: int = 7
    steps: int = 3100
    rows: int = 32
    # (first step, learning rate, weight of the exercises in copying, rows of random tokens to
    # copy): first the sentences are learned quickly, then a calmer rate and the exercises let
    # attention learn to look back for a name.
    phases: tuple[tuple[int, float, float, int], ...] = (
        (0, 3e-3, 0, 0),
        (800, 3e-3, 25, 0),
        (1000, 1e-3, 60, 0),
        (1400, 1e-3, 40, 6),
        (1700, 1e-3, 40, 0),
        (2400, 1e-3, 30, 0),
    )
    warm_up: int = 60
    # Share of the steps at the end in which the rate falls linearly to zero.
    cool_down: float = 0.365
    weight_decay: float = 0.05
    clip: float = 1.0
    save_every: int = 100


def phase_at(step: int, config: TrainConfig) -> tuple[float, float, int]:
    """The plateau's learning rate, the weight of copying and the random rows of a step."""
    return [phase[1:] for phase in config.phases if phase[0] <= step][-1]


def rate_at(step: int, config: TrainConfig) -> float:
    """The learning rate of a step: warm-up, plateau, linear cool-down."""
    cooling = max(1, int(config.steps * config.cool_down))
    left = (config.steps - step) / cooling
    return phase_at(step, config)[0] * min((step + 1) / config.warm_up, 1.0, max(left, 0.0))


def batch_stream(tokenizer: Tokenizer, config: TrainConfig, first: int) -> Iterator[Batch]:
    """Batches from step `first` on; each step's conversations depend on seed and step only."""
    for step in range(first, config.steps):
        _, weight, random_rows = phase_at(step, config)
        talks = conversations(config.seed * 1_000_003 + step, config.rows, copying_weight=weight)
        rows = [encode(tokenizer, talk) for talk in talks]
        yield collate(rows + random_copies(tokenizer, step, random_rows))


def pick_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def held_out_loss(model: Rookie, batches: list[Batch]) -> float:
    """Mean loss in nats for each learned token."""
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches:
            logits = model(batch.tokens, batch.shapes, batch.wanted)
            total += float(F.cross_entropy(logits, batch.targets, reduction="sum"))
            count += len(batch.targets)
    return total / count


def held_out_batches(tokenizer: Tokenizer, count: int) -> list[Batch]:
    """`count` batches of held-out conversations, 32 rows each."""
    talks = list(conversations(99, count * 32, held_out=True))
    return [
        collate([encode(tokenizer, talk) for talk in talks[at : at + 32]])
        for at in range(0, len(talks), 32)
    ]


def train(tokenizer: Tokenizer, config: TrainConfig, out: Path) -> Rookie:
    """Trains from scratch or from `out`/state.pt; writes the state and log.jsonl there."""
    device = pick_device()
    torch.manual_seed(config.seed)
    model = Rookie(ModelConfig()).to(device)
    plain = [p for p in model.parameters() if p.dim() < 2]
    matrices = [p for p in model.parameters() if p.dim() == 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=config.phases[0][1],
        betas=(0.9, 0.98),
        eps=1e-8,
        fused=True,
    )
    first, seen = 0, 0
    state_path = out / "state.pt"
    if state_path.exists():
        state = torch.load(state_path, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first, seen = state["step"], state["seen"]
    checks = [batch.to(device) for batch in held_out_batches(tokenizer, 4)]
    began, total, count = time.time(), 0.0, 0
    for step, batch in enumerate(batch_stream(tokenizer, config, first), start=first):
        batch = batch.to(device)
        rate = rate_at(step, config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = F.cross_entropy(model(batch.tokens, batch.shapes, batch.wanted), batch.targets)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"the loss of step {step} is not finite")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        seen += len(batch.tokens)
        total, count = total + loss.item(), count + 1
        done = step + 1
        if done % 20 == 0 or done == config.steps:
            line = {
                "step": done,
                "loss": round(total / count, 4),
                "rate": round(rate, 6),
                "tokens": seen,
                "seconds": round(time.time() - began, 1),
            }
            total, count = 0.0, 0
            if done % config.save_every == 0 or done == config.steps:
                line["held_out"] = round(held_out_loss(model, checks), 4)
                scratch = state_path.with_suffix(".tmp")
                torch.save(
                    {
                        "model": model.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "step": done,
                        "seen": seen,
                    },
                    scratch,
                )
                scratch.replace(state_path)
            with (out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
            print(line, flush=True)
    return model

"""Knows the training loop, its schedule and checkpoints; refuses to know what the text says."""

from __future__ import annotations

import ctypes
import json
import math
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tokenizers import Tokenizer
from torch import Tensor

from training.batches import Batch, collate, encode, make_batch, random_copies
from training.corpus import conversations
from training.looking_back import plant
from training.model import SIZES, ModelConfig, Rookie
from training.optimizer import make_optimizers
from training.tokenizer import load_tokenizer

# Where a run is kept unless told otherwise: outside the repository.
OUT = Path.home() / ".cache" / "homerun" / "rookie"
LOG_EVERY = 20


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the result, beside the corpus itself."""

    seed: int = 7
    steps: int = 2800
    # A step is this many batches of at least this many tokens; workers share them.
    parts: int = 2
    tokens: int = 4096
    # Rows of random tokens to copy in each batch, at first and at last: looking back has to be
    # learned early, and without them rare tokens drift together until no name can be copied.
    copies: tuple[int, int] = (8, 3)
    # The share of the steps in which they fall from one to the other.
    copying: float = 0.4
    # Rates at the plateau, of the layers' matrices (Muon) and of the rest (AdamW).
    matrix_rate: float = 0.01
    other_rate: float = 3e-4
    warm_up: int = 60
    # Share of the steps at the end in which the rates fall linearly to zero.
    cool_down: float = 0.5
    weight_decay: float = 0.1
    # Weight of the squared log-normaliser, which keeps logits small.
    calm: float = 1e-4
    clip: float = 1.0
    save_every: int = 100


def rate_at(step: int, config: TrainConfig) -> float:
    """The share of the plateau's learning rate in a step: warm-up, plateau, linear cool-down."""
    left = (config.steps - step) / max(1, int(config.steps * config.cool_down))
    return min((step + 1) / config.warm_up, 1.0, max(left, 0.0))


def batch_of(tokenizer: Tokenizer, config: TrainConfig, step: int, part: int) -> Batch:
    """One part of a step's batch, which depends on nothing but seed, step and part."""
    first, last = config.copies
    copies = round(max(last, first - (first - last) * step / (config.copying * config.steps)))
    seed = (config.seed * 1_000_003 + step) * config.parts + part
    return make_batch(tokenizer, seed, config.tokens, copies)


def pick_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mean_loss(model: Rookie, batches: list[Batch]) -> float:
    """Mean loss in nats for each learned token."""
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches:
            alike = torch.ones_like(batch.weights)
            parts = (batch.tokens, batch.shapes, batch.wanted, batch.targets, alike)
            total += float(model.loss(*parts)[1])
            count += len(batch.targets)
    return total / count


def copied_share(model: Rookie, tokenizer: Tokenizer) -> float:
    """The share of random tokens that the model repeats rightly: whether it can look back."""
    batch = collate(random_copies(tokenizer, random.Random(99), 32))
    with torch.no_grad():
        hidden = model(batch.tokens.to(model.norm.device), batch.shapes).cpu()
    return float((hidden[batch.wanted].argmax(-1) == batch.targets).float().mean())


def held_out_batches(tokenizer: Tokenizer, count: int) -> list[Batch]:
    """`count` batches of held-out conversations, 32 rows each."""
    talks = list(conversations(99, count * 32, held_out=True))
    return [
        collate([encode(tokenizer, talk) for talk in talks[at : at + 32]])
        for at in range(0, len(talks), 32)
    ]


class Memory:
    """How glibc handles this process's memory; elsewhere nothing happens.

    It shall keep what is freed, because fresh pages cost more than the arithmetic in them, but be
    made to give back now and then what lies scattered.
    """

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(None)
            self._trim = library.malloc_trim
            trim_threshold, top_pad, mmap_threshold, arena_max = -1, -2, -3, -8
            for name, value in (
                (trim_threshold, 2**31 - 1),
                (top_pad, 2**26),
                (mmap_threshold, 2**25),
                (arena_max, 1),
            ):
                library.mallopt(name, value)
        except (OSError, AttributeError):
            self._trim = None

    def give_back(self) -> None:
        """Returns unused pages to the system."""
        if self._trim is not None:
            self._trim(0)


def _sum_over_workers(tensors: list[Tensor]) -> None:
    """Sums each tensor over all workers, in place, in one message."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(flat)
    for tensor, total in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(total.view_as(tensor))


def _work(
    rank: int,
    workers: int,
    threads: int,
    config: TrainConfig,
    out: Path,
    shape: ModelConfig,
    fast: bool,
) -> None:
    """One worker: its share of each step, the sum over all, and the same update as the others."""
    memory = Memory() if fast else None
    torch.set_num_threads(threads)
    device = pick_device()
    if workers > 1:
        store = f"file://{(out / 'meeting').resolve()}"
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=workers)
    tokenizer = load_tokenizer(out / "tokenizer.json")
    torch.manual_seed(config.seed)
    model = Rookie(shape, fast)
    plant(model)
    model = model.to(device)
    weights = list(model.parameters())
    optimizers = make_optimizers(model, config.matrix_rate, config.other_rate, config.weight_decay)
    first, seen = 0, 0
    state_path = out / "state.pt"
    if state_path.exists():
        state = torch.load(state_path, map_location=device, weights_only=True)
        # A run may be made shorter or longer on the way; everything else has to stay.
        if {**state["config"], "steps": 0} != {**asdict(config), "steps": 0}:
            raise ValueError(f"{state_path} is of another configuration: {state['config']}")
        model.load_state_dict(state["model"])
        for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        first, seen = state["step"], state["seen"]
    checks = [batch.to(device) for batch in held_out_batches(tokenizer, 4)] if rank == 0 else []
    began, total, count = time.time(), 0.0, 0.0
    for step in range(first, config.steps):
        rate = rate_at(step, config)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["peak"]
        sums = torch.zeros(3, device=device)
        for part in range(rank, config.parts, workers):
            batch = batch_of(tokenizer, config, step, part).to(device)
            loss, entropy = model.loss(
                batch.tokens, batch.shapes, batch.wanted, batch.targets, batch.weights, config.calm
            )
            # Close to the mean already, so that clipping and small numbers behave; exact below.
            (loss / config.tokens).backward()
            sums += torch.stack(
                (entropy, batch.weights.sum(), torch.tensor(float(batch.real), device=device))
            )
        grads = [weight.grad for weight in weights if weight.grad is not None]
        if workers > 1:
            _sum_over_workers([*grads, sums])
        entropy, weight, real = sums.tolist()
        if not math.isfinite(entropy):
            raise FloatingPointError(f"the loss of step {step} is not finite")
        for grad in grads:
            grad.mul_(config.tokens / weight)
        torch.nn.utils.clip_grad_norm_(weights, config.clip)
        for optimizer in optimizers:
            optimizer.step()
        seen += int(real)
        total, count = total + entropy, count + weight
        done = step + 1
        if memory is not None and done % 25 == 0:
            memory.give_back()
        if rank != 0 or (done % LOG_EVERY and done != config.steps):
            continue
        line = {
            "step": done,
            "loss": round(total / count, 4),
            "rate": round(rate, 4),
            "tokens": seen,
            "seconds": round(time.time() - began, 1),
        }
        total, count = 0.0, 0.0
        if done % config.save_every == 0 or done == config.steps:
            line["held_out"] = round(mean_loss(model, checks), 4)
            line["copied"] = round(copied_share(model, tokenizer), 3)
            scratch = state_path.with_suffix(".tmp")
            torch.save(
                {
                    "model": model.state_dict(),
                    "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                    "step": done,
                    "seen": seen,
                    "config": asdict(config),
                },
                scratch,
            )
            scratch.replace(state_path)
        with (out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        print(line, flush=True)
    if workers > 1:
        dist.destroy_process_group()


def train(
    config: TrainConfig,
    out: Path,
    workers: int = 2,
    threads: int = 1,
    shape: ModelConfig = SIZES,
    fast: bool = True,
) -> None:
    """Trains from scratch or from `out`/state.pt; writes the state and log.jsonl there.

    `shape` and `fast` are the model's; small and plain ones are for tests.
    Each worker is a process with `threads` threads: on two cores, two workers of one thread are
    nearly twice as fast as one worker of two, which would wait for each other in every operation.
    """
    (out / "meeting").unlink(missing_ok=True)
    if workers == 1:
        _work(0, 1, threads, config, out, shape, fast)
    else:
        mp.spawn(_work, (workers, threads, config, out, shape, fast), nprocs=workers)

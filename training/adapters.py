"""Knows how rookie's two LoRA adapters are trained with PEFT; refuses to judge them.

`python -m training.adapters` trains both on the shipped weights and writes them in PEFT's standard
format. `training.evaluate` judges them.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from training.answers import Turns
from training.batches import Row, encode, encode_prompt
from training.corpus import END, PAD, adapter_conversations
from training.skills import ADAPTERS
from training.tokenizer import load_tokenizer

BASE = Path("src/homerun/data/rookie")
TARGET = Path("src/homerun/data/rookie-adapters")
RANK = 8
SEED = 11
STEPS = 250
ROWS = 32
RATE = 4e-3
WARM_UP = 20


def _padded(rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and targets int64 [rows, longest - 1]; what is not learned has the target -100."""
    width = max(len(ids) for ids, _ in rows)
    tokens = torch.full((len(rows), width), PAD)
    learned = torch.zeros((len(rows), width), dtype=torch.bool)
    for number, (ids, marks) in enumerate(rows):
        tokens[number, : len(ids)] = torch.tensor(ids)
        learned[number, : len(ids)] = torch.tensor(marks)
    return tokens[:, :-1], tokens[:, 1:].masked_fill(~learned[:, 1:], -100)


def train_adapter(name: str, base: Path, target: Path, steps: int) -> None:
    """Trains the adapter `name` and saves it at `target` as PEFT does, in float16."""
    target = target / name
    torch.manual_seed(SEED)
    tokenizer = load_tokenizer(base / "tokenizer.json")
    # On rows as short as these plain attention in bfloat16 takes half the time of the alternatives.
    model: Any = LlamaForCausalLM.from_pretrained(
        base, dtype=torch.bfloat16, attn_implementation="eager"
    )
    config = LoraConfig(
        r=RANK,
        lora_alpha=2 * RANK,
        target_modules="all-linear",
        bias="none",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, config)  # whose own factors are float32
    causal = model.get_base_model()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    rows = [encode(tokenizer, talk) for talk in adapter_conversations(name, SEED, steps * ROWS)]
    # Rows of similar length go together, in a random order of steps.
    batches = []
    for at in range(0, len(rows), 8 * ROWS):
        near = sorted(rows[at : at + 8 * ROWS], key=lambda row: len(row[0]))
        batches += [near[start : start + ROWS] for start in range(0, len(near), ROWS)]
    random.Random(SEED).shuffle(batches)
    for step, batch in enumerate(batches):
        rate = RATE * min((step + 1) / WARM_UP, 1 - step / len(batches))
        for group in optimizer.param_groups:
            group["lr"] = rate
        tokens, targets = _padded(batch)
        learned = targets != -100
        with torch.autocast("cpu", torch.bfloat16):
            hidden = causal.model(input_ids=tokens).last_hidden_state
            logits = causal.lm_head(hidden[learned])
        loss = cross_entropy(logits.float(), targets[learned])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        if step % 25 == 0 or step + 1 == len(batches):
            print(f"{name}: step {step + 1} of {len(batches)}, loss {loss.item():.3f}", flush=True)
    model.half().save_pretrained(target)
    (target / "README.md").unlink(missing_ok=True)
    path = target / "adapter_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    # The key that Workers AI asks for beside what PEFT writes; the base without anybody's path.
    settings |= {"model_type": "llama", "base_model_name_or_path": "@homerun/rookie"}
    settings["target_modules"] = sorted(settings["target_modules"])  # PEFT keeps a set
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (target / "adapter_model.safetensors").chmod(0o644)


def train_adapters(base: Path, target: Path, steps: int = STEPS) -> None:
    """Trains all adapters at once, each in a process of one thread: its operations are small."""
    one = partial(train_adapter, base=base, target=target, steps=steps)
    context = get_context("spawn")
    with ProcessPoolExecutor(len(ADAPTERS), context, torch.set_num_threads, (1,)) as pool:
        list(pool.map(one, ADAPTERS))


def answers_through_peft(
    base: Path, adapter: Path, talks: Iterable[Turns], limit: int = 160
) -> list[str]:
    """Greedy answers of transformers with PEFT in float32: a second opinion on the engine's."""
    tokenizer = load_tokenizer(base / "tokenizer.json")
    plain: Any = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    model: Any = PeftModel.from_pretrained(plain, str(adapter)).eval()
    prompts = [encode_prompt(tokenizer, turns) for turns in talks]
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    said: dict[int, str] = {}
    for at in range(0, len(order), ROWS):
        places = order[at : at + ROWS]
        width = max(len(prompts[place]) for place in places)
        rows = [[PAD] * (width - len(prompts[place])) + prompts[place] for place in places]
        mask = [
            [int(place >= width - len(prompts[row])) for place in range(width)] for row in places
        ]
        with torch.no_grad():
            grown = model.generate(
                input_ids=torch.tensor(rows),
                attention_mask=torch.tensor(mask),
                max_new_tokens=limit,
                do_sample=False,
                temperature=None,
                pad_token_id=PAD,
                eos_token_id=END,
            )
        for place, ids in zip(places, grown[:, width:].tolist(), strict=True):
            said[place] = tokenizer.decode(ids[: ids.index(END)] if END in ids else ids)
    return [said[place] for place in range(len(prompts))]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.adapters", description=__doc__)
    parser.add_argument("--base", type=Path, default=BASE)
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    train_adapters(options.base, options.target, options.steps)


if __name__ == "__main__":
    main()

"""Knows how rookie's two LoRA adapters are trained with PEFT and judged; refuses to know the base.

`python -m training.adapters` trains both on the shipped weights, writes them in PEFT's standard
format and prints how they do, with and without the adapter.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from training.batches import Row, encode, encode_prompt
from training.corpus import END, PAD, adapter_conversations
from training.skills import ADAPTERS, Item, adapter_items
from training.tokenizer import load_tokenizer

BASE = Path("src/homerun/data/rookie")
TARGET = Path("src/homerun/data/rookie-adapters")
RANK = 8
SEED = 11
STEPS = 250
ROWS = 32
RATE = 4e-3
WARM_UP = 20
QUESTIONS = 200

Answer = Callable[[list[Item]], list[str]]
"""Whatever answers questions: transformers with PEFT here, or homerun's engine."""


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
    torch.manual_seed(SEED)
    tokenizer = load_tokenizer(base / "tokenizer.json")
    model: Any = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(
        r=RANK,
        lora_alpha=2 * RANK,
        target_modules=[
            "q_proj",
            "k_proj",
            "v_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj",
        ],
        bias="none",
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, config)
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
        logits = model(input_ids=tokens).logits
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
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
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    (target / "adapter_model.safetensors").chmod(0o644)


def answers(model: Any, tokenizer: Tokenizer, items: Iterable[Item], limit: int = 160) -> list[str]:
    """Greedy answers through transformers, in batches."""
    prompts = [encode_prompt(tokenizer, item.turns) for item in items]
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    said: dict[int, str] = {}
    for at in range(0, len(order), 32):
        places = order[at : at + 32]
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


def judge(items: list[Item], answerers: Mapping[str, Answer]) -> dict[str, tuple[int, int]]:
    """(right, of) of each measure and answerer; whoever answers, the questions stay the same."""
    result: dict[str, tuple[int, int]] = {}
    for how, answer in answerers.items():
        for item, text in zip(items, answer(items), strict=True):
            for measure, (right, of) in item.score(text).items():
                before = result.get(f"{measure}, {how}", (0, 0))
                result[f"{measure}, {how}"] = (before[0] + right, before[1] + of)
    return result


def through_peft(base: Path, adapter: Path) -> dict[str, Answer]:
    """Answers of transformers with PEFT, with the adapter and without it."""
    tokenizer = load_tokenizer(base / "tokenizer.json")
    plain: Any = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    other: Any = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted: Any = PeftModel.from_pretrained(other, str(adapter)).eval()
    return {
        "with": lambda items: answers(adapted, tokenizer, items),
        "without": lambda items: answers(plain, tokenizer, items),
    }


def table(results: dict[str, tuple[int, int]]) -> list[str]:
    """The measures as lines of a Markdown table."""
    return [
        "| measure | value |",
        "|---|---|",
        *(
            f"| {name} | {100 * right / of:.1f} % ({right} of {of}) |"
            for name, (right, of) in results.items()
        ),
    ]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.adapters", description=__doc__)
    parser.add_argument("--base", type=Path, default=BASE)
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--count", type=int, default=QUESTIONS, help="questions of each adapter")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results: dict[str, tuple[int, int]] = {}
    for name in ADAPTERS:
        if options.steps:
            train_adapter(name, options.base, options.target / name, options.steps)
        answerers = through_peft(options.base, options.target / name)
        results |= judge(adapter_items(name, options.count), answerers)
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()

"""Knows the measures beside the questions and the layout; refuses to know the questions."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from homerun.service.library import Library
from training.answers import Speaker, Turns
from training.batches import collate, encode, encode_prompt
from training.corpus import conversations
from training.export import load_checkpoint
from training.scores import Scores
from training.skills import ADAPTERS, FREE_PROMPTS, TARGETS
from training.tokenizer import load_tokenizer

FRIENDLY = ("system", "You are a friendly assistant")
SAMPLES: tuple[Turns, ...] = (
    (FRIENDLY, ("user", "What is the origin of the phrase Hello, World")),
    (FRIENDLY, ("user", "Why is pizza so good")),
    (FRIENDLY, ("user", "Tell me a story")),
    (("user", "Tell me all about PEP-8"),),
    (("user", "Tell me a story about a dog who finds a key"),),
    (
        ("user", "Hello! My name is Maria."),
        ("assistant", "Hello, Maria! It is nice to meet you."),
        ("user", "What is the capital of Italy?"),
        ("assistant", "The capital of Italy is Rome."),
        ("user", "What is my name?"),
    ),
    (("user", "What is 7 + 5?"),),
    (("system", "Answer in one sentence."), ("user", "Why is pizza so good?")),
    (("user", "Who are you?"),),
    (("user", "Explain how a nuclear reactor works."),),
)


def logit_difference(folder: Path) -> float:
    """Largest difference of a logit to transformers, both float32; also checks the chat format.

    Raises ValueError where the exported template does not give the tokens that were trained.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = SAMPLES[5]
    ids = encode_prompt(load_tokenizer(folder / "tokenizer.json"), turns)
    messages = [{"role": role, "content": text} for role, text in turns]
    theirs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    if tokenizer(theirs, add_special_tokens=False)["input_ids"] != ids:
        raise ValueError("the chat template does not give the tokens that were trained")
    flat = torch.tensor(ids)
    with torch.no_grad():
        ours = load_checkpoint(folder)(flat, [(1, len(ids))])
        other = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)(flat[None]).logits[0]
    return float((ours - other).abs().max())


def perplexity_by_position(folder: Path, count: int = 3000) -> list[tuple[str, int, float]]:
    """(positions, tokens, perplexity) of the answers of held-out conversations, where they lie."""
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    model = load_checkpoint(folder)
    edges = (0, 128, 256, 512, 1024, 2048)
    losses: dict[int, list[float]] = {edge: [] for edge in edges[:-1]}
    rows = [encode(tokenizer, talk) for talk in conversations(77, count, held_out=True)]
    rows.sort(key=lambda row: len(row[0]))
    # All the long ones, and as many of the short ones as give steady figures.
    chosen = rows[:200] + [row for row in rows[200:] if len(row[0]) > edges[2]][-200:]
    for row in chosen:
        batch = collate([row])
        with torch.no_grad():
            logits = model(batch.tokens, batch.shapes)[batch.wanted]
        loss = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none")
        for place, value in zip(batch.wanted.tolist(), loss.tolist(), strict=True):
            losses[max(edge for edge in losses if edge <= place)].append(value)
    return [
        (f"{low}–{high - 1}", len(values), math.exp(statistics.fmean(values)))
        for (low, values), high in zip(losses.items(), edges[1:], strict=True)
        if values
    ]


def start_seconds(folder: Path, dtype: str | None, runs: int = 5) -> float:
    """Median seconds to load the weights in a process of its own, its imports not counted."""
    code = (
        "import time, pathlib; from homerun.model.loader import load_model\n"
        "began = time.perf_counter()\n"
        f"load_model(pathlib.Path({str(folder)!r}), dtype={dtype!r})\n"
        "print(time.perf_counter() - began)"
    )
    command = [sys.executable, "-c", code]
    times = [float(subprocess.check_output(command, text=True)) for _ in range(runs)]
    return statistics.median(times)


def packed_start_seconds(folder: Path, dtype: str) -> float:
    """The same for the weights as an import packs them."""
    with tempfile.TemporaryDirectory() as home:
        return start_seconds(Library(Path(home)).add("rookie", folder, dtype).directory, None)


def _percent(scores: Scores, measure: str) -> str:
    right, of = scores.counts[measure]
    return f"{100 * right / max(1, of):.1f} % ({right} of {of})"


def _skills(by_dtype: Mapping[str, Scores]) -> list[str]:
    names = list(by_dtype)
    lines = [f"| measure | target | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    for measure in next(iter(by_dtype.values())).counts:
        target = f"{100 * TARGETS[measure]:.0f} %" if measure in TARGETS else ""
        cells = [_percent(scores, measure) for scores in by_dtype.values()]
        lines.append(f"| {measure} | {target} | {' | '.join(cells)} |")
    return lines


def _adapters(adapters: Path, scores: Mapping[str, Mapping[str, Scores]]) -> list[str]:
    """The part about the adapters; `scores` by adapter, then by what answered."""
    names = list(next(iter(scores.values())))
    rows = [
        f"| {adapter} | {measure} | {' | '.join(_percent(one, measure) for one in how.values())} |"
        for adapter, how in scores.items()
        for measure in next(iter(how.values())).counts
    ]
    size = sum(path.stat().st_size for path in adapters.rglob("*") if path.is_file())
    return [
        "## Adapters",
        "",
        "Held-out questions of the two adapters' own kind, to rookie with the adapter and without "
        'it. "adapter style": the answer is pirate speech, or a label and nothing else; '
        '"adapter label": it is the right label. Targets: style in 95 % of the answers with, in '
        f"none without. Both adapters together: {size / 1e6:.1f} MB.",
        "",
        f"| adapter | measure | {' | '.join(names)} |",
        "|---" * (2 + len(names)) + "|",
        *rows,
        "",
    ]


def _curve(log: Path, before: str) -> list[str]:
    """The loss by step; without a log what the report `before` says."""
    if not log.exists():
        kept = before.partition("\n## Loss\n")[2].partition("\n## ")[0]
        table = [line for line in kept.splitlines() if line.startswith("|")]
        return ["Of the report before this one:", "", *table] if table else ["(no log)"]
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if "held_out" in line]
    kept = lines[:: max(1, len(lines) // 12)]
    if lines and kept[-1] is not lines[-1]:
        kept.append(lines[-1])
    rows = ["| step | tokens | training loss | held-out loss |", "|---|---|---|---|"]
    return rows + [
        f"| {line['step']} | {line['tokens']:,} | {line['loss']} | {line['held_out']} |"
        for line in kept
    ]


def _talk(turns: Turns, **answers: str) -> list[str]:
    def line(who: str, text: str) -> list[str]:
        quoted = [f"> {part}" for part in text.split("\n")]
        return [f"*{who}*", "", *quoted, ""]

    shown = [part for role, text in turns for part in line(role, text)]
    for how, text in answers.items():
        shown += line(f"rookie, {how.replace('_', ' ')}", text)
    return [*shown, "---", ""]


def render(
    folder: Path,
    adapters: Path,
    log: Path,
    by_dtype: Mapping[str, Scores],
    of_adapters: Mapping[str, Mapping[str, Scores]],
    speaker: Speaker,
    before: str,
) -> str:
    """The whole report as Markdown. `by_dtype` are the scores of the skills' questions.

    `before` is the last report, whose curve stays where there is no log.
    """
    size = sum(path.stat().st_size for path in folder.iterdir())
    parameters = sum(weight.numel() for weight in load_checkpoint(folder).parameters())
    cores = os.cpu_count()
    rows = [
        ("parameters", f"{parameters:,}"),
        ("files of the model", f"{size / 1e6:.1f} MB"),
        *(
            (f"loading the weights in {dtype}", f"{1000 * start_seconds(folder, run):.0f} ms")
            for dtype, run in (("float16", "fp16"), ("int8", "int8"))
        ),
        (
            "loading the weights, packed before in int8",
            f"{1000 * packed_start_seconds(folder, 'int8'):.0f} ms",
        ),
        ("largest logit difference to transformers", f"{logit_difference(folder):.1e}"),
    ]
    free = speaker.answer(FREE_PROMPTS)
    greedy = speaker.answer(SAMPLES)
    warm = speaker.answer(SAMPLES, temperature=0.6)
    lines = [
        "# How rookie does",
        "",
        "Written by `python -m training.evaluate`. Answers are greedy and come from homerun's own "
        "engine, without any grammar. Each question is held out: it has at least one name, thing, "
        "value or wording that training never saw in that role. Every check is strict; "
        "`training/checks.py` has them.",
        "",
        *_skills(by_dtype),
        "",
        *(_adapters(adapters, of_adapters) if of_adapters else []),
        "## The model",
        "",
        "| measure | value |",
        "|---|---|",
        *[f"| {name} | {value} |" for name, value in rows],
        "",
        f"Times: median of five processes, {platform.machine()}, {cores} cores, shared with other "
        "work.",
        "",
        "Perplexity of held-out answers by position in the context:",
        "",
        "| positions | tokens | perplexity |",
        "|---|---|---|",
        *[
            f"| {place} | {n:,} | {value:.2f} |"
            for place, n, value in perplexity_by_position(folder)
        ],
        "",
        "## Loss",
        "",
        *_curve(log, before),
        "",
        "## Twenty prompts that the generator cannot produce",
        "",
        "Uncut, good and bad, greedy.",
        "",
    ]
    for turns, said in zip(FREE_PROMPTS, free, strict=True):
        lines += _talk(turns, greedy=said)
    lines += ["## Sample answers", ""]
    for turns, said, other in zip(SAMPLES, greedy, warm, strict=True):
        lines += _talk(turns, greedy=said, temperature_0_6=other)
    for name in ADAPTERS if of_adapters else ():
        lines += [f"## Sample answers with the adapter {name}", ""]
        said = speaker.answer(SAMPLES, adapter=adapters / name)
        for turns, text in zip(SAMPLES, said, strict=True):
            lines += _talk(turns, greedy=text)
    return "\n".join(lines).rstrip()

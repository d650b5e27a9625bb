"""Knows how a checkpoint is judged and reported; refuses to know how it was trained."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from training.batches import encode_prompt
from training.corpus import END, PAD, conversations
from training.draw import Conversation
from training.export import load_checkpoint
from training.tokenizer import load_tokenizer
from training.train import held_out_batches, held_out_loss

Turns = tuple[tuple[str, str], ...]
FACT_KINDS = (
    "capital",
    "colour",
    "sound",
    "young",
    "legs",
    "opposite",
    "use",
    "calendar",
    "single",
)
FRIENDLY = ("system", "You are a friendly assistant")
SAMPLES: tuple[Turns, ...] = (
    (FRIENDLY, ("user", "What is the origin of the phrase Hello, World")),
    (("user", "Where did the phrase Hello World come from"),),
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
    (("user", "List three colours."),),
    (("user", "Who are you?"),),
    (("user", "Explain how a nuclear reactor works."),),
)


class Speaker:
    """Answers with the exported checkpoint through the transformers library."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = load_tokenizer(folder / "tokenizer.json")
        self.model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def answer(
        self, talks: list[Turns], temperature: float = 0.0, limit: int = 200
    ) -> list[tuple[str, bool]]:
        """For each prompt the answer and whether it ended by itself within `limit` tokens."""
        answers: dict[int, tuple[str, bool]] = {}
        prompts = [encode_prompt(self.tokenizer, turns) for turns in talks]
        order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
        for at in range(0, len(order), 32):
            places = order[at : at + 32]
            width = max(len(prompts[place]) for place in places)
            rows = [[PAD] * (width - len(prompts[place])) + prompts[place] for place in places]
            mask = [
                [0] * (width - len(prompts[place])) + [1] * len(prompts[place]) for place in places
            ]
            sampling = (
                {"do_sample": True, "temperature": temperature, "top_k": 0}
                if temperature > 0
                else {"do_sample": False, "temperature": None, "top_k": None}
            )
            with torch.no_grad():
                grown = self.model.generate(
                    input_ids=torch.tensor(rows),
                    attention_mask=torch.tensor(mask),
                    max_new_tokens=limit,
                    pad_token_id=PAD,
                    eos_token_id=END,
                    **sampling,
                )
            for place, row in zip(places, grown[:, width:].tolist(), strict=True):
                ended = END in row
                said = row[: row.index(END)] if ended else row
                answers[place] = (self.tokenizer.decode(said), ended)
        return [answers[place] for place in range(len(talks))]


def is_well_formed(text: str) -> bool:
    """True where every sentence starts with a capital or a digit and the text ends with a mark."""
    sentences = re.split(r"(?<=[.!?]) +", text)
    good = [re.match(r'"?([A-Z0-9]|homerun\b)', sentence) for sentence in sentences]
    return bool(text) and all(good) and text.rstrip('"')[-1:] in (".", "!", "?")


def _share(hits: list[bool]) -> str:
    return f"{100 * sum(hits) / max(1, len(hits)):.1f} % ({sum(hits)} of {len(hits)})"


def _ask(speaker: Speaker, talks: list[Conversation]) -> list[tuple[str, bool]]:
    return speaker.answer([talk.turns[:-1] for talk in talks])


def _expected(
    speaker: Speaker, kind: str, count: int, held_out: bool
) -> list[tuple[Conversation, str, bool]]:
    """Conversations of a kind with the answer given and whether it has what is expected."""
    talks = [talk for talk in conversations(123, count, held_out, kind) if talk.expect]
    return [
        (talk, said, str(talk.expect).lower() in said.lower())
        for talk, (said, _) in zip(talks, _ask(speaker, talks), strict=True)
    ]


def _curve(log: Path) -> list[str]:
    if not log.exists():
        return ["(no log)"]
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


def check_format(folder: Path) -> float:
    """Compares template and logits with the transformers library; the largest difference."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = SAMPLES[6]
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


def evaluate(folder: Path, log: Path, report: Path) -> None:
    """Prints the table and the sample answers and writes both to `report`."""
    torch.manual_seed(0)
    speaker = Speaker(folder)
    difference = check_format(folder)
    loss = held_out_loss(load_checkpoint(folder), held_out_batches(speaker.tokenizer, 12))
    mixed = list(conversations(321, 192, held_out=True))
    greedy = _ask(speaker, mixed)
    sampled = speaker.answer([talk.turns[:-1] for talk in mixed], temperature=0.6)
    facts = [row for kind in FACT_KINDS for row in _expected(speaker, kind, 40, True)]
    kinds = {kind: [hit for talk, _, hit in facts if talk.kind == kind] for kind in FACT_KINDS}
    sums_new = _expected(speaker, "sum", 96, True)
    sums_seen = _expected(speaker, "sum", 96, False)
    memory = _expected(speaker, "name-memory", 96, True)
    greet = _expected(speaker, "greet", 64, True)
    stories = _expected(speaker, "story-about", 64, True)
    known = {
        kind: _share([hit for *_, hit in _expected(speaker, kind, 64, False)])
        for kind in ("name-memory", "greet", "story-about")
    }
    rows = [
        ("held-out loss (nats for each token)", f"{loss:.3f}"),
        ("held-out perplexity", f"{math.exp(loss):.2f}"),
        ("answers that end within 200 tokens, greedy", _share([end for _, end in greedy])),
        ("answers that end within 200 tokens, temperature 0.6", _share([e for _, e in sampled])),
        ("well-formed answers, greedy", _share([is_well_formed(said) for said, _ in greedy])),
        ("well-formed answers, temperature 0.6", _share([is_well_formed(s) for s, _ in sampled])),
        ("facts, held-out conversations", _share([hit for *_, hit in facts])),
        ("arithmetic, trained pairs", _share([hit for *_, hit in sums_seen])),
        ("arithmetic, held-out pairs or wordings", _share([hit for *_, hit in sums_new])),
        ("name memory, names and wordings of the training kind", known["name-memory"]),
        ("name memory, held-out names or wordings", _share([hit for *_, hit in memory])),
        ("greets the given name, training kind", known["greet"]),
        ("greets the given name, held-out", _share([hit for *_, hit in greet])),
        ("story keeps its subject, training kind", known["story-about"]),
        ("story keeps its subject, held-out", _share([hit for *_, hit in stories])),
        ("largest logit difference to transformers", f"{difference:.1e}"),
    ]
    lines = [
        "# How rookie does",
        "",
        "Written by the training command. Greedy answers unless a "
        "temperature is named; held-out conversations use at least one name, thing, number "
        "pair or wording that training never saw.",
        "",
        "| measure | value |",
        "|---|---|",
        *[f"| {name} | {value} |" for name, value in rows],
        "",
        "Facts by kind: "
        + ", ".join(f"{kind} {_share(hits)}" for kind, hits in kinds.items())
        + ".",
        "",
        "## Loss",
        "",
        *_curve(log),
        "",
        "## Sample answers",
        "",
    ]
    for turns, (said, _), (warm, _) in zip(
        SAMPLES,
        speaker.answer(list(SAMPLES)),
        speaker.answer(list(SAMPLES), temperature=0.6),
        strict=True,
    ):
        lines += [f"**{role}:** {text}  " for role, text in turns]
        lines += [f"**rookie (greedy):** {said}  ", f"**rookie (temperature 0.6):** {warm}", ""]
    text = "\n".join(lines)
    print(text)
    report.write_text(text + "\n", encoding="utf-8")
    misses = [
        (talk, said) for talk, said, hit in facts + sums_new + memory + greet + stories if not hit
    ]
    with (folder.parent / "misses.jsonl").open("w", encoding="utf-8") as target:
        for talk, said in misses:
            target.write(json.dumps({"kind": talk.kind, "turns": talk.turns, "said": said}) + "\n")

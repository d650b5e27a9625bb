"""Knows how conversations become token batches; refuses to know the model."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.corpus import ASSISTANT, BOS, END, PAD, SPECIALS, SYSTEM, USER
from training.draw import Conversation

_ROLE_IDS = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
MAX_TOKENS = 1024


@dataclass(frozen=True)
class Batch:
    """Flat groups of equally long rows: `tokens` int64 [n], `wanted` and `targets` int64 [m]."""

    tokens: Tensor
    shapes: list[tuple[int, int]]
    wanted: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(
            self.tokens.to(device), self.shapes, self.wanted.to(device), self.targets.to(device)
        )


def encode(tokenizer: Tokenizer, talk: Conversation) -> tuple[list[int], list[bool]]:
    """Token ids of a conversation and, for each, whether it is learned (assistant and its end)."""
    ids, learned = [BOS], [False]
    for role, text in talk.turns:
        said = tokenizer.encode(text, add_special_tokens=False).ids
        is_answer = role == "assistant"
        ids += [_ROLE_IDS[role], *said, END]
        learned += [False, *[is_answer] * (len(said) + 1)]
    return ids[:MAX_TOKENS], learned[:MAX_TOKENS]


def encode_prompt(tokenizer: Tokenizer, turns: Iterable[tuple[str, str]]) -> list[int]:
    """Token ids of the turns with the generation prompt at the end."""
    ids = [BOS]
    for role, text in turns:
        ids += [_ROLE_IDS[role], *tokenizer.encode(text, add_special_tokens=False).ids, END]
    return [*ids, ASSISTANT]


def random_copies(
    tokenizer: Tokenizer, seed: int, count: int
) -> list[tuple[list[int], list[bool]]]:
    """Rows in which the answer repeats random tokens of the whole vocabulary.

    No text helps to guess them, so that only looking back does; it also reaches the rare tokens of
    which a newcomer's name may consist.
    """
    rng = random.Random(f"copies-{seed}")
    asked = tokenizer.encode("Repeat:", add_special_tokens=False).ids
    rows = []
    for _ in range(count):
        said = rng.choices(range(len(SPECIALS), tokenizer.get_vocab_size()), k=rng.randint(2, 24))
        ids = [BOS, USER, *asked, *said, END, ASSISTANT, *said, END]
        rows.append((ids, [place > len(asked) + len(said) + 3 for place in range(len(ids))]))
    return rows


def collate(rows: list[tuple[list[int], list[bool]]]) -> Batch:
    """Groups rows of similar length, so that one step sees all kinds with little padding."""
    rows = sorted(rows, key=lambda row: -len(row[0]))
    groups: list[list[tuple[list[int], list[bool]]]] = []
    for row in rows:
        if not groups or len(row[0]) < 0.75 * len(groups[-1][0][0]):
            groups.append([])
        groups[-1].append(row)
    flat: list[int] = []
    wanted: list[int] = []
    targets: list[int] = []
    shapes = []
    for group in groups:
        length = len(group[0][0]) - 1
        shapes.append((len(group), length))
        for ids, learned in group:
            start = len(flat)
            for place, (token, learn) in enumerate(zip(ids[1:], learned[1:], strict=True)):
                if learn:
                    wanted.append(start + place)
                    targets.append(token)
            flat += ids[:-1] + [PAD] * (length - len(ids) + 1)
    return Batch(torch.tensor(flat), shapes, torch.tensor(wanted), torch.tensor(targets))

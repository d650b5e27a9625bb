"""Knows how conversations become token batches; refuses to know the model."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.corpus import ASSISTANT, BOS, END, PAD, SPECIALS, SYSTEM, TOOL, USER, conversations
from training.draw import Conversation

_ROLE_IDS = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT, "tool": TOOL}
MAX_TOKENS = 2048
# Prompts count a little: to guess them teaches words and looking back, but it is not the task.
# Only a sample of their tokens is scored, with more weight each, which saves time.
PROMPT_WEIGHT = 0.04
PROMPT_SAMPLE = 0.25
# An answer counts as so many tokens at least: to find one word in a text is as hard as a story.
SHORTEST_ANSWER = 12
# A group is padded to its longest row; a shorter row than this share of it opens a new group.
SHORTEST = 0.75

Row = tuple[list[int], list[float]]


@dataclass(frozen=True)
class Batch:
    """Flat groups of equally long rows: `tokens` int64 [n] in `shapes` of (rows, length).

    The loss is taken at the flat positions `wanted`: `targets` int64 and `weights` float32, [m]
    each. `real` counts the tokens that are no padding.
    """

    tokens: Tensor
    shapes: list[tuple[int, int]]
    wanted: Tensor
    targets: Tensor
    weights: Tensor
    real: int

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        parts = (self.tokens, self.wanted, self.targets, self.weights)
        tokens, wanted, targets, weights = (part.to(device) for part in parts)
        return Batch(tokens, self.shapes, wanted, targets, weights, self.real)


def encode(tokenizer: Tokenizer, talk: Conversation) -> Row:
    """Token ids of a conversation and the weight of each in the loss: of answers and their ends.

    Raises ValueError for one that is longer than the context.
    """
    ids, weights = [BOS], [0.0]
    for role, text in talk.turns:
        said = tokenizer.encode(text, add_special_tokens=False).ids
        count = len(said) + 1
        weight = max(1.0, SHORTEST_ANSWER / count) if role == "assistant" else 0.0
        ids += [_ROLE_IDS[role], *said, END]
        weights += [0.0, *[weight] * count]
    if len(ids) > MAX_TOKENS:
        raise ValueError(f"a conversation of kind {talk.kind} has {len(ids)} tokens")
    return ids, weights


def encode_prompt(tokenizer: Tokenizer, turns: Iterable[tuple[str, str]]) -> list[int]:
    """Token ids of the turns with the generation prompt at the end."""
    ids = [BOS]
    for role, text in turns:
        ids += [_ROLE_IDS[role], *tokenizer.encode(text, add_special_tokens=False).ids, END]
    return [*ids, ASSISTANT]


def random_copies(tokenizer: Tokenizer, rng: random.Random, count: int) -> list[Row]:
    """Rows in which the answer repeats random tokens of the whole vocabulary.

    No text helps to guess them, so that only looking back does; it also reaches the rare tokens of
    which a newcomer's name may consist.
    """
    asked = tokenizer.encode("Repeat: ", add_special_tokens=False).ids
    rows = []
    for _ in range(count):
        said = rng.choices(range(len(SPECIALS), tokenizer.get_vocab_size()), k=rng.randint(2, 40))
        ids = [BOS, USER, *asked, *said, END, ASSISTANT, *said, END]
        answer = len(asked) + len(said) + 4
        rows.append((ids, [float(place >= answer) for place in range(len(ids))]))
    return rows


def collate(rows: list[Row], rng: random.Random | None = None) -> Batch:
    """Groups rows of similar length, so that one step sees all kinds with little padding.

    With `rng`, a sample of the prompts' tokens counts too.
    """
    rows = sorted(rows, key=lambda row: -len(row[0]))
    groups: list[list[Row]] = []
    for row in rows:
        if not groups or len(row[0]) < SHORTEST * len(groups[-1][0][0]):
            groups.append([])
        groups[-1].append(row)
    flat: list[int] = []
    scored: list[tuple[int, int, float]] = []
    shapes = []
    for group in groups:
        length = len(group[0][0]) - 1
        shapes.append((len(group), length))
        for ids, weights in group:
            start = len(flat)
            for place, (token, weight) in enumerate(zip(ids[1:], weights[1:], strict=True)):
                if weight:
                    scored.append((start + place, token, weight))
                elif rng is not None and rng.random() < PROMPT_SAMPLE:
                    scored.append((start + place, token, PROMPT_WEIGHT / PROMPT_SAMPLE))
            flat += ids[:-1] + [PAD] * (length - len(ids) + 1)
    wanted, targets, scales = zip(*scored, strict=True)
    return Batch(
        torch.tensor(flat),
        shapes,
        torch.tensor(wanted),
        torch.tensor(targets),
        torch.tensor(scales),
        sum(len(ids) - 1 for ids, _ in rows),
    )


def make_batch(tokenizer: Tokenizer, seed: int, tokens: int, copies: int) -> Batch:
    """Conversations of at least `tokens` tokens in all, and `copies` rows of random copying.

    The same arguments always give the same batch.
    """
    rng = random.Random(f"batch-{seed}")
    rows = random_copies(tokenizer, rng, copies)
    drawn = sum(len(ids) for ids, _ in rows)
    for talk in conversations(seed, tokens):
        if drawn >= tokens:
            break
        rows.append(encode(tokenizer, talk))
        drawn += len(rows[-1][0])
    return collate(rows, rng)

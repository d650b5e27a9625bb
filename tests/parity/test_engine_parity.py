"""Greedy text of the whole engine against transformers': chunks, mixed batches, preemption."""

import random
from pathlib import Path

import numpy as np
import pytest

from homerun.engine.lane import Lane, LaneLimits
from homerun.engine.runner import Runner
from homerun.engine.sequence import Ended, EngineRequest, Event, Produced
from homerun.model.kv_cache import KVCache
from homerun.types import SamplingParams
from tests.model.sequences import random_ids
from tests.model.test_parity import VOCAB, build, their_logits

TOKENS = 64
LENGTHS = (1, 2, 15, 16, 17, 63, 64, 65, 130, 257, 500)
CLOSE = 1e-3
"""Of their two best logits; which of such a pair is chosen is float32's affair."""

LIMITS = LaneLimits(num_blocks=50, max_batch_tokens=48, max_sequences=5, queue_timeout=1e9)


@pytest.mark.parametrize("case", ["gqa", "gemma"])
def test_greedy_text_in_mixed_batches(case: str, tmp_path: Path) -> None:
    theirs, ours = build(case, tmp_path)
    cache = KVCache(ours.config, LIMITS.num_blocks, LIMITS.block_size, "fp32")
    lane = Lane(case, Runner(ours, cache), ours.revision, LIMITS)
    prompts = [random_ids(length, VOCAB, seed=length) for length in LENGTHS]
    texts: list[list[int]] = [[] for _ in prompts]
    ended: list[Event] = []

    def tell(event: Event) -> None:
        if isinstance(event, Produced):
            texts[int(event.request_id)].extend(event.token_ids)
        elif isinstance(event, Ended):
            ended.append(event)

    chance, preempted, widest = random.Random(1), 0, 0
    waiting = chance.sample(range(len(prompts)), len(prompts))
    while waiting or lane.busy:
        if waiting and (not lane.busy or chance.random() < 0.3):
            lane.add(_greedy(waiting.pop(), prompts), 0.0)
        stats = lane.step(tell)
        preempted += stats.preempted
        widest = max(widest, stats.sequences)
    assert preempted > 0
    assert widest == LIMITS.max_sequences
    assert len(ended) == len(prompts)

    compared = 0
    for prompt, text in zip(prompts, texts, strict=True):
        assert len(text) == TOKENS
        logits = their_logits(theirs, prompt + text)[len(prompt) - 1 : -1]
        for row, token in zip(logits, text, strict=True):
            second, first = np.sort(row)[-2:]
            if first - second < CLOSE:
                break
            assert token == int(row.argmax())
            compared += 1
    assert compared > TOKENS * len(prompts) // 2, "the texts part too early to say much"


def _greedy(number: int, prompts: list[list[int]]) -> EngineRequest:
    return EngineRequest(
        id=str(number),
        model="tiny",
        prompt_ids=tuple(prompts[number]),
        max_tokens=TOKENS,
        sampling=SamplingParams(temperature=0.0),
        seed=1,
        stop_ids=frozenset(),
    )

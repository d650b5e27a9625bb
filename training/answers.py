"""Knows how homerun's own engine answers many prompts at once; refuses to judge the answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from homerun.engine.lane import Lane, LaneLimits
from homerun.engine.runner import Runner
from homerun.engine.sequence import EngineRequest, Event, Failed, Produced
from homerun.model.dtypes import kv_dtype_for
from homerun.model.kv_cache import KVCache
from homerun.model.loader import load_model
from homerun.types import SamplingParams
from training.batches import encode_prompt
from training.corpus import END
from training.tokenizer import load_tokenizer

Turns = Sequence[tuple[str, str]]
CONTEXT = 2048
# Answers of the questions are far shorter; a longer one is wrong whatever follows.
LIMIT = 256
_ROWS = 64


class Speaker:
    """A checkpoint served by the engine, without threads, HTTP, templates or grammars."""

    def __init__(self, folder: Path, dtype: str | None = None) -> None:
        """`dtype` None runs the weights as they are stored, "int8" as users may choose."""
        self.tokenizer = load_tokenizer(folder / "tokenizer.json")
        self.model = load_model(folder, dtype=dtype)
        kv_dtype = kv_dtype_for(self.model.config.dtype)
        limits = LaneLimits(
            num_blocks=8192, max_batch_tokens=512, max_sequences=_ROWS, queue_timeout=1e9
        )
        cache = KVCache(self.model.config, limits.num_blocks, limits.block_size, kv_dtype)
        runner = Runner(self.model, cache)
        self._lane = Lane("rookie", runner, f"{self.model.revision}/{kv_dtype}", limits)

    def answer(
        self, talks: Iterable[Turns], temperature: float = 0.0, limit: int = LIMIT
    ) -> list[str]:
        """The answer of each prompt, of at most `limit` tokens."""
        said: dict[str, list[int]] = {}

        def tell(event: Event) -> None:
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Produced):
                said[event.request_id].extend(event.token_ids)

        for number, turns in enumerate(talks):
            prompt = encode_prompt(self.tokenizer, turns)
            said[str(number)] = []
            request = EngineRequest(
                id=str(number),
                model="rookie",
                prompt_ids=tuple(prompt),
                max_tokens=min(limit, CONTEXT - len(prompt)),
                sampling=SamplingParams(temperature=temperature),
                seed=number,
                stop_ids=frozenset({END}),
            )
            self._lane.add(request, time.monotonic())
        while self._lane.busy:
            self._lane.step(tell)
        return [self.tokenizer.decode(ids) for ids in said.values()]

"""Knows how homerun's own engine answers many prompts at once; refuses to judge the answers."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from homerun.engine.lane import LaneLimits
from homerun.engine.sequence import AdapterRef, EngineRequest, Event, Failed, Produced
from homerun.model.adapter_checkpoint import WEIGHTS_FILE, AdapterCheckpoint
from homerun.model.adapter_config import CONFIG_FILE
from homerun.model.adapter_file import write_adapter_file
from homerun.model.dtypes import kv_dtype_for
from homerun.model.loader import load_model
from homerun.service.models import make_lane
from homerun.service.packed_adapters import NO_LIMITS
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
        self._lane = make_lane("rookie", self.model, kv_dtype, limits, adapter_memory=1 << 30)

    def answer(
        self,
        talks: Iterable[Turns],
        temperature: float = 0.0,
        limit: int = LIMIT,
        adapter: Path | None = None,
    ) -> list[str]:
        """The answer of each prompt, of at most `limit` tokens; `adapter` is a PEFT directory."""
        with tempfile.TemporaryDirectory() as scratch:
            packed = None if adapter is None else self._pack(adapter, Path(scratch))
            said = self._answer(talks, temperature, limit, packed)
        return [self.tokenizer.decode(ids) for ids in said]

    def _answer(
        self, talks: Iterable[Turns], temperature: float, limit: int, adapter: AdapterRef | None
    ) -> Iterable[list[int]]:
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
                adapter=adapter,
            )
            self._lane.add(request, time.monotonic())
        while self._lane.busy:
            self._lane.step(tell)
        return said.values()

    def _pack(self, adapter: Path, scratch: Path) -> AdapterRef:
        config, weights = adapter / CONFIG_FILE, adapter / WEIGHTS_FILE
        checkpoint = AdapterCheckpoint.open(config, weights, self.model.config, NO_LIMITS)
        version = hashlib.sha256(weights.read_bytes()).hexdigest()
        path = scratch / version
        write_adapter_file(path, self.model.config, checkpoint.factors, version=version)
        return AdapterRef(version, path, path.stat().st_size)

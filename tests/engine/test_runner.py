"""What a step is given to compute, and in which order."""

from array import array
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from homerun.engine.runner import Runner
from homerun.engine.scheduler import Run
from homerun.engine.sequence import Sequence
from homerun.model.decoder import Batch

from .toy import request


class NotedCalls:
    """Stands where cache and decoder stand."""

    block_size = 4

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []

    def provide(self, blocks: int) -> None:
        self.calls.append(("provide", blocks))

    def forward(self, batch: Batch, cache: "NotedCalls") -> NDArray[np.float32]:
        assert cache is self
        self.calls.append(("forward", batch.slots.tolist()))
        return np.zeros((len(batch.slots), 3), np.float32)

    def logits(self, hidden: NDArray[np.float32]) -> NDArray[np.float32]:
        return hidden


def sequence(length: int, computed: int, blocks: list[int]) -> Sequence:
    one = Sequence(request([1] * length), 0.0)
    one.computed, one.blocks = computed, array("i", blocks)
    return one


def test_blocks_are_provided_before_keys_and_values_are_written() -> None:
    noted = NotedCalls()
    runner = Runner(SimpleNamespace(decoder=noted), noted)  # type: ignore[arg-type]
    prompt = Run(sequence(6, 0, [0, 2]), 6, samples=False)
    drafted = Run(sequence(7, 6, [9, 5, 3]), 1, samples=True, drafts=(1, 1))
    assert runner.forward([prompt, drafted]).shape == (3, 3)
    slots = [0, 1, 2, 3, 8, 9, 22, 23, 12]
    assert noted.calls == [("provide", 6), ("forward", slots)], "block 9 is read only"

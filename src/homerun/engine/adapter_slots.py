"""The adapters in memory: who wants which, who uses which, what is loaded and what has to go.

Knows versions, sizes and order of arrival; knows nothing of what an adapter is made of. On a CPU a
mapped file is its slot, so there is no number of slots, only a budget of bytes.

- An adapter is loaded on another thread, from the moment that a request for it is queued.
- Room is given in order of arrival: who waits for room is not overtaken by later loads.
- What goes is the least recently used adapter that no sequence runs with and that nobody who came
  before waits for.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from homerun.engine.sequence import AdapterRef
from homerun.errors import AdapterUnavailable, HomerunError

logger = logging.getLogger(__name__)

LOADERS = 2
"""Threads that load, so that one slow file does not hold up every other."""


class SlotState(Enum):
    """What a sequence can expect of its adapter."""

    WAITING = auto()
    """It has no room yet."""
    LOADING = auto()
    READY = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class AdapterActivity:
    """What happened since it was last asked for."""

    load_seconds: tuple[float, ...] = ()
    """Of each adapter that was loaded."""
    failures: int = 0
    evictions: int = 0
    hits: int = 0
    """Requests whose adapter was in memory when they were queued."""
    misses: int = 0


NOTHING_HAPPENED = AdapterActivity()


@dataclass(slots=True, eq=False)
class _Slot:
    ref: AdapterRef
    state: SlotState = SlotState.WAITING
    adapter: Any = None
    error: HomerunError | None = None
    pins: int = 0
    wanted: set[int] = field(default_factory=set[int])
    """Places in the order of arrival of the living sequences that use it."""

    @property
    def first(self) -> int:
        """The earliest of them; only where there is one."""
        return min(self.wanted)


class AdapterSlots:
    """Used by the engine's thread, apart from what the loading threads put into `_finished`."""

    def __init__(
        self,
        load: Callable[[AdapterRef], Any],
        budget: int,
        *,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        """`load` maps, checks and reads an adapter in; `budget` is bytes of all that are loaded.

        `start` runs something on another thread; tests have ways of their own.
        """
        self._load = load
        self.budget = budget
        self._start = start or _threads()
        self._slots: dict[str, _Slot] = {}
        """By version, least recently used first."""
        self._finished: deque[tuple[_Slot, Any, HomerunError | None, float]] = deque()
        self._loads: list[float] = []
        self._failures = self._evictions = self._hits = self._misses = 0
        self.wake: Callable[[], None] = lambda: None
        """Called on a loading thread when a load is over."""

    @property
    def used_bytes(self) -> int:
        """Of the adapters that are loaded or being loaded."""
        return sum(
            slot.ref.nbytes
            for slot in list(self._slots.values())
            if slot.state in (SlotState.LOADING, SlotState.READY)
        )

    @property
    def resident_count(self) -> int:
        return sum(slot.state is SlotState.READY for slot in list(self._slots.values()))

    def want(self, order: int, ref: AdapterRef) -> None:
        """A sequence, the `order`-th to arrive, will use `ref`: from now on until `forget`."""
        slot = self._slots.get(ref.version)
        if slot is None:
            slot = self._slots[ref.version] = _Slot(ref)
            if ref.nbytes > self.budget:
                self._fail(
                    slot,
                    AdapterUnavailable(
                        f"the adapter needs {ref.nbytes} bytes of memory, and "
                        f"HOMERUN_ADAPTER_MEMORY allows {self.budget}"
                    ),
                )
        if slot.state is SlotState.READY:
            self._hits += 1
        else:
            self._misses += 1
        slot.wanted.add(order)
        self.advance()

    def forget(self, order: int, ref: AdapterRef) -> None:
        """The sequence is gone; harmless if it was never there."""
        slot = self._slots.get(ref.version)
        if slot is None:
            return
        slot.wanted.discard(order)
        if not slot.wanted and slot.state in (SlotState.WAITING, SlotState.FAILED):
            del self._slots[ref.version]  # the next one tries again

    def state(self, ref: AdapterRef) -> SlotState:
        return self._slots[ref.version].state

    def is_ready(self, ref: AdapterRef) -> bool:
        """Whether it is in memory. From any thread, for which it may be gone meanwhile."""
        slot = self._slots.get(ref.version)
        return slot is not None and slot.state is SlotState.READY

    def error(self, ref: AdapterRef) -> HomerunError:
        """Why it could not be loaded."""
        error = self._slots[ref.version].error
        assert error is not None
        return error

    def pin(self, ref: AdapterRef) -> Any:
        """What `load` made of `ref`, which is ready; it stays until `unpin`."""
        slot = self._slots.pop(ref.version)
        self._slots[ref.version] = slot  # the most recently used
        assert slot.state is SlotState.READY
        slot.pins += 1
        return slot.adapter

    def unpin(self, ref: AdapterRef) -> None:
        slot = self._slots[ref.version]
        assert slot.pins > 0
        slot.pins -= 1

    def advance(self) -> None:
        """Takes in what the threads have loaded and starts what there is room for, in order."""
        while self._finished:
            slot, adapter, error, seconds = self._finished.popleft()
            if error is not None:
                self._fail(slot, error)
                if not slot.wanted:
                    del self._slots[slot.ref.version]
            else:
                slot.adapter, slot.state = adapter, SlotState.READY
                self._loads.append(seconds)
        waiting = [one for one in self._slots.values() if one.state is SlotState.WAITING]
        for slot in sorted(waiting, key=lambda one: one.first):
            if not self._make_room(slot):
                break
            slot.state = SlotState.LOADING
            self._start(lambda slot=slot: self._run(slot))

    def activity(self) -> AdapterActivity:
        """Counts since the last call."""
        found = AdapterActivity(
            tuple(self._loads), self._failures, self._evictions, self._hits, self._misses
        )
        self._loads = []
        self._failures = self._evictions = self._hits = self._misses = 0
        return found

    def check_integrity(self, wanted: dict[int, AdapterRef], pinned: list[AdapterRef]) -> None:
        """Fails if a pin or a wish has no sequence, or the budget is overdrawn."""
        assert self.used_bytes <= self.budget
        for slot in self._slots.values():
            version = slot.ref.version
            assert slot.pins == sum(ref.version == version for ref in pinned)
            assert slot.wanted == {o for o, ref in wanted.items() if ref.version == version}
        assert {ref.version for ref in wanted.values()} <= set(self._slots)

    def _make_room(self, wanting: _Slot) -> bool:
        """Evicts until `wanting` fits; nothing if that is not enough."""
        missing = self.used_bytes + wanting.ref.nbytes - self.budget
        unused = [
            slot
            for slot in self._slots.values()
            if slot.state is SlotState.READY
            and not slot.pins
            and (not slot.wanted or slot.first > wanting.first)
        ]
        # Those that nobody wants first, in order of use; then those wanted last.
        unused.sort(key=lambda slot: -slot.first if slot.wanted else float("-inf"))
        victims: list[_Slot] = []
        for slot in unused:
            if missing <= 0:
                break
            victims.append(slot)
            missing -= slot.ref.nbytes
        if missing > 0:
            return False
        for slot in victims:
            self._evictions += 1
            slot.adapter, slot.state = None, SlotState.WAITING
            if not slot.wanted:
                del self._slots[slot.ref.version]
        return True

    def _run(self, slot: _Slot) -> None:
        """On a loading thread."""
        began = time.monotonic()
        adapter: Any = None
        error: HomerunError | None = None
        try:
            adapter = self._load(slot.ref)
        except HomerunError as refusal:
            error = AdapterUnavailable(str(refusal), damaged=True)
        except Exception:
            logger.exception("an adapter could not be loaded")
            error = AdapterUnavailable("it could not be loaded; the server's log says why")
        self._finished.append((slot, adapter, error, time.monotonic() - began))
        self.wake()

    def _fail(self, slot: _Slot, error: HomerunError) -> None:
        logger.error("adapter %s: %s", slot.ref.version, error)
        slot.error, slot.state = error, SlotState.FAILED
        self._failures += 1


def _threads() -> Callable[[Callable[[], None]], None]:
    pool = ThreadPoolExecutor(LOADERS, thread_name_prefix="adapters")

    def start(work: Callable[[], None]) -> None:
        pool.submit(work)

    return start

"""The engine thread: one way in, one way out. Knows threads and time, no maths and no asyncio.

Other threads put commands into the intake; of a lane they see how many wait, nothing else. Events
of a step leave together through the outlet, a callable that must be quick (the service hands them
to its event loop).
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from homerun.engine.lane import Lane, LaneLoad, StepStats
from homerun.engine.sequence import EngineRequest, Event, Failed
from homerun.errors import GenerationFailed, HomerunError, QueueFull, RequestAborted
from homerun.types import Usage

logger = logging.getLogger(__name__)

Outlet = Callable[[Sequence[Event]], None]

IDLE_SECONDS = 0.5
"""How long the thread sleeps at most when there is nothing to do; each wake-up is a heartbeat."""


@dataclass(frozen=True, slots=True)
class Health:
    """What `/readyz` believes."""

    alive: bool
    """The thread runs and has shown itself within the limit."""
    draining: bool
    seconds_since_beat: float


@dataclass(frozen=True, slots=True)
class _Submit:
    request: EngineRequest
    at: float


@dataclass(frozen=True, slots=True)
class _Abort:
    request_id: str
    error: HomerunError


class Engine:
    """Steps all loaded models in turn on one thread."""

    def __init__(
        self,
        lanes: Iterable[Lane],
        outlet: Outlet,
        *,
        max_queue: int = 512,
        on_step: Callable[[StepStats], None] | None = None,
    ) -> None:
        self._lanes = {lane.name: lane for lane in lanes}
        for lane in self._lanes.values():
            lane.listen(self._nudge)
        self._outlet = outlet
        self._max_queue = max_queue
        self._on_step = on_step
        # The intake. Nobody aborts before submitting, so the order between the two is known.
        self._submits: list[_Submit] = []
        self._aborts: list[_Abort] = []
        self._wake = threading.Condition()
        self._nudged = False
        self._stopping = False
        self._draining = False
        self._beat = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def submit(self, request: EngineRequest) -> None:
        """Takes a request in, from any thread. Its events follow until Ended or Failed.

        Raises QueueFull when too many wait, RequestAborted when the server is draining.
        """
        with self._wake:
            if self._draining or self._stopping:
                raise RequestAborted("The server is shutting down")
            queued = sum(lane.waiting_count for lane in self._lanes.values())
            if queued + len(self._submits) >= self._max_queue:
                # Jittered, so that refused clients do not come back together.
                raise QueueFull(retry_after_s=random.randint(1, 5))
            self._submits.append(_Submit(request, time.monotonic()))
            self._wake.notify()

    def abort(self, request_id: str, error: HomerunError | None = None) -> None:
        """Ends a request at any stage, from any thread; unknown and finished ones are ignored."""
        with self._wake:
            self._aborts.append(_Abort(request_id, error or RequestAborted()))
            self._wake.notify()

    def health(self, limit: float) -> Health:
        """`limit`: seconds without a step or idle wake-up after which the thread counts as dead."""
        age = time.monotonic() - self._beat
        return Health(self._thread.is_alive() and age < limit, self._draining, age)

    def load(self) -> list[LaneLoad]:
        """How full each lane is, from any thread."""
        return [lane.load for lane in self._lanes.values()]

    def drain(self) -> None:
        """Takes nothing more in; what is here goes on."""
        with self._wake:
            self._draining = True

    def stop(self, timeout: float = 5.0) -> None:
        """Fails whatever is still here and ends the thread within about `timeout` seconds."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while self._obey():
                for lane in self._lanes.values():
                    if lane.busy:
                        self._step(lane)
        except Exception:
            logger.exception("the engine thread failed")
        finally:
            self._end()

    def _obey(self) -> bool:
        """Waits for something to do and carries out the commands; False when it is time to end."""
        self._prepare()
        events: list[Event] = []
        with self._wake:
            while not self._wanted():
                self._beat = time.monotonic()
                self._wake.wait(IDLE_SECONDS)
                if self._busy():
                    break  # stalled: who has waited too long is told in the next step
            self._nudged = False
            self._beat = time.monotonic()
            for submit in self._submits:
                self._add(submit, events.append)
            for abort in self._aborts:
                for lane in self._lanes.values():
                    lane.fail(abort.request_id, abort.error, events.append)
            self._submits.clear()
            self._aborts.clear()
            # Read under the lock: whoever was let in before the end has been heard.
            going_on = not self._stopping
        self._tell(events)
        return going_on

    def _prepare(self) -> None:
        """As long as nobody wants anything, lanes get ready for later steps, piece by piece."""
        while not self._wanted() and any(lane.prepare() for lane in self._lanes.values()):
            self._beat = time.monotonic()

    def _wanted(self) -> bool:
        return bool(self._submits or self._aborts) or self._stopping or self._can_step()

    def _busy(self) -> bool:
        return any(lane.busy for lane in self._lanes.values())

    def _can_step(self) -> bool:
        return self._nudged or any(lane.busy and not lane.stalled for lane in self._lanes.values())

    def _nudge(self) -> None:
        """What a lane waits for may be there; from any thread."""
        with self._wake:
            self._nudged = True
            self._wake.notify()

    def _add(self, submit: _Submit, tell: Callable[[Event], None]) -> None:
        request = submit.request
        try:
            self._lanes[request.model].add(request, submit.at)
        except Exception:
            logger.exception("request %s could not be queued", request.id)
            tell(Failed(request.id, GenerationFailed(), Usage(len(request.prompt_ids), 0)))

    def _step(self, lane: Lane) -> None:
        events: list[Event] = []
        stats = None
        try:
            stats = lane.step(events.append)
        except Exception:
            # Not one request's fault but ours: the lane is emptied so that the next can be served.
            logger.exception("a step of %s failed as a whole", lane.name)
            lane.fail_all(GenerationFailed(), events.append)
        self._beat = time.monotonic()
        self._tell(events, stats)

    def _end(self) -> None:
        """Lets nobody in and tells everybody."""
        with self._wake:
            self._stopping = True
        self._obey()
        events: list[Event] = []
        for lane in self._lanes.values():
            lane.fail_all(RequestAborted("The server is shutting down"), events.append)
        self._tell(events)

    def _tell(self, events: list[Event], stats: StepStats | None = None) -> None:
        try:
            if events:
                self._outlet(events)
            if stats is not None and self._on_step is not None:
                self._on_step(stats)
        except Exception:
            # A listener that is gone (a closed event loop) must not end the engine.
            logger.exception("events could not be delivered")

"""The engine thread: one way in, one way out. Knows threads and time, no maths and no asyncio.

Other threads put commands into the intake and never touch a lane. Events of a step leave together
through the outlet, a callable that must be quick (the service hands them to its event loop).
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from homerun.engine.lane import Lane, StepStats
from homerun.engine.sequence import Ended, EngineRequest, Event, Failed
from homerun.errors import GenerationFailed, HomerunError, QueueFull, RequestAborted

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
        self._lane_of: dict[str, Lane] = {}
        self._outlet = outlet
        self._max_queue = max_queue
        self._on_step = on_step
        self._intake: deque[_Submit | _Abort] = deque()
        self._wake = threading.Condition()
        self._waiting = 0  # queued in lanes, as of the last step
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
            if self._waiting + len(self._intake) >= self._max_queue:
                # Jittered, so that refused clients do not come back together.
                raise QueueFull(retry_after_s=random.randint(1, 5))
            self._intake.append(_Submit(request, time.monotonic()))
            self._wake.notify()

    def abort(self, request_id: str, error: HomerunError | None = None) -> None:
        """Ends a request at any stage, from any thread; unknown and finished ones are ignored."""
        with self._wake:
            self._intake.append(_Abort(request_id, error or RequestAborted()))
            self._wake.notify()

    def health(self, limit: float) -> Health:
        """`limit`: seconds without a step or idle wake-up after which the thread counts as dead."""
        age = time.monotonic() - self._beat
        return Health(self._thread.is_alive() and age < limit, self._draining, age)

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
        while True:
            commands = self._take()
            events: list[Event] = []
            for command in commands:
                self._obey(command, events.append)
            if self._stopping:
                for lane in self._lanes.values():
                    lane.fail_all(RequestAborted("The server is shutting down"), events.append)
                self._release(events)
                return
            for lane in self._lanes.values():
                if lane.busy:
                    self._step(lane, events.append)
                    self._beat = time.monotonic()
            self._waiting = sum(lane.waiting_count for lane in self._lanes.values())
            self._release(events)

    def _take(self) -> list[_Submit | _Abort]:
        """Waits until there is something to do; returns the commands given meanwhile."""
        with self._wake:
            while not (self._intake or self._stopping or self._busy()):
                self._beat = time.monotonic()
                self._wake.wait(IDLE_SECONDS)
            self._beat = time.monotonic()
            commands = list(self._intake)
            self._intake.clear()
            self._waiting += sum(isinstance(command, _Submit) for command in commands)
            return commands

    def _busy(self) -> bool:
        return any(lane.busy for lane in self._lanes.values())

    def _obey(self, command: _Submit | _Abort, tell: Callable[[Event], None]) -> None:
        if isinstance(command, _Submit):
            lane = self._lanes[command.request.model]
            lane.add(command.request, command.at)
            self._lane_of[command.request.id] = lane
        else:
            lane = self._lane_of.get(command.request_id)
            if lane is not None:
                lane.fail(command.request_id, command.error, tell)

    def _step(self, lane: Lane, tell: Callable[[Event], None]) -> None:
        try:
            stats = lane.step(tell)
            if self._on_step is not None:
                self._on_step(stats)
        except Exception:
            # Not one request's fault but ours: the lane is emptied so that the next can be served.
            logger.exception("a step of %s failed as a whole", lane.name)
            lane.fail_all(GenerationFailed(), tell)

    def _release(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Ended | Failed):
                self._lane_of.pop(event.request_id, None)
        if events:
            try:
                self._outlet(events)
            except Exception:
                # A listener that is gone (a closed event loop) must not end the engine.
                logger.exception("events could not be delivered")

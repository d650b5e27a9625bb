"""The engine thread: intake, overflow, abort, drain, heartbeat."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from homerun.engine.lane import Lane
from homerun.engine.loop import Engine
from homerun.engine.scheduler import Run
from homerun.engine.sequence import Ended, Event, Failed
from homerun.errors import GenerationFailed, QueueFull, RequestAborted

from .toy import Answers, alone, lane, request


class Harness:
    """An engine with one toy lane and a gate that holds its steps back."""

    def __init__(self) -> None:
        self.answers = Answers()
        self.gate = threading.Event()
        self.gate.set()
        self.done: dict[str, threading.Event] = {}
        self.lane: Lane = lane(self._hold, max_sequences=4)
        self.engine = Engine([self.lane], self._outlet, max_queue=6)
        self.engine.start()

    def _hold(self, run: Run) -> None:
        assert self.gate.wait(10)

    def _outlet(self, events: Sequence[Event]) -> None:
        for event in events:
            self.answers(event)
            if isinstance(event, Ended | Failed):
                self.done.setdefault(event.request_id, threading.Event()).set()

    def finished(self, request_id: str) -> bool:
        return self.done.setdefault(request_id, threading.Event()).wait(10)


@pytest.fixture
def harness() -> Iterator[Harness]:
    harness = Harness()
    yield harness
    harness.gate.set()
    harness.engine.stop()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "did not come true within 10 s"
        time.sleep(0.005)


def test_answers_arrive_from_many_threads(harness: Harness) -> None:
    wanted = [request([i, 2, 3], seed=i + 1) for i in range(24)]

    def send(one: object) -> None:
        while True:
            try:
                return harness.engine.submit(one)  # type: ignore[arg-type]
            except QueueFull:
                time.sleep(0.01)

    threads = [threading.Thread(target=send, args=(one,)) for one in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in wanted:
        assert harness.finished(one.id)
        assert harness.answers.outcome(one.id) == alone(replace(one, id=one.id + "/alone"))


def test_overflow_is_refused_at_once_and_the_rest_is_served(harness: Harness) -> None:
    harness.gate.clear()
    accepted, waits = [], list[int]()
    for i in range(40):
        one = request([i % 40, 1])
        try:
            harness.engine.submit(one)
            accepted.append(one)
        except QueueFull as error:
            waits.append(error.retry_after_s)
    assert waits
    assert all(1 <= wait <= 5 for wait in waits)
    harness.gate.set()
    for one in accepted:
        assert harness.finished(one.id)
        assert isinstance(harness.answers.last(one.id), Ended)


def test_abort_reaches_waiting_and_running_requests(harness: Harness) -> None:
    harness.gate.clear()
    wanted = [request([i], max_tokens=50, stop_ids=frozenset()) for i in range(6)]
    for one in wanted:
        harness.engine.submit(one)
    for one in wanted[1:]:
        harness.engine.abort(one.id)
    harness.engine.abort("nobody")
    harness.gate.set()
    for one in wanted:
        assert harness.finished(one.id)
    assert [harness.answers.outcome(one.id) for one in wanted[1:]] == [(RequestAborted,)] * 5
    assert isinstance(harness.answers.last(wanted[0].id), Ended)
    eventually(lambda: not harness.lane.busy)
    harness.lane.check_integrity()


def test_drain_finishes_what_is_here_and_takes_nothing_more(harness: Harness) -> None:
    one = request([1, 2], max_tokens=30, stop_ids=frozenset())
    harness.engine.submit(one)
    harness.engine.drain()
    with pytest.raises(RequestAborted):
        harness.engine.submit(request([3]))
    assert harness.engine.health(30).draining
    assert harness.finished(one.id)
    assert isinstance(harness.answers.last(one.id), Ended)


def test_stop_tells_everyone(harness: Harness) -> None:
    harness.gate.clear()
    wanted = [request([i], max_tokens=50, stop_ids=frozenset()) for i in range(5)]
    for one in wanted:
        harness.engine.submit(one)
    threading.Timer(0.05, harness.gate.set).start()
    harness.engine.stop()
    for one in wanted:
        assert harness.finished(one.id)
    assert not harness.engine.health(30).alive


def test_the_heartbeat_tells_a_hung_step_and_a_dead_thread(harness: Harness) -> None:
    assert harness.engine.health(5).alive
    harness.gate.clear()
    harness.engine.submit(request([1]))
    eventually(lambda: not harness.engine.health(0.3).alive)
    harness.gate.set()
    eventually(lambda: harness.engine.health(5).alive)
    harness.engine.stop()
    assert not harness.engine.health(5).alive


def test_a_step_that_fails_as_a_whole_does_not_end_the_engine(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine, calls = Lane.step, []

    def broken(self: Lane, tell: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("injected")
        return genuine(self, tell)  # type: ignore[arg-type]

    monkeypatch.setattr(Lane, "step", broken)
    first = request([1])
    harness.engine.submit(first)
    assert harness.finished(first.id)
    assert harness.answers.outcome(first.id) == (GenerationFailed,)
    second = request([2])
    harness.engine.submit(second)
    assert harness.finished(second.id)
    assert isinstance(harness.answers.last(second.id), Ended)


def test_an_outlet_that_fails_does_not_end_the_engine() -> None:
    calls: list[int] = []

    def outlet(events: Sequence[Event]) -> None:
        calls.append(len(events))
        raise RuntimeError("the listener is gone")

    engine = Engine([lane()], outlet)
    engine.start()
    engine.submit(request([1]))
    eventually(lambda: bool(calls))
    assert engine.health(5).alive
    engine.stop()

"""The engine thread: intake, overflow, abort, drain, heartbeat."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from homerun.engine.lane import Lane, StepStats
from homerun.engine.loop import Engine
from homerun.engine.scheduler import Run
from homerun.engine.sequence import Ended, Event, Failed, Produced
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


def test_a_request_that_cannot_be_queued_ends_alone(harness: Harness) -> None:
    for one in (request([]), request([1], model="nobody's"), request([1], max_tokens=10**6)):
        harness.engine.submit(one)
        assert harness.finished(one.id)
        assert harness.answers.outcome(one.id) == (GenerationFailed,)
    fine = request([1])
    harness.engine.submit(fine)
    assert harness.finished(fine.id)
    assert isinstance(harness.answers.last(fine.id), Ended)


def test_aborts_take_no_place_in_the_queue(harness: Harness) -> None:
    harness.gate.clear()
    first = request([1])
    harness.engine.submit(first)
    eventually(lambda: harness.lane.waiting_count == 0 and harness.lane.busy)
    for number in range(20):  # more than the queue holds
        harness.engine.abort(f"gone/{number}")
    second = request([2])
    harness.engine.submit(second)
    harness.gate.set()
    for one in (first, second):
        assert harness.finished(one.id)
        assert isinstance(harness.answers.last(one.id), Ended)


def test_who_was_let_in_just_before_the_end_is_told() -> None:
    told, late = list[Event](), request([1])
    engine = Engine([lane()], told.extend)

    def submit_and_stop() -> None:
        engine.submit(late)
        engine.stop(0)

    class Lock(threading.Condition):
        """Lets another thread in as soon as the engine has looked at its commands."""

        entered = False

        def __exit__(self, *args: object) -> None:
            super().__exit__(*args)  # type: ignore[arg-type]
            if threading.current_thread() is engine._thread and not self.entered:
                self.entered = True
                other = threading.Thread(target=submit_and_stop)
                other.start()
                other.join()

    engine._wake = Lock()
    engine.abort("nobody")
    engine.start()
    eventually(lambda: not engine.health(5).alive)
    assert [event.request_id for event in told] == [late.id]
    assert isinstance(told[0], Failed)


def test_a_slow_model_does_not_hold_back_the_words_of_another() -> None:
    gate, told = threading.Event(), list[Event]()

    def hold(run: Run) -> None:
        assert gate.wait(10)

    fast, slow = lane(), lane(hold)
    slow.name = "slow"
    engine = Engine([fast, slow], told.extend)
    engine.submit(request([1]))
    engine.submit(request([1], model="slow"))
    engine.start()
    try:
        eventually(lambda: any(isinstance(event, Produced) for event in told))
    finally:
        gate.set()
        engine.stop()


def test_an_outlet_or_a_meter_that_fails_does_not_end_the_engine() -> None:
    calls: list[int] = []

    def outlet(events: Sequence[Event]) -> None:
        calls.append(len(events))
        if len(calls) == 1:
            raise RuntimeError("the listener is gone")

    def on_step(stats: StepStats) -> None:
        raise RuntimeError("the meter is broken")

    engine = Engine([lane()], outlet, on_step=on_step)
    engine.start()
    one = request([1], max_tokens=5, stop_ids=frozenset())
    engine.submit(one)
    eventually(lambda: sum(calls) == 1 + 5 + 1)  # Started, the tokens, Ended
    assert engine.health(5).alive
    engine.stop()


def test_a_thread_that_fails_tells_everyone_and_lets_nobody_in(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.gate.clear()
    wanted = [request([i]) for i in range(5)]
    for one in wanted:
        harness.engine.submit(one)
    monkeypatch.setattr(Engine, "_step", lambda self, lane: 1 / 0)
    harness.gate.set()
    for one in wanted:
        assert harness.finished(one.id)
    eventually(lambda: not harness.engine.health(5).alive)
    with pytest.raises(RequestAborted):
        harness.engine.submit(request([1]))


def test_an_idle_engine_prepares_and_a_busy_one_does_not() -> None:
    asked: list[bool] = []  # whether the lane was busy
    pieces = iter([True] * 3)
    gate = threading.Event()
    answers = Answers()

    def populate() -> bool:
        asked.append(own.busy)
        return next(pieces, False)

    def hold(run: Run) -> None:
        assert gate.wait(10)

    own = lane(hold, populate=populate)
    engine = Engine([own], lambda events: [answers(event) for event in events])
    engine.start()
    try:
        eventually(lambda: len(asked) == 4)
        assert asked == [False] * 4, "three pieces, and then the news that there are no more"
        wanted = request([1, 2, 3, 4, 5], max_tokens=3)
        engine.submit(wanted)
        gate.set()
        eventually(lambda: len(asked) > 4 and not own.busy)
        assert asked[4:] == [False], "once, after all steps"
        assert answers.outcome(wanted.id) == alone(wanted)
    finally:
        gate.set()
        engine.stop()

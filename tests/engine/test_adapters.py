"""Adapters in the engine: who waits for what and what is loaded; no answer depends on it."""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homerun.engine.adapter_slots import AdapterSlots, SlotState
from homerun.engine.lane import Lane
from homerun.engine.loop import Engine
from homerun.engine.scheduler import MAX_OVERTAKEN
from homerun.engine.sequence import AdapterRef, Ended, EngineRequest, Event, Failed, Started
from homerun.errors import AdapterUnavailable, CheckpointError, QueueTimeout, RequestAborted

from .toy import Answers, adapter, alone, at_once, lane, request, run, toy_load


class Loader:
    """Loads when the test says so."""

    def __init__(self) -> None:
        self.works: list[Callable[[], None]] = []
        self.loaded: list[str] = []
        self.bad: set[str] = set()

    def __call__(self, ref: AdapterRef) -> int:
        self.loaded.append(ref.version)
        if ref.version in self.bad:
            raise CheckpointError("it is damaged")
        return toy_load(ref)

    def finish(self) -> None:
        works, self.works = self.works, []
        for work in works:
            work()


def lane_and_loader(budget: int = 1 << 30, **changes: object) -> tuple[Lane, AdapterSlots, Loader]:
    loader = Loader()
    slots = AdapterSlots(loader, budget, start=lambda work: loader.works.append(work))
    return lane(adapters=slots, **changes), slots, loader


PROMPTS = st.lists(st.integers(0, 3), min_size=1, max_size=40)
REQUESTS = st.builds(
    lambda prompt, limit, seed, number: request(
        prompt, max_tokens=limit, seed=seed, adapter=adapter(number) if number else None
    ),
    PROMPTS,
    st.integers(1, 20),
    st.integers(1, 3),
    st.sampled_from([0, 0, 1, 1, 1, 2, 3, 4, 5]),
)


@given(
    wanted=st.lists(REQUESTS, min_size=1, max_size=14),
    blocks=st.integers(15, 60),
    batch=st.integers(4, 50),
    width=st.integers(1, 4),
    budget=st.integers(1, 5),
    drafts=st.sampled_from([0, 16]),
    chance=st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_every_request_gets_its_own_answer_whatever_is_loaded_when(
    wanted: list[EngineRequest],
    blocks: int,
    batch: int,
    width: int,
    budget: int,
    drafts: int,
    chance: random.Random,
) -> None:
    """Prefixes are alike, so that an adapter's would be found by another if they were shared."""
    answers, queue = Answers(), list(wanted)
    shared, _, loader = lane_and_loader(
        10 * budget,
        num_blocks=blocks,
        max_batch_tokens=batch,
        max_sequences=width,
        max_draft_rows=drafts,
    )
    for _ in range(20_000):
        if not queue and not shared.busy:
            break
        while queue and (not shared.busy or chance.random() < 0.5):
            shared.add(queue.pop(0), 0.0)
        if chance.random() < 0.5 or shared.stalled:
            loader.finish()
        shared.step(answers)
        shared.check_integrity()
    assert not shared.busy, "somebody never ends"
    for one in wanted:
        assert answers.outcome(one.id) == alone(replace(one, id=one.id + "/alone"))


def test_a_request_waits_for_its_own_adapter_only() -> None:
    shared, _, loader = lane_and_loader()
    answers = Answers()
    slow = request([1, 2], adapter=adapter(1))
    others = [request([1, 2]), request([1, 2], adapter=adapter(2))]
    shared.add(slow, 0.0)
    first, loader.works = loader.works, []
    for one in others:
        shared.add(one, 0.0)
    loader.finish()
    for _ in range(30):
        shared.step(answers)
        shared.check_integrity()
    assert all(isinstance(answers.last(one.id), Ended) for one in others)
    assert slow.id not in answers.events
    assert shared.stalled
    assert shared.load.waiting_for_adapters == 1
    first[0]()
    run(shared, answers)
    assert answers.outcome(slow.id) == alone(replace(slow, id="other"))


def test_loading_begins_when_the_request_is_queued_and_once() -> None:
    shared, slots, loader = lane_and_loader()
    for _ in range(3):
        shared.add(request([1], adapter=adapter(1)), 0.0)
    assert len(loader.works) == 1
    loader.finish()
    run(shared, Answers())
    shared.add(request([1], adapter=adapter(1)), 0.0)
    run(shared, Answers())
    assert loader.loaded == ["01"]
    assert slots.used_bytes == 10


def test_activity_is_counted_and_told_with_the_steps() -> None:
    shared, _, loader = lane_and_loader(20)
    loader.bad = {"09"}
    total = [0, 0, 0, 0, 0]
    for number in (1, 1, 2, 3, 9):
        shared.add(request([1], adapter=adapter(number)), 0.0)
        loader.finish()
        while shared.busy:
            loader.finish()
            activity = shared.step(Answers()).adapters
            assert activity is not None
            found = (len(activity.load_seconds), activity.failures, activity.evictions)
            for i, count in enumerate((*found, activity.hits, activity.misses)):
                total[i] += count
    assert total == [3, 1, 2, 1, 4]  # 9's load made room that it did not use
    assert shared.load.adapter_bytes == shared.load.adapters * 10 <= 20


def test_a_failed_load_fails_its_requests_and_is_tried_again() -> None:
    shared, slots, loader = lane_and_loader()
    answers = Answers()
    loader.bad = {"01"}
    bad = [request([1], adapter=adapter(1)) for _ in range(2)]
    good = request([1], adapter=adapter(2))
    for one in (*bad, good):
        shared.add(one, 0.0)
    loader.finish()
    run(shared, answers)
    assert isinstance(answers.last(good.id), Ended)
    for one in bad:
        assert answers.outcome(one.id) == (AdapterUnavailable,)
        last = answers.last(one.id)
        assert isinstance(last, Failed)
        assert str(last.error) == "The finetune cannot be used: it is damaged"
    assert slots.used_bytes == 10
    loader.bad = set()
    again = request([1], adapter=adapter(1))
    shared.add(again, 0.0)
    loader.finish()
    run(shared, answers)
    assert isinstance(answers.last(again.id), Ended)


def test_a_fault_of_ours_in_loading_tells_no_internals(caplog: pytest.LogCaptureFixture) -> None:
    def broken(ref: AdapterRef) -> int:
        raise RuntimeError(f"/secret/{ref.path}")

    shared = lane(adapters=AdapterSlots(broken, 100, start=at_once))
    answers, one = Answers(), request([1], adapter=adapter(1))
    shared.add(one, 0.0)
    run(shared, answers)
    last = answers.last(one.id)
    assert isinstance(last, Failed)
    assert "secret" not in str(last.error)
    assert "secret" in caplog.text


def test_one_that_can_never_fit_is_refused_with_the_numbers() -> None:
    shared, _, loader = lane_and_loader(99)
    answers, one = Answers(), request([1], adapter=adapter(1, nbytes=100))
    shared.add(one, 0.0)
    run(shared, answers)
    last = answers.last(one.id)
    assert isinstance(last, Failed)
    assert "needs 100 bytes" in str(last.error)
    assert "HOMERUN_ADAPTER_MEMORY allows 99" in str(last.error)
    assert not loader.works


def test_the_least_recently_used_goes_and_one_in_use_stays() -> None:
    shared, slots, loader = lane_and_loader(30)

    def use(number: int, tokens: int = 2) -> EngineRequest:
        one = request([1], adapter=adapter(number), max_tokens=tokens, stop_ids=frozenset())
        shared.add(one, 0.0)
        loader.finish()
        return one

    def resident() -> set[int]:
        return {number for number in range(9) if f"{number:02x}" in slots._slots}

    for number in (1, 2, 3, 1):
        use(number)
        run(shared, Answers())
    long = use(2, tokens=50)
    shared.step(Answers())
    use(4)
    for _ in range(10):
        shared.step(Answers())
    assert resident() == {1, 2, 4}
    use(5)
    for _ in range(10):
        shared.step(Answers())
    assert resident() == {2, 4, 5}, "2 is in use"
    shared.fail(long.id, RequestAborted(), Answers())
    use(6)
    run(shared, Answers())
    assert resident() == {4, 5, 6}


def test_who_waits_for_room_is_not_overtaken_for_ever() -> None:
    """Two adapters fill the budget and never run out of requests; the third comes in its turn."""
    shared, _, loader = lane_and_loader(20, max_sequences=4)
    answers, begun, numbers = Answers(), [], cycle((1, 2))

    def tell(event: Event) -> None:
        answers(event)
        if isinstance(event, Started):
            begun.append(event.request_id)

    def feed() -> None:
        while shared.waiting_count < 6:
            shared.add(request([1], adapter=adapter(next(numbers)), max_tokens=5), 0.0)
            loader.finish()

    feed()
    shared.step(tell)
    patient = request([1], adapter=adapter(3))
    shared.add(patient, 0.0)
    before = len(begun)
    for _ in range(1000):
        feed()
        shared.step(tell)
        shared.check_integrity()
        loader.finish()
        if patient.id in begun:
            break
    assert patient.id in begun
    # Six were in the queue before it.
    assert len(begun) - before <= MAX_OVERTAKEN + 6 + 1
    assert len(begun) - before > 6, "nobody was let past it at all"


def test_the_base_model_is_never_held_up_by_room() -> None:
    shared, slots, loader = lane_and_loader(10)
    answers = Answers()
    running = request([1], adapter=adapter(1), max_tokens=40, stop_ids=frozenset())
    shared.add(running, 0.0)
    loader.finish()
    shared.step(answers)
    waiting = request([1], adapter=adapter(2))
    shared.add(waiting, 0.0)
    assert slots.state(adapter(2)) is SlotState.WAITING
    for _ in range(MAX_OVERTAKEN + 2):
        base = request([1, 2], max_tokens=1)
        shared.add(base, 0.0)
        shared.step(answers)
        assert isinstance(answers.last(base.id), Ended)
    assert waiting.id not in answers.events


def test_who_came_first_keeps_its_adapter_while_it_waits_for_blocks() -> None:
    """Else two that wait could evict each other's adapter for ever."""
    shared, slots, loader = lane_and_loader(20, num_blocks=12, max_sequences=8)
    answers = Answers()
    big = request([1] * 20, adapter=adapter(1), max_tokens=20, stop_ids=frozenset())
    second = request([2] * 30, adapter=adapter(2))
    third = request([3] * 4, adapter=adapter(3))
    for one in (big, second, third):
        shared.add(one, 0.0)
        loader.finish()
    shared.step(answers)
    assert slots.state(adapter(2)) is SlotState.READY
    assert slots.state(adapter(3)) is SlotState.WAITING
    for _ in range(500):
        if not shared.busy:
            break
        shared.step(answers)
        shared.check_integrity()
        loader.finish()
    assert all(isinstance(answers.last(one.id), Ended) for one in (big, second, third))
    assert loader.loaded == ["01", "02", "03"]


@pytest.mark.parametrize("when", ["loading", "no room", "loaded", "running"])
def test_abort_at_every_stage(when: str) -> None:
    shared, _slots, loader = lane_and_loader(10)
    answers = Answers()
    if when == "no room":
        shared.add(request([1], adapter=adapter(9), max_tokens=30), 0.0)
        loader.finish()
        shared.step(answers)
    gone = request([1], adapter=adapter(1))
    stays = request([1], adapter=adapter(1))
    for one in (gone, stays):
        shared.add(one, 0.0)
    if when in ("loaded", "running"):
        loader.finish()
    if when == "running":
        shared.step(answers)
    shared.fail(gone.id, RequestAborted(), answers)
    shared.check_integrity()
    for _ in range(200):
        loader.finish()
        shared.step(answers)
        shared.check_integrity()
    assert answers.outcome(gone.id) == (RequestAborted,)
    assert isinstance(answers.last(stays.id), Ended)
    assert not shared.busy


def test_an_adapter_that_nobody_waits_for_any_more_is_kept_when_it_comes() -> None:
    shared, slots, loader = lane_and_loader()
    one = request([1], adapter=adapter(1))
    shared.add(one, 0.0)
    shared.fail(one.id, RequestAborted(), Answers())
    loader.finish()
    shared.step(Answers())
    assert slots.state(adapter(1)) is SlotState.READY


def test_waiting_for_an_adapter_has_an_end() -> None:
    shared, _, _loader = lane_and_loader(queue_timeout=0.0)
    answers, one = Answers(), request([1], adapter=adapter(1))
    shared.add(one, 0.0)
    shared.step(answers)
    assert answers.outcome(one.id) == (QueueTimeout,)
    shared.check_integrity()


@pytest.mark.parametrize("other", [None, adapter(2)])
def test_prefixes_are_shared_within_one_version_only(other: AdapterRef | None) -> None:
    shared, answers = lane(), Answers()
    first, renamed, second = (
        request(range(17), adapter=one)
        for one in (adapter(1), replace(adapter(1), path=Path("elsewhere")), other)
    )
    for one in (first, renamed, second):
        shared.add(one, 0.0)
        run(shared, answers)
    assert answers.last(renamed.id).usage.cached_tokens == 16  # type: ignore[union-attr]
    assert answers.last(second.id).usage.cached_tokens == 0  # type: ignore[union-attr]


def test_an_engine_sleeps_while_an_adapter_is_loaded_and_wakes_for_it() -> None:
    go_on, steps, events = threading.Event(), [], []
    ended = threading.Event()

    def load(ref: AdapterRef) -> int:
        assert go_on.wait(10)
        return toy_load(ref)

    def outlet(some: Sequence[Event]) -> None:
        events.extend(some)
        if any(isinstance(event, Ended) for event in some):
            ended.set()

    own = lane(adapters=AdapterSlots(load, 100))
    engine = Engine([own], outlet, on_step=steps.append)
    engine.start()
    try:
        engine.submit(request([1], adapter=adapter(1), max_tokens=3))
        time.sleep(0.05)
        assert len(steps) <= 2, "the engine turns in circles"
        go_on.set()
        assert ended.wait(10)
    finally:
        engine.stop()
    assert sum(len(step.adapters.load_seconds) for step in steps) == 1

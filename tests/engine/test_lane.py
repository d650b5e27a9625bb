"""The engine on a toy model: mixes, preemption, prefixes, aborts and faults."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from homerun.engine import sampler
from homerun.engine.scheduler import Run, Scheduler
from homerun.engine.sequence import Ended, EngineRequest, Event, Failed, Started
from homerun.errors import GenerationFailed, QueueTimeout, RequestAborted
from homerun.types import FinishReason, SamplingParams

from .toy import STOP, Answers, alone, lane, request, run

PROMPTS = st.lists(st.integers(0, 3), min_size=1, max_size=40)
PARAMS = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.6, 2.0]),
    top_k=st.sampled_from([None, 1, 10]),
    top_p=st.sampled_from([None, 0.3, 1.0]),
    repetition_penalty=st.sampled_from([None, 1.3]),
    frequency_penalty=st.sampled_from([None, 1.0]),
)
REQUESTS = st.builds(
    lambda prompt, limit, seed, params: request(
        prompt, max_tokens=limit, seed=seed, sampling=params
    ),
    PROMPTS,
    st.integers(1, 20),
    st.integers(1, 5),
    PARAMS,
)


@given(
    wanted=st.lists(REQUESTS, min_size=1, max_size=12),
    blocks=st.integers(15, 60),
    block_size=st.sampled_from([4, 8]),
    batch=st.integers(4, 50),
    width=st.integers(1, 4),
    arrivals=st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_every_request_gets_its_own_answer_in_any_company(
    wanted: list[EngineRequest],
    blocks: int,
    block_size: int,
    batch: int,
    width: int,
    arrivals: object,
) -> None:
    answers = Answers()
    shared = lane(
        num_blocks=blocks, block_size=block_size, max_batch_tokens=batch, max_sequences=width
    )
    queue = list(wanted)
    while queue or shared.busy:
        while queue and (not shared.busy or arrivals.random() < 0.5):  # type: ignore[attr-defined]
            shared.add(queue.pop(0), 0.0)
        shared.step(answers)
        shared.check_integrity()
    for one in wanted:
        assert answers.outcome(one.id) == alone(replace(one, id=one.id + "/alone"))


@given(
    wanted=st.lists(REQUESTS, min_size=1, max_size=12),
    spare=st.integers(0, 3),
    batch=st.integers(1, 12),
    width=st.integers(1, 12),
    chance=st.randoms(use_true_random=False),
)
@settings(max_examples=150, deadline=None)
def test_the_oldest_moves_on_in_every_step_of_the_tightest_lane(
    wanted: list[EngineRequest], spare: int, batch: int, width: int, chance: random.Random
) -> None:
    """So everyone ends: who is the oldest ends within its own number of tokens."""
    needed = max(-(-(len(one.prompt_ids) + one.max_tokens) // 4) for one in wanted)
    tight = lane(num_blocks=needed + spare, max_batch_tokens=max(batch, width), max_sequences=width)
    answers, started, living, queue = Answers(), [], [], list(wanted)

    def tell(event: Event) -> None:
        answers(event)
        if isinstance(event, Started):
            started.append(event.request_id)
        if isinstance(event, Ended | Failed):
            living.remove(event.request_id)

    def progress() -> tuple[str, int] | None:
        """The oldest living request and how far it is."""
        sequence = next(iter(tight._scheduler), None)
        return sequence and (sequence.request.id, sequence.computed)

    while queue or tight.busy:
        while queue and (not tight.busy or chance.random() < 0.5):
            tight.add(queue[0], 0.0)
            living.append(queue.pop(0).id)
        if chance.random() < 0.1:
            tight.fail(chance.choice(living), RequestAborted(), tell)
        before = progress()
        tight.step(tell)
        tight.check_integrity()
        assert [one.request.id for one in tight._scheduler] == living, "not in order of arrival"
        if before is not None:
            oldest, computed = before
            assert oldest not in living or progress() > (oldest, computed)
    assert started == [one.id for one in wanted if one.id in started], "somebody was overtaken"
    for one in wanted:
        if not isinstance(answers.last(one.id), Failed):
            assert answers.outcome(one.id) == alone(replace(one, id=one.id + "/alone"))


def test_preemption_happens_and_changes_nothing() -> None:
    wanted = [request([i] * 9, max_tokens=24, stop_ids=frozenset()) for i in range(4)]
    shared, answers, preempted = lane(num_blocks=12), Answers(), 0
    for one in wanted:
        shared.add(one, 0.0)
    while shared.busy:
        preempted += shared.step(answers).preempted
        shared.check_integrity()
    assert preempted > 0
    for one in wanted:
        assert answers.outcome(one.id) == alone(replace(one, id=one.id + "/alone"))


def test_the_oldest_finishes_first_under_pressure() -> None:
    wanted = [request([i] * 9, max_tokens=24, stop_ids=frozenset()) for i in range(4)]
    shared, ended = lane(num_blocks=12), []
    for one in wanted:
        shared.add(one, 0.0)
    while shared.busy:
        shared.step(lambda e: ended.append(e.request_id) if isinstance(e, Ended) else None)
    assert ended == [one.id for one in wanted]


def test_a_prefix_is_computed_once_and_counted() -> None:
    shared, answers = lane(), Answers()
    first, second = request(range(17)), request([*range(17), 3, 4])
    for one in (first, second):
        shared.add(one, 0.0)
        run(shared, answers)
    assert answers.last(first.id).usage.cached_tokens == 0  # type: ignore[union-attr]
    assert answers.last(second.id).usage.cached_tokens == 16  # type: ignore[union-attr]
    assert answers.outcome(second.id) == alone(replace(second, id="other"))


def test_a_whole_prompt_in_the_cache_still_computes_its_last_token() -> None:
    shared, answers = lane(), Answers()
    for _ in range(2):
        one = request(range(16))
        shared.add(one, 0.0)
        run(shared, answers)
    assert answers.last(one.id).usage.cached_tokens == 12  # type: ignore[union-attr]


@pytest.mark.parametrize("other", [{"cache_scope": b"b"}, {"rope_variant": 1}])
def test_prefixes_are_not_shared_across_scopes(other: dict[str, object]) -> None:
    shared, answers = lane(), Answers()
    first, second = request(range(17)), request(range(17), **other)
    for one in (first, second):
        shared.add(one, 0.0)
        run(shared, answers)
    assert answers.last(second.id).usage.cached_tokens == 0  # type: ignore[union-attr]


def test_a_long_prompt_does_not_stop_the_others() -> None:
    shared, answers = lane(max_batch_tokens=8), Answers()
    short = request([1], max_tokens=20, stop_ids=frozenset())
    shared.add(short, 0.0)
    shared.step(answers)
    shared.add(request([2] * 100), 0.0)
    for expected in range(2, 12):
        shared.step(answers)
        assert len(answers.tokens(short.id)) == expected


def test_finish_reasons_and_counts() -> None:
    shared, answers = lane(), Answers()
    cut = request([1, 2], max_tokens=3, stop_ids=frozenset())
    stopped = request([1, 2], max_tokens=60, stop_ids=frozenset(range(0, 50, 2)))
    for one in (cut, stopped):
        shared.add(one, 0.0)
    run(shared, answers)
    last = answers.last(cut.id)
    assert isinstance(last, Ended)
    assert (last.finish_reason, last.usage.completion_tokens) == (FinishReason.LENGTH, 3)
    last = answers.last(stopped.id)
    assert isinstance(last, Ended)
    assert last.finish_reason is FinishReason.STOP
    assert last.usage.completion_tokens == len(answers.tokens(stopped.id)) + 1
    assert not set(answers.tokens(stopped.id)) & stopped.stop_ids


@pytest.mark.parametrize("steps", range(6))
def test_abort_in_every_phase(steps: int) -> None:
    """0: waiting; 1-3: prefill in chunks; 4 and more: decoding."""
    shared, answers = lane(max_batch_tokens=8), Answers()
    gone, stays = request(range(24), stop_ids=frozenset()), request([5, 6, 7])
    shared.add(gone, 0.0)
    shared.add(stays, 0.0)
    for _ in range(steps):
        shared.step(answers)
    shared.fail(gone.id, RequestAborted(), answers)
    shared.fail(gone.id, RequestAborted(), answers)
    shared.check_integrity()
    run(shared, answers)
    assert answers.outcome(gone.id) == (RequestAborted,)
    assert answers.outcome(stays.id) == alone(replace(stays, id="other"))


def test_waiting_too_long_is_told_and_costs_nothing() -> None:
    shared, answers = lane(queue_timeout=5.0, max_sequences=1), Answers()
    first, late = request([1], max_tokens=4), request([2])
    shared.add(first, float("inf"))
    shared.add(late, 0.0)
    run(shared, answers)
    assert answers.outcome(late.id) == (QueueTimeout,)
    assert isinstance(answers.last(first.id), Ended)


BAD_SEED = 1048
BAD = 48  # a token that stands only in the prompt of the request to fail


def _fault_in_forward(run: Run) -> None:
    if BAD in run.sequence.request.prompt_ids:
        raise MemoryError("injected")


@pytest.mark.parametrize(
    "stage", ["schedule", "forward", "late forward", "sample", "commit", "nan"]
)
def test_a_fault_ends_its_own_request_and_no_other(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = None
    if stage == "forward":
        fault = _fault_in_forward
    if stage == "late forward":

        def fault(run: Run) -> None:
            if run.sequence.generated > 2:
                _fault_in_forward(run)

    if stage in ("schedule", "commit"):
        method = {"schedule": "_admit", "commit": "commit"}[stage]
        genuine = getattr(Scheduler, method)

        def broken(self: Scheduler, what: object, *more: object) -> object:
            sequence = getattr(what, "sequence", what)
            if BAD in sequence.request.prompt_ids:
                raise RuntimeError("injected")
            return genuine(self, what, *more)

        monkeypatch.setattr(Scheduler, method, broken)
    if stage in ("sample", "nan"):
        genuine_rows = sampler.sample_rows

        def broken_rows(logits: NDArray[np.float32], rows: Sequence[sampler.Row]) -> list[int]:
            bad = np.array([row.chooser.seed == BAD_SEED for row in rows])
            if stage == "sample" and bad.any():
                raise KeyError("injected")
            return genuine_rows(np.where(bad[:, None], np.float32("nan"), logits), rows)

        monkeypatch.setattr(sampler, "sample_rows", broken_rows)
    shared, answers = lane(fault, num_blocks=400, max_batch_tokens=64, max_sequences=60), Answers()
    neighbours = [request([i % 7, i % 40, 3], max_tokens=12, seed=i + 1) for i in range(50)]
    bad = request([1, BAD, 2], stop_ids=frozenset(), seed=BAD_SEED)
    for one in [*neighbours[:25], bad, *neighbours[25:]]:
        shared.add(one, 0.0)
    run(shared, answers)
    assert answers.outcome(bad.id) == (GenerationFailed,)
    monkeypatch.undo()
    for one in neighbours:
        assert answers.outcome(one.id) == alone(replace(one, id=one.id + "/alone"))


def test_no_stop_id_is_ever_told() -> None:
    shared, answers = lane(), Answers()
    wanted = [request([i], max_tokens=40, seed=i + 1) for i in range(30)]
    for one in wanted:
        shared.add(one, 0.0)
    run(shared, answers)
    assert any(answers.last(one.id).finish_reason is FinishReason.STOP for one in wanted)  # type: ignore[union-attr]
    assert all(STOP not in answers.tokens(one.id) for one in wanted)
    assert not any(isinstance(answers.last(one.id), Failed) for one in wanted)

"""Drafts change how many steps an answer takes, and nothing else."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homerun.engine import sampler
from homerun.engine.drafts import PromptLookup
from homerun.engine.lane import Lane, StepStats
from homerun.engine.scheduler import Run
from homerun.engine.sequence import Ended, EngineRequest, Failed, Produced
from homerun.errors import GenerationFailed
from homerun.types import FinishReason, SamplingParams

from .toy import STOP, Answers, ToyRunner, alone, lane, request, run

HABIT = 9.0
SURE = 50.0
"""So strong a habit that the toy only counts in circles."""
CIRCLE = [0, 1, 2, 3, 4] * 4
GREEDY = SamplingParams(temperature=0.0)
NEVER = frozenset[int]()

PARAMS = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.6, 1.5]),
    top_k=st.sampled_from([None, 10]),
    top_p=st.sampled_from([None, 0.5]),
    repetition_penalty=st.sampled_from([None, 1.05, 1.3]),
    frequency_penalty=st.sampled_from([None, 0.3, -0.3]),
    presence_penalty=st.sampled_from([None, 0.5, -0.5]),
)
REQUESTS = st.builds(
    lambda prompt, limit, seed, params, stops: request(
        prompt, max_tokens=limit, seed=seed, sampling=params, stop_ids=frozenset({STOP, *stops})
    ),
    st.lists(st.integers(0, 4), min_size=1, max_size=30) | st.just(CIRCLE),
    st.integers(1, 30),
    st.integers(1, 5),
    PARAMS,
    st.sets(st.sampled_from([2, 30, 31, 32]), max_size=2),
)


@given(
    wanted=st.lists(REQUESTS, min_size=1, max_size=10),
    habit=st.sampled_from([4.0, HABIT, 20.0]),
    spare=st.integers(0, 30),
    block_size=st.sampled_from([4, 16]),
    batch=st.integers(1, 40),
    width=st.integers(1, 6),
    draft_rows=st.integers(1, 40),
    chance=st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_on_or_off_is_the_same_answer(
    wanted: list[EngineRequest],
    habit: float,
    spare: int,
    block_size: int,
    batch: int,
    width: int,
    draft_rows: int,
    chance: random.Random,
) -> None:
    """In chunks, under preemption, with prefixes found or not."""
    needed = max(-(-(len(one.prompt_ids) + one.max_tokens) // block_size) for one in wanted)
    shared = lane(
        habit=habit,
        num_blocks=needed + spare,
        block_size=block_size,
        max_batch_tokens=max(batch, width),
        max_sequences=width,
        max_draft_rows=draft_rows,
    )
    answers, queue = Answers(), list(wanted)
    while queue or shared.busy:
        while queue and (not shared.busy or chance.random() < 0.5):
            shared.add(queue.pop(0), 0.0)
        shared.step(answers)
        shared.check_integrity()
    for one in wanted:
        assert answers.outcome(one.id) == alone(replace(one, id=one.id + "/alone"), habit)
    assert shared._pool.free_count == shared._pool.num_blocks


def steps(shared: Lane, wanted: Sequence[EngineRequest], answers: Answers) -> list[StepStats]:
    """Runs the requests together and returns what each step did."""
    for one in wanted:
        shared.add(one, 0.0)
    stats: list[StepStats] = []
    while shared.busy:
        stats.append(shared.step(answers))
        shared.check_integrity()
    return stats


def test_text_that_repeats_itself_takes_fewer_steps() -> None:
    one = request(CIRCLE, max_tokens=60, stop_ids=NEVER, sampling=GREEDY)
    answers = Answers()
    stats = steps(lane(habit=SURE), [one], answers)
    assert len(stats) < 15
    assert sum(step.accepted for step in stats) >= 45
    assert all(0 <= step.accepted <= step.drafted for step in stats)
    # Every token but the last was computed once, as a pending one or as a draft that was right.
    computed = sum(step.tokens + step.accepted for step in stats)
    assert computed == len(one.prompt_ids) + one.max_tokens - 1
    assert answers.last(one.id).usage.completion_tokens == 60  # type: ignore[union-attr]


def test_text_that_never_repeats_is_soon_left_alone() -> None:
    one = request([0, 1, 2] * 4, max_tokens=200, stop_ids=NEVER, seed=3)
    stats = steps(lane(num_blocks=100), [one], Answers())
    assert sum(step.drafted for step in stats) < 40


def test_drafts_fill_a_step_up_to_the_limit_and_never_join_a_full_one() -> None:
    wanted = [request(CIRCLE, max_tokens=40, stop_ids=NEVER, sampling=GREEDY) for _ in range(8)]
    rows: list[list[int]] = []
    shared = lane(
        lambda run: rows[-1].append(run.rows),
        SURE,
        num_blocks=200,
        max_batch_tokens=200,
        max_draft_rows=12,
    )
    for one in wanted:
        shared.add(one, 0.0)
    while shared.busy:
        rows.append([])
        stats = shared.step(lambda _: None)
        assert not stats.drafted or stats.tokens + stats.drafted <= 12
    assert rows[0] == [20] * 8, "drafts in a step full of prompts"
    # Eight sequences have a row each, and four more to share.
    assert all(sum(one) <= 12 and max(one) <= 2 for one in rows[1:] if len(one) == 8)
    assert any(sum(one) == 12 for one in rows)


def test_a_limit_of_none_turns_them_off() -> None:
    one = request(CIRCLE, max_tokens=60, stop_ids=NEVER)
    stats = steps(lane(habit=SURE, max_draft_rows=0), [one], Answers())
    assert not any(step.drafted for step in stats)


def test_drafts_make_do_with_the_blocks_there_are(caplog: pytest.LogCaptureFixture) -> None:
    wanted = [request(CIRCLE, max_tokens=20, stop_ids=NEVER, sampling=GREEDY) for _ in range(3)]
    stats = steps(lane(habit=SURE, num_blocks=22), wanted, Answers())
    assert sum(step.preempted for step in stats) > 0
    assert sum(step.accepted for step in stats) > 20
    assert not caplog.records


def test_drafts_preempt_nobody() -> None:
    """There are exactly the blocks that the two need: none can be kept for a draft."""
    wanted = [request(CIRCLE, max_tokens=20, stop_ids=NEVER, sampling=GREEDY) for _ in range(2)]
    stats = steps(lane(habit=SURE, num_blocks=20), wanted, Answers())
    assert sum(step.preempted for step in stats) == 0
    assert sum(step.accepted for step in stats) > 20


def test_a_stop_id_among_drafts_ends_the_sequence() -> None:
    one = request([*CIRCLE, 0, 1, 2], max_tokens=40, stop_ids=frozenset({4}), sampling=GREEDY)
    answers = Answers()
    stats = steps(lane(habit=SURE, max_draft_rows=30), [one], answers)
    # The drafts are 3 and 4; one is kept and the other ends the answer.
    assert [(step.drafted, step.accepted) for step in stats] == [(2, 1)]
    last = answers.last(one.id)
    assert isinstance(last, Ended)
    assert (last.finish_reason, answers.tokens(one.id)) == (FinishReason.STOP, (3,))
    assert last.usage.completion_tokens == 2


@pytest.mark.parametrize("limit", range(1, 12))
def test_never_beyond_max_tokens(limit: int) -> None:
    one = request(CIRCLE, max_tokens=limit, stop_ids=NEVER, sampling=GREEDY)
    answers = Answers()
    # Exactly the blocks that the answer needs: a row beyond it would have nowhere to go.
    steps(lane(habit=SURE, num_blocks=-(-(len(CIRCLE) + limit) // 4)), [one], answers)
    assert len(answers.tokens(one.id)) == limit
    assert answers.last(one.id).finish_reason is FinishReason.LENGTH  # type: ignore[union-attr]


def test_rejected_drafts_never_reach_the_prefix_cache() -> None:
    """Every block that the cache offers holds tokens as they stood in some sequence."""
    shared = lane(habit=6.0, num_blocks=400)
    runner = shared._runner
    assert isinstance(runner, ToyRunner)
    wanted = [request(CIRCLE[:i], max_tokens=60, seed=i, stop_ids=NEVER) for i in range(1, 9)]
    answers, rejected, real = Answers(), 0, set[tuple[int, ...]]()
    for one in wanted:
        stats = steps(shared, [one], answers)
        rejected += sum(step.drafted - step.accepted for step in stats)
        tokens = (*one.prompt_ids, *answers.tokens(one.id))
        real |= {tokens[i : i + 4] for i in range(0, len(tokens), 4)}
    assert rejected > 20
    offered = {tuple(runner.memory[block].tolist()) for block in shared._pool._key_of}
    assert len(offered) > 20
    assert offered <= real


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_row_that_fails_amid_drafts_fails_its_request_only(
    after: int, raises: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = sampler.sample_rows
    bad = request(
        [*CIRCLE, 7, *CIRCLE], max_tokens=40, stop_ids=NEVER, sampling=SamplingParams(1.0), seed=99
    )
    others = [request(CIRCLE[i:], max_tokens=30, seed=i + 1) for i in range(3)]
    at = len(bad.prompt_ids) + after

    def failing(logits: np.ndarray, rows: Sequence[sampler.Row]) -> list[int]:  # type: ignore[type-arg]
        mine = [row.chooser.seed == bad.seed and row.position == at for row in rows]
        if raises and any(mine):
            raise RuntimeError("injected")
        return genuine(np.where(np.array(mine)[:, None], np.float32("nan"), logits), rows)

    monkeypatch.setattr(sampler, "sample_rows", failing)
    answers, plain = Answers(), Answers()
    steps(lane(habit=SURE, max_draft_rows=20), [bad, *others], answers)
    steps(lane(habit=SURE, max_draft_rows=0), [bad], plain)
    monkeypatch.undo()
    for told in (answers, plain):
        last = told.last(bad.id)
        assert isinstance(last, Failed)
        assert isinstance(last.error, GenerationFailed)
        # What was drawn before is told either way.
        assert last.usage.completion_tokens == after == len(told.tokens(bad.id))
    for one in others:
        assert answers.outcome(one.id) == alone(replace(one, id=one.id + "/alone"), SURE)


def test_nobody_fails_for_the_sake_of_a_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(run: Run) -> None:
        if run.drafts:
            raise MemoryError("injected")

    wanted = [request(CIRCLE, max_tokens=30, seed=i + 1) for i in range(3)]
    answers = Answers()
    steps(lane(fault, SURE), wanted, answers)
    monkeypatch.setattr(PromptLookup, "_index", lambda _: 1 / 0)
    again = [replace(one, id=one.id + "/again") for one in wanted]
    steps(lane(habit=SURE), again, answers)
    monkeypatch.undo()
    for one in [*wanted, *again]:
        assert answers.outcome(one.id) == alone(replace(one, id=one.id + "/alone"), SURE)


def test_a_row_that_nobody_looks_at_may_hold_anything() -> None:
    """Logits after a draft that was wrong are no reason to fail."""
    genuine = ToyRunner.forward

    class Poisoned(ToyRunner):
        def forward(self, runs: Sequence[Run]) -> np.ndarray:  # type: ignore[type-arg]
            rows = iter(genuine(self, runs))
            logits: list[np.ndarray] = []  # type: ignore[type-arg]
            for one in runs:
                agreed = one.samples
                for draft in (*one.drafts, None) if one.samples else ():
                    row = next(rows)
                    logits.append(row if agreed else row * np.nan)
                    agreed = agreed and int(row.argmax()) == draft
            return np.array(logits, np.float32)

    one = request([0, 1, 2] * 4, max_tokens=60, stop_ids=NEVER, sampling=GREEDY)
    shared, answers = lane(habit=6.0), Answers()
    shared._runner.__class__ = Poisoned
    stats = steps(shared, [one], answers)
    assert sum(step.drafted - step.accepted for step in stats) > 5
    assert answers.outcome(one.id) == alone(replace(one, id="plain"), 6.0)


def test_tokens_of_one_step_are_told_together() -> None:
    one = request(CIRCLE, max_tokens=30, stop_ids=NEVER, sampling=GREEDY)
    answers, shared = Answers(), lane(habit=SURE)
    shared.add(one, 0.0)
    run(shared, answers)
    events = [event for event in answers.events[one.id] if isinstance(event, Produced)]
    assert max(len(event.token_ids) for event in events) > 4
    assert answers.tokens(one.id) == tuple(range(5)) * 6

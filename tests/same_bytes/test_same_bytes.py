"""The promise of the same bytes: company, chunks, prefixes, preemption, drafts, adapters, threads,
restarts.

What a request answers is compared, exactly, with what it answers alone in an engine of its own.
"""

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homerun.engine.lane import LaneLimits, StepStats
from homerun.engine.sequence import EngineRequest
from homerun.native import instruction_set, instruction_sets, native_available
from homerun.types import SamplingParams
from tests.arithmetic import ARITHMETICS
from tests.checkpoints import VOCAB, write_checkpoint

from .workload import (
    ADAPTERS,
    FIXED_LIMITS,
    Alone,
    adapter_refs,
    answer,
    digest,
    fixed_workload,
    load,
    make_lane,
    repeating_workload,
)

DTYPES = ["fp32", "fp16", "bf16", "int8", "int8/int8"]
FAMILIES = ["llama", "gemma"]

PARAMS = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.6, 1.5]),
    top_p=st.sampled_from([None, 0.9]),
    top_k=st.sampled_from([None, 7]),
    repetition_penalty=st.sampled_from([None, 1.2]),
    frequency_penalty=st.sampled_from([None, 0.5]),
    presence_penalty=st.sampled_from([None, -0.5]),
)
# Prompts begin alike so that prefixes are found, and end at lengths around block boundaries.
PROMPTS = st.builds(
    lambda start, length, end: (*random.Random(start).choices(range(4, VOCAB), k=length), *end),
    st.integers(0, 1),
    st.sampled_from([0, 1, 15, 16, 17, 40, 100]),
    st.lists(st.integers(4, VOCAB - 1), min_size=1, max_size=5),
)
REQUESTS = st.builds(
    lambda prompt, limit, params, seed, variant, adapter: (
        EngineRequest("", "tiny", prompt, limit, params, seed, frozenset({2, 3}), variant),
        adapter,
    ),
    PROMPTS,
    st.integers(1, 8),
    PARAMS,
    st.integers(1, 3),
    st.integers(0, 1),
    st.sampled_from([None, None, *range(len(ADAPTERS))]),
)
"""And which of the adapters it uses."""
# Sizes of blocks that every implementation takes, and of the reference besides.
SIZES = {"reference": [4, 16], "native": [16]}


def limits_of(arithmetic: str) -> st.SearchStrategy[LaneLimits]:
    return st.builds(_limits, st.sampled_from(SIZES[arithmetic]), *SPARE)


def _limits(size: int, spare: int, batch: int, width: int, drafts: int) -> LaneLimits:
    return LaneLimits(
        num_blocks=-(-113 // size) + spare,
        block_size=size,
        max_batch_tokens=batch,
        max_sequences=min(width, batch),
        queue_timeout=1e9,
        max_draft_rows=drafts,
    )


SPARE = (
    st.integers(0, 12),
    st.sampled_from([5, 16, 33, 256]),
    st.integers(1, 6),
    st.sampled_from([0, 16, 64]),
)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("checkpoints")
    return {family: write_checkpoint(root / family, family) for family in FAMILIES}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_any_company_gives_the_same_answer(
    arithmetic: str,
    family: str,
    dtype: str,
    checkpoints: dict[str, Path],
    request: pytest.FixtureRequest,
) -> None:
    model = load(checkpoints[family], dtype, arithmetic)
    alone = Alone(model)
    adapters = adapter_refs(checkpoints[family], model)
    examples = 200 if request.config.getoption("-m") == "nightly" else 8

    @given(
        wanted=st.lists(REQUESTS, min_size=2, max_size=7),
        limits=limits_of(arithmetic),
        chance=st.randoms(use_true_random=False),
    )
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    def check(
        wanted: list[tuple[EngineRequest, int | None]], limits: LaneLimits, chance: random.Random
    ) -> None:
        named = [
            replace(one, id=str(index), adapter=None if which is None else adapters[which])
            for index, (one, which) in enumerate(wanted)
        ]
        outcomes = answer(model, limits, named, chance)
        for one in named:
            assert outcomes[one.id] == alone(one)

    check()


@pytest.mark.nightly
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_any_company_for_longer(
    arithmetic: str,
    family: str,
    dtype: str,
    checkpoints: dict[str, Path],
    request: pytest.FixtureRequest,
) -> None:
    test_any_company_gives_the_same_answer(arithmetic, family, dtype, checkpoints, request)


def test_the_fixed_workload_meets_every_circumstance(checkpoints: dict[str, Path]) -> None:
    """What the process comparison runs: preemption, prefix hits and chunks must be in it."""
    model = load(checkpoints["llama"], "fp32", "reference")
    lane, _ = make_lane(model, FIXED_LIMITS)
    workload = fixed_workload(adapter_refs(checkpoints["llama"], model))
    waiting, cached, preempted, evicted, most = list(workload), 0, 0, 0, 0
    chance = random.Random(3)

    def tell(event: object) -> None:
        nonlocal cached
        usage = getattr(event, "usage", None)
        cached += usage.cached_tokens if usage else 0

    while waiting or lane.busy:
        while waiting and (not lane.busy or chance.random() < 0.4):
            lane.add(waiting.pop(0), 0.0)
        stats = lane.step(tell)
        preempted += stats.preempted
        evicted += stats.adapters.evictions if stats.adapters else 0
        most = max(most, stats.sequences)
    assert cached > 0
    assert preempted > 0
    assert evicted > 0
    assert most > 2
    assert max(len(one.prompt_ids) for one in workload) > FIXED_LIMITS.max_batch_tokens


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_drafts_change_nothing(
    arithmetic: str,
    family: str,
    dtype: str,
    checkpoints: dict[str, Path],
    request: pytest.FixtureRequest,
) -> None:
    model = load(checkpoints[family], dtype, arithmetic)
    nightly = request.config.getoption("-m") == "nightly"
    adapters = adapter_refs(checkpoints[family], model)
    wanted = repeating_workload(adapters)[:: 1 if nightly else 7]
    # Not room for six of them at a time, so that some are put back.
    limits = LaneLimits(num_blocks=9, max_batch_tokens=70, max_sequences=6, queue_timeout=1e9)
    steps: list[StepStats] = []
    drafting = answer(model, limits, wanted, random.Random(1), steps)
    assert sum(step.accepted for step in steps) > 20
    assert sum(step.drafted - step.accepted for step in steps) > 5
    assert sum(step.preempted for step in steps) > 0
    off = replace(limits, max_draft_rows=0)
    steps = []
    assert drafting == answer(model, off, wanted, random.Random(1), steps)
    assert not any(step.drafted for step in steps)


@pytest.mark.nightly
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_drafts_change_nothing_for_every_parameter(
    arithmetic: str,
    family: str,
    dtype: str,
    checkpoints: dict[str, Path],
    request: pytest.FixtureRequest,
) -> None:
    test_drafts_change_nothing(arithmetic, family, dtype, checkpoints, request)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_and_restarts_change_nothing(
    family: str, dtype: str, checkpoints: dict[str, Path]
) -> None:
    """Of NumPy."""
    here = digest(load(checkpoints[family], dtype, "reference"), checkpoints[family])
    for threads in ("1", "2", "5"):
        environment = {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        command = [checkpoints[family], dtype, "reference", "1"]
        assert elsewhere(command, environment) == here, f"{threads} threads"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.skipif(not native_available(), reason="no C++ extension")
def test_threads_restarts_and_instructions_change_nothing(
    family: str, dtype: str, checkpoints: dict[str, Path]
) -> None:
    """Of the kernels. bfloat16 alone has instructions of its own on some CPUs."""
    here = digest(load(checkpoints[family], dtype, "native"), checkpoints[family])
    best = instruction_set()
    other = best if dtype == "bf16" or "avx2" not in instruction_sets() else "avx2"
    for threads, instructions in (("1", best), ("2", other), ("5", best)):
        command = [checkpoints[family], dtype, "native", threads, instructions]
        assert elsewhere(command) == here, f"{threads} threads, {instructions}"


def elsewhere(arguments: list[str | Path], environment: dict[str, str] | None = None) -> str:
    """The digest of the fixed workload in another process."""
    return subprocess.run(
        [sys.executable, "-m", "tests.same_bytes.workload", *arguments],
        env={**os.environ, **(environment or {})},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()

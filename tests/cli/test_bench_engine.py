"""Rounds on the toy lane under a clock that counts, and the command on rookie."""

import json
from itertools import count

import pytest
from typer.testing import CliRunner

from homerun.cli.bench.steps import Job, Measurement, Round, measure
from homerun.cli.main import app
from homerun.engine.lane import BLOCK_SIZE, Lane
from homerun.errors import ConfigurationError, GenerationFailed
from tests.engine.toy import VOCAB, lane

KEYS = {
    "phase", "model", "tokens_per_s", "tokens_per_s_min", "tokens_per_s_max", "step_ms",
    "step_ms_p90", "overhead_share", "bytes_streamed", "rss_bytes", "tokens", "context", "batch",
    "max_batch_tokens", "repeat", "dtype", "kv_dtype", "shape", "instruction_set", "machine",
    "homerun",
}  # fmt: skip


def toy(job: Job, **changes: object) -> Lane:
    limits: dict[str, object] = {
        "num_blocks": job.blocks,
        "block_size": BLOCK_SIZE,
        "max_batch_tokens": job.batch_tokens(32),
        "max_sequences": job.batch,
    }
    return lane(**{**limits, **changes})


def run(job: Job, own: Lane | None = None, repeat: int = 2) -> Measurement:
    """Every step takes one second."""
    seconds = count()
    own = own or toy(job)
    measured = measure(
        own, job, vocab_size=VOCAB - 1, repeat=repeat, clock=lambda: float(next(seconds))
    )
    own.check_integrity()
    assert not own.busy
    return measured


@pytest.mark.parametrize("context", [1, 15, 16, 17, 32, 40])
@pytest.mark.parametrize("batch", [1, 3, 40])
def test_decode_times_whole_batches_only(context: int, batch: int) -> None:
    measured = run(Job("decode", tokens=5, context=context, batch=batch))
    for one in measured.rounds:
        assert one.step_seconds == (1.0,) * 5
        assert one.tokens == 5 * batch
    assert measured.tokens_per_s == [batch, batch]


@pytest.mark.parametrize("context", [0, 16, 48])
@pytest.mark.parametrize("batch", [1, 3])
def test_prefill_times_the_prompts_beyond_the_context(context: int, batch: int) -> None:
    measured = run(Job("prefill", tokens=70, context=context, batch=batch))
    steps = -(-70 * batch // 32)
    for one in measured.rounds:
        assert one.tokens == 70 * batch
        assert one.step_seconds == (1.0,) * steps


def test_no_round_finds_the_prompts_of_another() -> None:
    """The cache has room for all of them, and still every token is computed."""
    job = Job("prefill", tokens=64, context=0, batch=2)
    measured = run(job, toy(job, num_blocks=200), repeat=4)
    assert [one.tokens for one in measured.rounds] == [128] * 4


def test_a_failing_model_is_an_error_not_a_figure() -> None:
    def fault(_: object) -> None:
        raise RuntimeError("broken kernel")

    job = Job("decode", tokens=4, context=16, batch=2)
    limits = {"num_blocks": job.blocks, "block_size": BLOCK_SIZE}
    with pytest.raises(GenerationFailed):
        run(job, lane(fault, **limits))


def test_figures_of_known_rounds() -> None:
    measured = Measurement(
        (
            Round(2.0, 1.5, (0.5, 1.5), 20),
            Round(4.0, 3.8, (1.0, 3.0), 20),
            Round(1.0, 0.5, (0.4, 0.6), 20),
        )
    )
    assert measured.tokens_per_s == [5.0, 10.0, 20.0]
    assert measured.overhead_share == pytest.approx(0.25)
    assert measured.step_ms(0.5) == pytest.approx(800.0)
    assert measured.step_ms(1.0) == pytest.approx(3000.0)


@pytest.mark.parametrize(
    ("phase", "tokens", "context", "batch"),
    [("decode", 1, 0, 1), ("prefill", 1, 8, 1), ("prefill", 0, 0, 1), ("decode", 1, 1, 0)],
)
def test_nonsense_is_refused(phase: str, tokens: int, context: int, batch: int) -> None:
    with pytest.raises(ConfigurationError):
        Job(phase, tokens, context, batch)  # type: ignore[arg-type]


# The command.


def bench(*arguments: str) -> str:
    small = ["--tokens", "4", "--context", "16", "--repeat", "1"]
    result = CliRunner().invoke(app, ["bench", "engine", *small, *arguments])
    assert result.exit_code == 0, result.exception
    return result.stdout


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_one_phase_is_one_flat_object(phase: str) -> None:
    values = json.loads(bench("--phase", phase, "--batch", "2", "--json"))
    assert set(values) == KEYS
    asked = {"phase": phase, "tokens": 4, "context": 16, "batch": 2, "repeat": 1}
    assert {name: values[name] for name in asked} == asked
    assert values["tokens_per_s_min"] <= values["tokens_per_s"] <= values["tokens_per_s_max"]
    assert 0 <= values["overhead_share"] <= 1
    shape = values["shape"]
    assert values["bytes_streamed"] > 2 * shape["vocab"] * shape["hidden"]
    assert values["rss_bytes"] > values["bytes_streamed"]


def test_both_phases_are_an_object_of_two() -> None:
    values = json.loads(bench("--json"))
    assert set(values) == {"prefill", "decode"}
    assert set(values["prefill"]) == set(values["decode"]) == KEYS


def test_table() -> None:
    lines = bench("--dtype", "int8").splitlines()
    assert lines[0].startswith("@homerun/rookie int8, KV bf16")
    assert [line.split()[0] for line in lines[2:5]] == ["phase", "prefill", "decode"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--phase", "nap"], "nap is not one of"),
        (["@cf/meta/llama-2-7b-chat-int8"], "weights of @cf/meta/llama-2-7b-chat-int8"),
        (["mine=/nonexistent"], "/nonexistent"),
        (["--dtype", "fp8"], "fp8"),
    ],
)
def test_bad_arguments_are_told_in_plain_words(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["bench", "engine", *arguments])
    assert result.exit_code != 0
    assert message in str(result.exception)

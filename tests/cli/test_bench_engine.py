"""Rounds on the toy lane under a clock that counts, and the command on rookie."""

import json
import math
import os
from collections.abc import Callable, Sequence
from itertools import chain, count, groupby, repeat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from homerun.cli.bench.steps import Instruments, Job, Measurement, Round, Work, measure
from homerun.cli.main import app
from homerun.engine.lane import BLOCK_SIZE, Lane
from homerun.engine.scheduler import Run
from homerun.errors import ConfigurationError, GenerationFailed
from homerun.native import native_available
from homerun.service.catalog import Catalog
from homerun.service.library import Library
from homerun.service.models import ROOKIE, ModelSpec, checkpoint_directory
from tests.engine.toy import VOCAB, adapter, lane

KEYS = {
    "phase", "model", "tokens_per_s", "tokens_per_s_min", "tokens_per_s_max", "step_ms",
    "step_ms_p90", "gb_per_s", "probe_gb_per_s", "probe_variation", "probe_steady",
    "rounds_repeated", "gmac_per_s", "prefill_gmac_per_s", "peak_gmac_per_s",
    "peak_amx_gmac_per_s", "overhead_share", "bytes_streamed", "rss_bytes", "rss_above_bytes",
    "kv_bytes", "ready_seconds", "tokens", "context", "batch", "max_batch_tokens", "repeat",
    "dtype", "kv_dtype", "shape", "threads", "instruction_set", "machine", "homerun",
}  # fmt: skip


def toy(job: Job, **changes: object) -> Lane:
    limits: dict[str, object] = {
        "num_blocks": job.blocks,
        "block_size": BLOCK_SIZE,
        "max_batch_tokens": job.batch_tokens(32),
        "max_sequences": job.batch,
    }
    return lane(**{**limits, **changes})


def run(job: Job, own: Lane | None = None, repeat: int = 2, **instruments: Any) -> Measurement:
    """Every step takes one second."""
    seconds = count()
    own = own or toy(job)
    watched = Instruments(clock=lambda: float(next(seconds)), **instruments)
    measured = measure(own, job, vocab_size=VOCAB - 1, repeat=repeat, instruments=watched)
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


def test_rounds_with_adapters_take_turns_with_the_base_model() -> None:
    job = Job("prefill", tokens=33, context=16, batch=3)
    seconds, own = count(), toy(job)
    watched = Instruments(clock=lambda: float(next(seconds)))
    used: list[set[str]] = []
    forward = own._runner.forward

    def watch(runs: Sequence[Run]) -> object:
        used.append({run.sequence.request.adapter.version for run in runs if run.sequence.adapter})
        return forward(runs)

    own._runner.forward = watch  # type: ignore[method-assign]
    measured = measure(
        own,
        job,
        vocab_size=VOCAB - 1,
        repeat=2,
        instruments=watched,
        adapters=[adapter(1), adapter(2)],
    )
    assert (len(measured.rounds), len(measured.base_rounds)) == (2, 2)
    assert measured.base_ratio == 1.0
    with_adapters = [bool(some) for some in used]
    assert [kind for kind, _ in groupby(with_adapters)] == [True, False, True, False, True]
    assert set().union(*used) == {"01", "02"}


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


def readings(*values: float) -> Callable[[], float]:
    """A probe that gives these, and the last one for ever."""
    return chain(values, repeat(values[-1])).__next__


def test_a_probe_is_taken_before_between_and_after_the_steps() -> None:
    job = Job("decode", tokens=5, context=16, batch=2)
    measured = run(job, probe=readings(10.0))
    for one in measured.rounds:
        assert one.probes == (10.0,) * 6
        assert one.seconds == 5.0  # no probe's
    assert (measured.probe_gb_per_s, measured.probe_variation) == (10.0, 0.0)


def test_long_rounds_are_probed_now_and_then() -> None:
    measured = run(Job("decode", tokens=100, context=16, batch=1), probe=readings(10.0))
    assert {len(one.probes) for one in measured.rounds} == {26}


def test_a_round_with_an_unsteady_probe_is_repeated_and_told() -> None:
    job = Job("decode", tokens=3, context=16, batch=1)
    dropped, steady, unsteady = (10.0,) * 4, (10.0,) * 4, (10.0, 10.0, 6.0, 6.0)
    values = (*dropped, *unsteady, *steady, *unsteady, *steady)
    measured = run(job, probe=readings(*values), repeats_unsteady=True)
    assert measured.repeated == 2
    assert measured.probe_variation == 0.0
    assert len(run(job, probe=readings(*values)).rounds) == 2


def test_a_machine_that_is_never_steady_does_not_go_on_for_ever() -> None:
    calm_and_busy = count()
    measured = run(
        Job("decode", tokens=3, context=16, batch=1),
        probe=lambda: 5.0 + next(calm_and_busy) % 2,
        repeats_unsteady=True,
    )
    assert (len(measured.rounds), measured.repeated) == (2, 2)
    assert measured.probe_variation > 0.15


def test_what_the_kernels_did_is_counted_in_the_timed_steps() -> None:
    """Every look at the counters finds half a second more in kernels, half of it in linears."""
    looks = count()

    def work() -> Work:
        half = next(looks) / 2
        return Work(half, half / 2, half * 4e9)

    measured = run(Job("decode", tokens=4, context=16, batch=1), work=work)
    assert measured.overhead_share == pytest.approx(0.5)
    assert measured.linear_gmac_per_s == pytest.approx(8.0)
    assert measured.step_gmac_per_s == pytest.approx(2.0)


def test_without_kernels_overhead_is_the_time_outside_the_model() -> None:
    measured = Measurement((Round(2.0, 1.5, (0.5, 1.5), 20),))
    assert measured.overhead_share == pytest.approx(0.25)
    assert (measured.linear_gmac_per_s, measured.probe_gb_per_s) == (None, None)


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
    assert 0 < values["rss_above_bytes"] <= values["rss_bytes"] - values["kv_bytes"]
    assert 0 < values["ready_seconds"] < 3600
    assert values["gb_per_s"] > 0
    limits = [values["probe_gb_per_s"], values["peak_gmac_per_s"], values["threads"]]
    assert all(value and value > 0 for value in limits) == native_available()


def test_bytes_streamed_are_those_of_the_padded_panels() -> None:
    shape = json.loads(bench("--phase", "decode", "--dtype", "int8", "--json"))
    sizes = shape["shape"]
    hidden, inner = sizes["hidden"], sizes["intermediate"]
    kv = 2 * sizes["kv_heads"] * sizes["head_dim"]
    matrices = sizes["layers"] * [
        (hidden + kv, hidden), (hidden, hidden), (2 * inner, hidden), (hidden, inner)
    ]  # fmt: skip
    matrices.append((sizes["vocab"], hidden))
    padded = [(math.ceil(n / 32) * 32, math.ceil(k / 64) * 64) for n, k in matrices]
    assert shape["bytes_streamed"] == sum(n * k + 4 * n for n, k in padded)


def test_random_weights_are_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMERUN_BENCH_DIR", str(tmp_path))
    arguments = ("--shape", "rookie", "--dtype", "int8", "--phase", "decode", "--json")
    values = json.loads(bench(*arguments))
    (directory,) = tmp_path.iterdir()
    written = (directory / "model.homerun").stat()
    assert values["model"] == "rookie"
    assert (values["dtype"], values["kv_dtype"]) == ("int8", "bf16")
    assert written.st_size > values["bytes_streamed"]
    bench(*arguments)
    assert (directory / "model.homerun").stat().st_mtime_ns == written.st_mtime_ns
    # Of another shape by the same name: from before it changed.
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 6}))
    assert json.loads(bench(*arguments))["shape"] == values["shape"]
    assert (directory / "model.homerun").stat().st_mtime_ns > written.st_mtime_ns
    # Without its end, as after a power cut; and without the file.
    whole = (directory / "model.homerun").read_bytes()
    (directory / "model.homerun").write_bytes(whole[:-1000])
    bench(*arguments)
    (directory / "model.homerun").unlink()
    bench(*arguments)
    assert (directory / "model.homerun").read_bytes() == whole
    # Complete, but with other bytes: nobody knows why, so nobody deletes it.
    (directory / "model.homerun").write_bytes(whole[:-64] + bytes(64))
    result = CliRunner().invoke(app, ["bench", "engine", *arguments])
    assert f"delete {directory}, and it is written anew" in str(result.exception)


def test_what_a_killed_writer_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMERUN_BENCH_DIR", str(tmp_path))
    left, fresh, other = (
        tmp_path / name for name in (".rookie-int8-v1-a", ".rookie-int8-v1-b", ".x")
    )
    for path in (left, fresh, other):
        path.mkdir()
        (path / "part").touch()
        for one in (path / "part", path):
            os.utime(one, times=(0, 0) if path is not fresh else None)
    bench("--shape", "rookie", "--dtype", "int8", "--phase", "decode")
    assert [path.exists() for path in (left, fresh, other)] == [False, True, True]


def test_an_imported_model_is_measured_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the dtype it was imported with."""
    monkeypatch.setenv("HOMERUN_HOME", str(tmp_path))
    rookie = checkpoint_directory(ModelSpec(ROOKIE), Catalog.load().get(ROOKIE))
    Library(tmp_path).add("mine", rookie, "bf16")
    values = json.loads(bench("mine", "--phase", "decode", "--json"))
    assert (values["model"], values["dtype"]) == ("mine", "bf16")


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
        (["--adapters", "8", "--rank", "300"], "a --rank between 1 and 256"),
        (["--adapters", "8", "--adapter-targets", "some"], "one of attention, all"),
        (["--shape", "llama-3-70b"], "llama-3-70b is not one of"),
        (["--shape", "rookie", "--dtype", "fp32"], "--shape is one of int8, bf16, fp16"),
        (["@homerun/rookie", "--shape", "rookie"], "leave out @homerun/rookie"),
        (["--batch", "100000000"], "the KV cache of this prefill needs"),
        (["--tokens", "10000000000", "--phase", "decode"], "take a smaller --batch, fewer"),
    ],
)
def test_bad_arguments_are_told_in_plain_words(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["bench", "engine", *arguments])
    assert result.exit_code != 0
    assert message in str(result.exception)

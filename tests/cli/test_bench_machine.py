"""`homerun bench machine`: the limits of this machine, and results held against them."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from homerun.cli.bench import limits, standing
from homerun.cli.bench.limits import Limits
from homerun.cli.bench.machine import caches, process_seconds, resident_bytes
from homerun.cli.main import app
from homerun.native import native_available

RESULT: dict[str, Any] = {
    "phase": "decode", "model": "llama-1.1b", "dtype": "int8", "batch": 8, "context": 512,
    "tokens_per_s": 100.0, "step_ms": 80.0, "gb_per_s": 15.0, "probe_gb_per_s": 20.0,
    "gmac_per_s": 300.0, "prefill_gmac_per_s": 200.0, "peak_gmac_per_s": 400.0,
    "peak_amx_gmac_per_s": 1000.0, "overhead_share": 0.04,
}  # fmt: skip


@pytest.fixture(autouse=True)
def known_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Limits("avx2", 4, 20.0, {"int8": 400.0, "fp32": 50.0})
    monkeypatch.setattr(standing, "measured_limits", lambda: known)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["bench", "machine", *arguments])
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_limits_alone() -> None:
    text = run()
    assert "in use: avx2, 4 threads" in text
    assert text.splitlines()[-3].split() == ["reading", "memory", "20.0", "GB/s"]
    assert "tokens/s" not in text


def test_results_stand_against_their_own_limits(tmp_path: Path) -> None:
    one, both = tmp_path / "one.json", tmp_path / "both.json"
    one.write_text(json.dumps(RESULT))
    both.write_text(json.dumps({"prefill": {**RESULT, "phase": "prefill"}, "decode": RESULT}))
    lines = run(str(one), str(both)).splitlines()
    rows = [line for line in lines if line.startswith("llama-1.1b int8")]
    assert len(rows) == 3
    assert rows[0].split()[-6:] == ["80.0", "75.0", "75.0", "30.0", "50.0", "4.0"]
    values = json.loads(run("--json", str(one)))
    assert values["limits"]["probe_gb_per_s"] == 20.0
    assert values["results"][0]["linears"] == 0.75


def test_an_unsteady_machine_is_told(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps({**RESULT, "probe_steady": True, "probe_variation": 0.1}))
    assert "measure again" not in run(str(path))
    path.write_text(json.dumps({**RESULT, "probe_steady": False, "probe_variation": 0.4}))
    assert "decode: the probe of the memory varied by 40%" in run(str(path))


def test_a_result_of_numpy_has_no_shares() -> None:
    missing = dict.fromkeys(("probe_gb_per_s", "gmac_per_s", "prefill_gmac_per_s"))
    shares = standing.standing({**RESULT, **missing})
    assert shares.pop("overhead") == 0.04
    assert set(shares.values()) == {None}


@pytest.mark.parametrize("text", ["", "[]", "{", "3"])
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "result.json"
    path.write_text(text)
    result = CliRunner().invoke(app, ["bench", "machine", str(path)])
    assert result.exit_code != 0
    assert str(path) in str(result.exception)


def test_bench_alone_measures_rookie_too() -> None:
    result = CliRunner().invoke(app, ["bench"])
    assert result.exit_code == 0, result.exception
    assert "in use: avx2" in result.stdout
    assert "@homerun/rookie fp16 decode, batch 1" in result.stdout


def test_there_are_no_limits_without_the_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("homerun.native._native", None)
    found = limits.measured_limits()
    assert (found.threads, found.probe_gb_per_s, found.peak_gmac_per_s) == (None, None, {})


@pytest.mark.skipif(not native_available(), reason="the C++ extension is not built")
def test_a_probe_of_a_file_is_resident_afterwards(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1 << 20))
    probe = limits.Probe.of_file(tmp_path / "file")
    assert probe() > 0
    assert resident_bytes(tmp_path) in (0, 1 << 20)  # 0 where there is no smaps
    assert resident_bytes(tmp_path / "file") == 0


def test_facts_of_the_system() -> None:
    assert process_seconds() >= 0
    assert all(cache.startswith("L") for cache in caches())

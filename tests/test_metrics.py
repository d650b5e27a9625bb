"""Metrics: names, bounded labels, several servers in one process."""

from homerun.metrics import Metrics

NAMES = {
    *("requests_total", "request_seconds", "time_to_first_token_seconds", "queue_seconds"),
    *("inter_token_seconds", "prompt_tokens_total", "cached_prompt_tokens_total"),
    *("completion_tokens_total", "running", "waiting", "kv_blocks", "preemptions_total"),
    *("drafted_tokens_total", "accepted_tokens_total"),
    *("engine_step_seconds", "batch_size", "cancelled_total", "rejected_total"),
    *("loop_lag_seconds", "build_info"),
}


def exercise(metrics: Metrics, model: str, reason: str) -> str:
    metrics.request(model, 200, None, 0.1)
    metrics.first_token(model, 0.01)
    metrics.tokens(model, 5, 2, 3)
    metrics.queued(model, 0.001)
    metrics.inter_token(model, 0.002)
    metrics.cancelled(reason)
    metrics.rejected(reason)
    metrics.loop_lag(0.001)
    metrics.step(model, seconds=0.01, sequences=3, preempted=1, drafted=6, accepted=2)
    metrics.load(model, running=3, waiting=1, free_blocks=6, total_blocks=10)
    return metrics.render().decode()


def test_the_names_are_there():
    text = exercise(Metrics("1.2", ["a/b"], instruction_set="avx2"), "a/b", "drain")
    documented = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert {f"homerun_{name}" for name in NAMES} <= documented
    assert 'homerun_kv_blocks{model="a/b",state="used"} 4.0' in text
    assert 'homerun_drafted_tokens_total{model="a/b"} 6.0' in text
    assert 'homerun_accepted_tokens_total{model="a/b"} 2.0' in text
    assert 'homerun_build_info{instruction_set="avx2",version="1.2"} 1.0' in text
    assert 'homerun_cancelled_total{reason="drain"} 1.0' in text


def test_labels_are_bounded():
    metrics = Metrics("1", ["known"])
    for number in range(50):
        text = exercise(metrics, f"model-{number}", f"reason-{number}")
    assert "model-" not in text
    assert "reason-" not in text
    assert 'homerun_requests_total{code="200",internal_code="0",model="other"} 50.0' in text
    assert 'homerun_cancelled_total{reason="other"} 50.0' in text


def test_two_servers_do_not_share_numbers():
    first, second = Metrics("1", ["m"]), Metrics("1", ["m"])
    exercise(first, "m", "drain")
    assert 'homerun_cancelled_total{reason="drain"}' not in second.render().decode()

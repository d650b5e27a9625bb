"""Everything the server counts, in Prometheus' terms. Knows names and labels, not who measures.

Engine and service call the plain methods; every method may be called from any thread. Labels are
bounded: a model or reason that was not announced is counted as "other".
"""

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
OTHER = "other"

# Finer below 300 ms than is usual: that is where a small model on a CPU lives.
_REQUEST_BUCKETS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 600),
)
_TOKEN_BUCKETS = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05),
    *(0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2.5, 5, 10),
)
_BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)

CANCEL_REASONS = frozenset({"disconnect", "drain", "error"})
REJECT_REASONS = frozenset({"queue_full", "draining", "queue_timeout", "too_large"})


class _OfModel(NamedTuple):
    """What is counted for every step or token of one model: looked up by its label once."""

    inter_token_seconds: Histogram
    step_seconds: Histogram
    batch_size: Histogram
    preemptions: Counter
    drafted_tokens: Counter
    accepted_tokens: Counter


class Metrics:
    """One server's metrics on a registry of its own. Times are seconds."""

    def __init__(
        self, version: str, models: Iterable[str] = (), *, instruction_set: str = ""
    ) -> None:
        """`models`: the names that may become labels. `instruction_set`: what arithmetic runs."""
        self._models = frozenset(models)
        self._models_seen: dict[str, _OfModel] = {}
        self._registry = CollectorRegistry()
        self._requests = self._counter(
            "requests", "Answered requests", "model", "code", "internal_code"
        )
        self._request_seconds = self._histogram(
            "request_seconds", "Request read to answer sent", _REQUEST_BUCKETS, "model"
        )
        self._first_token_seconds = self._histogram(
            "time_to_first_token_seconds", "Request read to first text", _REQUEST_BUCKETS, "model"
        )
        self._queue_seconds = self._histogram(
            "queue_seconds", "Arrival to first step", _REQUEST_BUCKETS, "model"
        )
        self._inter_token_seconds = self._histogram(
            "inter_token_seconds", "Token to token within one request", _TOKEN_BUCKETS, "model"
        )
        self._prompt_tokens = self._counter("prompt_tokens", "Tokens of prompts", "model")
        self._cached_tokens = self._counter(
            "cached_prompt_tokens", "Tokens of prompts found in the prefix cache", "model"
        )
        self._completion_tokens = self._counter("completion_tokens", "Tokens generated", "model")
        self._running = self._gauge("running", "Sequences in the batch", "model")
        self._waiting = self._gauge("waiting", "Requests waiting for their first step", "model")
        self._kv_blocks = self._gauge("kv_blocks", "Blocks of the KV cache", "model", "state")
        self._preemptions = self._counter(
            "preemptions", "Sequences put back for want of blocks", "model"
        )
        self._drafted_tokens = self._counter(
            "drafted_tokens", "Tokens computed on the chance that they come next", "model"
        )
        self._accepted_tokens = self._counter(
            "accepted_tokens", "Drafted tokens that turned out to be the answer's", "model"
        )
        self._step_seconds = self._histogram(
            "engine_step_seconds", "One engine step", _TOKEN_BUCKETS, "model"
        )
        self._batch_size = self._histogram(
            "batch_size", "Sequences in one engine step", _BATCH_BUCKETS, "model"
        )
        self._adapters = self._gauge("adapters", "LoRA adapters in memory", "model")
        self._adapter_bytes = self._gauge(
            "adapter_bytes", "Memory of LoRA adapters, those being loaded included", "model"
        )
        self._adapter_waiting = self._gauge(
            "adapter_waiting", "Requests waiting for their LoRA adapter", "model"
        )
        self._adapter_requests = self._counter(
            "adapter_requests",
            "Requests for a LoRA adapter, by where it was found",
            "model",
            "found",
        )
        self._adapter_loads = self._counter(
            "adapter_loads", "Loads of LoRA adapters", "model", "outcome"
        )
        self._adapter_evictions = self._counter(
            "adapter_evictions", "LoRA adapters given up for others", "model"
        )
        self._adapter_load_seconds = self._histogram(
            "adapter_load_seconds",
            "Mapping and checking of one LoRA adapter",
            _REQUEST_BUCKETS,
            "model",
        )
        self._cancelled = self._counter(
            "cancelled", "Requests ended before they were done", "reason"
        )
        self._rejected = self._counter("rejected", "Requests not taken in", "reason")
        self._loop_lag_seconds = self._histogram(
            "loop_lag_seconds", "How late the event loop woke up", _LAG_BUCKETS
        )
        about = self._gauge("build_info", "Always 1; the labels tell", "version", "instruction_set")
        about.labels(version, instruction_set).set(1)

    # Called by the HTTP edge, once per request.

    def request(
        self, model: str | None, status: int, internal_code: int | None, seconds: float
    ) -> None:
        """One request. `status` 0: no answer was begun; `internal_code`: the error's, else None."""
        name = self._model(model)
        self._requests.labels(name, str(status), str(internal_code or 0)).inc()
        self._request_seconds.labels(name).observe(seconds)

    def first_token(self, model: str | None, seconds: float) -> None:
        """Time from the request to its first text."""
        self._first_token_seconds.labels(self._model(model)).observe(seconds)

    def tokens(self, model: str | None, prompt: int, cached: int, completion: int) -> None:
        """Usage of one request, whether it finished or was ended; `cached` is part of `prompt`."""
        name = self._model(model)
        self._prompt_tokens.labels(name).inc(prompt)
        self._cached_tokens.labels(name).inc(cached)
        self._completion_tokens.labels(name).inc(completion)

    def loop_lag(self, seconds: float) -> None:
        """How much later than asked the event loop woke a sleeper."""
        self._loop_lag_seconds.observe(seconds)

    # Called by the service.

    def queued(self, model: str, seconds: float) -> None:
        """A request waited so long for its first step."""
        self._queue_seconds.labels(self._model(model)).observe(seconds)

    def inter_token(self, model: str, seconds: float) -> None:
        """Time between two tokens of one request."""
        self._of_model(model).inter_token_seconds.observe(seconds)

    def cancelled(self, reason: str) -> None:
        """A request that was taken in and ended early; `reason` from `CANCEL_REASONS`."""
        self._cancelled.labels(reason if reason in CANCEL_REASONS else OTHER).inc()

    def rejected(self, reason: str) -> None:
        """A request that was not taken in; `reason` from `REJECT_REASONS`."""
        self._rejected.labels(reason if reason in REJECT_REASONS else OTHER).inc()

    # Called with the statistics of each engine step.

    def step(
        self,
        model: str,
        *,
        seconds: float,
        sequences: int,
        preempted: int,
        drafted: int,
        accepted: int,
    ) -> None:
        """One engine step of one model."""
        of = self._of_model(model)
        of.step_seconds.observe(seconds)
        of.batch_size.observe(sequences)
        if preempted:
            of.preemptions.inc(preempted)
        if drafted:
            of.drafted_tokens.inc(drafted)
            of.accepted_tokens.inc(accepted)

    def adapters(
        self,
        model: str,
        *,
        load_seconds: Iterable[float],
        failures: int,
        evictions: int,
        hits: int,
        misses: int,
    ) -> None:
        """What happened to one model's adapters since the last call."""
        name = self._model(model)
        for seconds in load_seconds:
            self._adapter_loads.labels(name, "loaded").inc()
            self._adapter_load_seconds.labels(name).observe(seconds)
        for counter, count in (
            (self._adapter_loads.labels(name, "failed"), failures),
            (self._adapter_evictions.labels(name), evictions),
            (self._adapter_requests.labels(name, "memory"), hits),
            (self._adapter_requests.labels(name, "disk"), misses),
        ):
            if count:
                counter.inc(count)

    # Called before `render`.

    def adapter_load(self, model: str, *, resident: int, resident_bytes: int, waiting: int) -> None:
        """What one model's adapters take at this moment, and who waits for one."""
        name = self._model(model)
        self._adapters.labels(name).set(resident)
        self._adapter_bytes.labels(name).set(resident_bytes)
        self._adapter_waiting.labels(name).set(waiting)

    def load(
        self, model: str, *, running: int, waiting: int, free_blocks: int, total_blocks: int
    ) -> None:
        """How full the engine is with one model at this moment."""
        name = self._model(model)
        self._running.labels(name).set(running)
        self._waiting.labels(name).set(waiting)
        self._kv_blocks.labels(name, "free").set(free_blocks)
        self._kv_blocks.labels(name, "used").set(total_blocks - free_blocks)

    def render(self) -> bytes:
        """Everything in the Prometheus text format, version 0.0.4."""
        return generate_latest(self._registry)

    def _of_model(self, model: str) -> "_OfModel":
        name = self._model(model)
        found = self._models_seen.get(name)
        if found is None:
            found = self._models_seen[name] = _OfModel(
                self._inter_token_seconds.labels(name),
                self._step_seconds.labels(name),
                self._batch_size.labels(name),
                self._preemptions.labels(name),
                self._drafted_tokens.labels(name),
                self._accepted_tokens.labels(name),
            )
        return found

    def _model(self, model: str | None) -> str:
        return model if model in self._models else OTHER

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace="homerun", registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace="homerun", registry=self._registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            name, text, labels, namespace="homerun", registry=self._registry, buckets=buckets
        )

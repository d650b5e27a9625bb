"""`homerun bench engine`: prefill and decode of one model through a lane, without HTTP."""

import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from homerun import __version__
from homerun.cli.bench.adapters import Adapters, random_adapters
from homerun.cli.bench.figures import rounded, table, unsteady_lines
from homerun.cli.bench.limits import Probe, amx_peak, peak, peak_kind, work_done
from homerun.cli.bench.machine import machine, process_seconds, resident_bytes, rss_bytes
from homerun.cli.bench.shapes import random_model
from homerun.cli.bench.steps import PROBE_VARIATION, Instruments, Job, Measurement, measure
from homerun.engine.lane import BLOCK_SIZE, LaneLimits
from homerun.engine.sequence import AdapterRef
from homerun.errors import CheckpointError
from homerun.model.config import ModelConfig, read_config
from homerun.model.dtypes import DType, chosen_dtype
from homerun.model.kv_cache import KVCache
from homerun.model.loader import LoadedModel, load_model
from homerun.model.memory import check_fits
from homerun.model.packed_file import has_packed_file, read_facts
from homerun.model.packed_header import IMPORT_AGAIN
from homerun.model.packing import panels_shape, scales_shape, stored_type
from homerun.model.quantize import DEFAULT_GROUPS
from homerun.model.weight_source import parts
from homerun.native import configure, native_available, threads
from homerun.service.catalog import Catalog
from homerun.service.models import (
    ROOKIE,
    ModelSpec,
    checkpoint_directory,
    chosen_kv_dtype,
    make_lane,
)
from homerun.settings import Settings

STEADY_BYTES = 1 << 28
"""Files below stay in caches, where a probe says little of the machine's mood."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured."""

    name: str
    directory: Path
    model: LoadedModel
    load_seconds: float
    """From the start of the process to the loaded model, without the writing of random weights."""


def engine(
    model: str | None,
    shape: str | None,
    jobs: Sequence[Job],
    settings: Settings,
    *,
    repeat: int,
    adapters: Adapters | None = None,
) -> list[dict[str, Any]]:
    """The results of the jobs, in order: of the model (rookie), or of random weights of a shape.

    With `adapters` also without them in turn. Raises HomerunError.
    """
    started = process_seconds()
    configure(settings.threads, settings.instruction_set)
    dtype = chosen_dtype("--dtype", settings.dtype)
    if shape is not None:
        name, dtype = shape, dtype or "int8"
        directory = random_model(shape, dtype, settings)
    else:
        spec = ModelSpec.parse(model or ROOKIE)
        known = Catalog.load().get(spec.name)
        name, directory = spec.name, checkpoint_directory(spec, known, settings.home)
        if known is not None and not has_packed_file(directory):
            dtype = dtype or known.dtype
    _check_sizes(jobs, directory, dtype, settings)
    longest = max(job.positions for job in jobs)
    began = time.perf_counter()
    try:
        loaded = load_model(directory, dtype=dtype, max_model_len=longest)
    except CheckpointError as error:
        if shape is None or IMPORT_AGAIN not in str(error):
            raise
        remedy = f"delete {directory}, and it is written anew"
        raise CheckpointError(str(error).replace(IMPORT_AGAIN, remedy)) from None
    subject = Subject(name, directory, loaded, started + time.perf_counter() - began)
    refs = random_adapters(loaded.config, adapters, settings) if adapters else ()
    return [_measured(subject, job, settings, repeat, adapters, refs) for job in jobs]


def show(results: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """A table or one JSON object: one job's is its result, several are results by phase."""
    if not as_json:
        print(_table(results))
    elif len(results) == 1:
        print(json.dumps(results[0]))
    else:
        print(json.dumps({result["phase"]: result for result in results}))


def weight_bytes(config: ModelConfig, weight_group: int) -> int:
    """Packed bytes of weights that a step reads: every matrix once, of the embedding nothing.

    Norms and the cache are left out. int8 has a scale per channel and `weight_group`, see
    `quantize`.
    """
    size = 0
    for part in parts(config):
        if part.kind == "matrix":
            n, k = part.shape
            panels = math.prod(panels_shape(config.dtype, n, k))
            size += panels * stored_type(config.dtype).itemsize
            size += 4 * math.prod(scales_shape(n, k, weight_group)) if config.dtype == "int8" else 0
    return size


def _check_sizes(
    jobs: Sequence[Job], directory: Path, dtype: DType | None, settings: Settings
) -> None:
    """Raises CheckpointError for a job whose KV cache the memory cannot hold."""
    config = read_config(directory)
    if has_packed_file(directory):
        dtype = read_facts(directory).dtype
    config = replace(config, dtype=dtype or config.dtype)
    kv_dtype = chosen_kv_dtype(settings, config)
    for job in jobs:
        size = job.blocks * KVCache.bytes_per_block(config, BLOCK_SIZE, kv_dtype)
        remedy = "take a smaller --batch, fewer --tokens or a shorter --context"
        check_fits(f"the KV cache of this {job.phase}", size, remedy)


def _measured(
    subject: Subject,
    job: Job,
    settings: Settings,
    repeat: int,
    adapters: Adapters | None,
    refs: Sequence[AdapterRef],
) -> dict[str, Any]:
    config = subject.model.config
    kv_dtype = chosen_kv_dtype(settings, config)
    kv_bytes = job.blocks * KVCache.bytes_per_block(config, BLOCK_SIZE, kv_dtype)
    limits = LaneLimits(
        num_blocks=job.blocks,  # a cache that holds exactly the job
        max_batch_tokens=job.batch_tokens(settings.max_batch_tokens),
        max_sequences=job.batch,
        queue_timeout=math.inf,
        max_draft_rows=0,  # random prompts say nothing of how often drafts are right
    )
    began = time.perf_counter()
    room = sum(ref.nbytes for ref in refs) or None
    lane = make_lane(subject.name, subject.model, kv_dtype, limits, room)
    ready = subject.load_seconds + time.perf_counter() - began
    probe = _probe(subject)
    measured = measure(
        lane,
        job,
        vocab_size=config.vocab_size,
        repeat=repeat,
        rope_variant=int(job.positions > config.max_position_embeddings),
        instruments=Instruments(
            work=work_done,
            probe=probe,
            repeats_unsteady=probe is not None and probe.size >= STEADY_BYTES,
        ),
        adapters=refs,
    )
    rss = rss_bytes()
    packed = subject.model.packed
    group = packed.header.facts.weight_group if packed else DEFAULT_GROUPS[0]
    streamed = weight_bytes(config, group)
    largest = max(math.prod(part.shape) for part in parts(config) if part.kind == "matrix")
    return {
        "phase": job.phase,
        "model": subject.name,
        **figures(measured, streamed),
        **(_adapter_figures(measured, adapters, refs) if adapters else {}),
        "peak_gmac_per_s": rounded(peak(peak_kind(config.dtype))),
        "peak_amx_gmac_per_s": rounded(amx_peak(config.dtype, largest)),
        "bytes_streamed": streamed,
        "rss_bytes": rss,
        "rss_above_bytes": rss - resident_bytes(subject.directory) - kv_bytes,
        "kv_bytes": kv_bytes,
        "ready_seconds": rounded(ready),
        "tokens": job.tokens,
        "context": job.context,
        "batch": job.batch,
        "max_batch_tokens": limits.max_batch_tokens,
        "repeat": repeat,
        "dtype": config.dtype,
        "kv_dtype": kv_dtype,
        "shape": {
            "family": config.family,
            "layers": config.num_layers,
            "hidden": config.hidden_size,
            "intermediate": config.intermediate_size,
            "heads": config.num_heads,
            "kv_heads": config.num_kv_heads,
            "head_dim": config.head_dim,
            "vocab": config.vocab_size,
        },
        "threads": threads(),
        "instruction_set": subject.model.instruction_set,
        "machine": machine(),
        "homerun": __version__,
    }


def figures(measured: Measurement, streamed: int) -> dict[str, Any]:
    """The measured part of a result; a step reads `streamed` bytes of weights.

    Medians are over rounds, steps over all rounds.
    """
    rates = measured.tokens_per_s
    middle = len(rates) // 2
    median = rates[middle] if len(rates) % 2 else (rates[middle - 1] + rates[middle]) / 2
    step_ms = measured.step_ms(0.5)
    return {
        "tokens_per_s": rounded(median),
        "tokens_per_s_min": rounded(rates[0]),
        "tokens_per_s_max": rounded(rates[-1]),
        "step_ms": rounded(step_ms),
        "step_ms_p90": rounded(measured.step_ms(0.9)),
        "gb_per_s": rounded(streamed / step_ms * 1e-6),
        "probe_gb_per_s": rounded(measured.probe_gb_per_s),
        "probe_variation": rounded(measured.probe_variation) if measured.probes else None,
        "probe_steady": measured.probe_variation <= PROBE_VARIATION if measured.probes else None,
        "rounds_repeated": measured.repeated,
        "gmac_per_s": rounded(measured.linear_gmac_per_s),
        "prefill_gmac_per_s": rounded(measured.step_gmac_per_s),
        "overhead_share": rounded(measured.overhead_share),
    }


def _adapter_figures(
    measured: Measurement, adapters: Adapters, refs: Sequence[AdapterRef]
) -> dict[str, Any]:
    """The other figures are of the rounds with adapters."""
    base = Measurement(measured.base_rounds)
    return {
        "adapters": adapters.count,
        "rank": adapters.rank,
        "adapter_targets": adapters.targets,
        "adapter_bytes": sum(ref.nbytes for ref in refs),
        "base_tokens_per_s": rounded(statistics.median(base.tokens_per_s)),
        "base_step_ms": rounded(base.step_ms(0.5)),
        "ratio_to_base": rounded(measured.base_ratio),
    }


def _probe(subject: Subject) -> Probe | None:
    """Of the mapped weights; where they were converted, of the largest file, which holds them."""
    if not native_available():
        return None
    if subject.model.packed is not None:
        return Probe(subject.model.packed.data.data)
    files = [path for path in subject.directory.iterdir() if path.is_file()]
    return Probe.of_file(max(files, key=lambda path: path.stat().st_size))


def _table(results: Sequence[dict[str, Any]]) -> str:
    first = results[0]
    about = (
        f"{first['model']} {first['dtype']}, KV {first['kv_dtype']}, {first['instruction_set']} "
        f"on {first['machine']['usable_cpus']} CPUs ({first['machine']['cpu']})"
    )
    header = ("phase", "tokens", "context", "batch", "tokens/s", "min", "max")
    keys = ("phase", "tokens", "context", "batch")
    keys += ("tokens_per_s", "tokens_per_s_min", "tokens_per_s_max")
    steps = ("step_ms", "step_ms_p90")
    rows = [(*header, "step ms", "p90", "overhead %")]
    rows += [
        (*(one[key] for key in (*keys, *steps)), one["overhead_share"] * 100) for one in results
    ]
    unsteady = unsteady_lines(results)
    memory = f"RSS {first['rss_bytes'] / 1e6:,.0f} MB, ready after {first['ready_seconds']:.2f} s"
    return f"{about}\n\n{table(rows)}\n\n{_adapter_lines(results)}{unsteady}{memory}"


def _adapter_lines(results: Sequence[dict[str, Any]]) -> str:
    return "".join(
        f"{one['phase']} with {one['adapters']} adapters of rank {one['rank']} "
        f"({one['adapter_targets']}): {one['ratio_to_base']:.1%} of the base model's "
        f"{one['base_tokens_per_s']:,.4g} tokens/s\n"
        for one in results
        if "adapters" in one
    )

"""`homerun bench engine`: prefill and decode of one checkpoint through a lane, without HTTP."""

import json
import math
from collections.abc import Sequence
from typing import Any

from homerun import __version__
from homerun.cli.bench.figures import rounded, table
from homerun.cli.bench.machine import machine, rss_bytes
from homerun.cli.bench.steps import Job, Measurement, measure
from homerun.engine.lane import LaneLimits
from homerun.model.config import ModelConfig
from homerun.model.loader import LoadedModel, load_model
from homerun.model.weights import EMBEDDING, expected_shapes
from homerun.service.catalog import Catalog
from homerun.service.models import (
    ModelSpec,
    checkpoint_directory,
    chosen_kv_dtype,
    make_lane,
)
from homerun.settings import Settings

ELEMENT_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}


def engine(
    model: str, jobs: Sequence[Job], settings: Settings, *, repeat: int, as_json: bool
) -> None:
    """Measures the jobs one after the other and prints a table or one JSON object.

    One job's object is its result; several are an object of results by phase. Raises HomerunError.
    """
    spec = ModelSpec.parse(model)
    known = Catalog.load().get(spec.name)
    directory, dtype = checkpoint_directory(spec, known), known.dtype if known else None
    longest = max(job.positions for job in jobs)
    loaded = load_model(directory, dtype=settings.dtype or dtype, max_model_len=longest)
    results = [_measured(spec.name, loaded, job, settings, repeat) for job in jobs]
    if not as_json:
        print(_table(results))
    elif len(results) == 1:
        print(json.dumps(results[0]))
    else:
        print(json.dumps({result["phase"]: result for result in results}))


def weight_bytes(config: ModelConfig) -> int:
    """Bytes of weights that a step reads: every matrix once, of the embedding table nothing.

    Counted from the shapes, with a float32 scale per row for int8; norms and the cache are left
    out.
    """
    shapes = expected_shapes(config)
    embedding = shapes.pop(EMBEDDING)
    matrices: list[tuple[int, ...]] = [shape for shape in shapes.values() if len(shape) == 2]
    if config.tie_word_embeddings:
        matrices.append(embedding)  # as the head
    size = sum(math.prod(shape) for shape in matrices) * ELEMENT_BYTES[config.dtype]
    return size + (4 * sum(shape[0] for shape in matrices) if config.dtype == "int8" else 0)


def _measured(
    name: str, model: LoadedModel, job: Job, settings: Settings, repeat: int
) -> dict[str, Any]:
    config = model.config
    kv_dtype = chosen_kv_dtype(settings, config)
    limits = LaneLimits(
        num_blocks=job.blocks,  # a cache that holds exactly the job
        max_batch_tokens=job.batch_tokens(settings.max_batch_tokens),
        max_sequences=job.batch,
        queue_timeout=math.inf,
        max_draft_rows=0,  # random prompts say nothing of how often drafts are right
    )
    lane = make_lane(name, model, kv_dtype, limits)
    scaled = int(job.positions > config.max_position_embeddings)
    measured = measure(lane, job, vocab_size=config.vocab_size, repeat=repeat, rope_variant=scaled)
    return {
        "phase": job.phase,
        "model": name,
        **figures(measured),
        "bytes_streamed": weight_bytes(config),
        "rss_bytes": rss_bytes(),
        "tokens": job.tokens,
        "context": job.context,
        "batch": job.batch,
        "max_batch_tokens": job.batch_tokens(settings.max_batch_tokens),
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
        "instruction_set": model.instruction_set,
        "machine": machine(),
        "homerun": __version__,
    }


def figures(measured: Measurement) -> dict[str, float | None]:
    """The measured part of a result. Medians are over rounds, steps over all rounds."""
    rates = measured.tokens_per_s
    middle = len(rates) // 2
    median = rates[middle] if len(rates) % 2 else (rates[middle - 1] + rates[middle]) / 2
    return {
        "tokens_per_s": rounded(median),
        "tokens_per_s_min": rounded(rates[0]),
        "tokens_per_s_max": rounded(rates[-1]),
        "step_ms": rounded(measured.step_ms(0.5)),
        "step_ms_p90": rounded(measured.step_ms(0.9)),
        "overhead_share": rounded(measured.overhead_share),
    }


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
    return f"{about}\n\n{table(rows)}\n\nRSS {first['rss_bytes'] / 1e6:,.0f} MB"

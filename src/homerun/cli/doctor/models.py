"""Each model that is here, judged: whether it could be served as things are."""

from dataclasses import replace
from pathlib import Path

from homerun.cli.doctor.report import Check, Problem
from homerun.errors import CheckpointError, HomerunError
from homerun.model.config import ModelConfig, read_config
from homerun.model.loader import bytes_in_memory, open_checkpoint
from homerun.model.memory import is_in_memory, shortage
from homerun.model.packed_file import PackedFile
from homerun.model.packed_header import FILE_NAME
from homerun.service.catalog import Catalog, CatalogModel
from homerun.service.library import ImportedModel, age, verify
from homerun.service.models import kv_cache_bytes
from homerun.service.order import open_text
from homerun.settings import Settings


def imported(
    model: ImportedModel,
    settings: Settings,
    instruction_set: str,
    available: int | None,
    *,
    full: bool,
) -> Check:
    """A packed model: its head and its size, with `full` every byte; its text side; its memory."""
    facts: dict[str, object] = {"imported": age(model), "file_bytes": model.size}
    subject = f"model {model.name}"
    try:
        config = read_config(model.directory)
        path = model.directory / FILE_NAME
        file = verify(path.parent) if full else PackedFile(path, config, check_memory=False)
        known = Catalog.load().get(model.name)
        open_text(known, config, model.directory)
        header = file.header
        facts |= {
            "dtype": header.facts.dtype,
            "source": header.facts.source or None,
            "written_by": f"homerun {header.written_by}",
            "checksums": "fit" if full else "not read (--full)",
        }
        config = replace(config, dtype=header.facts.dtype)
        already = not settings.weights_in_ram and is_in_memory(path)
        size = bytes_in_memory(config, model.size, instruction_set, already=already)
        needs, problems = _memory(config, known, settings, size, available)
    except CheckpointError as error:
        return Check(subject, facts, [Problem(str(error), _again(model))])
    except HomerunError as error:  # a setting that makes no sense
        return Check(subject, facts, [Problem(str(error))])
    if settings.dtype not in (None, config.dtype):
        what = f"HOMERUN_DTYPE is {settings.dtype}, and this file holds {config.dtype} weights"
        problems.append(Problem(what, "unset it, or import again with that --dtype"))
    return Check(subject, {**facts, **needs}, problems)


def bundled(model: CatalogModel, directory: Path) -> Check:
    """What comes with the package, whole."""
    subject = f"model {model.name}"
    try:
        checkpoint, config = open_checkpoint(directory, model.dtype)
        open_text(model, config, directory)
    except HomerunError as error:
        return Check(subject, {}, [Problem(str(error), "install homerun again")])
    return Check(subject, {"dtype": config.dtype, "tensors": len(checkpoint.shapes)})


def _memory(
    config: ModelConfig,
    known: CatalogModel | None,
    settings: Settings,
    weights: int,
    available: int | None,
) -> tuple[dict[str, object], list[Problem]]:
    window = known.context_window if known is not None else config.max_position_embeddings
    cache = kv_cache_bytes(config, window, settings)
    facts: dict[str, object] = {"weights_bytes": weights, "kv_cache_bytes": cache}
    short = shortage(weights, cache, available)
    return facts, [] if short is None else [Problem(*short)]


def _again(model: ImportedModel) -> str:
    return (
        f"homerun models import {model.name} PATH (or pull) replaces it, homerun models rm "
        f"{model.name} deletes it"
    )

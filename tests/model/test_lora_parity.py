"""Our float32 logits with adapters against PEFT's on random tiny checkpoints."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model

from homerun.model.adapter_checkpoint import AdapterCheckpoint, AdapterLimits
from homerun.model.adapter_file import AdapterFile, write_adapter_file
from homerun.model.dtypes import F32
from homerun.model.loader import LoadedModel, load_model
from homerun.model.ops.base import AdapterWeight
from tests.model.sequences import Sequences, random_ids
from tests.random_adapters import ALL, ATTENTION, MLP

from .test_parity import TOLERANCE, VOCAB, build, their_logits

# What PEFT calls of transformers.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")

RANKS = (1, 8, 16, 32)
TARGETS: dict[str, Sequence[str]] = {
    **{name: (name,) for name in ALL},
    "q+v": ("q_proj", "v_proj"),
    "attention": ATTENTION,
    "mlp": MLP,
    "all": ALL,
}
FAMILIES = ["gqa", "gemma_gqa"]


def options(name: str, rank: int, seed: int) -> dict[str, Any]:
    """Of a LoraConfig: alpha is never the rank; rsLoRA and patterns now and then."""
    found: dict[str, Any] = {
        "r": rank,
        "lora_alpha": (3, 2 * rank, 40)[seed % 3],
        "target_modules": list(TARGETS[name]),
        "use_rslora": seed % 4 == 1,
        "task_type": "CAUSAL_LM",
    }
    if seed % 3 == 2:
        found["rank_pattern"] = {TARGETS[name][0]: 5}
        found["alpha_pattern"] = {TARGETS[name][-1]: 11}
    return found


def add_adapter(model: Any, peft: PeftModel | None, name: str, given: dict[str, Any]) -> PeftModel:
    """With random factors in both places."""
    if peft is None:
        peft = get_peft_model(model, LoraConfig(**given), adapter_name=name)
    else:
        peft.add_adapter(name, LoraConfig(**given))
    generator = torch.Generator().manual_seed(len(name) + given["r"])
    with torch.no_grad():
        for key, parameter in peft.named_parameters():
            if f".{name}." in key:
                deviation = 0.5 / parameter.shape[1] ** 0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)
    return peft


def ours(peft: PeftModel, name: str, directory: Path, model: LoadedModel) -> AdapterWeight:
    """The same adapter from the files that PEFT writes."""
    peft.save_pretrained(directory, selected_adapters=[name])
    found = directory / name
    config = found / "adapter_config.json"
    values = {**json.loads(config.read_text()), "model_type": model.config.family}
    config.write_text(json.dumps(values))
    checkpoint = AdapterCheckpoint.open(
        config,
        found / "adapter_model.safetensors",
        model.config,
        AdapterLimits(rank=64, file_bytes=1 << 30),
    )
    packed = directory / f"{name}.homerun"
    write_adapter_file(packed, model.config, checkpoint.factors, version="00")
    return model.decoder.load_adapter(AdapterFile(packed, model.config).adapter)


def logits_with(peft: PeftModel, name: str, ids: list[int]) -> F32:
    peft.set_adapter(name)
    return their_logits(peft, ids)


def assert_near(found: F32, expected: F32, base: F32) -> None:
    assert np.abs(found - expected).max() < TOLERANCE
    # The adapter must matter, or this says nothing.
    assert np.abs(expected - base).max() > 100 * TOLERANCE


@pytest.mark.nightly
@pytest.mark.parametrize("case", FAMILIES)
def test_every_rank_and_every_set_of_modules_in_one_batch(case: str, tmp_path: Path) -> None:
    check_in_one_batch(case, [(r, t) for r in RANKS for t in TARGETS], tmp_path)


@pytest.mark.parametrize("case", FAMILIES)
def test_some_ranks_and_sets_of_modules_in_one_batch(case: str, tmp_path: Path) -> None:
    check_in_one_batch(case, [(1, "q+v"), (8, "attention"), (16, "all"), (32, "mlp")], tmp_path)


def check_in_one_batch(case: str, kinds: Sequence[tuple[int, str]], tmp_path: Path) -> None:
    theirs, model = build(case, tmp_path / "base")
    plain, peft = {}, None
    prompts = [random_ids(5 + i % 7, VOCAB, seed=i) for i in range(len(kinds))]
    for i, ids in enumerate(prompts):
        plain[i] = their_logits(theirs, ids)
    adapters: list[AdapterWeight | None] = []
    names: list[str] = []
    for i, (rank, targets) in enumerate(kinds):
        names.append(f"adapter{i}")
        peft = add_adapter(theirs, peft, names[-1], options(targets, rank, i))
        adapters.append(ours(peft, names[-1], tmp_path / "adapters", model))
    assert peft is not None
    # Base rows among them.
    all_ids = [*prompts, *prompts[:3]]
    mixed = Sequences(
        model, all_ids, chance=random.Random(3), adapters=[*adapters, None, None, None]
    ).run_mixed(max_chunk=5)
    for i, name in enumerate(names):
        expected = logits_with(peft, name, prompts[i])
        assert_near(model.decoder.logits(mixed[i]), expected, plain[i])
    for i in range(3):
        found = model.decoder.logits(mixed[len(prompts) + i])
        assert np.abs(found - plain[i]).max() < TOLERANCE


@pytest.mark.parametrize("case", FAMILIES)
@pytest.mark.parametrize("rank", RANKS)
def test_merged_weights(case: str, rank: int, tmp_path: Path) -> None:
    theirs, model = build(case, tmp_path / "base")
    ids = random_ids(33, VOCAB, seed=1)
    base = their_logits(theirs, ids)
    given = {**options("all", rank, 2), "lora_alpha": 2 * rank}
    given["alpha_pattern"] = {"down_proj": rank + 3}
    peft = add_adapter(theirs, None, "one", given)
    adapter = ours(peft, "one", tmp_path / "adapter", model)
    hidden = Sequences(model, [ids], adapters=[adapter]).run_alone()[0]
    found = model.decoder.logits(hidden)
    peft.merge_and_unload().save_pretrained(tmp_path / "merged")
    merged = load_model(tmp_path / "merged", dtype=None)
    expected = merged.decoder.logits(Sequences(merged, [ids]).run_alone()[0])
    assert_near(found, expected, base)

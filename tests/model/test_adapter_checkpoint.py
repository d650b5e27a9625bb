"""Adapters against PEFT's own files and meaning, and everything that an upload may have wrong."""

import json
import math
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from homerun.errors import AdapterIncompatible, AdapterInvalid
from homerun.model.adapter_checkpoint import AdapterCheckpoint, AdapterLimits
from homerun.model.config import ModelConfig, read_config
from tests.adapters import ALL_LINEARS, adapter_config, adapter_tensors
from tests.checkpoints import write_checkpoint
from tests.damage import damaged

# PEFT warns of what it does here on purpose, transformers of an attribute that PEFT asks for.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
LIMITS = AdapterLimits(rank=32, file_bytes=300_000_000)
Tensors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelConfig]:
    directory = tmp_path_factory.mktemp("bases")
    return {
        family: read_config(write_checkpoint(directory / family, family))
        for family in ("llama", "gemma")
    }


@pytest.fixture
def base(bases: dict[str, ModelConfig]) -> ModelConfig:
    return bases["llama"]


def open_in(directory: Path, base: ModelConfig, limits: AdapterLimits = LIMITS):
    paths = (directory / "adapter_config.json", directory / "adapter_model.safetensors")
    return AdapterCheckpoint.open(*paths, base, limits)


def open_files(
    directory: Path, base: ModelConfig, config: dict[str, Any] | bytes, tensors: Tensors | bytes
) -> AdapterCheckpoint:
    raw = config if isinstance(config, bytes) else json.dumps(config).encode()
    (directory / "adapter_config.json").write_bytes(raw)
    data = tensors if isinstance(tensors, bytes) else save(tensors)
    (directory / "adapter_model.safetensors").write_bytes(data)
    return open_in(directory, base)


# What PEFT writes.


def peft_adapter(directory: Path, family: str, seed: int = 0, dtype: Any = None, **lora: Any):
    """Saves a random adapter with PEFT; returns {module: (A, B, scaling)} of PEFT's own layers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import GemmaConfig, GemmaForCausalLM, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "vocab_size": 90,
        "hidden_size": 48,
        "intermediate_size": 72,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 10,
    }
    if family == "llama":
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    else:
        model = GemmaForCausalLM(GemmaConfig(**sizes, hidden_activation="gelu_pytorch_tanh"))
    model.config.save_pretrained(directory / "base")
    lora = {"r": 4, "lora_alpha": 8, "init_lora_weights": False, **lora}
    config = LoraConfig(task_type="CAUSAL_LM", **lora)
    model = get_peft_model(model, config)
    if dtype is not None:
        model = model.to(dtype)
    model.save_pretrained(directory / "adapter")
    path = directory / "adapter" / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": family}))
    return {
        name.removeprefix("base_model.model."): (
            layer.lora_A["default"].weight.detach().float().numpy(),
            layer.lora_B["default"].weight.detach().float().numpy(),
            layer.scaling["default"],
        )
        for name, layer in model.named_modules()
        if "default" in getattr(layer, "lora_A", ())
    }


@pytest.mark.parametrize("family", ["llama", "gemma"])
@pytest.mark.parametrize(
    "lora",
    [
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": "all-linear", "r": 1},
        {"target_modules": list(ALL_LINEARS), "r": 32, "use_rslora": True},
        {"target_modules": r".*\.layers\.1\.(self_attn|mlp)\.(q|down)_proj"},
        {"target_modules": ["o_proj", "up_proj"], "layers_to_transform": [1]},
        {"target_modules": ["model.layers.0.mlp.up_proj", "1.self_attn.k_proj"]},
        {"target_modules": "all-linear", "exclude_modules": ["k_proj", "mlp.up_proj"]},
        {"target_modules": ["k_proj"], "exclude_modules": r".*\.0\..*"},
        {
            "target_modules": ["q_proj", "k_proj"],
            "rank_pattern": {"model.layers.0.self_attn.q_proj": 2, r"layers\.[0-9]+\..*k_proj": 8},
            "alpha_pattern": {"k_proj": 5, "^model.layers.1.self_attn.q_proj": 3},
        },
    ],
    ids=lambda lora: str(lora["target_modules"])[:20],
)
def test_reads_what_peft_writes(family: str, lora: dict[str, Any], tmp_path: Path) -> None:
    expected = peft_adapter(tmp_path, family, **lora)
    adapter = open_in(tmp_path / "adapter", read_config(tmp_path / "base"))
    found = {}
    for (layer, module), factor in adapter.factors.items():
        group = "mlp" if module in ("gate_proj", "up_proj", "down_proj") else "self_attn"
        found[f"model.layers.{layer}.{group}.{module}"] = factor
    assert found.keys() == expected.keys()
    for name, (a, b, scaling) in expected.items():
        factor = found[name]
        assert factor.rank == len(a)
        assert factor.scaling == pytest.approx(scaling, rel=1e-15)
        np.testing.assert_array_equal(factor.a(), a)
        np.testing.assert_array_equal(factor.b(), b)


@pytest.mark.parametrize(("dtype", "ours"), [("float16", "fp16"), ("bfloat16", "bf16")])
def test_half_precision_of_peft(dtype: str, ours: str, tmp_path: Path) -> None:
    import torch

    expected = peft_adapter(tmp_path, "llama", dtype=getattr(torch, dtype))
    adapter = open_in(tmp_path / "adapter", read_config(tmp_path / "base"))
    a, b, _ = expected["model.layers.1.self_attn.v_proj"]
    factor = adapter.factors[1, "v_proj"]
    assert factor.dtype == ours
    np.testing.assert_array_equal(factor.a(), a)
    np.testing.assert_array_equal(factor.b(), b)


@pytest.mark.parametrize(
    ("lora", "told"),
    [
        ({"use_dora": True}, "use_dora is set"),
        ({"bias": "lora_only"}, "bias is 'lora_only'"),
        ({"lora_bias": True}, "lora_bias is set"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is set"),
        ({"target_modules": ["q_proj", "lm_head"]}, "names 'lm_head'"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "names 'embed_tokens'"),
        ({"trainable_token_indices": [1, 2]}, "trainable_token_indices is set"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "layer_replication is set"),
        ({"init_lora_weights": "pissa"}, "which changes the base's weights"),
        ({"init_lora_weights": "olora"}, "which changes the base's weights"),
        ({"alora_invocation_tokens": [5, 6]}, "alora_invocation_tokens is set"),
        ({"r": 33}, "r is 33, over this server's limit of 32"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_refuses_by_name_what_peft_can_do_and_we_cannot(
    lora: dict[str, Any], told: str, tmp_path: Path
) -> None:
    peft_adapter(tmp_path, "llama", **lora)
    with pytest.raises(AdapterInvalid, match=told):
        open_in(tmp_path / "adapter", read_config(tmp_path / "base"))


# What an upload may have wrong: the config.


def test_sound_files_and_their_scaling(base: ModelConfig, tmp_path: Path) -> None:
    tensors = adapter_tensors(base)
    adapter = open_files(tmp_path, base, adapter_config(base), tensors)
    assert list(adapter.factors) == [(0, "q_proj"), (0, "v_proj"), (1, "q_proj"), (1, "v_proj")]
    assert adapter.factors[0, "q_proj"].scaling == 2.0
    rs = open_files(tmp_path, base, adapter_config(base, use_rslora=True), tensors)
    assert rs.factors[0, "q_proj"].scaling == 8 / math.sqrt(4)
    assert (
        open_files(tmp_path, base, adapter_config(base, task_type=None), tensors).config.rank == 4
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model_type": None}, 'model_type is missing: add "model_type": "llama"'),
        ({"model_type": 3}, "model_type must be a string"),
        ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
        ({"peft_type": None}, "peft_type is missing"),
        ({"task_type": "SEQ_CLS"}, "task_type is 'SEQ_CLS'"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out is true"),
        ({"r": 0}, "r must be between 1 and 65536, not 0"),
        ({"r": -1}, "r must be between"),
        ({"r": 4.0}, "r must be an integer"),
        ({"r": 10**400}, "r must be between"),
        ({"lora_alpha": None}, "lora_alpha is missing"),
        ({"lora_alpha": 1e300}, "lora_alpha must be between"),
        ({"lora_alpha": "8"}, "lora_alpha must be a number"),
        ({"target_modules": None}, "target_modules is missing"),
        ({"target_modules": []}, "describes no linear layer"),
        ({"target_modules": [7]}, "must be a string or a list of strings"),
        ({"target_modules": {"q_proj": 1}}, "must be a string or a list of strings"),
        ({"target_modules": ["q_proj", "c_attn"]}, "names 'c_attn', which is no linear layer"),
        ({"target_modules": "(a*)*b"}, "describes no linear layer"),
        ({"target_modules": "("}, r"cannot be used: the pattern '\(' lacks"),
        ({"target_modules": ["q_proj"] * 5000}, "has 5000 entries"),
        ({"layers_to_transform": ["0"]}, "must be layer numbers"),
        ({"layers_to_transform": [0], "layers_pattern": "h"}, "layers_pattern is 'h'"),
        ({"rank_pattern": {"q_proj": 64}}, "rank_pattern: q_proj is 64, over this server's limit"),
        ({"rank_pattern": {"q_proj": 0}}, "rank_pattern: q_proj must be between"),
        ({"rank_pattern": [1]}, "rank_pattern must be an object"),
        ({"rank_pattern": {"(": 1}}, "cannot be used"),
        ({"rank_pattern": {f"{n}.*": 1 for n in range(20)}}, "more than 16 patterns"),
        ({"alpha_pattern": {"q_proj": "x"}}, "alpha_pattern: q_proj must be a number"),
        ({"some_new_thing": {"x": 1}}, "some_new_thing is set"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_configs_are_refused_in_words(
    changes: dict[str, Any], told: str, base: ModelConfig, tmp_path: Path
) -> None:
    with pytest.raises(AdapterInvalid, match=told) as caught:
        open_files(tmp_path, base, adapter_config(base, **changes), adapter_tensors(base))
    assert str(caught.value).startswith("adapter_config.json: ")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "not valid JSON"),
        (b"r: 4", "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b'{"r": 1, "r": 2}', "a key occurs twice"),
        (b'{"r": NaN}', "NaN is not a JSON number"),
        (b'{"a":' * 100_000, "not valid JSON: nested too deeply"),
        (b'{"r": ' + b"1" * 10_000 + b"}", "not valid JSON"),
        (b" " * (1 << 20) + b"{}", "larger than 1048576 bytes"),
    ],
)
def test_configs_that_are_no_configs(
    raw: bytes, told: str, base: ModelConfig, tmp_path: Path
) -> None:
    with pytest.raises(AdapterInvalid, match=told) as caught:
        open_files(tmp_path, base, raw, adapter_tensors(base))
    assert str(tmp_path) not in str(caught.value)


# What an upload may have wrong: the weights.

Q0 = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
Q0_B = Q0.replace("lora_A", "lora_B")


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {new if name == old else name: one for name, one in tensors.items()}


def replaced(name: str, value: np.ndarray) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: value}


def without(*names: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: one for name, one in tensors.items() if name not in names}


def spoiled(value: float, dtype: Any) -> Callable[[Tensors], Tensors]:
    def spoil(tensors: Tensors) -> Tensors:
        found = {name: one.astype(dtype) for name, one in tensors.items()}
        found[Q0_B].flat[-1] = value
        return found

    return spoil


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without(Q0), "model.layers.0.self_attn.q_proj has no lora_A"),
        (without(Q0_B), "model.layers.0.self_attn.q_proj has no lora_B"),
        (without(Q0, Q0_B), "has nothing for model.layers.0.self_attn.q_proj"),
        (lambda tensors: {}, "has nothing for model.layers.0.self_attn.q_proj"),
        (renamed(Q0, "lora_A"), "lora_A is no LoRA factor"),
        (renamed(Q0, Q0.removeprefix("base_model.model.")), "is no LoRA factor"),
        (replaced("extra", np.zeros(3, np.float32)), "extra is no LoRA factor"),
        (replaced(Q0.replace("lora_A", "lora_magnitude_vector"), np.zeros(3)), "is F64"),
        (
            replaced(Q0.replace("q_proj", "k_proj"), np.zeros((4, 200), np.float32)),
            "is of a module that target_modules",
        ),
        (
            replaced(Q0.replace(".weight", ".second.weight"), np.zeros((4, 200), np.float32)),
            "belongs to a second adapter",
        ),
        (replaced(Q0, np.zeros((3, 200), np.float32)), r"shape \[3, 200\] where rank 4 needs"),
        (replaced(Q0, np.zeros((0, 200), np.float32)), r"shape \[0, 200\] where rank 4 needs"),
        (replaced(Q0, np.zeros((200, 4), np.float32)), r"shape \[200, 4\] where rank 4 needs"),
        (replaced(Q0, np.zeros((4, 200), np.int8)), "is I8; homerun reads F32, F16 and BF16"),
        (spoiled(np.nan, np.float32), "self_attn.q_proj.lora_B.weight holds nan|holds nan"),
        (spoiled(np.inf, np.float16), "holds inf"),
        (spoiled(-np.inf, np.float32), "holds -inf"),
    ],
)
def test_weights_are_refused_in_words(
    change: Callable[[Tensors], Tensors], told: str, base: ModelConfig, tmp_path: Path
) -> None:
    with pytest.raises(AdapterInvalid, match=told) as caught:
        open_files(tmp_path, base, adapter_config(base), change(adapter_tensors(base)))
    assert str(caught.value).startswith("adapter_model.safetensors")
    assert len(str(caught.value)) < 300


def test_another_base_is_told_apart(bases: dict[str, ModelConfig], tmp_path: Path) -> None:
    llama, gemma = bases["llama"], bases["gemma"]
    with pytest.raises(AdapterIncompatible, match=r"model_type is 'gemma'.*a llama model"):
        open_files(tmp_path, llama, adapter_config(gemma), adapter_tensors(gemma))
    with pytest.raises(AdapterIncompatible, match=r"where the base model needs \[120, 4\]"):
        open_files(tmp_path, llama, adapter_config(llama), adapter_tensors(gemma))
    deeper = adapter_tensors(llama)
    deeper |= {name.replace("layers.1", "layers.2"): one for name, one in deeper.items()}
    with pytest.raises(AdapterIncompatible, match="the base model has no such linear layer"):
        open_files(tmp_path, llama, adapter_config(llama), deeper)


def test_the_adapters_name_may_stand_in_the_tensors_names(
    base: ModelConfig, tmp_path: Path
) -> None:
    tensors = {
        name.replace(".weight", ".default.weight"): one
        for name, one in adapter_tensors(base).items()
    }
    adapter = open_files(tmp_path, base, adapter_config(base), tensors)
    np.testing.assert_array_equal(
        adapter.factors[0, "q_proj"].a(), tensors[Q0.replace(".weight", ".default.weight")]
    )


def header_of(entries: dict[str, Any], data: bytes = b"") -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "too short"),
        (b"\x80\x04\x95" + b"\0" * 100, "not a safetensors file"),  # pickle, protocol 4
        (b"PK\x03\x04" + b"\0" * 100, "not a safetensors file"),  # torch.save's zip
        (struct.pack("<Q", 1 << 62) + b"{}", "claims a header of"),
        (struct.pack("<Q", 2 << 20) + b" " * (3 << 20), "claims a header of"),
        (
            header_of({Q0: {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}),
            "tensors end at byte 4000000000 of 0 bytes",
        ),
        (
            header_of({Q0: {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 16]}}, bytes(16)),
            "16 bytes where its shape needs 4000000000",
        ),
    ],
)
def test_files_that_are_no_safetensors(
    data: bytes, told: str, base: ModelConfig, tmp_path: Path
) -> None:
    with pytest.raises(AdapterInvalid, match=told):
        open_files(tmp_path, base, adapter_config(base), data)


def test_every_cut_of_a_file_is_noticed(base: ModelConfig, tmp_path: Path) -> None:
    whole = save(adapter_tensors(base, rank=1))
    for length in {*range(0, len(whole), 499), len(whole) - 1}:
        with pytest.raises(AdapterInvalid, match=r"adapter_model\.safetensors"):
            open_files(tmp_path, base, adapter_config(base, rank=1), whole[:length])
    with pytest.raises(AdapterInvalid, match="cut off or has bytes to spare"):
        open_files(tmp_path, base, adapter_config(base, rank=1), whole + b"\0")


def test_the_files_size_is_limited(base: ModelConfig, tmp_path: Path) -> None:
    open_files(tmp_path, base, adapter_config(base), adapter_tensors(base))
    with pytest.raises(AdapterInvalid, match=r"has \d+ bytes, over this server's limit of 1000"):
        open_in(tmp_path, base, AdapterLimits(rank=32, file_bytes=1000))


def mutate(rounds: int, base: ModelConfig, directory: Path) -> int:
    """Random damage to a good header: refused in words, or what is read is sound."""
    chance = random.Random(7)
    whole = save(adapter_tensors(base, rank=1))
    length = int.from_bytes(whole[:8], "little")
    refused = 0
    for _ in range(rounds):
        header = damaged(whole[8 : 8 + length], chance, 3)
        data = struct.pack("<Q", len(header)) + header + whole[8 + length :]
        try:
            adapter = open_files(directory, base, adapter_config(base, rank=1), data)
        except (AdapterInvalid, AdapterIncompatible):
            refused += 1
        else:
            assert all(np.isfinite(one.a()).all() for one in adapter.factors.values())
    return refused


def test_mutated_headers(base: ModelConfig, tmp_path: Path) -> None:
    assert mutate(300, base, tmp_path) > 200


@pytest.mark.nightly
def test_ten_thousand_mutated_headers(base: ModelConfig, tmp_path: Path) -> None:
    assert mutate(10_000, base, tmp_path) > 7_000

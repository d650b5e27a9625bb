"""Knows what the trainer promises (batches, schedule, gradients, resumption); refuses long runs."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tokenizers import Tokenizer  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from training import model as model_module  # noqa: E402
from training.batches import (  # noqa: E402
    PROMPT_SAMPLE,
    PROMPT_WEIGHT,
    SHORTEST_ANSWER,
    collate,
    encode,
    encode_prompt,
    make_batch,
    random_copies,
)
from training.corpus import END, PAD, conversations, render  # noqa: E402
from training.looking_back import plant  # noqa: E402
from training.model import ModelConfig, Rookie  # noqa: E402
from training.optimizer import make_optimizers, orthogonal  # noqa: E402
from training.train import TrainConfig, copied_share, rate_at, train  # noqa: E402

SHIPPED = ROOT / "src/homerun/data/rookie"
SMALL = ModelConfig(
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    intermediate_size=96,
)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The shipped tokenizer."""
    return Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))


def test_a_batch_holds_every_answer_and_nothing_twice(tokenizer: Tokenizer) -> None:
    talks = list(conversations(5, 40))
    rows = [encode(tokenizer, talk) for talk in talks]
    batch = collate(rows)
    assert batch.tokens.numel() == sum(rows_ * length for rows_, length in batch.shapes)
    assert batch.real == sum(len(ids) - 1 for ids, _ in rows)
    assert len(set(batch.wanted.tolist())) == len(batch.wanted)
    wanted = sorted(
        token for ids, learned in rows for token, marked in zip(ids, learned, strict=True) if marked
    )
    assert sorted(batch.targets.tolist()) == wanted
    # The token before each target lies where the batch says, padding is never asked for.
    assert PAD not in batch.targets
    assert min(batch.weights.tolist()) == 1.0


def test_a_short_answer_counts_as_much_as_a_longer_one(tokenizer: Tokenizer) -> None:
    for talk in conversations(9, 200):
        ids, weights = encode(tokenizer, talk)
        assert len(ids) == len(weights)
        answers: list[list[float]] = [[]]
        for weight in weights:
            if weight:
                answers[-1].append(weight)
            elif answers[-1]:
                answers.append([])
        for answer in filter(None, answers):
            assert sum(answer) == pytest.approx(max(SHORTEST_ANSWER, len(answer)))


def test_what_is_learned_is_what_the_assistant_says(tokenizer: Tokenizer) -> None:
    for talk in conversations(6, 60):
        ids, learned = encode(tokenizer, talk)
        assert tokenizer.decode(ids, skip_special_tokens=False) == render(talk.turns)
        said = [token for token, marked in zip(ids, learned, strict=True) if marked]
        answers = [text for role, text in talk.turns if role == "assistant"]
        assert tokenizer.decode(said) == "".join(answers)
        assert said.count(END) == len(answers)
        prompt = encode_prompt(tokenizer, talk.turns[:-1])
        assert ids[: len(prompt)] == prompt


def test_a_sample_of_the_prompts_counts_a_little(tokenizer: Tokenizer) -> None:
    rows = [encode(tokenizer, talk) for talk in conversations(7, 60)]
    batch = collate(rows, random.Random(1))
    light = batch.weights < 1
    prompts = sum(weight == 0 for _, weights in rows for weight in weights[1:])
    assert 0.9 < int(light.sum()) / (PROMPT_SAMPLE * prompts) < 1.1
    assert float(batch.weights[light].sum()) == pytest.approx(PROMPT_WEIGHT * prompts, rel=0.1)
    answers = sum(weight > 0 for _, weights in rows for weight in weights)
    assert len(batch.targets) - int(light.sum()) == answers


def test_a_batch_depends_on_its_seed_alone(tokenizer: Tokenizer) -> None:
    one, same, other = (make_batch(tokenizer, seed, 1500, 2) for seed in (3, 3, 4))
    assert one.shapes == same.shapes
    for name in ("tokens", "wanted", "targets", "weights"):
        assert torch.equal(getattr(one, name), getattr(same, name))
    assert one.tokens.tolist() != other.tokens.tolist()
    assert one.real >= 1500 - len(one.shapes) * 1 - 60


def test_random_copies_repeat_what_was_said(tokenizer: Tokenizer) -> None:
    for ids, learned in random_copies(tokenizer, random.Random(2), 20):
        said = [token for token, marked in zip(ids, learned, strict=True) if marked]
        assert said[-1] == END
        assert ids[-2 * len(said) - 1 : -len(said) - 1] == said


def test_the_rate_warms_up_stays_and_falls_to_zero() -> None:
    config = TrainConfig(steps=100, warm_up=10, cool_down=0.5)
    rates = [rate_at(step, config) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9:51] == [1.0] * 42
    assert rates[75] == pytest.approx(0.5)
    assert rates[100] == 0
    assert all(before >= after for before, after in pairwise(rates[9:]))


def _llama(model: Rookie) -> LlamaForCausalLM:
    """The same weights in the transformers library."""
    from training.export import public_weights

    config = model.config
    names = (
        "vocab_size hidden_size num_hidden_layers num_attention_heads num_key_value_heads head_dim "
        "intermediate_size rms_norm_eps max_position_embeddings"
    ).split()
    other = LlamaForCausalLM(
        LlamaConfig(**{name: getattr(config, name) for name in names}, tie_word_embeddings=True)
    )
    weights = public_weights(model.state_dict(), config)
    missing, unexpected = other.load_state_dict(
        {name: weight.float() for name, weight in weights.items()}, strict=False
    )
    assert missing == ["lm_head.weight"]
    assert not unexpected
    return other


def _rounded(shape: ModelConfig) -> Rookie:
    """A model whose weights bfloat16 and float16 can hold exactly."""
    torch.manual_seed(0)
    model = Rookie(shape)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.bfloat16().float())
    return model


def test_logits_and_gradients_are_those_of_transformers(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small blocks and pieces, so that rows of these lengths are cut.
    monkeypatch.setattr(model_module, "BLOCK", 16)
    monkeypatch.setattr(model_module, "PIECE", 50)
    ours = _rounded(SMALL)
    theirs = _llama(ours)
    rows = [row for talk in conversations(8, 12) if len((row := encode(tokenizer, talk))[0]) < 150]
    batch = collate(rows[:3])
    logits = ours(batch.tokens, batch.shapes)
    total = torch.zeros(())
    start = 0
    for count, length in batch.shapes:
        ids = batch.tokens[start : start + count * length].view(count, length)
        other = theirs(ids).logits.flatten(0, 1)
        torch.testing.assert_close(logits[start : start + len(other)], other, atol=2e-5, rtol=1e-4)
        inside = (batch.wanted >= start) & (batch.wanted < start + len(other))
        losses = torch.nn.functional.cross_entropy(
            other[batch.wanted[inside] - start], batch.targets[inside], reduction="none"
        )
        total = total + (losses * batch.weights[inside]).sum()
        start += len(other)
    loss, entropy = ours.loss(
        batch.tokens, batch.shapes, batch.wanted, batch.targets, batch.weights
    )
    torch.testing.assert_close(loss, total, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(entropy, total, rtol=1e-5, atol=1e-3)
    loss.backward()
    total.backward()
    pairs: list[tuple[Tensor | None, Tensor | None]] = [
        (ours.embed_tokens.grad, theirs.model.embed_tokens.weight.grad),
        (ours.layers[1].down_proj.grad, theirs.model.layers[1].mlp.down_proj.weight.grad),
        (ours.layers[0].qkv_proj.grad[:64], theirs.model.layers[0].self_attn.q_proj.weight.grad),
    ]
    for mine, other in pairs:
        assert mine is not None
        assert other is not None
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


def test_the_shipped_weights_load_as_they_are() -> None:
    from training.report import logit_difference

    assert logit_difference(SHIPPED) < 1e-4


def test_the_calming_term_is_the_squared_normaliser(tokenizer: Tokenizer) -> None:
    model = _rounded(SMALL)
    batch = make_batch(tokenizer, 1, 300, 1)
    parts = (batch.tokens, batch.shapes, batch.wanted, batch.targets, batch.weights)
    with torch.no_grad():
        loss, entropy = model.loss(*parts, calm=0.5)
        sizes = model(batch.tokens, batch.shapes)[batch.wanted].logsumexp(-1)
    torch.testing.assert_close(loss - entropy, 0.5 * (sizes**2 * batch.weights).sum())


def test_a_planted_model_looks_back_before_any_training(tokenizer: Tokenizer) -> None:
    torch.manual_seed(7)
    model = Rookie(ModelConfig(num_hidden_layers=2))
    assert copied_share(model, tokenizer) < 0.05
    plant(model)
    assert copied_share(model, tokenizer) > 0.5


def test_orthogonal_has_singular_values_near_one() -> None:
    torch.manual_seed(1)
    for shape in ((2, 32, 96), (2, 96, 32)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
        assert values.min() > 0.5
        assert values.max() < 1.4


def test_every_weight_has_one_optimizer() -> None:
    model = Rookie(SMALL)
    optimizers = make_optimizers(model, 0.01, 0.001, 0.1)
    held = [
        weight for one in optimizers for group in one.param_groups for weight in group["params"]
    ]
    assert len(held) == len({id(weight) for weight in held}) == len(list(model.parameters()))


def _losses(out: Path) -> list[float]:
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_a_run_that_was_interrupted_goes_on_as_if_it_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training import train as train_module

    monkeypatch.setattr(train_module, "LOG_EVERY", 1)
    config = TrainConfig(steps=4, tokens=60, parts=2, save_every=2, warm_up=2)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for out in (whole, cut):
        out.mkdir()
        (out / "tokenizer.json").write_bytes((SHIPPED / "tokenizer.json").read_bytes())
    train(config, whole, workers=1, shape=SMALL, fast=False)

    class Interrupted(Exception):
        pass

    original = train_module.batch_of

    def until_three(tokenizer: Tokenizer, config: TrainConfig, step: int, part: int) -> object:
        if step == 3:
            raise Interrupted
        return original(tokenizer, config, step, part)

    with monkeypatch.context() as patched:
        patched.setattr(train_module, "batch_of", until_three)
        with pytest.raises(Interrupted):
            train(config, cut, workers=1, shape=SMALL, fast=False)
    assert _losses(cut) == _losses(whole)[:3]
    train(config, cut, workers=1, shape=SMALL, fast=False)
    # Step 3 was done twice: what came after the last checkpoint is done again.
    assert _losses(cut) == _losses(whole)[:3] + _losses(whole)[2:]
    states = [torch.load(out / "state.pt", weights_only=True) for out in (whole, cut)]
    for name, weight in states[0]["model"].items():
        assert torch.equal(weight, states[1]["model"][name]), name
    with pytest.raises(ValueError, match="another configuration"):
        train(replace(config, seed=8), cut, workers=1, shape=SMALL, fast=False)

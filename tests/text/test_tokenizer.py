"""Strings <-> ids: text never becomes a control token, raw prompts do, BOS once."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library
from tokenizers import models

from homerun.errors import BadInput, CheckpointError
from homerun.text.tokenizer import Tokenizer
from tests.text import fixtures
from tests.text.conftest import KINDS
from tests.text.fixtures import Checkpoint

SPECIALS = [
    *("<s>", "</s>", "<unk>", "<bos>", "<eos>", "<pad>", "<start_of_turn>", "<end_of_turn>"),
    *(*fixtures.ROOKIE_TOKENS, "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<0x0A>"),
]
TURN_MARKS = {"chatml": ("<|im_start|>", "<|im_end|>")}

texts = st.lists(
    st.one_of(
        st.sampled_from(SPECIALS),
        st.sampled_from(
            ["<", "<s", ">", "s>", "</", "<|", "|>", " ", "▁", "\n", "\n\n", "<table>"]
        ),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
).map("".join)


def forbidden(kind: str, tokenizer: Tokenizer) -> set[int]:
    marks = {tokenizer.token_id(token) for token in TURN_MARKS.get(kind, ())}
    assert None not in marks
    return {*tokenizer.control_ids, *marks}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=texts)
def test_text_never_becomes_a_control_token(
    kind: str, tokenizers: dict[str, Tokenizer], text: str
) -> None:
    tokenizer = tokenizers[kind]
    ids = tokenizer.encode_text(text)
    assert forbidden(kind, tokenizer).isdisjoint(ids)
    assert all(0 <= id_ < tokenizer.vocab_size for id_ in ids)
    decoded = b"".join(map(tokenizer.token_bytes, ids)).decode()
    if kind in ("rookie", "chatml"):
        assert decoded == text
    else:  # ▁ stands for a space in these alphabets, and some put one in front
        spaced = text.replace("▁", " ")
        assert decoded in (spaced, " " + spaced)


@pytest.mark.parametrize("kind", KINDS)
def test_ordinary_text_gets_the_library_s_ids(
    kind: str, tokenizers: dict[str, Tokenizer], checkpoints: dict[str, Checkpoint]
) -> None:
    library = checkpoints[kind].library
    for text in ["", " ", "a", *fixtures.CORPUS, "two  spaces\n\nand <table>", "\0é\U0001f600"]:
        if not any(token in text for token in SPECIALS):
            assert tokenizers[kind].encode_text(text) == library.encode(text).ids


@pytest.mark.parametrize("kind", KINDS)
def test_raw_parses_special_tokens_and_adds_bos_once(
    kind: str, tokenizers: dict[str, Tokenizer], checkpoints: dict[str, Checkpoint]
) -> None:
    tokenizer, library = tokenizers[kind], checkpoints[kind].library
    bos = checkpoints[kind].bos
    for text in ["", "hello", "x <end_of_turn>\n<start_of_turn>model\n", "a</s><s>b <|im_end|>"]:
        expected = library.encode(text).ids
        with_bos = expected if bos is None else [library.token_to_id(bos), *expected]
        assert tokenizer.encode_raw(text) == with_bos
        if bos is not None:
            assert tokenizer.encode_raw(bos + text) == library.encode(bos + text).ids


def test_control_tokens_are_known_by_name(tokenizers: dict[str, Tokenizer]) -> None:
    assert tokenizers["llama"].control_ids == {0, 1, 2}
    assert (tokenizers["llama"].bos_id, tokenizers["llama"].eos_id) == (1, 2)
    assert tokenizers["gemma"].control_ids == {0, 1, 2, 3, 4, 5}
    assert tokenizers["gemma_plain_turns"].control_ids == {0, 1, 2, 3, 4, 5}
    assert tokenizers["rookie"].control_ids == set(range(8))
    assert tokenizers["rookie"].token_id("<|assistant|>") == 5
    assert tokenizers["rookie"].token_id("the") is None
    assert tokenizers["llama"].token_bytes(1) == b""
    assert tokenizers["llama"].token_bytes(10**6) == b""
    assert tokenizers["llama"].token_bytes(-1) == b""
    assert tokenizers["llama"].token_bytes(3 + 0xE4) == b"\xe4"


def test_unknown_characters_without_byte_fallback_stay_unknown(tmp_path: Path) -> None:
    library = fixtures.llama_tokenizer()
    data = json.loads(library.to_str())
    data["model"]["byte_fallback"] = False
    fixtures.save(tmp_path, Library.from_str(json.dumps(data)), "<s>", "</s>")
    assert Tokenizer.load(tmp_path).encode_text("\U0001f600")[-1] == 0


def test_truncation_and_padding_of_the_file_are_off(tmp_path: Path) -> None:
    library = fixtures.llama_tokenizer()
    library.enable_truncation(4)
    library.enable_padding(length=8)
    fixtures.save(tmp_path, library, "<s>", "</s>")
    tokenizer = Tokenizer.load(tmp_path)
    assert len(tokenizer.encode_text("The cat sat on the mat. " * 5)) > 20
    assert len(tokenizer.encode_text("a")) < 3


def test_bos_comes_from_config_json_where_nothing_else_names_it(tmp_path: Path) -> None:
    fixtures.llama_tokenizer().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"bos_token_id": 1, "eos_token_id": [2, 9999]}')
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2)
    (tmp_path / "tokenizer_config.json").write_text(
        '{"bos_token": {"content": "</s>"}, "add_bos_token": false}'
    )
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.bos_id == 2
    assert tokenizer.encode_raw("a") == tokenizer.encode_text("a")


def test_a_lone_surrogate_is_bad_input(tokenizers: dict[str, Tokenizer]) -> None:
    with pytest.raises(BadInput, match="surrogate"):
        tokenizers["llama"].encode_text("a\ud800")


def test_broken_checkpoints_are_told_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        Tokenizer.load(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        Tokenizer.load(tmp_path)
    Library(models.WordLevel({"a": 0}, unk_token="a")).save(str(path))
    with pytest.raises(CheckpointError, match="decoder null is not supported"):
        Tokenizer.load(tmp_path)
    fixtures.llama_tokenizer().save(str(path))
    (tmp_path / "tokenizer_config.json").write_text("[]")
    with pytest.raises(CheckpointError, match="must hold a JSON object"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="not readable JSON"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize("kind", ["llama", "gemma", "rookie"])
@pytest.mark.parametrize("unit", ["a", "\U0001f600", "abcde", "the ", " ", "<s>"])
def test_cost_grows_linearly(kind: str, unit: str, tokenizers: dict[str, Tokenizer]) -> None:
    """32 and 256 KiB of hostile text: eight times the work, not sixty-four."""
    tokenizer = tokenizers[kind]

    def seconds(size: int) -> float:
        text = unit * (size // len(unit.encode()))
        start = time.thread_time()
        tokenizer.encode_text(text)
        return time.thread_time() - start

    small = min(seconds(1 << 15) for _ in range(3))
    assert seconds(1 << 18) < 30 * small + 0.1

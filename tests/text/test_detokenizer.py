"""Ids -> text: deltas add up to the whole, characters stay whole, control ids say nothing."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homerun.text.detokenizer import Detokenizer
from homerun.text.tokenizer import Tokenizer
from tests.text.conftest import KINDS
from tests.text.fixtures import Checkpoint

QUIET = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
REPLACEMENT = "\ufffd"


def whole(tokenizer: Tokenizer, ids: list[int]) -> str:
    detokenizer = Detokenizer(tokenizer)
    return detokenizer.push(ids) + detokenizer.finish()


@pytest.mark.parametrize("kind", KINDS)
@QUIET
@given(data=st.data())
def test_deltas_are_the_whole_for_any_ids_and_cuts(
    kind: str, tokenizers: dict[str, Tokenizer], data: st.DataObject
) -> None:
    tokenizer = tokenizers[kind]
    bytes_ = st.integers(0, min(300, tokenizer.vocab_size - 1))
    ids = data.draw(st.lists(bytes_ | st.integers(0, tokenizer.vocab_size + 9)))
    detokenizer, deltas, rest = Detokenizer(tokenizer), [], list(ids)
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        deltas.append(detokenizer.push(rest[:count]))
        rest = rest[count:]
    assert "".join(deltas) + detokenizer.finish() == whole(tokenizer, ids)


@pytest.mark.parametrize("kind", KINDS)
@QUIET
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_text_decodes_as_the_library_does_and_never_partly(
    kind: str, tokenizers: dict[str, Tokenizer], checkpoints: dict[str, Checkpoint], text: str
) -> None:
    tokenizer = tokenizers[kind]
    ids = tokenizer.encode_text(text)
    detokenizer = Detokenizer(tokenizer)
    deltas = [detokenizer.push([id_]) for id_ in ids]
    assert "".join(deltas) == checkpoints[kind].library.decode(ids)
    assert detokenizer.finish() == ""
    assert sum(delta.count(REPLACEMENT) for delta in deltas) == text.count(REPLACEMENT)


@QUIET
@given(data=st.data())
def test_byte_level_decodes_any_ids_as_the_library_does(
    tokenizers: dict[str, Tokenizer], checkpoints: dict[str, Checkpoint], data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizers["rookie"].vocab_size - 1)))
    expected = checkpoints["rookie"].library.decode(ids, skip_special_tokens=True)
    assert whole(tokenizers["rookie"], ids) == expected


@pytest.mark.parametrize("kind", ["llama", "gemma"])
@QUIET
@given(data=st.data())
def test_pieces_decode_as_the_library_does(
    kind: str,
    tokenizers: dict[str, Tokenizer],
    checkpoints: dict[str, Checkpoint],
    data: st.DataObject,
) -> None:
    """Without byte pieces: for invalid runs of them the library gives up valid neighbours too."""
    ids = data.draw(st.lists(st.integers(0, 2) | st.integers(262, tokenizers[kind].vocab_size - 1)))
    expected = checkpoints[kind].library.decode(ids, skip_special_tokens=True)
    assert whole(tokenizers[kind], ids) == expected


def test_an_incomplete_character_is_held_back_and_replaced_at_the_end(
    tokenizers: dict[str, Tokenizer],
) -> None:
    byte = {value: 3 + value for value in range(256)}  # the fixture's order of pieces
    detokenizer = Detokenizer(tokenizers["llama"])
    pushed = [detokenizer.push([byte[value]]) for value in "😀".encode()]
    assert pushed == ["", "", "", "😀"]
    assert detokenizer.push([byte[0xE4], byte[0xBD]]) == ""
    assert detokenizer.push([byte[0x41]]) == REPLACEMENT + "A"
    assert detokenizer.push([byte[0xE4]]) == ""
    assert detokenizer.push([1, 2]) == ""
    assert detokenizer.finish() == REPLACEMENT


def test_the_leading_space_goes_as_in_decode_unless_the_text_continues(
    tokenizers: dict[str, Tokenizer], checkpoints: dict[str, Checkpoint]
) -> None:
    tokenizer = tokenizers["llama"]
    ids = tokenizer.encode_text(" the cat")  # two spaces: the prefix and the text's own
    detokenizer = Detokenizer(tokenizer)
    assert "".join(detokenizer.push([id_]) for id_ in [2, *ids]) == " the cat"
    assert checkpoints["llama"].library.decode([2, *ids]) == " the cat"
    assert Detokenizer(tokenizer, continues_text=True).push(ids) == "  the cat"

"""Checkpoints and loaded tokenizers, made once per session."""

import pytest

from homerun.text.tokenizer import Tokenizer
from tests.text import fixtures
from tests.text.fixtures import Checkpoint

KINDS = ("llama", "metaspace", "gemma", "gemma_plain_turns", "rookie", "chatml")
"""Every tokenizer; `gemma_plain_turns` and `chatml` have turn marks that are not special."""


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checkpoint]:
    root = tmp_path_factory.mktemp("checkpoints")
    made = {
        "llama": (fixtures.llama_tokenizer(), "<s>", "</s>", fixtures.META_LLAMA2),
        "metaspace": (fixtures.metaspace_tokenizer(), "<s>", "</s>", fixtures.META_LLAMA2),
        "gemma": (fixtures.gemma_tokenizer(), "<bos>", "<eos>", fixtures.GOOGLE_GEMMA),
        "gemma_plain_turns": (
            fixtures.gemma_tokenizer(turns_special=False),
            "<bos>",
            "<eos>",
            fixtures.GOOGLE_GEMMA,
        ),
        "rookie": (
            fixtures.byte_level_tokenizer(fixtures.ROOKIE_TOKENS),
            "<|bos|>",
            "<|end|>",
            fixtures.ROOKIE,
        ),
        "chatml": (fixtures.chatml_tokenizer(), None, "<|endoftext|>", fixtures.CHATML),
    }
    return {name: fixtures.save(root / name, *parts) for name, parts in made.items()}


@pytest.fixture(scope="session")
def tokenizers(checkpoints: dict[str, Checkpoint]) -> dict[str, Tokenizer]:
    return {name: Tokenizer.load(entry.directory) for name, entry in checkpoints.items()}

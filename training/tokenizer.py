"""Knows how the byte-level BPE is trained and saved; refuses to know the model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.corpus import SPECIALS

VOCAB_SIZE = 4096


def train_tokenizer(texts: Iterable[str], path: Path) -> Tokenizer:
    """Trains on plain texts (no markers) and writes tokenizer.json; the specials are ids 0..7."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        min_frequency=2,
        show_progress=False,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in SPECIALS],
        # All 256 bytes, so that any text of any language has a token sequence.
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != VOCAB_SIZE:
        raise ValueError(f"the corpus gave only {tokenizer.get_vocab_size()} tokens")
    path.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path))
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer that `train_tokenizer` wrote."""
    return Tokenizer.from_file(str(path))

"""Knows how the byte-level BPE is trained and saved; refuses to know the model."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.corpus import SPECIALS

VOCAB_SIZE = 4096
# Words that nobody has to copy. They take the spaces around them along, so that a text has few
# tokens; every other word has the same tokens after a space, a quote or at the start of a line,
# and can be copied from a sentence into JSON token by token.
_SMALL_WORDS = (
    "a am an and are as at be but by can do does for from had has have he her him his how I if "
    "in is it its me my no not of on one or our she so than that the their them then there they "
    "this to two up was we were what when where which who why will with would you your"
)
_PIECES = "|".join(
    (
        rf" (?:(?:{'|'.join(_SMALL_WORDS.split())})(?![\p{{L}}\p{{N}}'_]) ?)+",
        r"'(?:s|t|re|ve|m|ll|d)(?!\p{L})",
        r"\p{L}+",
        r"\p{N}",
        r"[^\s\p{L}\p{N}]+ ?",
        r"\s",
    )
)


def train_tokenizer(texts: Iterable[str], path: Path) -> Tokenizer:
    """Trains on plain texts (no markers) and writes tokenizer.json; the specials are ids 0..7."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
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

"""Strings <-> token ids of one checkpoint, and which ids are control tokens.

Knows tokenizer.json; knows nothing of conversations or of the model.
"""

import re
import secrets
from pathlib import Path
from typing import Any

import tokenizers

from homerun.errors import BadInput, CheckpointError
from homerun.files import open_regular
from homerun.text.token_bytes import PieceDecoder, read_piece_decoder
from homerun.text.tokenizer_files import TokenizerConfig, read_tokenizer_config

# Some Gemma checkpoints list these as ordinary added tokens.
_TEMPLATE_TOKENS = frozenset({"<start_of_turn>", "<end_of_turn>"})


class Tokenizer:
    """tokenizer.json with its special tokens. Safe to share between threads once loaded.

    Text never becomes a control token: the library is told to read special tokens as ordinary
    text, and every control token gets a second, random name that only `marked` writes.
    """

    vocab_size: int
    """Number of ids, added tokens included; the model's logits may be wider."""
    bos_id: int | None
    eos_id: int | None
    control_ids: frozenset[int]
    """Ids that never stand for text, neither in a request nor in an answer."""
    leading_spaces: int
    """Spaces that decoding takes off the start of an answer."""
    chat_template: str | None
    """The checkpoint's own chat template, as Jinja source."""

    def __init__(self, inner: tokenizers.Tokenizer, config: TokenizerConfig) -> None:
        """Takes `inner` over and changes it. Raises CheckpointError for an unsupported decoder."""
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner
        self._decoder = _piece_decoder(inner)
        self.leading_spaces = self._decoder.leading_spaces
        self.vocab_size = 1 + max(inner.get_vocab(with_added_tokens=True).values(), default=-1)
        self.bos_id = self._resolve(config.bos_token)
        self.eos_id = self._resolve(config.eos_token)
        self._adds_bos = config.add_bos
        self.chat_template = config.chat_template

        added: dict[int, Any] = inner.get_added_tokens_decoder()
        control = {
            id_: token
            for id_, token in added.items()
            if token.special or token.content in _TEMPLATE_TOKENS
        }
        named = map(self._resolve, {config.bos_token, config.eos_token, *config.special_tokens})
        for id_ in named:  # these may stand in the model's vocabulary alone
            if id_ is not None:
                control[id_] = added.get(id_) or tokenizers.AddedToken(inner.id_to_token(id_))
        # Some checkpoints mark turns with tokens that are not special: no text may forge these,
        # but answers may hold them (`<think>`).
        turn_marks = {
            id_: token
            for id_, token in added.items()
            if id_ not in control and _marks_turns(token.content, config.chat_template)
        }
        self.control_ids = frozenset(control)
        self._protect(control | turn_marks)

    @classmethod
    def load(cls, directory: Path) -> "Tokenizer":
        """Reads tokenizer.json and its neighbours. Raises CheckpointError in plain words."""
        path = directory / "tokenizer.json"
        try:
            with open_regular(path) as file:
                inner = tokenizers.Tokenizer.from_buffer(file.read())
        except FileNotFoundError:
            raise CheckpointError(f"{directory} has no tokenizer.json") from None
        except Exception as error:  # the library raises bare Exception for everything
            why = getattr(error, "strerror", error)
            raise CheckpointError(f"{path} cannot be read: {why}") from None
        return cls(inner, read_tokenizer_config(directory))

    def encode_text(self, text: str) -> list[int]:
        """Ids of ordinary text, without BOS: special-token strings in it are ordinary text too.

        Raises BadInput for text with lone surrogates, which no token can stand for.
        """
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadInput("the text is not valid Unicode: it holds a lone surrogate") from None
        # The batch call lets go of the interpreter lock and keeps no offsets: several times faster.
        ids = self._inner.encode_batch_fast([text], add_special_tokens=False)[0].ids
        if self._rewrites.keys().isdisjoint(ids):
            return ids
        return [new for id_ in ids for new in self._rewrites.get(id_, (id_,))]

    def encode_raw(self, text: str) -> list[int]:
        """Ids of a raw prompt: special tokens are parsed, BOS is added only if absent."""
        return self.with_bos(self.encode_text(self.marked(text)))

    def with_bos(self, ids: list[int]) -> list[int]:
        """`ids`, after BOS if they lack it and the checkpoint has one and wants it."""
        if self.bos_id is None or not self._adds_bos or ids[:1] == [self.bos_id]:
            return ids
        return [self.bos_id, *ids]

    def marked(self, literal: str) -> str:
        """Trusted text whose control tokens shall be control tokens, ready for `encode_text`.

        For a template's own words and raw prompts. The result holds secrets: it is never shown.
        """
        return self._control_pattern.sub(lambda match: self._alias_of[match[0]], literal)

    def control_tokens_in(self, literal: str) -> list[int]:
        """Ids of the control tokens that trusted text holds, in order."""
        return [self._id_of[token] for token in self._control_pattern.findall(literal)]

    def token_id(self, token: str) -> int | None:
        """Id of a control token's string; None for anything else."""
        return self._id_of.get(token)

    def token(self, id_: int) -> str | None:
        """The string of an id as it stands in tokenizer.json; None outside the vocabulary."""
        return self._inner.id_to_token(id_) if 0 <= id_ < self.vocab_size else None

    def token_bytes(self, id_: int) -> bytes:
        """The bytes that an id adds to an answer: none for control ids and unknown ids."""
        if id_ in self.control_ids:
            return b""
        piece = self.token(id_)
        return b"" if piece is None else self._decoder.piece_bytes(piece)

    def _resolve(self, token: str | int | None) -> int | None:
        if isinstance(token, str):
            return self._inner.token_to_id(token)
        return token if token is not None and self.token(token) is not None else None

    def _protect(self, tokens: dict[int, Any]) -> None:
        """Closes every way from text to the ids of `tokens` but the one through `marked`."""
        inner: Any = self._inner
        plain = [token for token in tokens.values() if not token.special]
        inner.add_special_tokens([_copy(token, token.content, special=True) for token in plain])
        inner.encode_special_tokens = True

        secret = secrets.token_hex(16)
        self._id_of = {token.content: id_ for id_, token in tokens.items()}
        self._alias_of = {
            token.content: f"\ue000{secret}:{id_}\ue001" for id_, token in tokens.items()
        }
        inner.add_tokens(
            [
                _copy(token, self._alias_of[token.content], special=False)
                for token in tokens.values()
            ]
        )
        longest_first = sorted(self._id_of, key=len, reverse=True)
        self._control_pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

        # The model's own merges may spell a control token: then its characters stand one by one.
        # The unknown id of a vocabulary without byte fallback is the model's honest answer.
        model: Any = inner.model
        unknown = getattr(model, "unk_token", None)
        if getattr(model, "byte_fallback", False):
            unknown = None
        self._rewrites: dict[int, tuple[int, ...]] = {
            id_: tuple(
                part.id
                for character in token.content
                for part in model.tokenize(character)
                if part.id not in tokens
            )
            for id_, token in tokens.items()
            if token.content != unknown
        }
        for content, alias in self._alias_of.items():
            self._rewrites[inner.token_to_id(alias)] = (self._id_of[content],)


def _piece_decoder(inner: tokenizers.Tokenizer) -> PieceDecoder:
    decoder: Any = inner.decoder
    return read_piece_decoder(None if decoder is None else decoder.__getstate__())


def _copy(token: Any, content: str, *, special: bool) -> Any:
    """An added token that is matched as `token` is, before normalization."""
    return tokenizers.AddedToken(
        content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=False,
        special=special,
    )


def _marks_turns(token: str, chat_template: str | None) -> bool:
    """Whether the template writes this added token itself: `<|im_start|>`, but not a line feed."""
    bracketed = len(token) > 2 and token[0] + token[-1] in ("<>", "[]", "{}")
    return bracketed and chat_template is not None and token in chat_template

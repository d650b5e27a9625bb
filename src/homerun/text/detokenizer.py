"""Ids of one answer -> text, piece by piece, whole characters only.

Knows UTF-8 and leading spaces; knows nothing of stop ids or of how often it is called.
"""

import codecs
from collections.abc import Sequence

from homerun.text.tokenizer import Tokenizer


class Detokenizer:
    """Incremental decoder of one generation.

    All deltas together are the decoded answer, however the ids were cut into pushes; a character
    is held back until its last byte is there. Bytes that can never become a character are U+FFFD,
    as Unicode recommends. The cost is linear in the answer.
    """

    def __init__(self, tokenizer: Tokenizer, *, continues_text: bool = False) -> None:
        """`continues_text`: the answer goes on where a raw prompt stops, so that a leading space
        is part of it. Otherwise it is taken off where the tokenizer's decoder does so (Llama-2).
        """
        self._token_bytes = tokenizer.token_bytes
        self._spaces_to_drop = 0 if continues_text else tokenizer.leading_spaces
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, ids: Sequence[int]) -> str:
        """The text that these ids complete; "" while a character is incomplete."""
        return self._strip(self._utf8.decode(b"".join(map(self._token_bytes, ids))))

    def finish(self) -> str:
        """The rest: U+FFFD where the answer stops inside a character, else ""."""
        return self._strip(self._utf8.decode(b"", final=True))

    def _strip(self, text: str) -> str:
        while text and self._spaces_to_drop:
            if text[0] != " ":
                self._spaces_to_drop = 0
                break
            self._spaces_to_drop -= 1
            text = text[1:]
        return text

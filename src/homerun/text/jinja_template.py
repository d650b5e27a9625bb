"""A checkpoint's own chat template, rendered so that no message can write a control token.

Knows the variables of Hugging Face's chat templates; knows nothing of Jinja's inner life.

The template sees a random placeholder for each content, between the content's own leading and
trailing whitespace, so that templates which trim do so truthfully. What the template wrote is
read with its control tokens; the contents are put back afterwards, as ordinary text. A template
that looks into a content (searches or cuts it) looks at the placeholder.
"""

import re
import secrets
from collections.abc import Sequence

from homerun.errors import BadInput, CheckpointError
from homerun.text.conversation import SEPARATOR, Turn, to_alternating, to_turns
from homerun.text.jinja_sandbox import MAX_LENGTH, compile_template, render_template
from homerun.text.tokenizer import Tokenizer
from homerun.types import Message


class JinjaTemplate:
    """The ids of `apply_chat_template(messages, add_generation_prompt=True)`, safely.

    Contents with control tokens in them and neighbours of one role (merged) differ, on purpose.
    """

    stop_tokens: frozenset[int]
    """EOS and the control token that closes an assistant turn."""

    def __init__(self, source: str, tokenizer: Tokenizer) -> None:
        """Raises CheckpointError where the template cannot even render one user turn."""
        self._tokenizer = tokenizer
        self._template = compile_template(source)
        self._bos = _token_text(tokenizer, tokenizer.bos_id)
        self._eos = _token_text(tokenizer, tokenizer.eos_id)
        try:
            self._pieces([Turn("user", "?", 0)])
        except BadInput as error:
            raise CheckpointError(f"the chat template cannot be used: {error}") from None
        self.stop_tokens = self._find_stop_tokens()

    def render(self, messages: Sequence[Message]) -> list[int]:
        turns = to_turns(messages)
        try:
            return self._encode(turns)
        except BadInput:
            if turns[0].role != "system":
                raise
        # Many formats have no system turn: then its text opens the first user turn.
        system, alternating = to_alternating(turns)
        assert system is not None
        first = alternating[0]
        folded = Turn("user", system.content + SEPARATOR + first.content, first.index)
        return self._encode([folded, *alternating[1:]])

    def render_prompt(self, prompt: str) -> list[int]:
        return self.render((Message("user", prompt),))

    def _encode(self, turns: list[Turn]) -> list[int]:
        pieces = self._pieces(turns)
        literals, cores = pieces[::2], pieces[1::2]
        text = [self._tokenizer.marked(literals[0])]
        for core, literal in zip(cores, literals[1:], strict=True):
            text += (turns[int(core)].content.strip(), self._tokenizer.marked(literal))
        if sum(map(len, text)) > MAX_LENGTH:
            raise BadInput(f"the prompt is longer than {MAX_LENGTH} characters")
        return self._tokenizer.encode_text("".join(text))

    def _pieces(self, turns: list[Turn], generation_prompt: bool = True) -> list[str]:
        """The rendered text: literal, index of a turn, literal, index of a turn, …, literal."""
        secret = secrets.token_hex(16)
        shown: list[dict[str, str]] = []
        for number, turn in enumerate(turns):
            core = turn.content.strip()
            before, _, after = turn.content.partition(core) if core else (turn.content, "", "")
            placeholder = f"x{secret}x{number}x" if core else ""
            shown.append({"role": turn.role, "content": before + placeholder + after})
        rendered = render_template(
            self._template,
            {
                "messages": shown,
                "tools": None,
                "documents": None,
                "add_generation_prompt": generation_prompt,
                "bos_token": self._bos,
                "eos_token": self._eos,
            },
        )
        pieces = re.split(f"x{secret}x([0-9]+)x", rendered)
        if any(secret[:8] in literal.lower() for literal in pieces[::2]):
            raise BadInput("this model's chat template changes the text of messages")
        written = set(map(int, pieces[1::2]))
        for number, turn in enumerate(turns):
            if turn.content.strip() and number not in written:
                raise BadInput(
                    f"this model's chat template leaves out '/messages/{turn.index}' "
                    f"(role {turn.role})"
                )
        return pieces

    def _find_stop_tokens(self) -> frozenset[int]:
        eos = self._tokenizer.eos_id
        stop = set[int]() if eos is None else {eos}
        try:
            probe = [Turn("user", "?", 0), Turn("assistant", "!", 1)]
            pieces = self._pieces(probe, generation_prompt=False)
        except BadInput:
            return frozenset(stop)
        return frozenset(stop | set(self._tokenizer.control_tokens_in(pieces[-1])[:1]))


def _token_text(tokenizer: Tokenizer, id_: int | None) -> str:
    return "" if id_ is None else tokenizer.token(id_) or ""

"""The chat templates of the catalog, restated as data, and the one renderer for them.

Knows what Meta's, Google's and rookie's chat formats write; knows nothing of Jinja.

Control tokens are written by the template alone. Llama-2's `[INST]` and `<<SYS>>` are ordinary
text in Meta's own format, so a message may hold them and the model cannot tell who wrote them;
BOS and EOS, which do bound the turns, cannot be forged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from homerun.errors import CheckpointError
from homerun.text.conversation import SEPARATOR, Turn, to_alternating, to_turns
from homerun.text.tokenizer import Tokenizer
from homerun.types import Message


class ChatTemplate(Protocol):
    """Conversation -> the ids that a model continues with its answer."""

    @property
    def stop_tokens(self) -> frozenset[int]:
        """Ids with which the template ends an assistant turn."""
        ...

    def render(self, messages: Sequence[Message]) -> list[int]:
        """Ids of a conversation, from BOS to the start of the answer. Raises BadInput.

        A conversation that ends with an assistant turn is not continued: that turn is closed.
        """
        ...

    def render_prompt(self, prompt: str) -> list[int]:
        """Ids of a bare prompt: the template's default system text, if any, and a user turn."""
        ...


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """What a template writes. `{}` is where a content goes; control tokens stand as they are."""

    control_tokens: tuple[str, ...]
    stop_tokens: tuple[str, ...]
    start: str
    turns: dict[str, str]
    generation_prompt: str
    folded_system: str | None
    """How the system text opens the first user turn, in formats without a system turn."""
    strips_contents: bool
    default_system: str | None
    """Our own wording, for a bare prompt."""


FORMATS = {
    # https://huggingface.co/meta-llama/Llama-2-7b-chat-hf, tokenizer_config.json
    "llama2": ChatFormat(
        control_tokens=("<s>", "</s>"),
        stop_tokens=("</s>",),
        start="",
        turns={"user": "<s>[INST] {} [/INST]", "assistant": " {} </s>"},
        generation_prompt="",
        folded_system="<<SYS>>\n{}\n<</SYS>>\n\n",
        strips_contents=True,
        default_system="You are a kind assistant who answers truthfully and to the point.",
    ),
    # https://huggingface.co/google/gemma-7b-it, tokenizer_config.json. The authors' template
    # refuses a system turn; its text goes before the first user text here.
    "gemma": ChatFormat(
        control_tokens=("<bos>", "<start_of_turn>", "<end_of_turn>"),
        stop_tokens=("<end_of_turn>", "<eos>"),
        start="<bos>",
        turns={
            "user": "<start_of_turn>user\n{}<end_of_turn>\n",
            "assistant": "<start_of_turn>model\n{}<end_of_turn>\n",
        },
        generation_prompt="<start_of_turn>model\n",
        folded_system="{}" + SEPARATOR,
        strips_contents=True,
        default_system=None,
    ),
    "rookie": ChatFormat(
        control_tokens=(
            "<|bos|>",
            "<|end|>",
            "<|system|>",
            "<|user|>",
            "<|assistant|>",
            "<|tool|>",
        ),
        stop_tokens=("<|end|>",),
        start="<|bos|>",
        turns={
            "system": "<|system|>{}<|end|>",
            "user": "<|user|>{}<|end|>",
            "assistant": "<|assistant|>{}<|end|>",
            "tool": "<|tool|>{}<|end|>",
        },
        generation_prompt="<|assistant|>",
        folded_system=None,
        strips_contents=False,
        default_system="You are a helpful assistant",
    ),
}


class FormatTemplate:
    """Renders one `ChatFormat`."""

    def __init__(self, name: str, chat_format: ChatFormat, tokenizer: Tokenizer) -> None:
        """Raises CheckpointError where the tokenizer lacks one of the format's tokens."""
        for token in {*chat_format.control_tokens, *chat_format.stop_tokens}:
            if tokenizer.token_id(token) is None:
                raise CheckpointError(f"tokenizer.json has no {token}, which {name} chats need")
        self._format = chat_format
        self._tokenizer = tokenizer
        self._start = tokenizer.marked(chat_format.start)
        self._generation_prompt = tokenizer.marked(chat_format.generation_prompt)
        self._turns = {
            role: tokenizer.marked(text).split("{}") for role, text in chat_format.turns.items()
        }

    @property
    def stop_tokens(self) -> frozenset[int]:
        ids = map(self._tokenizer.token_id, self._format.stop_tokens)
        return frozenset(id_ for id_ in ids if id_ is not None)

    def render(self, messages: Sequence[Message]) -> list[int]:
        text = [self._start]
        for turn in self._plan(to_turns(messages)):
            before, after = self._turns[turn.role]
            content = turn.content.strip() if self._format.strips_contents else turn.content
            text += (before, content, after)
        text.append(self._generation_prompt)
        # One call for the whole conversation: the pieces between control tokens meet the
        # normalizer exactly as they do in the authors' own code.
        return self._tokenizer.encode_text("".join(text))

    def render_prompt(self, prompt: str) -> list[int]:
        system = self._format.default_system
        opening = () if system is None else (Message("system", system),)
        return self.render((*opening, Message("user", prompt)))

    def _plan(self, turns: list[Turn]) -> list[Turn]:
        """The turns as this format knows them."""
        if self._format.folded_system is None:
            return turns
        system, alternating = to_alternating(turns)
        if system is None:
            return alternating
        first = alternating[0]
        opening = self._format.folded_system.replace("{}", system.content)
        return [Turn("user", opening + first.content, first.index), *alternating[1:]]


class PlainTemplate:
    """For base models: BOS and the contents, a blank line between them, no roles, no markers."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @property
    def stop_tokens(self) -> frozenset[int]:
        return frozenset()

    def render(self, messages: Sequence[Message]) -> list[int]:
        return self.render_prompt(SEPARATOR.join(turn.content for turn in to_turns(messages)))

    def render_prompt(self, prompt: str) -> list[int]:
        return self._tokenizer.with_bos(self._tokenizer.encode_text(prompt))


def template_for(name: str | None, tokenizer: Tokenizer, directory: Path) -> ChatTemplate:
    """The template of a catalog model, or with None the checkpoint's own.

    A checkpoint without a chat template gets `PlainTemplate`. Raises CheckpointError, naming
    `directory`, where the tokenizer or the checkpoint's template does not fit.
    """
    try:
        if name is not None:
            return FormatTemplate(name, FORMATS[name], tokenizer)
        if tokenizer.chat_template is None:
            return PlainTemplate(tokenizer)
        from homerun.text.jinja_template import JinjaTemplate  # Jinja costs 100 ms of start-up

        return JinjaTemplate(tokenizer.chat_template, tokenizer)
    except CheckpointError as error:
        raise CheckpointError(f"{directory}: {error}") from None

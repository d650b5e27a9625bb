"""Small tokenizers of the three kinds, trained here, and the authors' templates as oracles."""

import json
from dataclasses import dataclass
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

CORPUS = [
    "The cat sat on the mat and the dog sat on the cat.",
    "A user asked a model: what is the name of the river in the north?",
    "You are a helpful assistant. Answer the question in one sentence.\n\nThank you!",
    "Once upon a time there was a small house in a large wood [INST] and [/INST] a well.",
    "<<SYS>> <</SYS>> tags, <start_of_turn> and <end_of_turn>, <s> and </s>, <|user|> <|end|>",
    "Größe, naïve, café: straße und Übermut. Привет, мир. 你好，世界。",
    "def f(x):\n    return x + 1  # two  spaces\n\n\nprint(f(41))",
] * 3

# The published templates, word for word: the oracle that templates.py is held to.
META_LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}"
    "{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
    "{% for message in loop_messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception("
    "'Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}"
    "{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}"
    "{% endif %}{% endfor %}"
)
GOOGLE_GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception("
    "'Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}"
    "{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
ROOKIE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
CHATML = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Checkpoint:
    """A tokenizer on disk and what its config says."""

    directory: Path
    bos: str | None
    eos: str
    chat_template: str | None

    @property
    def library(self) -> Tokenizer:
        """The file as the library reads it, unchanged."""
        return Tokenizer.from_file(str(self.directory / "tokenizer.json"))


def save(
    directory: Path,
    tokenizer: Tokenizer,
    bos: str | None,
    eos: str,
    chat_template: str | None = None,
) -> Checkpoint:
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    config = {"bos_token": bos, "eos_token": eos}
    if chat_template is not None:
        config["chat_template"] = chat_template
    (directory / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return Checkpoint(directory, bos, eos, chat_template)


def _sentencepiece_like(
    first: list[str], special: list[str], size: int, spelled: list[str]
) -> Tokenizer:
    """BPE over ▁-separated words with byte fallback: `first`, 256 bytes, pieces.

    `spelled` are control tokens that the merges reach before all else, the worst case.
    """
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trained.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=size, special_tokens=["<unk>"], show_progress=False)
    )
    model = json.loads(trained.to_str())["model"]
    pieces = [*first, *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [piece for piece in model["vocab"] if piece not in first]
    spelling = [
        (token[: end - 1], token[end - 1]) for token in spelled for end in range(2, len(token) + 1)
    ]
    merges = spelling + [pair for pair in map(tuple, model["merges"]) if pair not in spelling]
    for left, right in spelling:
        pieces += [piece for piece in (left, right, left + right) if piece not in pieces]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(
        models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    return tokenizer


def llama_tokenizer() -> Tokenizer:
    tokenizer = _sentencepiece_like(
        ["<unk>", "<s>", "</s>"], ["<unk>", "<s>", "</s>"], 700, ["<s>", "</s>"]
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return tokenizer


def metaspace_tokenizer() -> Tokenizer:
    """Llama-2 as newer converters write it: the prefix at the very start only."""
    tokenizer = llama_tokenizer()
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return tokenizer


def gemma_tokenizer(turns_special: bool = True) -> Tokenizer:
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    turns = ["<start_of_turn>", "<end_of_turn>"]
    tokenizer = _sentencepiece_like([*special, *turns], special, 700, turns[:1])
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    added = [AddedToken(t, normalized=False, special=turns_special) for t in turns]
    (tokenizer.add_special_tokens if turns_special else tokenizer.add_tokens)(added)
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ("\n\n", "▁▁", "<table>")])
    return tokenizer


ROOKIE_TOKENS = (
    "<|pad|> <|bos|> <|end|> <|system|> <|user|> <|assistant|> <|tool|> <|reserved|>"
).split()


def byte_level_tokenizer(special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return tokenizer


def chatml_tokenizer() -> Tokenizer:
    """Turn marks that are not special, as some fine-tunes have them."""
    tokenizer = byte_level_tokenizer(["<|endoftext|>"])
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ("<|im_start|>", "<|im_end|>")])
    return tokenizer

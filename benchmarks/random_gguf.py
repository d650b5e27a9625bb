"""A GGUF file of random weights in a given shape, for llama.cpp.

    python random_gguf.py --shape-json '{"hidden_size": …}' --dtype int8 FILE.gguf

Runs in an interpreter that has the gguf package and knows nothing of homerun: the shape is
config.json's fields. int8 stands for Q8_0. Every layer has memory of its own; numbers repeat.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np

DEVIATION = 0.02
FILE_TYPES = {"int8": 7, "fp16": 1, "bf16": 32}  # llama_ftype: MOSTLY_Q8_0, MOSTLY_F16, MOSTLY_BF16
GGML_TYPES = {
    "int8": gguf.GGMLQuantizationType.Q8_0,
    "fp16": gguf.GGMLQuantizationType.F16,
    "bf16": gguf.GGMLQuantizationType.BF16,
}
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # llama.cpp's kinds of tokens


class RandomTensors:
    """Arrays as they lie in the file; the same one for every tensor of a shape."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._rng = np.random.default_rng(0)
        self._made: dict[tuple[int, int], np.ndarray] = {}

    def get(self, rows: int, columns: int) -> np.ndarray:
        if (rows, columns) not in self._made:
            make = self._q8_0 if self._dtype == "int8" else self._float
            self._made[rows, columns] = make(rows, columns)
        return self._made[rows, columns]

    def _q8_0(self, rows: int, columns: int) -> np.ndarray:
        """Blocks of 32: a float16 scale and 32 signed bytes."""
        blocks = np.empty((rows, columns // 32, 34), np.uint8)
        values = self._rng.integers(-127, 128, (rows, columns // 32, 32), dtype=np.int8)
        blocks[:, :, 2:] = values.view(np.uint8)
        scale = np.array([DEVIATION / 73], np.float16)  # 73: deviation of the bytes
        blocks[:, :, :2] = scale.view(np.uint8)
        return blocks.reshape(rows, -1)

    def _float(self, rows: int, columns: int) -> np.ndarray:
        values = self._rng.standard_normal((rows, columns), dtype=np.float32) * DEVIATION
        if self._dtype == "fp16":
            return values.astype(np.float16)
        bits = (values.view(np.uint32) >> 16).astype(np.uint16)
        return bits.view(np.uint8).reshape(rows, columns * 2)


def write(path: Path, config: dict[str, Any], dtype: str) -> None:
    gemma = config["model_type"] == "gemma"
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    head_dim, layers, vocab = config["head_dim"], config["num_hidden_layers"], config["vocab_size"]

    writer = gguf.GGUFWriter(path, "gemma" if gemma else "llama")
    writer.add_name(path.stem)
    writer.add_file_type(FILE_TYPES[dtype])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_vocab_size(vocab)
    _add_tokens(writer, vocab)

    tensors = RandomTensors(dtype)

    def matrix(name: str, rows: int, columns: int) -> None:
        # float16 arrays say themselves what they are; the others are bytes.
        kind = None if dtype == "fp16" else GGML_TYPES[dtype]
        writer.add_tensor(name, tensors.get(rows, columns), raw_dtype=kind)

    def norm(name: str) -> None:
        writer.add_tensor(name, np.ones(hidden, np.float32))

    matrix("token_embd.weight", vocab, hidden)
    norm("output_norm.weight")
    if not config["tie_word_embeddings"]:
        matrix("output.weight", vocab, hidden)
    for layer in range(layers):
        prefix = f"blk.{layer}."
        norm(prefix + "attn_norm.weight")
        matrix(prefix + "attn_q.weight", heads * head_dim, hidden)
        matrix(prefix + "attn_k.weight", kv_heads * head_dim, hidden)
        matrix(prefix + "attn_v.weight", kv_heads * head_dim, hidden)
        matrix(prefix + "attn_output.weight", hidden, heads * head_dim)
        norm(prefix + "ffn_norm.weight")
        matrix(prefix + "ffn_gate.weight", inner, hidden)
        matrix(prefix + "ffn_up.weight", inner, hidden)
        matrix(prefix + "ffn_down.weight", hidden, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokens(writer: gguf.GGUFWriter, vocab: int) -> None:
    """A SentencePiece vocabulary of made-up words, which llama.cpp wants to see."""
    tokens = [b"<unk>", b"<s>", b"</s>"]
    kinds = [UNKNOWN, CONTROL, CONTROL]
    tokens += [f"<0x{byte:02X}>".encode() for byte in range(256)]
    kinds += [BYTE] * 256
    letters = ["\u2581", *(chr(code) for code in range(33, 127))]
    words = [f"\u2581w{number}" for number in range(vocab - len(tokens) - len(letters))]
    tokens += [text.encode() for text in (*letters, *words)]
    kinds += [NORMAL] * (vocab - len(kinds))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(rank) for rank in range(vocab)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--shape-json", type=json.loads, required=True, help="config.json's fields")
    parser.add_argument("--dtype", choices=tuple(GGML_TYPES), default="int8")
    options = parser.parse_args()
    write(options.file, options.shape_json, options.dtype)


if __name__ == "__main__":
    main()

"""Which RoPE scaling serves requests beyond the trained length best, measured on rookie.

    python -m benchmarks.rope_scaling [--length 4096] [--documents 3]

Held-out conversations, one after the other in one long sequence, are scored with teacher forcing:
perplexity of the assistants' tokens by range of positions, for rotary positions as trained,
NTK-aware (theta times factor^(d / (d - 2))) and YaRN (Peng et al. 2023). Run from the repository
root.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np

from homerun.model.decoder import Batch, Decoder, Segment
from homerun.model.dtypes import DType
from homerun.model.kv_cache import KVCache
from homerun.model.loader import LoadedModel, load_model
from homerun.model.rope import RopeConfig, RopeTables, scaled_beyond_training
from homerun.text.tokenizer import Tokenizer
from training.corpus import conversations, render

CHUNK = 256
BLOCK = 16


def documents(
    tokenizer: Tokenizer, count: int, length: int
) -> Iterator[tuple[list[int], list[bool]]]:
    """Token ids of long talks, and which of them an assistant wrote."""
    answer, end = tokenizer.token_id("<|assistant|>"), tokenizer.token_id("<|end|>")
    for number in range(count):
        ids = [tokenizer.token_id("<|bos|>") or 0]
        seed = 900 + number
        while len(ids) < length:
            for talk in conversations(seed, 16, held_out=True):
                ids += tokenizer.encode_raw(render(talk.turns))[1:]
            seed += 1000
        ids, spoken, inside = ids[:length], [], False
        for token in ids:
            spoken.append(inside)
            inside = token == answer or (inside and token != end)
        yield ids, spoken


def losses(
    model: LoadedModel, rope: RopeTables, ids: list[int], kv_dtype: DType = "fp32"
) -> np.ndarray:
    """Negative log-likelihood of each token given those before it, float64 [len(ids) - 1]."""
    decoder = model.decoder
    scaled = Decoder(model.config, decoder._weights, rope, decoder._ops)
    blocks = -(-len(ids) // BLOCK)
    cache = KVCache(model.config, blocks, BLOCK, kv_dtype)
    table = np.arange(blocks, dtype=np.int32)
    result = []
    for start in range(0, len(ids) - 1, CHUNK):
        tokens = np.array(ids[start : start + CHUNK], np.int32)
        positions = np.arange(start, start + len(tokens), dtype=np.int32)
        segment = Segment(0, len(tokens), start, table)
        zeros = np.zeros(len(tokens), np.int32)
        batch = Batch(tokens, positions, zeros, positions.astype(np.int64), (segment,))
        logits = scaled.logits(scaled.forward(batch, cache)).astype(np.float64)
        targets = ids[start + 1 : start + 1 + CHUNK]
        logits = logits[: len(targets)]
        logits -= logits.max(axis=1, keepdims=True)
        result.append(np.log(np.exp(logits).sum(axis=1)) - logits[range(len(targets)), targets])
    return np.concatenate(result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--trained", type=int, default=0, help="default: as config.json says")
    parser.add_argument("--documents", type=int, default=3)
    arguments = parser.parse_args()
    directory = Path(str(files("homerun").joinpath("data", "rookie")))
    model = load_model(directory, dtype="fp32")
    tokenizer = Tokenizer.load(directory)
    plain, head_dim = model.config.rope, model.config.head_dim
    trained = arguments.trained or model.config.max_position_embeddings
    factor = arguments.length / trained
    ntk = replace(plain, theta=plain.theta * factor ** (head_dim / (head_dim - 2)))
    variants: dict[str, RopeConfig] = {
        "as trained": plain,
        "NTK-aware": ntk,
        "YaRN": scaled_beyond_training(plain, trained, arguments.length),
    }
    edges = [0]
    edges += [arguments.length >> shift for shift in (4, 3, 2, 1, 0)]
    texts = list(documents(tokenizer, arguments.documents, arguments.length))
    print(f"trained length {trained}, factor {factor:g}; perplexity of held-out answers")
    ranges = list(pairwise(edges))
    print("positions   " + "".join(f"{f'{low}-{high}':>12}" for low, high in ranges))
    for name, rope in variants.items():
        tables = RopeTables(rope, rope, head_dim)
        sums, counts = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
        for ids, spoken in texts:
            loss, wanted = losses(model, tables, ids), np.array(spoken[1:])
            for index, (low, high) in enumerate(ranges):
                chosen = wanted[low:high]
                sums[index] += loss[low:high][chosen].sum()
                counts[index] += chosen.sum()
        perplexities = np.exp(sums / np.maximum(counts, 1))
        print(f"{name:<12}" + "".join(f"{value:12.2f}" for value in perplexities))


if __name__ == "__main__":
    main()

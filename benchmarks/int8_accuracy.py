"""What int8 costs in accuracy, for the choices that were open: scales of rows or groups, outliers.

    python -m benchmarks.int8_accuracy [--skip-rookie] [--documents 2]

First a table of one linear: activations of a normal distribution in which 6 channels are 100 times
as large, as some channels of trained models are, against normal weights. The error is
‖int8 - exact‖ / ‖exact‖ of the output, all of it and the part that the other channels make, since
the large ones dominate both norms. "6 taken out" leaves the 6 largest numbers of a row to float32
and quantizes the rest. Then the perplexity of rookie's held-out answers, float32 against
the other dtypes of weights, and of keys and values. Run
from the repository root.
"""

import argparse
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np

from benchmarks.rope_scaling import documents, losses
from homerun.model.dtypes import F32, DType
from homerun.model.loader import load_model
from homerun.model.quantize import quantize_rows
from homerun.model.rope import RopeTables
from homerun.text.tokenizer import Tokenizer

ROWS, CHANNELS = 64, 512
LARGE_CHANNELS, LARGE = 6, 100.0


def in_groups(rows: F32, group: int) -> F32:
    """float32 [M, K] rounded to int8 with one scale per row and `group` of K (0 = all of it)."""
    width = group or rows.shape[1]
    integers, scales = quantize_rows(rows.reshape(-1, width))
    return (integers * scales).reshape(rows.shape)


def largest_taken_out(rows: F32, count: int) -> F32:
    """As `in_groups(rows, 0)`, with the `count` largest numbers of each row left as they are."""
    order = np.argpartition(-np.abs(rows), count, axis=1)[:, :count]
    rest = rows.copy()
    np.put_along_axis(rest, order, 0, axis=1)
    rounded = in_groups(rest, 0)
    np.put_along_axis(rounded, order, np.take_along_axis(rows, order, 1), axis=1)
    return rounded


def one_linear(k: int) -> list[tuple[str, float, float]]:
    """(variant, relative error of the output, of the ordinary channels' part) for K = `k`."""
    rng = np.random.default_rng(k)
    rows = rng.standard_normal((ROWS, k), dtype=np.float32)
    large = rng.choice(k, LARGE_CHANNELS, replace=False)
    rows[:, large] *= LARGE
    weight = rng.standard_normal((CHANNELS, k), dtype=np.float32) * np.float32(0.02)
    exact = rows.astype(np.float64) @ weight.T.astype(np.float64)
    ordinary = rows.astype(np.float64)
    ordinary[:, large] = 0
    scale = np.linalg.norm(ordinary @ weight.T.astype(np.float64))
    variants = {
        "row / channel": (in_groups(rows, 0), in_groups(weight, 0)),
        "row / 128": (in_groups(rows, 0), in_groups(weight, 128)),
        "256 / channel": (in_groups(rows, 256), in_groups(weight, 0)),
        "256 / 256": (in_groups(rows, 256), in_groups(weight, 256)),
        "128 / channel": (in_groups(rows, 128), in_groups(weight, 0)),
        "128 / 128": (in_groups(rows, 128), in_groups(weight, 128)),
        "6 taken out / channel": (largest_taken_out(rows, 6), in_groups(weight, 0)),
        "exact / channel": (rows, in_groups(weight, 0)),
    }
    result = []
    for name, (x, w) in variants.items():
        error = np.linalg.norm(x.astype(np.float64) @ w.T.astype(np.float64) - exact)
        result.append((name, error / np.linalg.norm(exact), error / scale))
    return result


def perplexities(
    count: int, ways: Iterable[tuple[DType, DType]], length: int = 512
) -> Iterator[tuple[float, int]]:
    """Perplexity of rookie's held-out answers and their tokens, for dtypes of weights and KV."""
    directory = Path(str(files("homerun").joinpath("data", "rookie")))
    texts = list(documents(Tokenizer.load(directory), count, length))
    for dtype, kv_dtype in ways:
        model = load_model(directory, dtype=dtype)
        tables = RopeTables(model.config.rope, model.config.rope, model.config.head_dim)
        total, number = 0.0, 0
        for ids, spoken in texts:
            chosen = losses(model, tables, ids, kv_dtype)[np.array(spoken[1:])]
            total, number = total + float(chosen.sum()), number + len(chosen)
        yield float(np.exp(total / number)), number


def rookie(count: int, length: int = 512) -> None:
    """Prints the perplexity of held-out answers for each way to run rookie."""
    ways: list[tuple[DType, DType]] = [
        *((weights, "fp32") for weights in ("fp32", "fp16", "bf16", "int8")),
        *(("fp32", kv) for kv in ("fp16", "bf16", "int8")),
    ]
    exact = None
    print(f"\nrookie, {count} x {length} tokens of held-out talks")
    found = perplexities(count, ways, length)
    for (dtype, kv_dtype), (perplexity, number) in zip(ways, found, strict=True):
        exact = exact or perplexity
        change = (perplexity / exact - 1) * 100
        both = f"{dtype:6} KV {kv_dtype:6}"
        print(f"{both} perplexity {perplexity:.5f} ({change:+.3f}%, {number} tokens)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--skip-rookie", action="store_true")
    parser.add_argument("--documents", type=int, default=8)
    arguments = parser.parse_args()
    print("activations / weights     K   error of the output   of the ordinary channels' part")
    for k in (4096, 11008):
        for name, error, part in one_linear(k):
            print(f"{name:22}{k:>7}{error * 100:>20.3f}%{part * 100:>28.3f}%")
    if not arguments.skip_rookie:
        rookie(arguments.documents)


if __name__ == "__main__":
    main()

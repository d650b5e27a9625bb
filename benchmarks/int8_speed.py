"""What the choices of `int8_accuracy` cost in speed: groups along K, and rows with outliers.

    python -m benchmarks.int8_speed [--shape 4096x11008] [--rows 1 128] [--repeat 9]

One linear of random int8 weights, with all threads, on each instruction set that has kernels of its
own for int8. Activations are normal numbers; in those with outliers 6 channels are 100 times as
large. The variants take turns; printed is the speed of each as a share of the default, rows without
outliers and one scale for all of K: median of the ratios of a turn. Matrices are as many as do not
fit the caches, so that few rows wait for memory as they would in a model.
"""

import argparse
import time
from functools import cache
from statistics import median

import numpy as np

from homerun import _native
from homerun.machine import usable_cpus
from homerun.model.dtypes import F32

BYTES = 192 << 20
"""Of all the matrices."""
LARGE_CHANNELS, LARGE = 6, 100.0
VARIANTS = {
    "rows with 6 outliers": (0, 0, True),
    "groups of 256 / channel": (0, 256, False),
    "groups of 128 / channel": (0, 128, False),
    "groups of 256 / of 256": (256, 256, False),
    "groups of 128 / of 128": (128, 128, False),
}
"""Groups of the weights, of the activations, and whether there are outliers."""
DEFAULT = (0, 0, False)


@cache
def linears(n: int, k: int, weight_group: int, activation_group: int) -> list[_native.Linear]:
    """As many as take `BYTES`. The arithmetic does not care what the weights are."""
    random = np.random.default_rng(0)
    groups = k // weight_group if weight_group else 1
    scales = np.full((n // 32, groups, 32), 1e-3, np.float32)
    panels = random.integers(1, 256, (n // 32, k // 4, 32, 4), dtype=np.uint8)
    return [
        _native.Linear("int8", n, k, panels.copy(), scales, weight_group, activation_group)
        for _ in range(max(1, BYTES // panels.nbytes))
    ]


def activations(rows: int, k: int, outliers: bool) -> F32:
    random = np.random.default_rng(1)
    x = random.standard_normal((rows, k), dtype=np.float32)
    if outliers:
        x[:, random.choice(k, LARGE_CHANNELS, replace=False)] *= LARGE
    return x


def seconds(matrices: list[_native.Linear], x: F32) -> float:
    out = np.zeros((len(x), matrices[0].out_features), np.float32)
    begin = time.perf_counter()
    for matrix in matrices:
        _native.linear_add(x, matrix, out)
    return (time.perf_counter() - begin) / len(matrices)


def shares(n: int, k: int, rows: int, repeat: int) -> dict[str, float]:
    """Speed of each of `VARIANTS` as a share of the default, and its GMAC/s."""
    cases = {
        name: (linears(n, k, weight_group, activation_group), activations(rows, k, outliers))
        for name, (weight_group, activation_group, outliers) in VARIANTS.items()
    }
    default = linears(n, k, *DEFAULT[:2]), activations(rows, k, DEFAULT[2])
    ratios: dict[str, list[float]] = {name: [] for name in cases}
    speeds: list[float] = []
    for turn in range(repeat + 1):  # the first one warms up
        whole = seconds(*default)
        for name, case in cases.items():
            ratio = whole / seconds(*case)
            if turn:
                ratios[name].append(ratio)
        if turn:
            speeds.append(n * k * rows / whole / 1e9)
    return {"GMAC/s": median(speeds)} | {name: median(some) for name, some in ratios.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shape", default="4096x4096", help="channels x K, K a multiple of 256")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 16, 128])
    parser.add_argument("--repeat", type=int, default=9)
    arguments = parser.parse_args()
    n, k = (int(size) for size in arguments.shape.split("x"))
    if n % 256 or k % 256:
        parser.error("channels and K are multiples of 256")
    _native.set_threads(usable_cpus())
    print(f"{n} channels, K = {k}, {usable_cpus()} threads")
    for name in _native.instruction_sets():
        if name in ("portable", "avx512_bf16"):  # slow, and without int8 kernels of its own
            continue
        _native.force_instruction_set(name)
        for rows in arguments.rows:
            found = shares(n, k, rows, arguments.repeat)
            print(f"{name}, {rows} rows: {found.pop('GMAC/s'):.0f} GMAC/s")
            for variant, share in found.items():
                print(f"  {variant:26}{share:6.2f}")


if __name__ == "__main__":
    main()

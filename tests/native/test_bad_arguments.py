"""Wrong arguments of every binding: an error with words, never a crash and never a lost result."""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from homerun.model.ops.base import Segment
from homerun.native import native_available

if not native_available():
    pytest.skip("homerun._native is not built", allow_module_level=True)

from homerun import _native

ROWS, N, K = 3, 40, 70
HEADS, KV_HEADS, HEAD_DIM, BLOCKS, VOCAB = 4, 2, 32, 2, 50
REFUSED = (TypeError, ValueError, OverflowError)


def floats(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


def linear(**changed: Any) -> Any:
    arguments: dict[str, Any] = {
        "dtype": "int8",
        "n": N,
        "k": K,
        "panels": np.full((2, 32, 32, 4), 128, np.uint8),
        "scales": floats(2, 2, 32),
        "weight_group": 64,
        "activation_group": 128,
    }
    return _native.Linear(**{**arguments, **changed})


def plan(**changed: Any) -> Any:
    arguments: dict[str, Any] = {"first_row": 0, "rows": ROWS, "start": 15}
    arguments["block_table"] = np.arange(BLOCKS, dtype=np.int32)
    return _native.AttentionPlan([Segment(**{**arguments, **changed})], 16)


def sampling(**changed: Any) -> Any:
    arguments: dict[str, Any] = {"temperature": 1.0, "top_p": 0.9, "top_k": None}
    arguments |= {"repetition_penalty": 2.0, "frequency_penalty": None, "presence_penalty": None}
    return _native.Sampling(**{**arguments, "seed": 1, "choice": 0, **changed})


def sampled(sampling: Any, position: Any, tokens: Any, prompt_length: Any, mask: Any) -> Any:
    return _native.sample_rows(
        floats(1, VOCAB), [(sampling, position, tokens, prompt_length, mask)]
    )


def cases() -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Each operation with arguments that it takes."""
    cache = {
        "keys": floats(2, BLOCKS, KV_HEADS, HEAD_DIM, 16),
        "values": floats(2, BLOCKS, KV_HEADS, 16, HEAD_DIM),
        "dtype": "fp32",
        "layer": 1,
    }
    integers = {
        "keys": np.zeros((2, BLOCKS, KV_HEADS, HEAD_DIM, 16), np.int8),
        "values": np.zeros((2, BLOCKS, KV_HEADS, 16, HEAD_DIM), np.int8),
        "dtype": "int8",
        "layer": 1,
        "scales": floats(2, BLOCKS, KV_HEADS, 2, 16),
    }
    angles = floats(ROWS, HEAD_DIM // 2)
    ids = np.arange(ROWS, dtype=np.int32)
    return {
        "linear": (linear, {"dtype": "int8", "n": N, "k": K, "weight_group": 64}),
        "norm_linear": (
            _native.norm_linear,
            {
                "x": floats(ROWS, K),
                "norm": floats(K),
                "eps": 1e-5,
                "weight": linear(),
                "out": floats(ROWS, N),
            },
        ),
        "linear_add": (
            _native.linear_add,
            {"x": floats(ROWS, K), "weight": linear(), "residual": floats(ROWS, N)},
        ),
        "gated_linear_add": (
            _native.gated_linear_add,
            {
                "gate_up": floats(ROWS, 2 * K),
                "activation": "silu",
                "weight": linear(),
                "residual": floats(ROWS, N),
            },
        ),
        "embed": (
            _native.embed,
            {
                "table": floats(VOCAB, K),
                "dtype": "fp32",
                "token_ids": ids,
                "scale": 2.0,
                "out": floats(ROWS, K),
            },
        ),
        "rms_norm": (
            _native.rms_norm,
            {"x": floats(ROWS, K), "weight": floats(K), "eps": 1e-5, "out": floats(ROWS, K)},
        ),
        "gated": (
            _native.gated,
            {"gate_up": floats(ROWS, 2 * K), "activation": "silu", "out": floats(ROWS, K)},
        ),
        "plan": (plan, {"first_row": 0, "rows": ROWS, "start": 15, "block_table": ids}),
        "attention": (
            _native.attention,
            {
                "queries": floats(ROWS, HEADS, HEAD_DIM),
                **cache,
                "plan": plan(),
                "out": floats(ROWS, HEADS * HEAD_DIM),
            },
        ),
        "attention int8": (
            _native.attention,
            {
                "queries": floats(ROWS, HEADS, HEAD_DIM),
                **integers,
                "plan": plan(),
                "out": floats(ROWS, HEADS * HEAD_DIM),
            },
        ),
        "rotate_and_store": (
            _native.rotate_and_store,
            {
                "qkv": floats(ROWS, (HEADS + 2 * KV_HEADS) * HEAD_DIM),
                "cosines": angles,
                "sines": angles,
                **cache,
                "slots": ids.astype(np.int64),
                "queries_out": floats(ROWS, HEADS, HEAD_DIM),
            },
        ),
        "sampling": (sampling, {"temperature": 1.0, "seed": 1}),
        "sample_rows": (
            sampled,
            {
                "sampling": sampling(),
                "position": 7,
                "tokens": ids,
                "prompt_length": 1,
                "mask": np.full(2, -1, np.int32),
            },
        ),
        "checksum": (_native.checksum, {"data": np.zeros(9, np.uint8)}),
        "set_threads": (_native.set_threads, {"threads": _native.threads()}),
    }


OPERATIONS = list(cases())
ARRAYS = [
    (operation, name)
    for operation, (_, arguments) in cases().items()
    for name, value in arguments.items()
    if isinstance(value, np.ndarray)
]
RESULTS = ("out", "residual", "queries_out")


def call(operation: str, **changed: Any) -> None:
    function, arguments = cases()[operation]
    function(**{**arguments, **changed})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_arguments_without_a_change_are_taken(operation: str) -> None:
    call(operation)


@pytest.mark.parametrize(("operation", "name"), ARRAYS)
def test_arrays_of_another_kind_are_refused(operation: str, name: str) -> None:
    array = cases()[operation][1][name]
    wrong: list[Any] = [None, "words", 7, array.tolist(), array[np.newaxis], array.ravel()[0]]
    wrong += [array.astype(np.complex128), array.astype(np.float64), array.astype(object)]
    wrong += [array.astype(array.dtype.newbyteorder())] if array.itemsize > 1 else []
    wrong += [np.repeat(array, 2, axis=-1)[..., ::2]]  # not contiguous
    if name in ("tokens", "mask"):
        wrong.remove(None)
    if name in RESULTS:
        frozen = array.copy()
        frozen.flags.writeable = False
        wrong.append(frozen)
    for one in wrong:
        with pytest.raises(REFUSED):
            call(operation, **{name: one})


@pytest.mark.parametrize(("operation", "name"), ARRAYS)
def test_arrays_of_another_shape_are_refused(operation: str, name: str) -> None:
    if operation == "checksum" or (operation, name) == ("embed", "table"):
        pytest.skip("takes any length")
    array = cases()[operation][1][name]
    for axis in range(array.ndim):
        for size in {0, 1, array.shape[axis] - 1, array.shape[axis] + 1} - {array.shape[axis]}:
            changed = np.zeros((*array.shape[:axis], size, *array.shape[axis + 1 :]), array.dtype)
            if name == "block_table" and size >= BLOCKS:
                continue  # longer than needed, as tables are
            if name == "tokens" and size >= 1:
                continue
            with pytest.raises(REFUSED):
                call(operation, **{name: changed})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_numbers_and_names_out_of_range_never_crash(operation: str) -> None:
    wrong = [None, "", "int8\0", -1, 0, 2**31 - 1, -(2**31), 2**32, 2**64, 1e30, np.nan, np.inf]
    for name, value in cases()[operation][1].items():
        if isinstance(value, np.ndarray):
            continue
        for one in wrong:
            with contextlib.suppress(*REFUSED):
                call(operation, **{name: one})


def test_indices_out_of_range_are_refused() -> None:
    extremes = [-(2**31), -1, VOCAB, 2**31 - 1]
    for bad in extremes:
        with pytest.raises(ValueError, match="token id"):
            call("embed", token_ids=np.array([0, bad, 0], np.int32))
        with pytest.raises(ValueError, match="vocabulary"):
            call("sample_rows", tokens=np.array([0, bad], np.int32))
        table = np.array([0, bad], np.int32)
        with pytest.raises(ValueError, match=r"beyond the cache|negative"):
            call("attention", plan=plan(block_table=table)) if bad > 0 else plan(block_table=table)
    for bad in [*extremes, -(2**63), 2**63 - 1, BLOCKS * 16]:
        with pytest.raises(ValueError, match="slot"):
            call("rotate_and_store", slots=np.array([0, bad, 0], np.int64))


def test_sizes_that_would_overflow_are_refused() -> None:
    empty = np.zeros(0, np.uint8)
    for n, k in itertools.product([1, 2**24, 2**31 - 1, 2**31 - 32], repeat=2):
        with pytest.raises(ValueError, match=r"2\^24|panels has"):
            linear(n=n, k=k, panels=empty, scales=floats(0))
    for group in (2**31 - 64, 2**30):
        with pytest.raises(ValueError, match="group"):
            linear(activation_group=group)
    k = 65536 + 64
    panels = np.zeros((1, k // 4, 32, 4), np.uint8)
    with pytest.raises(ValueError, match="65536"):
        linear(n=1, k=k, panels=panels, scales=floats(1, 1, 32), weight_group=0, activation_group=0)
    for changed in ({"rows": 2**30 + 1}, {"start": 2**30 + 1}):
        with pytest.raises(ValueError, match=r"2\^30"):
            plan(**changed)
    # An array without elements may be of any length in the other dimensions.
    for heads, head_dim in ((2**40, 2), (2, 2**40)):
        keys, values = floats(1, 0, heads, head_dim, 16), floats(1, 0, heads, 16, head_dim)
        queries, out = floats(0, heads, head_dim), floats(0, heads * head_dim)
        nothing = _native.AttentionPlan([], 16)
        with pytest.raises(ValueError, match="2\\^22"):
            _native.attention(queries, keys, values, "fp32", 0, nothing, out)


def test_no_rows_are_no_work() -> None:
    call("norm_linear", x=floats(0, K), out=floats(0, N))
    call("embed", token_ids=np.zeros(0, np.int32), out=floats(0, K))
    call("rms_norm", x=floats(0, K), out=floats(0, K))
    call("gated", gate_up=floats(0, 2 * K), out=floats(0, K))
    no_heads = floats(0, HEADS, HEAD_DIM)
    nothing = _native.AttentionPlan([], 16)
    call("attention", queries=no_heads, plan=nothing, out=floats(0, HEADS * HEAD_DIM))
    assert _native.sample_rows(floats(0, VOCAB), []) == []


def test_a_row_is_a_tuple_of_five() -> None:
    good = (sampling(), 0, None, 0, None)
    wrong: list[Any] = [list(good), good[:4], (*good, 0), None, (None, *good[1:]), (7, *good[1:])]
    for row in wrong:
        with pytest.raises(TypeError):
            _native.sample_rows(floats(1, VOCAB), [row])


@pytest.mark.filterwarnings("ignore:nanobind:RuntimeWarning")
def test_objects_that_were_never_made_are_refused() -> None:
    with pytest.raises(TypeError):
        call("linear_add", weight=_native.Linear.__new__(_native.Linear))
    with pytest.raises(TypeError):
        call("attention", plan=_native.AttentionPlan.__new__(_native.AttentionPlan))
    with pytest.raises(TypeError):
        call("sample_rows", sampling=_native.Sampling.__new__(_native.Sampling))

"""The implementations of the ops that tests run on: NumPy, and the kernels where they are built."""

import pytest

from homerun.model.ops.base import Ops
from homerun.model.ops.native import NativeOps
from homerun.model.ops.reference import ReferenceOps
from homerun.native import native_available

ARITHMETICS = [
    "reference",
    pytest.param(
        "native", marks=pytest.mark.skipif(not native_available(), reason="no C++ extension")
    ),
]


def ops_named(name: str) -> Ops:
    return ReferenceOps() if name == "reference" else NativeOps()


def block_sizes(name: str, *wanted: int) -> tuple[int, ...]:
    """Those of `wanted` that the implementation takes."""
    return wanted if name == "reference" else (16,)

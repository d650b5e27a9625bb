"""The operations of a decoder: the protocol, its implementations, and which one runs here."""

from homerun.model.ops.base import Ops
from homerun.model.ops.native import NativeOps
from homerun.model.ops.reference import ReferenceOps
from homerun.native import native_available


def best_ops() -> Ops:
    """The kernels where the extension is there, else NumPy."""
    return NativeOps() if native_available() else ReferenceOps()

"""The layers of a decoder by single operations. Knows their order: what `base.Layers` means."""

from collections.abc import Sequence

from homerun.model.config import Activation
from homerun.model.dtypes import F32
from homerun.model.lora import DOWN, GATE_UP, OUTPUT, QKV, SITES
from homerun.model.ops.base import Additions, LayerWeights, Ops, Step


class OneByOne:
    """`base.Layers` by the operations of any implementation."""

    def __init__(
        self, ops: Ops, layers: Sequence[LayerWeights], eps: float, activation: Activation
    ) -> None:
        self._ops = ops
        self._layers = layers
        self._eps = eps
        self._activation: Activation = activation

    def run(self, x: F32, step: Step) -> None:
        ops, eps = self._ops, self._eps
        for index, layer in enumerate(self._layers):
            of_site = [_additions(step, index * SITES + site) for site in range(SITES)]
            qkv = ops.norm_linear(x, layer.input_norm, eps, layer.qkv, of_site[QKV])
            queries = ops.rotate_and_store(
                qkv, step.cosines, step.sines, step.cache, index, step.slots
            )
            mixed = ops.attention(queries, step.cache, index, step.attention)
            ops.linear_add(mixed, layer.output, x, of_site[OUTPUT])
            gate_up = ops.norm_linear(
                x, layer.post_attention_norm, eps, layer.gate_up, of_site[GATE_UP]
            )
            ops.gated_linear_add(gate_up, self._activation, layer.down, x, of_site[DOWN])


def _additions(step: Step, place: int) -> Additions | None:
    return None if step.adapters is None else Additions(step.adapters, place)

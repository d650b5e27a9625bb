"""A Llama decoder of random weights as an OpenVINO graph, in the form OpenVINO GenAI serves.

    python random_openvino.py --shape-json '{"hidden_size": …}' --dtype int8 DIRECTORY

Runs in an interpreter that has openvino-genai and knows nothing of homerun: the shape is
config.json's fields. Written operation by operation, without optimum: an exported graph may meet
fusions that this one does not. int8 means one scale per output channel; what precision products
run in is the plugin's choice.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import Node
from openvino import opset13 as op
from openvino.op.util import Variable, VariableInfo

DEVIATION = 0.02
INT8_DEVIATION = 73.0  # of bytes spread evenly from -127 to 127


def number(value: float) -> Node:
    return op.constant(np.array(value, np.float32))


def integers(*values: int) -> Node:
    return op.constant(np.array(values, np.int64))


def integer(value: int) -> Node:
    return op.constant(np.array(value, np.int64))


class RandomWeights:
    """Constants of random numbers; every one has memory of its own, though the numbers repeat."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._rng = np.random.default_rng(0)
        self._made: dict[tuple[int, int], np.ndarray] = {}
        self._count = 0

    def linear(self, x: Node, rows: int, columns: int) -> Node:
        """x · weightᵀ, weight [rows, columns]."""
        return op.matmul(x, self._weight(rows, columns), False, True)

    def table(self, rows: int, columns: int) -> Node:
        values = self._rng.standard_normal((rows, columns), dtype=np.float32) * DEVIATION
        return op.convert(op.constant(values.astype(np.float16)), np.float32)

    def _weight(self, rows: int, columns: int) -> Node:
        values = self._values(rows, columns).copy()
        # Equal constants would be merged into one.
        values[0, :2] = self._count % 100, self._count // 100
        self._count += 1
        if self._dtype == "int8":
            scales = np.full((rows, 1), DEVIATION / INT8_DEVIATION, np.float16)
            wide = op.convert(op.constant(values), np.float16)
            return op.convert(op.multiply(wide, op.constant(scales)), np.float32)
        if self._dtype == "bf16":
            return op.convert(op.constant(values, ov.Type.bf16), np.float32)
        return op.convert(op.constant(values.astype(np.float16)), np.float32)

    def _values(self, rows: int, columns: int) -> np.ndarray:
        if (rows, columns) not in self._made:
            if self._dtype == "int8":
                made = self._rng.integers(-127, 128, (rows, columns), dtype=np.int8)
            else:
                made = self._rng.standard_normal((rows, columns), dtype=np.float32) * DEVIATION
            self._made[rows, columns] = made
        return self._made[rows, columns]


class LlamaGraph:
    """Token ids, mask and positions -> logits of the last position; the cache is state."""

    def __init__(self, config: dict[str, Any], dtype: str) -> None:
        self._config = config
        self._weights = RandomWeights(dtype)
        self._heads = config["num_attention_heads"]
        self._kv_heads = config["num_key_value_heads"]
        self._head_dim = config["head_dim"]
        self._writes: list[Node] = []

    def build(self) -> ov.Model:
        hidden, inner = self._config["hidden_size"], self._config["intermediate_size"]
        vocab = self._config["vocab_size"]
        width = self._heads * self._head_dim
        ids = self._input("input_ids", [-1, -1], np.int64)
        mask = self._input("attention_mask", [-1, -1], np.int64)
        positions = self._input("position_ids", [-1, -1], np.int64)
        self._beams = self._input("beam_idx", [-1], np.int32)
        self._batch = op.gather(op.shape_of(ids), integers(0), integer(0))
        self._cosines, self._sines = self._rotations(positions)
        causal = self._causal_mask(ids, mask)

        weights = self._weights
        x = op.gather(weights.table(vocab, hidden), ids, integer(0))
        for layer in range(self._config["num_hidden_layers"]):
            mixed = self._attention(self._norm(x), causal, layer)
            x = op.add(x, weights.linear(mixed, hidden, width))
            y = self._norm(x)
            gate = op.swish(weights.linear(y, inner, hidden))
            gated = op.multiply(gate, weights.linear(y, inner, hidden))
            x = op.add(x, weights.linear(gated, hidden, inner))
        last = op.slice(self._norm(x), integers(-1), integers(2**31 - 1), integers(1), integers(1))
        logits = weights.linear(last, vocab, hidden)
        logits.output(0).get_tensor().set_names({"logits"})
        inputs = [ids, mask, positions, self._beams]
        return ov.Model([op.result(logits)], self._writes, inputs, "llama")

    def _attention(self, x: Node, causal: Node, layer: int) -> Node:
        hidden, width = self._config["hidden_size"], self._heads * self._head_dim
        kv_width = self._kv_heads * self._head_dim
        queries = self._rotate(self._split(self._weights.linear(x, width, hidden), self._heads))
        keys = self._rotate(self._split(self._weights.linear(x, kv_width, hidden), self._kv_heads))
        values = self._split(self._weights.linear(x, kv_width, hidden), self._kv_heads)
        keys = self._repeat(self._remember(keys, f"{layer}.key"))
        values = self._repeat(self._remember(values, f"{layer}.value"))
        mixed = op.scaled_dot_product_attention(queries, keys, values, causal)
        return op.reshape(op.transpose(mixed, integers(0, 2, 1, 3)), integers(0, 0, width), True)

    def _remember(self, fresh: Node, name: str) -> Node:
        """The state `name` [batch, kv_heads, positions, head_dim] with `fresh` at its end."""
        info = VariableInfo()
        info.data_shape = ov.PartialShape([-1, self._kv_heads, -1, self._head_dim])
        info.data_type = ov.Type.f32
        # GenAI tells keys from values by these names.
        layer, _, kind = name.partition(".")
        info.variable_id = f"past_key_values.{layer}.{kind}present.{layer}.{kind}"
        variable = Variable(info)
        shape = op.concat([self._batch, integers(self._kv_heads, 0, self._head_dim)], 0)
        past = op.read_value(op.broadcast(number(0), shape), variable)
        past = op.gather(past, self._beams, integer(0))
        whole = op.concat([past, fresh], 2)
        self._writes.append(op.assign(whole, variable))
        return whole

    def _repeat(self, x: Node) -> Node:
        """Each KV head for all the query heads that share it."""
        sharing = self._heads // self._kv_heads
        shape = op.shape_of(x)
        outer = op.gather(shape, integers(0, 1), integer(0))
        inner = op.gather(shape, integers(2, 3), integer(0))
        wide = op.concat([outer, integers(sharing), inner], 0)
        repeated = op.broadcast(op.unsqueeze(x, integers(2)), wide)
        return op.reshape(repeated, integers(0, self._heads, -1, self._head_dim), True)

    def _split(self, x: Node, heads: int) -> Node:
        apart = op.reshape(x, integers(0, 0, heads, self._head_dim), True)
        return op.transpose(apart, integers(0, 2, 1, 3))

    def _rotate(self, x: Node) -> Node:
        half = self._head_dim // 2
        first = op.slice(x, integers(0), integers(half), integers(1), integers(3))
        second = op.slice(x, integers(half), integers(2 * half), integers(1), integers(3))
        turned = op.concat([op.multiply(second, number(-1)), first], 3)
        return op.add(op.multiply(x, self._cosines), op.multiply(turned, self._sines))

    def _rotations(self, positions: Node) -> tuple[Node, Node]:
        exponents = np.arange(0, self._head_dim, 2, dtype=np.float32) / self._head_dim
        speeds = 1 / self._config["rope_theta"] ** exponents
        wide = op.unsqueeze(op.convert(positions, np.float32), integers(2))
        angles = op.multiply(wide, op.constant(speeds.reshape(1, 1, -1)))
        both = op.concat([angles, angles], 2)
        return tuple(op.unsqueeze(f(both), integers(1)) for f in (op.cos, op.sin))

    def _causal_mask(self, ids: Node, mask: Node) -> Node:
        rows = op.gather(op.shape_of(ids), integer(1), integer(0))
        columns = op.gather(op.shape_of(mask), integer(1), integer(0))
        counted = op.range(integer(0), rows, integer(1), "i64")
        query = op.unsqueeze(op.add(counted, op.subtract(columns, rows)), integers(1))
        key = op.unsqueeze(op.range(integer(0), columns, integer(1), "i64"), integers(0))
        allowed = op.select(op.less_equal(key, query), number(0), number(-3e38))
        return op.unsqueeze(allowed, integers(0, 1))

    def _norm(self, x: Node) -> Node:
        squares = op.reduce_mean(op.power(x, number(2)), integers(-1), True)
        root = op.sqrt(op.add(squares, number(self._config["rms_norm_eps"])))
        ones = np.ones((1, 1, self._config["hidden_size"]), np.float32)
        return op.multiply(op.multiply(x, op.divide(number(1), root)), op.constant(ones))

    def _input(self, name: str, shape: list[int], dtype: type) -> Node:
        node = op.parameter(shape, dtype, name=name)
        node.output(0).get_tensor().set_names({name})
        return node


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--shape-json", type=json.loads, required=True, help="config.json's fields")
    parser.add_argument("--dtype", choices=("int8", "fp16", "bf16"), default="int8")
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    config = {**options.shape_json, "architectures": ["LlamaForCausalLM"]}
    (options.directory / "config.json").write_text(json.dumps(config))
    model = LlamaGraph(config, options.dtype).build()
    ov.save_model(model, options.directory / "openvino_model.xml", compress_to_fp16=False)


if __name__ == "__main__":
    main()

"""Knows the Llama maths at rookie's size, for training on ragged batches; refuses to know text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Queries of a long row go in blocks, which leaves out what causal attention never sees.
BLOCK = 256
# Positions whose logits are computed together.
PIECE = 1024


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of rookie; the names are those of a Hugging Face Llama config."""

    vocab_size: int = 4096
    hidden_size: int = 256
    num_hidden_layers: int = 8
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    intermediate_size: int = 704
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 2048


SIZES = ModelConfig()


def rope_tables(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """cos and sin, each float32 [max_position_embeddings, head_dim / 2]."""
    steps = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequencies = 1.0 / config.rope_theta**steps
    angles = torch.outer(torch.arange(config.max_position_embeddings).float(), frequencies)
    return angles.cos(), angles.sin()


def _project(
    x: Tensor, weight: Tensor, cos: Tensor, sin: Tensor, eps: float, turned: int
) -> tuple[Tensor, Tensor]:
    """What comes before attention: norm, one product for q, k and v, rotation of q and k.

    x [tokens, hidden], weight [heads in all * head_dim, hidden], cos and sin [tokens, 1,
    head_dim / 2]; `turned` is the number of heads of q and k. Gives q with k, and v, each
    [tokens, heads, head_dim] in the weight's dtype.
    """
    seen = F.rms_norm(x, x.shape[-1:], None, eps).to(weight.dtype)
    heads = F.linear(seen, weight).view(x.shape[0], -1, 2 * cos.shape[-1])
    to_turn, values = heads.split((turned, heads.shape[1] - turned), dim=1)
    low, high = to_turn.float().chunk(2, dim=-1)
    rotated = torch.cat((low * cos - high * sin, high * cos + low * sin), dim=-1)
    return rotated.to(weight.dtype), values


def _attend(q: Tensor, k: Tensor, v: Tensor, first: int, length: int) -> Tensor:
    """Causal attention of one block of queries in rows of one length.

    q [rows * kv heads, heads per kv head * length, head_dim] from position `first` on, k and v
    [rows * kv heads, first + length, head_dim]; gives the shape of q. Written out, because
    PyTorch's fused attention is several times slower backwards on a CPU at these lengths.
    """
    scores = torch.bmm(q, k.transpose(1, 2)).float() * q.shape[-1] ** -0.5
    of_query = torch.arange(q.shape[1], device=q.device) % length + first
    seen = of_query[:, None] >= torch.arange(k.shape[1], device=q.device)[None, :]
    weights = torch.softmax(scores.masked_fill(~seen, -torch.inf), dim=-1)
    return torch.bmm(weights.to(q.dtype), v)


def _feed(x: Tensor, mixed: Tensor, out: Tensor, up: Tensor, down: Tensor, eps: float) -> Tensor:
    """What comes after attention: its output product, norm and SwiGLU; x [tokens, hidden]."""
    x = x + F.linear(mixed, out)
    seen = F.rms_norm(x, x.shape[-1:], None, eps).to(up.dtype)
    gate, value = F.linear(seen, up).chunk(2, dim=-1)
    return x + F.linear(F.silu(gate) * value, down)


def _logits(x: Tensor, norm: Tensor, head: Tensor, eps: float) -> Tensor:
    return F.linear(F.rms_norm(x, x.shape[-1:], norm, eps).to(head.dtype), head).float()


def _loss(
    x: Tensor, norm: Tensor, head: Tensor, eps: float, targets: Tensor, weights: Tensor, calm: float
) -> tuple[Tensor, Tensor]:
    """Weighted sum of cross entropy, with and without `calm` times the squared log-normaliser."""
    logits = _logits(x, norm, head, eps)
    size = logits.logsumexp(dim=-1)
    entropy = ((size - logits.gather(-1, targets[:, None])[:, 0]) * weights).sum()
    return entropy + calm * (size * size * weights).sum(), entropy.detach()


_PIECES = (_project, _attend, _feed, _loss)
_compiled = tuple(torch.compile(piece, dynamic=True) for piece in _PIECES)


class Block(nn.Module):
    """The weights of one layer; q, k and v lie in one matrix, and so do gate and up."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, head = config.hidden_size, config.head_dim
        in_all = config.num_attention_heads + 2 * config.num_key_value_heads
        self.qkv_proj = nn.Parameter(torch.empty(in_all * head, width))
        self.o_proj = nn.Parameter(torch.empty(width, config.num_attention_heads * head))
        self.gate_up_proj = nn.Parameter(torch.empty(2 * config.intermediate_size, width))
        self.down_proj = nn.Parameter(torch.empty(width, config.intermediate_size))


class Rookie(nn.Module):
    """The decoder. Rows of several lengths lie flat one after the other, so little is padding.

    `fast` computes in bfloat16 with compiled pieces (training); otherwise all is plain float32.
    """

    def __init__(self, config: ModelConfig, fast: bool = False) -> None:
        super().__init__()
        self.config = config
        self.dtype = torch.bfloat16 if fast else torch.float32
        self.pieces = _compiled if fast else _PIECES
        self.embed_tokens = nn.Parameter(torch.empty(config.vocab_size, config.hidden_size))
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.Parameter(torch.ones(config.hidden_size))
        cos, sin = rope_tables(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        depth = (2 * config.num_hidden_layers) ** -0.5
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                # What adds to the residual stream starts smaller, so that depth stays calm.
                scale = depth if name.endswith(("o_proj", "down_proj")) else 1.0
                std = 0.05 if name == "embed_tokens" else 0.02
                nn.init.normal_(weight, std=std * scale)

    def hidden(self, tokens: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
        """Float32 [tokens, hidden] before the last norm.

        `tokens` int64 [sum of rows * length]; `shapes` are the (rows, length) groups in it.
        """
        config, dtype = self.config, self.dtype
        project, attend, feed, _ = self.pieces
        shared, head, eps = config.num_key_value_heads, config.head_dim, config.rms_norm_eps
        turned = config.num_attention_heads + shared
        positions = torch.cat(
            [torch.arange(length, device=tokens.device).repeat(rows) for rows, length in shapes]
        )
        cos, sin = self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)
        x = F.embedding(tokens, self.embed_tokens)
        sizes = [rows * length for rows, length in shapes]
        for layer in self.layers:
            qk, values = project(x, layer.qkv_proj.to(dtype), cos, sin, eps, turned)
            queries, keys = qk.split((config.num_attention_heads, shared), dim=1)
            parts = []
            for (rows, length), *group in zip(
                shapes, queries.split(sizes), keys.split(sizes), values.split(sizes), strict=True
            ):
                # [rows * length, heads, head_dim] -> [rows * kv heads, heads of each, length, ...]
                q, k, v = (
                    part.view(rows, length, shared, -1, head).permute(0, 2, 3, 1, 4).flatten(0, 1)
                    for part in group
                )
                k, v = k.squeeze(1), v.squeeze(1)
                blocks = [
                    attend(
                        block.flatten(1, 2),
                        k[:, : place + block.shape[2]],
                        v[:, : place + block.shape[2]],
                        place,
                        block.shape[2],
                    ).view(block.shape)
                    for place, block in zip(
                        range(0, length, BLOCK), q.split(BLOCK, dim=2), strict=True
                    )
                ]
                mixed = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=2)
                mixed = mixed.view(rows, -1, length, head).transpose(1, 2)
                parts.append(mixed.reshape(rows * length, -1))
            x = feed(
                x,
                torch.cat(parts),
                layer.o_proj.to(dtype),
                layer.gate_up_proj.to(dtype),
                layer.down_proj.to(dtype),
                eps,
            )
        return x

    def forward(self, tokens: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
        """Logits float32 [tokens, vocab]."""
        x = self.hidden(tokens, shapes)
        head = self.embed_tokens.to(self.dtype)
        return _logits(x, self.norm, head, self.config.rms_norm_eps)

    def loss(
        self,
        tokens: Tensor,
        shapes: list[tuple[int, int]],
        wanted: Tensor,
        targets: Tensor,
        weights: Tensor,
        calm: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Weighted sum of the losses at the flat positions `wanted`; first with the calming term.

        `wanted` and `targets` int64 [n], `weights` float32 [n].
        """
        x = self.hidden(tokens, shapes)[wanted]
        head = self.embed_tokens.to(self.dtype)
        eps = self.config.rms_norm_eps
        # In pieces: the logits of all positions would be the largest tensors by far.
        parts = [
            self.pieces[3](some, self.norm, head, eps, target, weight, calm)
            for some, target, weight in zip(
                x.split(PIECE), targets.split(PIECE), weights.split(PIECE), strict=True
            )
        ]
        total, entropy = (torch.stack(values).sum() for values in zip(*parts, strict=True))
        return total, entropy

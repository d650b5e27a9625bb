"""Knows the Llama maths at rookie's size, for training on ragged batches; refuses to know text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of rookie; the names are those of a Hugging Face Llama config."""

    vocab_size: int = 4096
    hidden_size: int = 256
    num_hidden_layers: int = 6
    num_attention_heads: int = 8
    num_key_value_heads: int = 4
    head_dim: int = 32
    intermediate_size: int = 704
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    max_position_embeddings: int = 2048


def rope_tables(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """cos and sin, each float32 [max_position_embeddings, head_dim], halves repeated."""
    steps = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequencies = 1.0 / config.rope_theta**steps
    angles = torch.outer(torch.arange(config.max_position_embeddings).float(), frequencies)
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates x [tokens, heads, head_dim] by cos, sin [tokens, 1, head_dim]."""
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-high, low), dim=-1) * sin


class Block(nn.Module):
    """One layer: attention and SwiGLU, each with RMS norm before it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, head = config.hidden_size, config.head_dim
        self.input_layernorm = nn.Parameter(torch.ones(width))
        self.post_attention_layernorm = nn.Parameter(torch.ones(width))
        self.q_proj = nn.Linear(width, config.num_attention_heads * head, bias=False)
        self.k_proj = nn.Linear(width, config.num_key_value_heads * head, bias=False)
        self.v_proj = nn.Linear(width, config.num_key_value_heads * head, bias=False)
        self.o_proj = nn.Linear(config.num_attention_heads * head, width, bias=False)
        self.gate_proj = nn.Linear(width, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(width, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
        """x [tokens, hidden] -> the same shape; `shapes` are the (rows, length) groups in it."""
        config = self.config
        heads, shared = config.num_attention_heads, config.num_key_value_heads
        seen = F.rms_norm(x, x.shape[-1:], self.input_layernorm, config.rms_norm_eps)
        q = rotate(self.q_proj(seen).view(-1, heads, config.head_dim), cos, sin)
        k = rotate(self.k_proj(seen).view(-1, shared, config.head_dim), cos, sin)
        v = self.v_proj(seen).view(-1, shared, config.head_dim)
        parts, start = [], 0
        for rows, length in shapes:
            end = start + rows * length
            queries, keys, values = (
                t[start:end].view(rows, length, -1, config.head_dim).transpose(1, 2)
                for t in (q, k, v)
            )
            part = F.scaled_dot_product_attention(
                queries, keys, values, is_causal=True, enable_gqa=True
            )
            parts.append(part.transpose(1, 2).reshape(rows * length, -1))
            start = end
        x = x + self.o_proj(torch.cat(parts))
        seen = F.rms_norm(x, x.shape[-1:], self.post_attention_layernorm, config.rms_norm_eps)
        return x + self.down_proj(F.silu(self.gate_proj(seen)) * self.up_proj(seen))


class Rookie(nn.Module):
    """The decoder. Rows of several lengths lie flat one after the other, so little is padding."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.Parameter(torch.ones(config.hidden_size))
        cos, sin = rope_tables(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        depth = (2 * config.num_hidden_layers) ** -0.5
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                # What adds to the residual stream starts smaller, so that depth stays calm.
                scale = depth if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
                nn.init.normal_(weight, std=0.02 * scale)

    def forward(
        self, tokens: Tensor, shapes: list[tuple[int, int]], wanted: Tensor | None = None
    ) -> Tensor:
        """Logits float32 [wanted tokens, vocab] for tokens int64 [sum of rows * length].

        `wanted` int64 names the flat positions whose logits are needed; None means all.
        """
        positions = torch.cat(
            [torch.arange(length, device=tokens.device).repeat(rows) for rows, length in shapes]
        )
        cos, sin = self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x, cos, sin, shapes)
        if wanted is not None:
            x = x[wanted]
        x = F.rms_norm(x, x.shape[-1:], self.norm, self.config.rms_norm_eps)
        return F.linear(x, self.embed_tokens.weight).float()

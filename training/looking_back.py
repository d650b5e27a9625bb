"""Knows how a circuit that looks back is written into fresh weights; refuses to know training.

A small model takes millions of tokens until its attention finds by itself what copying needs: a
head that notes at each token what stood before it, and heads in the next layer that look for the
place where the present token was noted and repeat what stands there (induction heads; Olsson and
others, 2022). From random weights rookie had not found it after 2.5 million tokens. So it starts
with a rough one, which training then sharpens, moves and uses for names, spans and arguments. The
idea to start attention near what training ends at is Trockman and Kolter's (2023).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from training.model import Rookie

# Share of a feature that all tokens have in common, which positions are attended by.
_COMMON = 0.6
# Attention logits of the token before (all pairs of RoPE together) and factor of a match.
_BEFORE = 30.0
_MATCH = 8.0
# How much the two layers write into the residual stream.
_NOTE = 0.2
_REPEAT = 0.4
# Only slowly turning pairs of RoPE compare tokens: the share before them depends on the distance.
_QUICK_PAIRS = 3 / 8


def _orthonormal(width: int, rows: int) -> Tensor:
    """`rows` orthonormal rows [rows, width]."""
    return torch.linalg.qr(torch.randn(width, rows))[0].T


@torch.no_grad()
def plant(model: Rookie) -> None:
    """Overwrites the attention of the first two layers; draws from torch's global generator."""
    config = model.config
    width, head = config.hidden_size, config.head_dim
    queries, shared = config.num_attention_heads, config.num_key_value_heads
    half, group = head // 2, queries // shared
    basis = _orthonormal(width, 1 + 2 * head)
    common, token, noted = basis[0], basis[1 : 1 + head], basis[1 + head :]

    embedding = model.embed_tokens
    length = embedding.std() * width**0.5
    embedding -= (embedding @ common)[:, None] * common
    embedding += common * length * _COMMON

    # Layer 0, first group: every query points one step back, whatever the token.
    first = model.layers[0]
    size = width**0.5 * _COMMON / (1 + _COMMON**2) ** 0.5
    strength = (_BEFORE * head**0.5 / half) ** 0.5 / size
    frequencies = config.rope_theta ** (-2 * torch.arange(half) / head)
    turned = torch.cat((frequencies.cos(), frequencies.sin()))
    still = torch.cat((torch.ones(half), torch.zeros(half)))
    q, k, v = first.qkv_proj.split([count * head for count in (queries, shared, shared)])
    q[: group * head] = (strength * still[:, None] * common).repeat(group, 1)
    k[:head] = strength * turned[:, None] * common
    v[:head] = token
    first.o_proj[:, : group * head] = (noted.T * _NOTE / group).repeat(1, group)

    # Layer 1: the present token looks for where it was noted, and what stands there is repeated.
    second = model.layers[1]
    slow = torch.arange(int(_QUICK_PAIRS * half), half)
    slow = torch.cat((slow, slow + half))
    q, k, v = second.qkv_proj.split([count * head for count in (queries, shared, shared)])
    for number in range(shared):
        features = (torch.arange(len(slow)) + number * len(slow)) % head
        wanted, kept = torch.zeros(head, width), torch.zeros(head, width)
        wanted[slow], kept[slow] = _MATCH * token[features], noted[features]
        content = _orthonormal(width, head)
        of_query = slice(number * group * head, (number + 1) * group * head)
        q[of_query] = wanted.repeat(group, 1)
        k[number * head : (number + 1) * head] = kept
        v[number * head : (number + 1) * head] = content
        second.o_proj[:, of_query] = (content.T * _REPEAT / group).repeat(1, group)

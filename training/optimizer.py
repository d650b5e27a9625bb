"""Knows how weights follow their gradients (Muon and AdamW); refuses to know the model's maths.

Muon (Keller Jordan and others, 2024): the step of a matrix is its momentum, made nearly orthogonal.
Embedding and norm, which are no maps from features to features, keep AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Newton-Schulz iteration: singular values end between 0.7 and 1.2 after five rounds.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrices, roughly; [n, rows, columns] in and out, any float dtype."""
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.to(torch.bfloat16)
    if tall:
        x = x.transpose(1, 2)
    x = (x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)).contiguous()
    for _ in range(5):
        gram = torch.bmm(x, x.transpose(1, 2))
        mix = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, mix, x, beta=a)
    return (x.transpose(1, 2) if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay; parameters are matrices."""

    def __init__(
        self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One step; matrices of one shape go through the iteration together."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[Tensor]] = {}
            for weight in group["params"]:
                by_shape.setdefault(tuple(weight.shape), []).append(weight)
            for (rows, columns), weights in by_shape.items():
                steps = []
                for weight in weights:
                    state = self.state[weight]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(weight)
                    kept = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                    steps.append(weight.grad.lerp(kept, group["momentum"]))
                scale = group["lr"] * max(1.0, rows / columns) ** 0.5
                for weight, step in zip(weights, orthogonal(torch.stack(steps)), strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(step, alpha=-scale)


def make_optimizers(
    model: nn.Module, matrix_rate: float, other_rate: float, weight_decay: float
) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embedding and norm; each group keeps its "peak"."""
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.dim() != 2 or "embed" in name]
    optimizers = [
        Muon(matrices, lr=matrix_rate, weight_decay=weight_decay),
        torch.optim.AdamW(
            others, lr=other_rate, betas=(0.9, 0.98), eps=1e-10, weight_decay=0.0, fused=True
        ),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers

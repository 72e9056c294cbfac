"""Muon in batches of equal shapes, AdamW for the rest, and a schedule by steps or by wall time."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from core.backbone.pretrain.config import PretrainConfig


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """Return matrices (n, rows, columns) with their singular values pushed towards 1, by five Newton-Schulz steps (arXiv 2502.16982)."""
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalized updates for 2-D weights; weights of one shape are updated together, which keeps a GPU busy."""

    def __init__(self, weights: list[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95):
        shapes = sorted({w.shape for w in weights})
        groups = [{"params": [w for w in weights if w.shape == shape]} for shape in shapes]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            self._step_group(group["params"], group)

    def _moment(self, weight: nn.Parameter) -> torch.Tensor:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        return state["momentum_buffer"]

    def _step_group(self, weights: list[nn.Parameter], group: dict) -> None:
        grads = [w.grad for w in weights if w.grad is not None]
        tensors: list[torch.Tensor] = [*weights]
        moments = [self._moment(w) for w in weights]
        torch._foreach_lerp_(moments, grads, 1 - group["momentum"])
        updates = orthogonalize(torch.stack(torch._foreach_lerp(grads, moments, group["momentum"])))
        torch._foreach_mul_(tensors, 1 - group["lr"] * group["weight_decay"])
        scale = 0.2 * math.sqrt(max(weights[0].shape))  # AdamW's usual update size
        torch._foreach_add_(tensors, list(updates.unbind()), alpha=-group["lr"] * scale)


def make_optimizers(model: nn.Module, config: PretrainConfig) -> list[torch.optim.Optimizer]:
    """Return Muon for the blocks' matrices and AdamW for everything else; each group keeps its own base rate."""
    matrices = [p for name, p in model.named_parameters() if ".blocks." in name and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = Muon(matrices, config.muon_lr, config.weight_decay)
    return [muon, make_adamw(rest, config.adamw_lr, config.weight_decay)]


def make_adamw(weights: list[nn.Parameter], lr: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW that decays matrices and kernels, not norms and biases."""
    decay, plain = [p for p in weights if p.ndim > 1], [p for p in weights if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=weights[0].is_cuda)


def set_rate(optimizers: Sequence[torch.optim.Optimizer], factor: float) -> None:
    """Set every group's rate to `factor` times the rate it began with."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor


def rate_factor(done: float, warmup: float, cooldown: float) -> float:
    """Return the rate's share at `done` (0..1) of a schedule: a linear rise, half a cosine, and a flat end near zero."""
    if done < warmup:
        return max(done / warmup, 1e-3)
    rest = (done - warmup) / max(1e-9, 1 - warmup - cooldown)
    return 0.5 * (1 + math.cos(math.pi * min(rest, 1.0))) + 1e-3


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, ema: float, step: int) -> None:
    """Move the averaged weights and statistics towards the model's; early steps count more, so that the start is forgotten."""
    weight = 1 - min(ema, (1 + step) / (10 + step))
    pairs = list(zip(average.state_dict().values(), model.state_dict().values(), strict=True))
    floats, counts = ([pair for pair in pairs if pair[0].is_floating_point() == kind] for kind in (True, False))
    torch._foreach_lerp_([a for a, _ in floats], [b for _, b in floats], weight)
    if counts:
        torch._foreach_copy_([a for a, _ in counts], [b for _, b in counts])

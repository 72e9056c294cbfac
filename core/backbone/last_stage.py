"""The late prompt of backbones without a plain token sequence: an offset on the border of the map that enters their last stage.

Everything below the last stage is constant for an image, so it is computed once and cached, as for a ViT's last block. Works for every
timm family whose last stage, named by timm's own `feature_info`, takes one tensor (ConvNeXt, Swin, EfficientNet, ResNet and others).
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from core.errors import InputError

MOST = 64  # positions that a prompt may have


class LastStage:
    """The last stage of a model and what follows it, which share their weights with the model.

    shape: (h, w, c) of the map that enters it, or (t, 1, c) of a sequence. positions: of the prompt, along the flattened map: its
    border, or the first ones of a sequence. Raises InputError where the model cannot be cut there.
    """

    def __init__(self, model: Any, pixels: torch.Tensor):
        """`pixels`: normalized images (n, 3, s, s) of the model's input size, to learn the map's shape from."""
        info = getattr(model, "feature_info", None)
        self._name = info[-1]["module"] if info else ""
        self._last = str(getattr(model, "output_fmt", "NCHW")) == "NHWC"
        stage = dict(model.named_modules()).get(self._name)
        if stage is None:
            raise InputError("timm names no last stage of this model. Use a padding or patch prompt.")
        self._model, self._stage = model, stage
        with torch.no_grad():
            entering, before = _watched(model, self._name, pixels)
            if not isinstance(entering, torch.Tensor) or entering.ndim not in (3, 4):
                raise InputError("The last stage of this model does not take one map. Use a padding or patch prompt.")
            self._dims = entering.ndim
            self._tail: Any = _pruned(model, before)
            self.shape = tuple(self._ordered(entering).shape[1:])
            try:
                alike = torch.equal(self._pooled(entering), model.forward_head(model.forward_features(pixels), pre_logits=True))
            except (RuntimeError, TypeError, ValueError):
                alike = False
        if not alike:
            raise InputError("This model does more between its stages than can be cut. Use a padding or patch prompt.")
        height, width, _ = self.shape
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        border = (rows == 0) | (columns == 0) | (rows == height - 1) | (columns == width - 1)
        self.positions = (border.flatten().nonzero().flatten() if self._dims == 4 else torch.arange(height))[:MOST].to(pixels.device)

    def features(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the pooled output (n, dim) of normalized pixels, and the map that entered the last stage, flattened (n, t, c)."""
        held: list[torch.Tensor] = []
        here = threading.get_ident()  # other threads may use the same modules meanwhile
        hook = self._stage.register_forward_pre_hook(lambda module, given: held.append(given[0]) if threading.get_ident() == here else None)
        try:
            pooled = self._model.forward_head(self._model.forward_features(pixels), pre_logits=True)
        finally:
            hook.remove()
        return pooled, self._ordered(held[-1]).flatten(1, 2)

    def late(self, trunk: torch.Tensor) -> Callable:
        """Return (prompt, rows) -> pooled outputs (len(rows), dim) of flattened maps (n, t, c) with a prompt (p, c), or one each."""

        def forward(prompt: torch.Tensor, rows) -> torch.Tensor:
            x = trunk[rows]
            offset = prompt.expand(len(x), -1, -1)
            return self._pooled(self._restored(x.index_add(1, self.positions, offset)))

        return forward

    def _pooled(self, entering: torch.Tensor) -> torch.Tensor:
        return self._tail.forward_head(self._tail.forward_features(entering), pre_logits=True)

    def _ordered(self, entering: torch.Tensor) -> torch.Tensor:
        """Return what enters the stage as (n, h, w, c), or (n, t, 1, c)."""
        if self._dims == 3:
            return entering[:, :, None]
        return entering if self._last else entering.permute(0, 2, 3, 1)

    def _restored(self, flat: torch.Tensor) -> torch.Tensor:
        """Return flattened maps as the stage takes them."""
        if self._dims == 3:
            return flat
        maps = flat.unflatten(1, self.shape[:2])
        return maps if self._last else maps.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def _watched(model: Any, name: str, pixels: torch.Tensor) -> tuple[object, set[str]]:
    """Run the model; return what entered the named module, and which modules beside it had finished by then."""
    parts = name.split(".")
    beside: dict[nn.Module, str] = {}
    for depth in range(len(parts)):
        parent = model.get_submodule(".".join(parts[:depth]))
        prefix = "".join(f"{part}." for part in parts[:depth])
        beside |= {child: f"{prefix}{key}" for key, child in parent.named_children() if key != parts[depth]}
    finished: list[str] = []
    entered: list[tuple[object, set[str]]] = []
    hooks = [child.register_forward_hook(lambda module, given, out: finished.append(beside[module])) for child in beside]
    hooks.append(model.get_submodule(name).register_forward_pre_hook(lambda module, given: entered.append((given[0], set(finished)))))
    try:
        model.forward_features(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    return entered[-1]


def _pruned(module: nn.Module, gone: set[str], prefix: str = "") -> nn.Module:
    """Return a twin that shares all weights, in which the named modules pass on what they get."""
    twin = copy.copy(module)
    twin.__dict__["_modules"] = dict(module._modules)
    for name, child in module._modules.items():
        path = f"{prefix}{name}"
        if path in gone:
            twin._modules[name] = nn.Identity()
        elif child is not None and any(other.startswith(f"{path}.") for other in gone):
            twin._modules[name] = _pruned(child, gone, f"{path}.")
    return twin

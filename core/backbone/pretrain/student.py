"""The student's losses and the store of augmented views with the teacher's answers.

The student learns public labels, the teacher's soft labels (public and ImageNet's 1,000), its pooled feature, and its map of
stride 16 token by token. Views are answered once and trained on several times; boxes pasted between views (cutmix) end on
the grid of tokens, so every target is mixed exactly as the pixels are.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from core.backbone.pretrain.config import PretrainConfig
from core.backbone.pretrain.teacher import ANCHORS, MIDDLE_WIDTH, POOLED_WIDTH, Teacher, enlarge
from core.backbone.pretrain.views import blend, cut, cutmix_mask, make_views, normalize
from core.backbone.vit import VisionTransformer


class Student(nn.Module):
    """The ViT with its classifier over the public labels, and the projections that only training needs."""

    def __init__(self, config: PretrainConfig, num_classes: int):
        super().__init__()
        dim = config.model.dim
        self.vit: Any = VisionTransformer(config.model, num_classes)
        self.to_anchors, self.to_pooled = nn.Linear(dim, ANCHORS), nn.Linear(dim, POOLED_WIDTH)
        self.to_tokens = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, MIDDLE_WIDTH))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        tokens = self.vit.forward_features(x)
        pooled = self.vit.forward_head(tokens, pre_logits=True)
        return {
            "labels": self.vit.head(pooled),
            "anchors": self.to_anchors(pooled),
            "pooled": self.to_pooled(pooled),
            "tokens": self.to_tokens(tokens),
        }


def student_loss(student: nn.Module, x: torch.Tensor, targets: dict[str, torch.Tensor], config: PretrainConfig) -> torch.Tensor:
    """Return the losses (5,): their weighted sum, labels, answers, anchors, and one for both features; absent targets count zero."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=config.bf16):
        out = {k: v.float() for k, v in student(x).items()}
    labels = F.cross_entropy(out["labels"], targets["labels"], label_smoothing=config.label_smoothing)
    if "pooled" not in targets:
        return torch.stack([labels, labels, *[torch.zeros_like(labels)] * 3])
    heat = config.temperature
    answers = heat**2 * divergence(out["labels"] / heat, targets["answers"].float())
    anchors = divergence(out["anchors"], targets["anchors"].float())
    pooled = 1 - F.cosine_similarity(out["pooled"], targets["pooled"].float(), dim=-1).mean()
    tokens = 1 - F.cosine_similarity(out["tokens"], targets["tokens"].float(), dim=-1).mean()
    features = config.pooled_weight * pooled + config.token_weight * tokens
    total = config.label_weight * labels + config.answer_weight * answers + config.anchor_weight * anchors + features
    return torch.stack([total, labels, answers, anchors, features])


def divergence(logits: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of softmax(logits) from probabilities, the mean over rows."""
    return F.kl_div(F.log_softmax(logits, 1), probabilities, reduction="batchmean")


class Views:
    """A ring of augmented views (uint8) with labels and the teacher's answers; new ones replace the oldest."""

    def __init__(self, images: torch.Tensor, labels: torch.Tensor, teacher: Teacher | None, num_classes: int, config: PretrainConfig):
        self.images, self.labels, self.config, self.num_classes = images, labels, config, num_classes
        self.teacher = teacher.eval() if teacher else None
        self.answer = torch.compile(self._answer) if config.compile and teacher else self._answer
        self.grid = config.model.image_size // config.model.patch_size
        self.scales: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self.ring: dict[str, torch.Tensor] = {}
        self.filled = self.next = 0

    def refill(self, rng: torch.Generator) -> None:
        """Make `batch_size` new views and let the teacher answer them."""
        rows = torch.randint(len(self.images), (self.config.batch_size,), generator=rng, device=rng.device)
        x = make_views(self.images[rows], self.images.shape[-1], self.config, rng)
        batch = {"pixels": (x * 255).round().byte(), "labels": self.labels[rows]}
        if self.teacher:
            batch |= self._scaled(self.answer(x))
        self._store(batch)

    @torch.no_grad()
    def _answer(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        config = self.config
        assert self.teacher is not None  # `refill` asks only where there is one
        with torch.autocast(x.device.type, torch.bfloat16, enabled=config.bf16):
            out = self.teacher(enlarge(x, config.teacher_size))
        tokens = F.adaptive_avg_pool2d(out["tokens"].float(), self.grid).flatten(2).mT
        answers = (out["labels"].float() / config.temperature).softmax(1)
        return {"answers": answers, "anchors": out["anchors"].float().softmax(1), "pooled": out["pooled"].float(), "tokens": tokens}

    def _scaled(self, out: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Standardize the features by channel, with statistics of the first batch."""
        for key in ("pooled", "tokens"):
            if key not in self.scales:
                rows = out[key].flatten(0, -2)
                self.scales[key] = (rows.mean(0), rows.std(0) + 1e-3 * rows.std())
            mean, std = self.scales[key]
            out[key] = (out[key] - mean) / std
        return {k: v.half() for k, v in out.items()}

    def _store(self, batch: dict[str, torch.Tensor]) -> None:
        size = len(batch["labels"])
        slots = max(1, self.config.views // size)
        for key, value in batch.items():
            if key not in self.ring:
                self.ring[key] = torch.empty(slots * size, *value.shape[1:], dtype=value.dtype, device=value.device)
            self.ring[key][self.next * size : (self.next + 1) * size] = value
        self.next = (self.next + 1) % slots
        self.filled = min(self.filled + size, slots * size)

    def draw(self, rng: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return a mixed batch of pixels, normalized, and its targets."""
        rows = torch.randint(self.filled, (self.config.batch_size,), generator=rng, device=rng.device)
        batch = {key: value[rows] for key, value in self.ring.items()}
        mask = cutmix_mask(len(rows), self.grid, self.config.cutmix, rng)
        targets: dict[str, torch.Tensor] = {k: blend(batch[k], mask) for k in ("answers", "anchors", "pooled") if k in batch}
        targets["labels"] = blend(F.one_hot(batch["labels"], self.num_classes).float(), mask)
        if "tokens" in batch:
            targets["tokens"] = torch.where(mask.flatten(1)[..., None], batch["tokens"].flip(0), batch["tokens"])
        return normalize(cut(batch["pixels"], mask).float() / 255), targets

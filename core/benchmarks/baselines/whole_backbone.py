"""Fine-tuning of the whole backbone: every weight is trained, so forgetting exactly means training again. It has its own budget."""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from core.backbone.model import Backbone
from core.benchmarks.baselines.method import Cost, Method, Questions, remaining
from core.benchmarks.flops import whole_backbone_flops
from core.data.samples import Samples
from core.lmeraser.cluster_training import ParameterGroup, optimize, seeded
from core.lmeraser.records import Seconds
from core.runtime import progress as watch
from core.runtime.determinism import reproducible


@dataclass(frozen=True)
class FineTuneConfig:
    """Budget and optimizer of training every weight of the backbone."""

    epochs: int = 4
    batch_size: int = 32
    backbone_lr: float = 1e-4
    head_lr: float = 1e-3
    weight_decay: float = 1e-2


class WholeBackbone(Method):
    """Trains all weights of a copy of the backbone and one linear head; forgets by doing so again on the retained samples."""

    name, exact, control = "whole backbone", True, "whole backbone"

    def __init__(self, backbone: Backbone, config: FineTuneConfig | None = None):
        self.backbone, self.config = backbone, config or FineTuneConfig()

    def fit(self, samples: Samples) -> Cost:
        began, self.samples_ = time.perf_counter(), samples
        with reproducible():
            self.network_ = copy.deepcopy(self.backbone)
            self.network_.model.requires_grad_()
            self.head_ = torch.nn.utils.skip_init(torch.nn.Linear, self.backbone.dim, len(samples.classes), device=self.backbone.device)
            torch.nn.init.zeros_(self.head_.weight)
            torch.nn.init.zeros_(self.head_.bias)
            passes = self._train(samples)
        seconds = Seconds(train=time.perf_counter() - began)
        flops = whole_backbone_flops(self.backbone, len(samples), self.config.epochs, self.config.batch_size, len(samples.classes))
        return Cost(seconds, passes, flops)

    def forget(self, ids: Iterable[str]) -> Cost:
        return self.fit(remaining(self.samples_, ids))

    @torch.inference_mode()
    def predict_proba(self, questions: Questions) -> np.ndarray:
        images, parts = questions.samples.images, [np.zeros((0, self.head_.out_features))]
        with reproducible():
            parts += [F.softmax(self._logits(images[i : i + 64]).double(), 1).cpu().numpy() for i in range(0, len(images), 64)]
        return np.concatenate(parts)

    def fork(self) -> WholeBackbone:
        other = WholeBackbone(self.backbone, self.config)
        other.samples_, other.network_, other.head_ = self.samples_, self.network_, self.head_
        return other

    def _logits(self, images: np.ndarray) -> torch.Tensor:
        return self.head_(self.network_.forward_pixels(self.network_.pixels(images)))

    def _train(self, samples: Samples) -> int:
        groups = [
            ParameterGroup(list(self.network_.model.parameters()), self.config.backbone_lr, self.config.weight_decay),
            ParameterGroup(list(self.head_.parameters()), self.config.head_lr, self.config.weight_decay),
        ]
        order = sorted(range(len(samples)), key=samples.digests.__getitem__)
        images, labels = samples.images[order], torch.from_numpy(samples.labels[order]).to(self.backbone.device)
        loss = lambda rows: F.cross_entropy(self._logits(images[rows.numpy()]), labels[rows])  # noqa: E731
        rng = seeded(hashlib.sha256("".join(sorted(samples.digests)).encode()).hexdigest())
        return optimize(loss, groups, self._batches(len(labels), rng))[1]

    def _batches(self, n: int, rng: torch.Generator) -> Iterator[torch.Tensor]:
        """Yield every epoch's shuffled batches, the last and smaller one included."""
        for epoch in range(self.config.epochs):
            for i, rows in enumerate(torch.randperm(n, generator=rng).split(self.config.batch_size)):
                watch.step(epoch * n + i * self.config.batch_size, self.config.epochs * n)
                yield rows

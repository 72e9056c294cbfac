"""LMEraser trained jointly, as its research code does: one optimizer and one stream of batches over all clusters."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F

from core.backbone.feature_cache import Derived
from core.backbone.model import Backbone
from core.benchmarks.baselines.method import Cost, Method, Questions, recipe_of, remaining
from core.benchmarks.flops import derivation_flops, joint_flops
from core.config import EraserConfig, prompt_of_kind
from core.data.samples import Samples
from core.lmeraser.cluster_training import ParameterGroup, batches, optimize, seeded
from core.lmeraser.nearest_prototypes import squared_distances
from core.lmeraser.partition import make_partition
from core.lmeraser.prompts import pixel_mask
from core.lmeraser.records import Seconds
from core.runtime.determinism import reproducible
from core.runtime.executors import Executor, InlineExecutor


class JointClusters(Method):
    """LMEraser's clusters under one optimizer (written from the paper); forgets by fitting again on the retained samples.

    At every step the batch goes through the frozen backbone to find each image's cluster, then image by image through it again
    with that cluster's pixel prompt. Every batch moves what all clusters share (optimizer state, schedule, batches), so only a
    refit forgets exactly. The step budget is that of all clusters together; serving is hard routing.
    """

    name, exact, control = "joint clusters", True, "joint clusters"

    def __init__(self, config: EraserConfig, backbone: Backbone, executor: Executor | None = None):
        prompt = prompt_of_kind("padding") if config.prompt.kind == "tokens" else config.prompt
        self.config = replace(config, prompt=prompt, partition=replace(config.partition, method="hierarchical", cap=None))
        self.backbone, self.executor = backbone, executor or InlineExecutor()

    def fit(self, samples: Samples) -> Cost:
        derived = Derived(self.backbone, None, self.executor)
        setup, began = derived.ensure(samples, trunk=False), time.perf_counter()
        digests = samples.digests
        partition = make_partition(digests, lambda rows: derived.features(digests[r] for r in rows), self.config.partition)
        planned, self.samples_, self.prototypes_ = time.perf_counter(), samples, partition.prototypes
        with reproducible():
            passes = self._train(samples)
        seconds = Seconds(setup, planned - began, time.perf_counter() - planned)
        return Cost(seconds, passes, derivation_flops(self.backbone, derived.computed) + self._training_flops(samples))

    def forget(self, ids: Iterable[str]) -> Cost:
        return self.fit(remaining(self.samples_, ids))

    def predict_proba(self, questions: Questions) -> np.ndarray:
        cluster = squared_distances(questions.inputs.features, self.prototypes_).argmin(1)
        proba = np.zeros((len(cluster), len(self.samples_.classes)))
        with reproducible(), torch.inference_mode():
            for i in range(len(cluster)):
                logits = self._logits(questions.samples.images[i : i + 1], int(cluster[i]))
                proba[i] = F.softmax(logits.double(), 1).cpu().numpy()[0]
        return proba

    def fork(self) -> JointClusters:
        other = JointClusters(self.config, self.backbone, self.executor)
        other.samples_, other.prototypes_, other.mask_, other.parameters_ = self.samples_, self.prototypes_, self.mask_, self.parameters_
        return other

    def _training_flops(self, samples: Samples) -> int:
        steps = self.config.train.steps * len(self.prototypes_)
        recipe = recipe_of(self.backbone, self.config, len(samples.classes))
        return joint_flops(recipe, steps, min(len(samples), self.config.train.batch_size))

    def _logits(self, image: np.ndarray, cluster: int) -> torch.Tensor:
        prompts, weights, biases = self.parameters_
        pooled = self.backbone.forward_pixels(self.backbone.pixels(image) + prompts[cluster] * self.mask_)
        return F.linear(pooled / self.backbone.dim**0.5, weights[cluster], biases[cluster])  # head_lr is for inputs of length about 1

    def _loss(self, samples: Samples, rows: np.ndarray) -> torch.Tensor:
        features, _ = self.backbone.derive(samples.images[rows], None)
        nearest = squared_distances(features, self.prototypes_).argmin(1)
        logits = torch.cat([self._logits(samples.images[r : r + 1], int(c)) for r, c in zip(rows, nearest, strict=True)])
        return F.cross_entropy(logits, torch.from_numpy(samples.labels[rows]).to(logits.device))

    def _train(self, samples: Samples) -> int:
        train, k, classes, size = self.config.train, len(self.prototypes_), len(samples.classes), self.backbone.size
        shapes = ((k, 3, size, size), (k, classes, self.backbone.dim), (k, classes))
        self.mask_ = pixel_mask(self.config.prompt, self.backbone)
        self.parameters_ = [torch.zeros(shape, device=self.backbone.device, requires_grad=True) for shape in shapes]
        groups = [
            ParameterGroup(self.parameters_[:1], train.prompt_lr, train.weight_decay),
            ParameterGroup(self.parameters_[1:], train.head_lr, train.weight_decay),
        ]
        budget = replace(train, steps=train.steps * k)
        rng = seeded(hashlib.sha256("".join(sorted(samples.digests)).encode()).hexdigest())
        order = np.array(sorted(range(len(samples)), key=samples.digests.__getitem__))
        drawn = batches(len(order), budget, rng)
        return optimize(lambda chosen: self._loss(samples, order[chosen.numpy()]), groups, drawn, budget.steps)[1]

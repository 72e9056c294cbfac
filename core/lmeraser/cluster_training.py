"""Trains one cluster: the pure function from a cluster's members and a configuration to its prompt and head, or its classes' sums.

You need this to change what training computes. Its randomness comes from the cluster's key alone, so the same key gives the same
bytes in any process and in any order. `optimize` is the project's only training loop on private data; the baselines use it, too.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.optim.adamw import adamw

from core.backbone.feature_cache import Inputs
from core.backbone.model import Backbone, BackboneSpec, load_backbone
from core.config import EraserConfig, PromptConfig, TrainConfig
from core.lmeraser.global_head import class_sums
from core.lmeraser.prompts import initial_prompt, prompted
from core.lmeraser.records import SCHEMA, ClusterState
from core.runtime import progress as watch
from core.runtime.determinism import environment, reproducible

MEASURED = 64  # members per batch when center and scale are measured
TENSORS = ("prompt", "head.weight", "head.bias")
BETAS, EPS = (0.9, 0.999), 1e-8  # of AdamW

HeadInput = Callable[[torch.Tensor, Any], torch.Tensor]  # (prompt, rows) -> what a head reads (len(rows), d)


@dataclass(frozen=True, eq=False)
class ClusterJob:
    """Everything that training one cluster needs, ready to be sent to another process.

    Rows are in ascending order of sample digest. `inputs` are trunk activations (n, t, dim) float16 for tokens, images
    (n, h, w, 3) uint8 otherwise; `features` (n, d) float32.
    """

    key: str
    backbone: BackboneSpec
    device: str
    inputs: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    num_classes: int
    prompt: PromptConfig
    train: TrainConfig


def cluster_job(key: str, inputs: Inputs, labels: np.ndarray, classes: int, backbone: Backbone, config: EraserConfig) -> ClusterJob:
    """Return the job of training on these inputs and labels (n,), both in ascending order of digest."""
    return ClusterJob(
        key=key,
        backbone=backbone.spec,
        device=str(backbone.device),
        inputs=inputs.values,
        features=inputs.features,
        labels=labels,
        num_classes=classes,
        prompt=config.prompt,
        train=config.train,
    )


def recipe_digest(backbone: Backbone, prompt: PromptConfig, train: TrainConfig, num_classes: int) -> str:
    """Return the SHA-256 over everything that decides a state except the members: the common part of all cluster keys."""
    facts = {
        "schema": SCHEMA,
        "environment": environment(backbone.device),
        "backbone": backbone.fingerprint,
        "prompt": asdict(prompt),
        "train": train.recipe(),
        "num_classes": num_classes,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def cluster_key(recipe: str, digests: Sequence[str]) -> str:
    """Return a cluster's key: SHA-256 over the recipe and its members' sorted content digests (copies counted)."""
    return hashlib.sha256("\n".join([recipe, *sorted(digests)]).encode()).hexdigest()


def seeded(digest: str) -> torch.Generator:
    """Return a random generator whose seed is taken from a hexadecimal digest."""
    return torch.Generator().manual_seed(int(digest[:15], 16))


def job_inputs(prompt: PromptConfig, backbone: Backbone, inputs: np.ndarray) -> torch.Tensor:
    """Return a job's inputs as the float32 tensor that `prompted` takes."""
    if prompt.kind == "tokens":
        return torch.from_numpy(np.ascontiguousarray(inputs)).to(backbone.device).float()
    return backbone.pixels(inputs)


def head_input(prompt_config: PromptConfig, train: TrainConfig, backbone: Backbone, inputs: np.ndarray, features: np.ndarray) -> HeadInput:
    """Return (prompt, rows) -> what a head reads (len(rows), d) over fixed inputs, both in training and in serving."""
    pool = prompted(prompt_config, backbone, job_inputs(prompt_config, backbone, inputs))
    known = torch.from_numpy(np.ascontiguousarray(features)).to(backbone.device)
    if not train.use_features:
        return pool
    return lambda prompt, rows: torch.cat([pool(prompt, rows), known[rows]], 1)


@torch.no_grad()
def center_and_scale(forward: HeadInput, prompt: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return center and scale (d,) of the head's input over all n members, with the prompt before training.

    Where nothing varies, the scale is 1.
    """
    z = torch.cat([forward(prompt, torch.arange(i, min(i + MEASURED, n))) for i in range(0, n, MEASURED)])
    variance = z.var(0, unbiased=False)
    scale = (0.5 * variance + 0.5 * variance.mean()).sqrt() * len(variance) ** 0.5
    return z.mean(0), torch.where(scale > 1e-6, scale, torch.ones_like(scale))


def train_cluster(job: ClusterJob) -> ClusterState:
    """Train one cluster's prompt and head from scratch (paper, section 4.2: one prompt and one head per cluster).

    Without a prompt (kind `none`) the state is the sums of the members' features by class. The result is the same bit for bit for the
    same key on the same environment, whatever else runs.
    """
    if job.prompt.kind != "none":
        return tune(job)
    began = time.perf_counter()
    tensors = class_sums(job.features, job.labels)
    return ClusterState(tensors, seconds=time.perf_counter() - began, sample_passes=len(job.labels))


def tune(job: ClusterJob, start: ClusterState | None = None, rows: np.ndarray | None = None, ascend: bool = False) -> ClusterState:
    """Train a prompt and a head: AdamW, cosine schedule, a fixed number of steps.

    Training continues from `start` if it is given, and draws its batches from some `rows` of the job (None: all). With `ascend` the
    loss is increased instead, until it reaches that of chance. The head sees its input centered and scaled by all of the job's
    members; both are folded into the weights that are returned.
    """
    began = time.perf_counter()
    with reproducible():
        backbone = load_backbone(job.backbone, job.device)
        rng = seeded(job.key)
        prompt, weight, bias = _start(job, backbone, start, rng)
        forward = head_input(job.prompt, job.train, backbone, job.inputs, job.features)
        center, scale = center_and_scale(forward, prompt, len(job.labels))
        weight, bias = weight * scale, bias + weight @ center
        prompt, weight, bias = (p.detach().requires_grad_() for p in (prompt, weight, bias))
        logits = lambda batch: F.linear((forward(prompt, batch) - center) / scale, weight, bias)  # noqa: E731
        losses, passes = _tune(job, logits, [prompt, weight, bias], rng, rows, ascend)
        weight = weight.detach() / scale
        bias = bias.detach() - weight @ center
    arrays = {name: t.detach().cpu().numpy().copy() for name, t in zip(TENSORS, (prompt, weight, bias), strict=True)}
    return ClusterState(arrays, tuple(losses), time.perf_counter() - began, passes)


def _start(job: ClusterJob, backbone: Backbone, start: ClusterState | None, rng: torch.Generator) -> list[torch.Tensor]:
    """Return prompt, head weight (classes, d) and bias (classes,) to start from: a state's, or a fresh prompt and a head of zeros."""
    if start is not None:
        return [torch.tensor(start.tensors[name], device=backbone.device) for name in TENSORS]
    width = job.features.shape[1] * job.train.use_features + backbone.dim
    prompt = initial_prompt(job.prompt, backbone, rng)
    return [prompt, torch.zeros(job.num_classes, width, device=backbone.device), torch.zeros(job.num_classes, device=backbone.device)]


def _tune(
    job: ClusterJob, logits: Callable, parameters: list[torch.Tensor], rng: torch.Generator, rows: np.ndarray | None, ascend: bool
) -> tuple[list[float], int]:
    prompt, *head = parameters
    groups = [
        ParameterGroup([prompt], job.train.prompt_lr, 0.0),
        ParameterGroup(head, job.train.head_lr, job.train.weight_decay),
    ]
    labels = torch.from_numpy(job.labels).to(prompt.device)
    drawn = torch.from_numpy(np.arange(len(labels)) if rows is None else rows)
    loss = lambda chosen: F.cross_entropy(logits(drawn[chosen]), labels[drawn[chosen]])  # noqa: E731
    chance = math.log(job.num_classes) if ascend else None
    return optimize(loss, groups, batches(len(drawn), job.train, rng), job.train.steps, chance)


def batches(n: int, config: TrainConfig, rng: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield `steps` index tensors: shuffled passes over n members, cut into batches of at most `batch_size`."""
    order, at, size = torch.randperm(n, generator=rng), 0, min(n, config.batch_size)
    for done in range(config.steps):
        watch.step(done, config.steps)
        if at + size > n:
            order, at = torch.randperm(n, generator=rng), 0
        yield order[at : at + size]
        at += size


@dataclass(eq=False)
class ParameterGroup:
    """Parameters that share a learning rate and a weight decay, with AdamW's running averages of their gradients.

    Steps are taken by AdamW's functional form: making PyTorch's optimizer object imports its compiler, which takes every process that
    trains a cluster two seconds.
    """

    params: list[torch.Tensor]
    lr: float
    weight_decay: float
    _averages: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = field(default_factory=list)

    def step(self, rate: float) -> None:
        """Take one step at `rate` times the learning rate, and delete the gradients; a parameter without a gradient stays as it is."""
        if not self._averages:
            self._averages = [(torch.zeros_like(p), torch.zeros_like(p), torch.tensor(0.0)) for p in self.params]
        moved = [(p, p.grad, *kept) for p, kept in zip(self.params, self._averages, strict=True) if p.grad is not None]
        if not moved:
            return
        params, grads, averages, squares, steps = (list(part) for part in zip(*moved, strict=True))
        settings = {"beta1": BETAS[0], "beta2": BETAS[1], "eps": EPS, "weight_decay": self.weight_decay, "lr": rate * self.lr}
        with torch.no_grad():
            adamw(params, grads, averages, squares, [], steps, amsgrad=False, maximize=False, **settings)  # type: ignore[arg-type]
        for parameter in params:
            parameter.grad = None


def cosine(done: int, steps: int) -> float:
    """Return the rate, 1 at first and falling to 0 along half a cosine, after `done` of `steps` steps."""
    return (1 + math.cos(math.pi * done / steps)) / 2


def optimize(
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    groups: list[ParameterGroup],
    drawn: Iterable[torch.Tensor],
    cosine_steps: int | None = None,
    ascend_to: float | None = None,
) -> tuple[list[float], int]:
    """Take one AdamW step on the loss of each batch of indices; return the losses and the number of sample passes.

    `cosine_steps` is the length of a cosine schedule (None: constant rates). With `ascend_to` the loss is increased instead of
    decreased, and training stops at the first batch whose loss reaches that value.
    """
    losses: list[float] = []
    passes = 0
    for done, chosen in enumerate(drawn):
        loss = loss_of(chosen)
        losses.append(float(loss.detach()))
        passes += len(chosen)
        if ascend_to is not None and losses[-1] >= ascend_to:
            break
        (loss if ascend_to is None else -loss).backward()
        for group in groups:
            group.step(1.0 if cosine_steps is None else cosine(done, cosine_steps))
    return losses, passes

"""`train_cluster`: the pure function from a cluster's members and a configuration to its prompt and head.

Its randomness comes from the cluster's key alone. It knows no other cluster, no store, no executor and no request.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F

from core import watch
from core.backbone import Backbone, BackboneSpec, load_backbone
from core.environment import environment, reproducible
from core.prompts import initial_prompt, prompted
from core.types import SCHEMA, ClusterState, PromptConfig, TrainConfig

MEASURED = 64  # members that center and scale are measured on at a time


@dataclass(frozen=True, eq=False)
class ClusterJob:
    """All that tuning one cluster needs, ready to be sent to another process.

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


def recipe_digest(backbone: Backbone, prompt: PromptConfig, train: TrainConfig, num_classes: int) -> str:
    """Return the SHA-256 over everything that decides a state beside the members: the common part of all cluster keys."""
    facts = {
        "schema": SCHEMA,
        "environment": environment(backbone.device),
        "backbone": backbone.fingerprint,
        "prompt": asdict(prompt),
        "train": asdict(train),
        "num_classes": num_classes,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def cluster_key(recipe: str, digests: Sequence[str]) -> str:
    """Return a cluster's key: SHA-256 over the recipe and its members' sorted content digests (copies counted)."""
    return hashlib.sha256("\n".join([recipe, *sorted(digests)]).encode()).hexdigest()


def job_inputs(prompt: PromptConfig, backbone: Backbone, inputs: np.ndarray) -> torch.Tensor:
    """Return a job's inputs as the float32 tensor that `prompted` takes."""
    if prompt.kind == "tokens":
        return torch.from_numpy(np.ascontiguousarray(inputs)).to(backbone.device).float()
    return backbone.pixels(inputs)


def batches(n: int, config: TrainConfig, rng: torch.Generator):
    """Yield `steps` index tensors: shuffled passes over n members, cut into batches of at most `batch_size`."""
    order, at, size = torch.randperm(n, generator=rng), 0, min(n, config.batch_size)
    for done in range(config.steps):
        watch.step(done, config.steps)
        if at + size > n:
            order, at = torch.randperm(n, generator=rng), 0
        yield order[at : at + size]
        at += size


def train_cluster(job: ClusterJob) -> ClusterState:
    """Tune one cluster's prompt and head and return them (paper, section 4.2: one prompt and one head per cluster).

    Bit for bit the same for the same key on the same environment, whatever else runs. AdamW, cosine schedule, fixed steps. The
    head sees its input centered and scaled by the cluster's own members; both are folded into the weights that are returned.
    """
    began = time.perf_counter()
    with reproducible():
        backbone = load_backbone(job.backbone, job.device)
        rng = torch.Generator().manual_seed(int(job.key[:15], 16))
        prompt = initial_prompt(job.prompt, backbone, rng).requires_grad_()
        forward = head_input(job.prompt, job.train, backbone, job.inputs, job.features)
        center, scale = center_and_scale(forward, prompt, len(job.labels))
        weight = torch.zeros(job.num_classes, len(center), device=backbone.device, requires_grad=True)
        bias = torch.zeros(job.num_classes, device=backbone.device, requires_grad=True)
        logits = lambda rows: F.linear((forward(prompt, rows) - center) / scale, weight, bias)  # noqa: E731
        losses, passes = _tune(job, logits, prompt, weight, bias, rng)
        weight = weight.detach() / scale
        bias = bias.detach() - weight @ center
    tensors = {"prompt": prompt, "head.weight": weight, "head.bias": bias}
    arrays = {name: t.detach().cpu().numpy().copy() for name, t in tensors.items()}
    return ClusterState(arrays, tuple(losses), time.perf_counter() - began, passes)


@torch.no_grad()
def center_and_scale(forward: Callable, prompt: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return center and scale (d,) of the head's input over all n members with the fresh prompt; scale 1 where nothing varies."""
    z = torch.cat([forward(prompt, torch.arange(i, min(i + MEASURED, n))) for i in range(0, n, MEASURED)])
    variance = z.var(0, unbiased=False)
    scale = (0.5 * variance + 0.5 * variance.mean()).sqrt() * len(variance) ** 0.5
    return z.mean(0), torch.where(scale > 1e-6, scale, torch.ones_like(scale))


def _tune(job: ClusterJob, logits: Callable, prompt, weight, bias, rng: torch.Generator) -> tuple[list[float], int]:
    groups = [
        {"params": [prompt], "lr": job.train.prompt_lr, "weight_decay": 0.0},
        {"params": [weight, bias], "lr": job.train.head_lr, "weight_decay": job.train.weight_decay},
    ]
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, job.train.steps)
    labels = torch.from_numpy(job.labels).to(prompt.device)
    losses, passes = [], 0
    for rows in batches(len(labels), job.train, rng):
        loss = F.cross_entropy(logits(rows), labels[rows])
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        passes += len(rows)
    return losses, passes


def head_input(prompt_config: PromptConfig, train: TrainConfig, backbone: Backbone, inputs: np.ndarray, features: np.ndarray) -> Callable:
    """Return (prompt, rows) -> what a head reads (len(rows), d) over fixed inputs, in training and in serving alike."""
    pool = prompted(prompt_config, backbone, job_inputs(prompt_config, backbone, inputs))
    known = torch.from_numpy(np.ascontiguousarray(features)).to(backbone.device)
    if not train.use_features:
        return pool
    return lambda prompt, rows: torch.cat([pool(prompt, rows), known[rows]], 1)

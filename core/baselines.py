"""What LMEraser is compared with, under one contract: `fit`, `forget`, `predict_proba`, and what each cost.

Same data, backbone, optimizer, step budget and machine; only what the method changes differs. Exact: LMEraser itself, full
refit, SISA (Bourtoule et al., arXiv 1912.03817), and three that refit: one prompt on all data, LMEraser's clusters trained
jointly, and the whole backbone fine-tuned, which has a budget of its own. Approximate, and said to be so: fine-tuning on what is
retained, gradient ascent, random labels; they change prompt and head of the one prompt and promise nothing about what is left in
them. Knows no store, no request log and no page.
"""

from __future__ import annotations

import copy
import hashlib
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from core import watch
from core.backbone import Backbone, load_backbone
from core.derived import Derived
from core.environment import reproducible
from core.eraser import LMEraser, Model, checked_ids, model_root
from core.errors import InputError
from core.executors import Executor, InlineExecutor
from core.flops import Recipe, derivation_flops, joint_flops, tuning_flops, whole_backbone_flops
from core.partition import make_partition
from core.presets import prompt_of_kind
from core.prompts import initial_prompt, pixel_mask, trunk_block
from core.ranking import squared_distances
from core.serve import ClusterCache, Inputs
from core.store import MemoryStore
from core.train import ClusterJob, batches, center_and_scale, head_input
from core.types import ClusterState, EraserConfig, Outcome, Samples, Seconds


@dataclass(frozen=True)
class Cost:
    """What a fit or a request took, three ways; evaluation is not part of it. On what FLOPs hold see `core.flops`."""

    seconds: Seconds
    sample_passes: int
    flops: int


def eraser_flops(eraser: LMEraser, trained: Collection[str], images: int) -> int:
    """Return the FLOPs of training the clusters of an eraser that have these keys, and of sending so many images through the backbone."""
    recipe = recipe_of(eraser.backbone_, eraser.config_, len(eraser.samples_.classes))
    sizes = np.bincount(eraser.partition_.assignment, minlength=eraser.partition_.clusters)
    members = [int(n) for key, n in zip(eraser.keys_, sizes, strict=True) if key in set(trained)]
    return sum(tuning_flops(recipe, n) for n in members) + derivation_flops(eraser.backbone_, images)


def recipe_of(backbone: Backbone, config: EraserConfig, classes: int) -> Recipe:
    """Return what decides the FLOPs of tuning under a configuration."""
    return Recipe(backbone.spec, str(backbone.device), config.prompt, config.train, classes)


@dataclass(frozen=True, eq=False)
class Questions:
    """Samples to be classified, with what serving derives from them computed once for all methods."""

    samples: Samples
    inputs: Inputs

    @classmethod
    def prepared(cls, eraser: LMEraser, samples: Samples) -> Questions:
        return cls(samples, replace(eraser.prepare(samples.images), digests=samples.digests))


class Method(ABC):
    """One way to learn and to forget. `samples_` are those in the model; `control` names the method whose model it should equal."""

    name: str
    exact: bool
    control: str
    samples_: Samples

    @abstractmethod
    def fit(self, samples: Samples) -> Cost:
        """Learn samples from scratch."""

    @abstractmethod
    def forget(self, ids) -> Cost:
        """Forget samples in the method's own way; raises UnknownSampleError, InputError."""

    @abstractmethod
    def predict_proba(self, questions: Questions) -> np.ndarray:
        """Return class probabilities (n, classes)."""

    @abstractmethod
    def fork(self) -> Method:
        """Return a copy that forgets on its own."""

    def predict(self, questions: Questions) -> np.ndarray:
        """Return the class index (n,) of each sample."""
        return self.predict_proba(questions).argmax(1)


class _OnEraser(Method):
    """What methods that keep an LMEraser share. `eraser` may be fitted already."""

    def __init__(self, eraser: LMEraser):
        self.eraser = eraser

    @property
    def samples_(self) -> Samples:
        return self.eraser.samples_

    def fit(self, samples: Samples) -> Cost:
        return self._cost(lambda: self.eraser.fit(samples).outcome_)

    def _cost(self, change: Callable[[], Outcome]) -> Cost:
        before = self.eraser.derived_images_ if hasattr(self.eraser, "model_") else 0
        outcome = change()
        flops = eraser_flops(self.eraser, outcome.trained, self.eraser.derived_images_ - before)
        return Cost(outcome.seconds, outcome.sample_passes, flops)

    def predict_proba(self, questions: Questions) -> np.ndarray:
        return self.eraser.predict_proba(questions.inputs)


class Clusters(_OnEraser):
    """LMEraser: only the clusters that a request touches are trained again."""

    name, exact, control = "LMEraser", True, "full refit"

    def forget(self, ids) -> Cost:
        return self._cost(lambda: self.eraser.forget(ids))

    def fork(self) -> Clusters:
        return Clusters(self.eraser.fork())


class Refit(_OnEraser):
    """Fits the same configuration from scratch, features included, on what remains."""

    exact = True

    def __init__(self, eraser: LMEraser, name: str = "full refit"):
        super().__init__(eraser)
        self.name = self.control = name

    def forget(self, ids) -> Cost:
        remaining = self.samples_.without(checked_ids(ids))
        self.eraser = unfitted(self.eraser)
        return self.fit(remaining)

    def fork(self) -> Refit:
        return Refit(self.eraser.fork(), self.name)


def unfitted(eraser: LMEraser) -> LMEraser:
    """Return an eraser of the same configuration that knows nothing, with a store of its own."""
    return LMEraser(eraser.config, eraser.backbone, MemoryStore(), eraser.executor)


def one_prompt(config: EraserConfig, clusters: int) -> EraserConfig:
    """Return the configuration that tunes one prompt and one head on all data, with the step budget of all clusters together."""
    return replace(
        config,
        partition=replace(config.partition, method="hierarchical", clusters=1, cap=None),
        train=replace(config.train, steps=config.train.steps * clusters),
        serve=replace(config.serve, mix=1),
    )


# Training that goes on from a state


def tuned(job: ClusterJob, start: ClusterState | None = None, rows: np.ndarray | None = None, ascend: bool = False) -> ClusterState:
    """Train as `train_cluster` does, but on from `start` if given, and on some `rows` of the job only.

    The head's input is centered and scaled by all of the job. With `ascend` the loss is made larger, until it is that of chance.
    """
    began = time.perf_counter()
    with reproducible():
        backbone = load_backbone(job.backbone, job.device)
        rng = torch.Generator().manual_seed(int(job.key[:15], 16))
        prompt, weight, bias = _start(job, backbone, start, rng)
        forward = head_input(job.prompt, job.train, backbone, job.inputs, job.features)
        center, scale = center_and_scale(forward, prompt, len(job.labels))
        weight, bias = weight * scale, bias + weight @ center
        parameters = [p.detach().requires_grad_() for p in (prompt, weight, bias)]
        losses, passes = _steps(job, forward, center, scale, parameters, rng, np.arange(len(job.labels)) if rows is None else rows, ascend)
        prompt, weight, bias = (p.detach() for p in parameters)
        weight = weight / scale
        tensors = {"prompt": prompt, "head.weight": weight, "head.bias": bias - weight @ center}
    arrays = {name: t.cpu().numpy().copy() for name, t in tensors.items()}
    return ClusterState(arrays, tuple(losses), time.perf_counter() - began, passes)


def _start(job: ClusterJob, backbone: Backbone, start: ClusterState | None, rng: torch.Generator) -> list[torch.Tensor]:
    if start is not None:
        return [torch.tensor(start.tensors[n], device=backbone.device) for n in ("prompt", "head.weight", "head.bias")]
    width = job.features.shape[1] * job.train.use_features + backbone.dim
    prompt = initial_prompt(job.prompt, backbone, rng)
    return [prompt, torch.zeros(job.num_classes, width, device=backbone.device), torch.zeros(job.num_classes, device=backbone.device)]


def _steps(job: ClusterJob, forward: Callable, center, scale, parameters, rng, rows: np.ndarray, ascend: bool) -> tuple[list[float], int]:
    prompt, weight, bias = parameters
    groups = [
        {"params": [prompt], "lr": job.train.prompt_lr, "weight_decay": 0.0},
        {"params": [weight, bias], "lr": job.train.head_lr, "weight_decay": job.train.weight_decay},
    ]
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, job.train.steps)
    labels, rows = torch.from_numpy(job.labels).to(prompt.device), torch.from_numpy(rows)
    losses, passes = [], 0
    for chosen in batches(len(rows), job.train, rng):
        batch = rows[chosen]
        loss = F.cross_entropy(F.linear((forward(prompt, batch) - center) / scale, weight, bias), labels[batch])
        losses.append(float(loss.detach()))
        passes += len(batch)
        if ascend and losses[-1] >= math.log(job.num_classes):
            break
        (-loss if ascend else loss).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
    return losses, passes


# The whole backbone


@dataclass(frozen=True)
class FineTuneConfig:
    """Budget and optimizer of training every weight of the backbone."""

    epochs: int = 4
    batch_size: int = 32
    backbone_lr: float = 1e-4
    head_lr: float = 1e-3
    weight_decay: float = 1e-2


class WholeBackbone(Method):
    """Trains all weights of a copy of the backbone and one linear head; forgets by doing so again on what remains."""

    name, exact, control = "whole backbone", True, "whole backbone"

    def __init__(self, backbone: Backbone, config: FineTuneConfig | None = None):
        self.backbone, self.config = backbone, config or FineTuneConfig()

    def fit(self, samples: Samples) -> Cost:
        began, self.samples_ = time.perf_counter(), samples
        with reproducible():
            rng = torch.Generator().manual_seed(int(hashlib.sha256("".join(sorted(samples.digests)).encode()).hexdigest()[:15], 16))
            self.model_ = copy.deepcopy(self.backbone)
            self.model_.model.requires_grad_()
            self.head_ = torch.nn.utils.skip_init(torch.nn.Linear, self.backbone.dim, len(samples.classes), device=self.backbone.device)
            torch.nn.init.zeros_(self.head_.weight)
            torch.nn.init.zeros_(self.head_.bias)
            passes = self._train(samples, rng)
        seconds = Seconds(train=time.perf_counter() - began)
        flops = whole_backbone_flops(self.backbone, len(samples), self.config.epochs, self.config.batch_size, len(samples.classes))
        return Cost(seconds, passes, flops)

    def forget(self, ids) -> Cost:
        remaining = self.samples_.without(checked_ids(ids))
        if not len(remaining):
            raise InputError(f"All {len(self.samples_)} samples would go, and nothing remains to train on. Leave at least one.")
        return self.fit(remaining)

    @torch.inference_mode()
    def predict_proba(self, questions: Questions) -> np.ndarray:
        images, parts = questions.samples.images, [np.zeros((0, self.head_.out_features))]
        with reproducible():
            for i in range(0, len(images), 64):
                logits = self.head_(self.model_.forward_pixels(self.model_.pixels(images[i : i + 64])))
                parts.append(F.softmax(logits.double(), 1).cpu().numpy())
        return np.concatenate(parts)

    def fork(self) -> WholeBackbone:
        other = WholeBackbone(self.backbone, self.config)
        other.samples_, other.model_, other.head_ = self.samples_, self.model_, self.head_
        return other

    def _train(self, samples: Samples, rng: torch.Generator) -> int:
        groups = [
            {"params": list(self.model_.model.parameters()), "lr": self.config.backbone_lr},
            {"params": list(self.head_.parameters()), "lr": self.config.head_lr},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=self.config.weight_decay)
        order = sorted(range(len(samples)), key=samples.digests.__getitem__)
        images, labels, passes = samples.images[order], torch.from_numpy(samples.labels[order]), 0
        for _ in range(self.config.epochs):
            for rows in torch.randperm(len(labels), generator=rng).split(self.config.batch_size):
                watch.step(passes, self.config.epochs * len(labels))
                logits = self.head_(self.model_.forward_pixels(self.model_.pixels(images[rows.numpy()])))
                F.cross_entropy(logits, labels[rows].to(logits.device)).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                passes += len(rows)
        return passes


# LMEraser trained jointly


class JointClusters(Method):
    """LMEraser as its research code trains it: one optimizer and one stream of batches over all clusters (written from the paper).

    At every step the batch goes through the frozen backbone to find each image's cluster, then image by image through it again
    with that cluster's pixel prompt. As every batch moves what all clusters share (optimizer state, schedule, batches), nothing
    short of a refit forgets exactly. The step budget is that of all clusters together; serving is hard routing.
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

    def _training_flops(self, samples: Samples) -> int:
        steps = self.config.train.steps * len(self.prototypes_)
        recipe = recipe_of(self.backbone, self.config, len(samples.classes))
        return joint_flops(recipe, steps, min(len(samples), self.config.train.batch_size))

    def forget(self, ids) -> Cost:
        remaining = self.samples_.without(checked_ids(ids))
        if not len(remaining):
            raise InputError(f"All {len(self.samples_)} samples would go, and nothing remains to train on. Leave at least one.")
        return self.fit(remaining)

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

    def _logits(self, image: np.ndarray, cluster: int) -> torch.Tensor:
        prompts, weights, biases = self.parameters_
        pooled = self.backbone.forward_pixels(self.backbone.pixels(image) + prompts[cluster] * self.mask_)
        return F.linear(pooled / self.backbone.dim**0.5, weights[cluster], biases[cluster])  # head_lr is for inputs of length about 1

    def _train(self, samples: Samples) -> int:
        train, k, classes, size = self.config.train, len(self.prototypes_), len(samples.classes), self.backbone.size
        shapes = ((k, 3, size, size), (k, classes, self.backbone.dim), (k, classes))
        self.mask_ = pixel_mask(self.config.prompt, self.backbone)
        self.parameters_ = [torch.zeros(shape, device=self.backbone.device, requires_grad=True) for shape in shapes]
        groups = [{"params": self.parameters_[:1], "lr": train.prompt_lr}, {"params": self.parameters_[1:], "lr": train.head_lr}]
        budget = replace(train, steps=train.steps * k)
        optimizer = torch.optim.AdamW(groups, weight_decay=train.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, budget.steps)
        rng = torch.Generator().manual_seed(int(hashlib.sha256("".join(sorted(samples.digests)).encode()).hexdigest()[:15], 16))
        order, passes = np.array(sorted(range(len(samples)), key=samples.digests.__getitem__)), 0
        for chosen in batches(len(order), budget, rng):
            rows = order[chosen.numpy()]
            features, _ = self.backbone.derive(samples.images[rows], None)
            nearest = squared_distances(features, self.prototypes_).argmin(1)
            logits = torch.cat([self._logits(samples.images[r : r + 1], int(c)) for r, c in zip(rows, nearest, strict=True)])
            F.cross_entropy(logits, torch.from_numpy(samples.labels[rows]).to(logits.device)).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            passes += len(rows)
        return passes


# SISA


@dataclass(frozen=True, eq=False)
class ShardJob:
    """A shard's data in ascending order of digest, each row's slice, and the checkpoint to go on from, before slice `first`."""

    cluster: ClusterJob
    slices: np.ndarray
    first: int
    count: int
    start: ClusterState | None

    @property
    def device(self) -> str:
        return self.cluster.device


def train_shard(job: ShardJob) -> list[ClusterState | None]:
    """Train slice after slice, each on all data up to it, and return the state after each from `first` on; None before any data."""
    states, state = [], job.start
    for stage in range(job.first, job.count):
        rows = np.flatnonzero(job.slices <= stage)
        state = tuned(_prefix(job.cluster, rows, stage), state) if len(rows) else None
        states.append(state)
    return states


def _prefix(job: ClusterJob, rows: np.ndarray, stage: int) -> ClusterJob:
    """Return the job of some rows; its randomness knows their number, but nothing of later slices."""
    key = hashlib.sha256(f"{stage} {len(rows)} {job.key}".encode()).hexdigest()
    return replace(job, key=key, inputs=job.inputs[rows], features=job.features[rows], labels=job.labels[rows])


def shard_flops(job: ShardJob) -> int:
    """Return the FLOPs of `train_shard`."""
    sizes = [int((job.slices <= stage).sum()) for stage in range(job.first, job.count)]
    return sum(tuning_flops(Recipe.of(job.cluster), n) for n in sizes if n)


class Sisa(Method):
    """Random shards by digest, each cut into slices with a checkpoint after each; the shards' probabilities are averaged.

    A shard has the step budget of a cluster, spread over its slices. Forgetting goes back to the checkpoint before the first
    slice it touches. Shard and slice are a sample's own affair, so the result is that of a fit on what remains.
    """

    name, exact, control = "SISA", True, "SISA"

    def __init__(self, config: EraserConfig, backbone: Backbone, executor: Executor | None, shards: int, slices: int = 4):
        self.config = replace(config, train=replace(config.train, steps=max(1, config.train.steps // slices)))
        self.backbone, self.executor, self.shards, self.slices = backbone, executor or InlineExecutor(), shards, slices

    def fit(self, samples: Samples) -> Cost:
        self._derived = Derived(self.backbone, trunk_block(self.config.prompt, self.backbone), self.executor)
        self._cache, self._counted = ClusterCache(), 0
        self.checkpoints_: dict[int, list[ClusterState | None]] = {}
        setup = self._derived.ensure(samples, trunk=True)
        return self._advance(samples, {int(s): 0 for s in np.unique(self._place(samples.digests)[0])}, setup)

    def forget(self, ids) -> Cost:
        gone = self.samples_.take(self.samples_.rows(checked_ids(ids)))
        shard, piece = self._place(gone.digests)
        first = {int(s): int(piece[shard == s].min()) for s in np.unique(shard)}
        cost = self._advance(self.samples_.without(ids), first, 0.0)
        self._derived.drop(set(gone.digests) - set(self.samples_.digests))
        return cost

    def predict_proba(self, questions: Questions) -> np.ndarray:
        votes = [self._vote(shard, states[-1], questions.inputs) for shard, states in self.checkpoints_.items() if states[-1] is not None]
        return np.mean(votes, 0) if votes else np.full((len(questions.samples), len(self.samples_.classes)), 1 / len(self.samples_.classes))

    def fork(self) -> Sisa:
        other = Sisa(self.config, self.backbone, self.executor, self.shards, self.slices)
        other.config, other.samples_, other.checkpoints_ = self.config, self.samples_, dict(self.checkpoints_)
        other._derived, other._cache, other._counted = self._derived.fork(), self._cache.fork(), 0
        return other

    def _place(self, digests) -> tuple[np.ndarray, np.ndarray]:
        """Return shard and slice (n,) of each digest."""
        shard = np.array([int(d[-12:], 16) % self.shards for d in digests], np.int64)
        return shard, np.array([int(d[:8], 16) % self.slices for d in digests], np.int64)

    def _advance(self, samples: Samples, first: dict[int, int], setup: float) -> Cost:
        began, passes = time.perf_counter(), 0
        images, self._counted = self._derived.computed - self._counted, self._derived.computed
        self.samples_ = samples
        jobs = self._jobs(samples, first)
        for i, states in self.executor.map(train_shard, list(jobs.values())):
            shard = list(jobs)[i]
            self.checkpoints_[shard] = self.checkpoints_.get(shard, [])[: first[shard]] + states
            passes += sum(s.sample_passes for s in states if s is not None)
        seconds = Seconds(setup=setup, train=time.perf_counter() - began)
        return Cost(seconds, passes, derivation_flops(self.backbone, images) + sum(shard_flops(job) for job in jobs.values()))

    def _jobs(self, samples: Samples, first: dict[int, int]) -> dict[int, ShardJob]:
        digests = samples.digests
        home, piece = self._place(digests)
        jobs = {}
        for shard, stage in first.items():
            rows = np.array(sorted(np.flatnonzero(home == shard), key=digests.__getitem__), np.int64)
            key = hashlib.sha256(f"sisa {shard} of {self.shards}".encode()).hexdigest()
            members = samples.take(rows)
            job = cluster_job(key, self._inputs(members), members.labels, len(samples.classes), self.backbone, self.config)
            start = self.checkpoints_[shard][stage - 1] if stage else None
            jobs[shard] = ShardJob(job, piece[rows], stage, self.slices, start)
        return jobs

    def _inputs(self, samples: Samples) -> Inputs:
        values = samples.images if self._derived.block is None else self._derived.trunks(samples.digests)
        return Inputs(samples.digests, self._derived.features(samples.digests), values)

    def _vote(self, shard: int, state: ClusterState, inputs: Inputs) -> np.ndarray:
        key = f"{shard} {state.digest}"
        return np.exp(self._cache.log_proba(key, state, inputs, np.arange(len(inputs)), self.backbone, self.config))


# Approximate methods


SHARE = 0.05  # of the one prompt's step budget
RATE = 0.1  # of its learning rates


@dataclass(frozen=True, eq=False)
class Change:
    """Training that goes on: the job, the rows of it that batches are drawn from (None: all), and whether the loss is made larger."""

    job: ClusterJob
    rows: np.ndarray | None = None
    ascend: bool = False

    def applied(self, state: ClusterState) -> ClusterState:
        """Return what the state becomes."""
        return tuned(self.job, state, self.rows, self.ascend)

    def flops(self, state: ClusterState) -> int:
        """Return the FLOPs that led to a state; ascent that reached chance ended with a batch that went forward only."""
        stopped = int(self.ascend and state.losses[-1] >= math.log(self.job.num_classes))
        rows = None if self.rows is None else len(self.rows)
        return tuning_flops(Recipe.of(self.job), len(self.job.labels), rows, len(state.losses) - stopped, stopped)


MakeChange = Callable[[LMEraser, np.ndarray], Change]


class Approximate(_OnEraser):
    """Changes the one prompt and head instead of training them again; the global head, if any, is unlearned exactly.

    Nothing says that what was forgotten has left the prompt and head: that is what an audit is for. `eraser` has one cluster.
    """

    exact, control = False, "one prompt"

    def __init__(self, eraser: LMEraser, name: str, change: MakeChange):
        super().__init__(eraser)
        self.name, self.change = name, change

    def forget(self, ids) -> Cost:
        began = time.perf_counter()
        gone = self.samples_.rows(checked_ids(ids))
        if len(gone) == len(self.samples_):
            raise InputError(f"All {len(gone)} samples would go, and {self.name} needs some that remain. Leave at least one.")
        before = self.eraser.derived_images_
        change = self.change(self.eraser, gone)
        state = change.applied(next(iter(self.eraser.states_.values())))
        self._put(state, gone)
        seconds = Seconds(train=time.perf_counter() - began)
        images = derivation_flops(self.eraser.backbone_, self.eraser.derived_images_ - before)
        return Cost(seconds, state.sample_passes, change.flops(state) + images)

    def fork(self) -> Approximate:
        return Approximate(self.eraser.fork(), self.name, self.change)

    def _put(self, state: ClusterState, gone: np.ndarray) -> None:
        model = self.eraser.model_
        leaving = model.samples.take(gone)
        head = model.head and model.head.changed(self.eraser.prepare_members(gone).features, leaving.labels, -1)
        assignment = np.delete(model.partition.assignment, gone)
        partition = replace(model.partition, assignment=assignment, anchors=np.empty(0, np.int64), ranking=None)
        key = hashlib.sha256(f"{self.name} {state.digest} {model.keys[0]}".encode()).hexdigest()
        root = model_root((key,), {key: state}, partition, head)
        self.eraser.model_ = Model(model.samples.without(leaving.ids), partition, (key,), {key: state}, head, root)


def fine_tune(eraser: LMEraser, gone: np.ndarray) -> Change:
    """Go on for a few steps with what is retained, and hope that the rest fades (catastrophic forgetting)."""
    return Change(_short_job(eraser, np.delete(np.arange(len(eraser.samples_)), gone), "fine-tune"))


def gradient_ascent(eraser: LMEraser, gone: np.ndarray) -> Change:
    """Raise the loss on what is forgotten, until it is that of chance (the negative gradient of arXiv 1911.04933)."""
    return Change(_short_job(eraser, np.arange(len(eraser.samples_)), "ascent"), gone, ascend=True)


def random_labels(eraser: LMEraser, gone: np.ndarray) -> Change:
    """Learn wrong labels for what is forgotten, beside as many retained samples with their own (Graves et al., arXiv 2010.10981)."""
    job = _short_job(eraser, np.arange(len(eraser.samples_)), "labels")
    rng = np.random.default_rng(int(job.key[:15], 16))
    labels = job.labels.copy()
    labels[gone] = (labels[gone] + rng.integers(1, max(2, job.num_classes), len(gone))) % job.num_classes
    retained = np.delete(np.arange(len(labels)), gone)
    beside = rng.choice(retained, min(len(gone), len(retained)), replace=False)
    return Change(replace(job, labels=labels), np.concatenate([gone, beside]))


def _short_job(eraser: LMEraser, rows: np.ndarray, name: str) -> ClusterJob:
    train = eraser.config_.train
    steps = max(1, round(train.steps * SHARE))
    config = replace(
        eraser.config_, train=replace(train, steps=steps, prompt_lr=train.prompt_lr * RATE, head_lr=train.head_lr * RATE, weight_decay=0.0)
    )
    samples = eraser.samples_.take(rows)
    key = hashlib.sha256(f"{name} {eraser.keys_[0]}".encode()).hexdigest()
    return cluster_job(key, eraser.prepare_members(rows), samples.labels, len(samples.classes), eraser.backbone_, config)


CHANGES: dict[str, MakeChange] = {"fine-tune on retained": fine_tune, "gradient ascent": gradient_ascent, "random labels": random_labels}
METHODS = ("LMEraser", "full refit", "SISA", "one prompt", *CHANGES)
SLOW = ("whole backbone", "joint clusters")  # take minutes a fit on a CPU, so only where it is asked for


def build_methods(eraser: LMEraser, names=METHODS) -> list[Method]:
    """Return fitted methods on a fitted eraser's samples, all with its configuration; raises InputError for an unknown name.

    SISA has as many shards as the eraser has clusters. The one prompt is trained once for all methods that start from it.
    """
    check_methods(names)
    fitted = FittedMethods(eraser)
    return [fitted[name] for name in names]


def check_methods(names) -> None:
    """Raise InputError for a name that no method has."""
    if unknown := [n for n in names if n not in METHODS + SLOW]:
        raise InputError(f"method {unknown[0]!r} is not one of {', '.join(METHODS + SLOW)}.")


class FittedMethods:
    """Methods on one fitted eraser's samples, each fitted when it is first asked for, by name. Fork before forgetting."""

    def __init__(self, eraser: LMEraser):
        self.eraser = eraser
        self._known: dict[str, Method] = {}

    def __getitem__(self, name: str) -> Method:
        if name not in self._known:
            self._known[name] = self._fitted(name)
        return self._known[name]

    def _fitted(self, name: str) -> Method:
        if name == "LMEraser":
            return Clusters(self.eraser.fork())
        if name == "full refit":
            return Refit(self.eraser.fork())
        if name in CHANGES:
            return Approximate(self["one prompt"].fork().eraser, name, CHANGES[name])
        method = self._unfitted(name)
        method.fit(self.eraser.samples_)
        return method

    def _unfitted(self, name: str) -> Method:
        config, backbone, executor = self.eraser.config_, self.eraser.backbone_, self.eraser.executor
        clusters = self.eraser.partition_.clusters
        if name == "one prompt":
            return Refit(LMEraser(one_prompt(config, clusters), backbone, executor=executor), name)
        if name == "SISA":
            return Sisa(config, backbone, executor, clusters)
        if name == "joint clusters":
            return JointClusters(config, backbone, executor)
        return WholeBackbone(backbone)


def cluster_job(key: str, inputs: Inputs, labels: np.ndarray, classes: int, backbone: Backbone, config: EraserConfig) -> ClusterJob:
    """Return the job of training on these inputs."""
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

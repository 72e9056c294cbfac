"""The contract of every unlearning method: `fit`, `forget`, `predict_proba`, `fork`, and what each call cost.

All methods use the same data, backbone, optimizer, step budget and machine; only what the method itself changes differs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np

from core.backbone.feature_cache import Derived, Inputs
from core.backbone.model import Backbone
from core.benchmarks.flops import Recipe, derivation_flops, tuning_flops
from core.config import EraserConfig, with_prompts
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.fitted_model import checked_ids
from core.lmeraser.prompts import trunk_block
from core.lmeraser.records import Outcome, Seconds
from core.runtime.executors import InlineExecutor


@dataclass(frozen=True)
class Cost:
    """What a fit or a request took, in three units and without evaluation. `core.benchmarks.flops` says which FLOPs are counted."""

    seconds: Seconds
    sample_passes: int
    flops: int


@dataclass(frozen=True, eq=False)
class Questions:
    """Samples to be classified, with the inputs that serving needs computed once for all methods."""

    samples: Samples
    inputs: Inputs

    @classmethod
    def prepared(cls, eraser: LMEraser, samples: Samples) -> Questions:
        block = trunk_block(prompting(eraser).prompt, eraser.backbone_)
        derived = Derived(eraser.backbone_, block, eraser.executor or InlineExecutor())
        derived.ensure(samples, trunk=True)
        return cls(samples, derived.inputs(samples))


def prompting(eraser: LMEraser) -> EraserConfig:
    """Return the configuration of the methods that learn prompts: the eraser's, with the usual prompts where its clusters learn none."""
    return with_prompts(eraser.config_, "tokens" if eraser.backbone_.has_tokens else "padding")


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
    def forget(self, ids: Iterable[str]) -> Cost:
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


class OnEraser(Method):
    """What the methods that hold an `LMEraser` share; it may be fitted already."""

    def __init__(self, eraser: LMEraser):
        self.eraser = eraser

    @property
    def samples_(self) -> Samples:  # type: ignore[override]
        return self.eraser.samples_

    def fit(self, samples: Samples) -> Cost:
        return self._cost(lambda: self.eraser.fit(samples).outcome_)

    def predict_proba(self, questions: Questions) -> np.ndarray:
        return self.eraser.predict_proba(questions.inputs)

    def _cost(self, change: Callable[[], Outcome]) -> Cost:
        before = self.eraser.derived_images_ if hasattr(self.eraser, "model_") else 0
        outcome = change()
        flops = eraser_flops(self.eraser, outcome.trained, self.eraser.derived_images_ - before)
        return Cost(outcome.seconds, outcome.sample_passes, flops)


def remaining(samples: Samples, ids: Iterable[str]) -> Samples:
    """Return the samples without the ids, for a method that must train on something; raises InputError when none is left."""
    left = samples.without(checked_ids(ids))
    if not len(left):
        raise InputError(f"All {len(samples)} samples would be forgotten, and no sample is left to train on. Leave at least one.")
    return left


def eraser_flops(eraser: LMEraser, trained: Collection[str], images: int) -> int:
    """Return the FLOPs of training the eraser's clusters with these keys, and of sending so many images through the backbone."""
    recipe = recipe_of(eraser.backbone_, eraser.config_, len(eraser.samples_.classes))
    sizes = np.bincount(eraser.partition_.assignment, minlength=eraser.partition_.clusters)
    members = [int(n) for key, n in zip(eraser.keys_, sizes, strict=True) if key in set(trained)]
    return sum(tuning_flops(recipe, n) for n in members) + derivation_flops(eraser.backbone_, images)


def recipe_of(backbone: Backbone, config: EraserConfig, classes: int) -> Recipe:
    """Return what decides the FLOPs of training a cluster under a configuration."""
    return Recipe(backbone.spec, str(backbone.device), config.prompt, config.train, classes)

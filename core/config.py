"""All settings of a model as frozen records, and the presets.

`paper`: a learned frame of pixels, hierarchical clusters and hard routing, as published. `fast`: late tokens, clusters that survive
deletion, mixed routing and the global head. `instant`: no prompts; each cluster keeps its classes' sums, so that nothing is trained.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from core.errors import InputError


@dataclass(frozen=True)
class PartitionConfig:
    """How private data is divided into clusters."""

    method: str = "stable"  # stable, hierarchical, public, random
    clusters: int | None = None  # before the cap; None: 1 per 16 to 32 samples, at most 256 (public: all; stable: 2 to 3 times sqrt(n))
    anchor_share: float | None = None  # of the digests; None: a sixth, less in large sets (about 1,000 to 2,000 anchors), all in small ones
    cap: int | None = None  # most samples in one cluster; None: no cap


@dataclass(frozen=True)
class PromptConfig:
    """The prompt that each cluster learns beside its head.

    Of kind `none` a cluster learns nothing: it keeps the sums of its members' features by class.
    """

    kind: str = "tokens"  # padding, patch, tokens, none
    size: int = 4  # padding: frame width in px; patch: side in px; tokens: how many
    block: int = -1  # tokens enter before this block; negative counts from the end
    readout: str = "prompts"  # tokens only: pool the prompts' outputs, or those of the image's patches


@dataclass(frozen=True)
class TrainConfig:
    """The budget and optimizer of one cluster."""

    steps: int = 40
    batch_size: int = 32
    prompt_lr: float = 5e-3
    head_lr: float = 0.1  # of a head whose input has length about 1
    weight_decay: float = 1e-2
    use_features: bool = True  # the head also reads the frozen features
    seed: int = 0  # another one draws every cluster's prompt, head and batches anew

    def recipe(self) -> dict[str, Any]:
        """Return the settings as cluster keys cover them: without the first seed, so that keys made before there were seeds are valid."""
        return {name: value for name, value in asdict(self).items() if name != "seed" or value}


@dataclass(frozen=True)
class ServeConfig:
    """How the clusters and the global head combine into a prediction."""

    mix: int = 8  # nearest clusters that vote; 1 is the paper's hard routing
    temperature: float = 0.1  # of the softmax over negative squared prototype distances, relative to the nearest
    global_weight: float = 0.5  # share of the global head; 0 leaves it out
    prior: float = 30.0  # prompt kind none: how many members the means over all data count for beside a cluster's own


@dataclass(frozen=True)
class EraserConfig:
    """Everything that decides what a model computes, except the backbone and the data."""

    partition: PartitionConfig = field(default_factory=PartitionConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    serve: ServeConfig = field(default_factory=ServeConfig)

    @property
    def has_prompts(self) -> bool:
        """Whether clusters learn prompts and heads; if not, they keep their classes' sums."""
        return self.prompt.kind != "none"

    def sample_passes(self, members: int) -> int:
        """Return how many samples pass through the training of a cluster with so many members."""
        return min(members, self.train.batch_size) * self.train.steps if self.has_prompts else members

    def to_json(self) -> dict[str, dict[str, Any]]:
        """Return the settings as plain values, by record."""
        return asdict(self)

    @classmethod
    def from_json(cls, written: dict[str, dict[str, Any]]) -> EraserConfig:
        """Return settings that `to_json` wrote, their numbers exactly as written: the cluster keys tell 1 from 1.0.

        Raises KeyError, TypeError when something is missing or unknown.
        """
        return cls(
            PartitionConfig(**written["partition"]),
            PromptConfig(**written["prompt"]),
            TrainConfig(**written["train"]),
            ServeConfig(**written["serve"]),
        )


_PROMPTS = {
    "padding": PromptConfig("padding", size=6),
    "patch": PromptConfig("patch", size=16),
    "tokens": PromptConfig("tokens"),
    "none": PromptConfig("none", size=0),
}


def prompt_of_kind(kind: str) -> PromptConfig:
    """Return a prompt kind's usual configuration; raises InputError for an unknown one."""
    if kind not in _PROMPTS:
        raise InputError(f"prompt {kind!r} is not one of {', '.join(_PROMPTS)}.")
    return _PROMPTS[kind]


PRESETS = {
    "fast": EraserConfig(),
    "paper": EraserConfig(
        partition=PartitionConfig("hierarchical"),
        prompt=prompt_of_kind("padding"),
        train=TrainConfig(steps=30, prompt_lr=1e-2, use_features=False),
        serve=ServeConfig(mix=1, global_weight=0.0),
    ),
    "instant": EraserConfig(
        partition=PartitionConfig("hierarchical"),  # purer; what a request touches costs next to nothing here
        prompt=prompt_of_kind("none"),
        serve=ServeConfig(temperature=0.2, global_weight=0.0),
    ),
}


def with_prompts(config: EraserConfig, kind: str = "tokens") -> EraserConfig:
    """Return a configuration whose clusters learn prompts: the same one, or one with the usual prompts of a kind."""
    return config if config.has_prompts else replace(config, prompt=prompt_of_kind(kind))


def preset(name: str) -> EraserConfig:
    """Return a preset's configuration; raises InputError for an unknown name."""
    if name not in PRESETS:
        raise InputError(f"preset {name!r} is not one of {', '.join(PRESETS)}.")
    return PRESETS[name]

"""LMEraser itself, and with other contents of its clusters, under the contract of the baselines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.benchmarks.baselines.method import Cost, OnEraser
from core.config import EraserConfig, preset, with_prompts
from core.lmeraser.eraser import LMEraser


class Clusters(OnEraser):
    """Trains again only the clusters that a request touches."""

    exact = True

    def __init__(self, eraser: LMEraser, name: str = "LMEraser", control: str = "full refit"):
        super().__init__(eraser)
        self.name, self.control = name, control

    def forget(self, ids: Iterable[str]) -> Cost:
        return self._cost(lambda: self.eraser.forget(ids))

    def fork(self) -> Clusters:
        return Clusters(self.eraser.fork(), self.name, self.control)


def class_means(config: EraserConfig) -> EraserConfig:
    """Return preset `instant` with a configuration's partition: each cluster keeps its class means instead of a prompt and a head."""
    return replace(preset("instant"), partition=config.partition)


def prompt_not_learned(config: EraserConfig) -> EraserConfig:
    """Return a configuration whose clusters learn their head only; the prompt stays as it was drawn."""
    config = with_prompts(config)
    return replace(config, train=replace(config.train, prompt_lr=0.0))


PARTS = {"class means": class_means, "prompt not learned": prompt_not_learned}  # by name: other contents of the same clusters

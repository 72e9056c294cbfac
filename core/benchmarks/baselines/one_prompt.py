"""One prompt: a single prompt and head trained on all data, and refitted for every request. Approximate methods start from it."""

from __future__ import annotations

from dataclasses import replace

from core.backbone.model import Backbone
from core.benchmarks.baselines.full_refit import Refit
from core.config import EraserConfig
from core.lmeraser.eraser import LMEraser
from core.runtime.executors import Executor


def one_prompt(config: EraserConfig, clusters: int) -> EraserConfig:
    """Return the configuration that trains one prompt and one head on all data, with the step budget of all clusters together."""
    return replace(
        config,
        partition=replace(config.partition, method="hierarchical", clusters=1, cap=None),
        train=replace(config.train, steps=config.train.steps * clusters),
        serve=replace(config.serve, mix=1),
    )


def one_prompt_method(config: EraserConfig, backbone: Backbone, executor: Executor | None, clusters: int) -> Refit:
    """Return the unfitted method, with the step budget of so many clusters."""
    return Refit(LMEraser(one_prompt(config, clusters), backbone, executor=executor), "one prompt")

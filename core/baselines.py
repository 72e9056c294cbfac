"""What LMEraser is compared with: one prompt on all data. Full retraining is `LMEraser.full_retraining`.

Same data, backbone, optimizer and machine; only what the method changes differs.
"""

from __future__ import annotations

from dataclasses import replace

from core.types import EraserConfig


def one_prompt(config: EraserConfig, clusters: int) -> EraserConfig:
    """Return the configuration that tunes one prompt and one head on all data, with the step budget of all clusters together."""
    return replace(
        config,
        partition=replace(config.partition, method="hierarchical", clusters=1, cap=None),
        train=replace(config.train, steps=config.train.steps * clusters),
        serve=replace(config.serve, mix=1),
    )

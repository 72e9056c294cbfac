"""Full refit: train from scratch on the retained samples. The reference for cost, and the control for exactness."""

from __future__ import annotations

from collections.abc import Iterable

from core.benchmarks.baselines.method import Cost, OnEraser
from core.lmeraser.eraser import LMEraser
from core.lmeraser.fitted_model import checked_ids
from core.lmeraser.state_store import MemoryStore


class Refit(OnEraser):
    """Fits the same configuration from scratch on the retained samples, features included."""

    exact = True

    def __init__(self, eraser: LMEraser, name: str = "full refit"):
        super().__init__(eraser)
        self.name = self.control = name

    def forget(self, ids: Iterable[str]) -> Cost:
        retained = self.samples_.without(checked_ids(ids))
        self.eraser = unfitted(self.eraser)
        return self.fit(retained)

    def fork(self) -> Refit:
        return Refit(self.eraser.fork(), self.name)


def unfitted(eraser: LMEraser) -> LMEraser:
    """Return an unfitted eraser of the same configuration, with an empty store."""
    return LMEraser(eraser.config, eraser.backbone, MemoryStore(), eraser.executor)

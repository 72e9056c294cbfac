"""LMEraser itself, under the contract of the baselines."""

from __future__ import annotations

from collections.abc import Iterable

from core.benchmarks.baselines.method import Cost, OnEraser


class Clusters(OnEraser):
    """Trains again only the clusters that a request touches."""

    name, exact, control = "LMEraser", True, "full refit"

    def forget(self, ids: Iterable[str]) -> Cost:
        return self._cost(lambda: self.eraser.forget(ids))

    def fork(self) -> Clusters:
        return Clusters(self.eraser.fork())

"""Builds the methods of a comparison by name, fitted on one eraser's samples with its configuration."""

from __future__ import annotations

from collections.abc import Iterable

from core.benchmarks.baselines.approximate import Approximate, MakeChange
from core.benchmarks.baselines.closed_form import ClosedForm
from core.benchmarks.baselines.fine_tune import fine_tune
from core.benchmarks.baselines.full_refit import Refit
from core.benchmarks.baselines.gradient_ascent import gradient_ascent
from core.benchmarks.baselines.joint_clusters import JointClusters
from core.benchmarks.baselines.lmeraser import PARTS, Clusters
from core.benchmarks.baselines.method import Method, prompting
from core.benchmarks.baselines.one_prompt import one_prompt_method
from core.benchmarks.baselines.random_labels import random_labels
from core.benchmarks.baselines.sisa import Sisa
from core.benchmarks.baselines.whole_backbone import WholeBackbone
from core.errors import InputError
from core.lmeraser.eraser import LMEraser

CHANGES: dict[str, MakeChange] = {"fine-tune on retained": fine_tune, "gradient ascent": gradient_ascent, "random labels": random_labels}
METHODS = ("LMEraser", "full refit", "closed form only", "class means", "SISA", "one prompt", *CHANGES)
ON_REQUEST = ("prompt not learned", "whole backbone", "joint clusters")  # run only when they are named: a fit takes long


def build_methods(eraser: LMEraser, names: Iterable[str] = METHODS) -> list[Method]:
    """Return fitted methods on a fitted eraser's samples, all with its configuration; raises InputError for an unknown name.

    SISA has as many shards as the eraser has clusters. The one prompt is trained once for all methods that start from it.
    """
    names = tuple(names)
    check_methods(names)
    fitted = FittedMethods(eraser)
    return [fitted[name] for name in names]


def check_methods(names: Iterable[str]) -> None:
    """Raise InputError for a name that no method has."""
    if unknown := [n for n in names if n not in METHODS + ON_REQUEST]:
        raise InputError(f"method {unknown[0]!r} is not one of {', '.join(METHODS + ON_REQUEST)}.")


class FittedMethods:
    """Methods by name on one fitted eraser's samples, each fitted when it is first needed. Fork one before it forgets."""

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
            start = self["one prompt"]
            assert isinstance(start, Refit)
            return Approximate(start.eraser.fork(), name, CHANGES[name])
        method = self._unfitted(name)
        method.fit(self.eraser.samples_)
        return method

    def _unfitted(self, name: str) -> Method:
        config, backbone, executor = prompting(self.eraser), self.eraser.backbone_, self.eraser.executor
        clusters = self.eraser.partition_.clusters
        if name == "closed form only":
            return ClosedForm(backbone, executor)
        if name in PARTS:
            return Clusters(LMEraser(PARTS[name](self.eraser.config_), backbone, executor=executor), name, name)
        if name == "one prompt":
            return one_prompt_method(config, backbone, executor, clusters)
        if name == "SISA":
            return Sisa(config, backbone, executor, clusters)
        if name == "joint clusters":
            return JointClusters(config, backbone, executor)
        return WholeBackbone(backbone)

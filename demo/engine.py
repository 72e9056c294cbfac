"""The page's side of `core`: which model is fitted, how it is measured. Imports PyTorch only when a method is called."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets import Dataset, load_dataset
from core.errors import DataError
from core.types import ForgetPlan, ProgressCallback, Samples
from demo.session import Lab

MOST_UNSEEN = 2000  # test images that stand for unseen ones in an audit
MOST_JUDGED = 5000  # beyond it the map is not colored by right and wrong: asking every image takes minutes


@dataclass(frozen=True)
class CoreEngine:
    """The real engine: one data set, one preset, states kept in a folder."""

    dataset: Dataset
    preset: str
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.dataset.name} · {self.preset}"

    def layout(self, folder: Path, compute: bool) -> np.ndarray | None:
        """Return the samples' places on the map: shipped, kept in the folder, or computed if that is allowed (it takes a while)."""
        from core.backbone import load_backbone
        from core.projection import load_layout

        try:
            return load_layout(self.dataset.name, self.dataset.train, folder, load_backbone("embedded") if compute else None)
        except DataError:
            if compute:
                raise
            return None

    def fitted(self, progress: ProgressCallback) -> Any:
        """Return the fitted base model, trained now or found in the folder."""
        from core.backbone import load_backbone
        from core.derived import features_file
        from core.environment import default_device
        from core.eraser import LMEraser
        from core.executors import LocalExecutor
        from core.presets import preset
        from core.store import DirectoryStore

        backbone = load_backbone("embedded", default_device())
        executor = LocalExecutor()
        threading.Thread(target=executor.warm_up, daemon=True).start()  # the first request should not wait for processes
        eraser = LMEraser(preset(self.preset), backbone, DirectoryStore(self.folder), executor)
        features = features_file(self.folder.parent, self.dataset.train)
        known = eraser.load_features(features)
        eraser.fit(self.dataset.train, progress=progress)
        if not known:
            eraser.save_features(features)
        return eraser

    def evaluate(self, eraser: Any, forgotten: Samples | None) -> Any:
        """Return the EvaluationReport on test, retained and forgotten images."""
        from core.metrics import evaluate

        return evaluate(eraser, self.dataset.test, forgotten=forgotten)

    def correct(self, eraser: Any) -> np.ndarray | None:
        """Return (n,) bool: which of its own samples the model classifies correctly; None when that would take long."""
        samples = eraser.samples_
        if len(samples) > MOST_JUDGED:
            return None
        return eraser.predict(eraser.prepare_members()) == samples.labels if len(samples) else np.zeros(0, bool)

    def before(self, report: Any, correct: np.ndarray, gone: np.ndarray) -> Any:
        """Return the report on a model from its own report and `correct`, with the rows `gone` (n,) bool counted apart."""
        score = lambda hits: replace(report.test, accuracy=float(hits.mean()), n=len(hits)) if len(hits) else None  # noqa: E731
        return replace(report, retained=score(correct[~gone]), forgotten=score(correct[gone]))

    def reach(self, eraser: Any, plan: ForgetPlan) -> Any:
        """Return how far a plan reaches under the model's clusters, random ones, and at worst."""
        from core.reach import reaches

        return reaches(eraser, plan)

    def proba(self, eraser: Any, samples: Samples) -> np.ndarray:
        """Return class probabilities (n, classes) of samples, in the model or not; remembers nothing of those that are not."""
        if set(samples.ids) <= set(eraser.samples_.ids):
            return eraser.predict_proba(eraser.prepare_members(eraser.samples_.rows(samples.ids)))
        return eraser.predict_proba(samples.images)

    def prompts(self, eraser: Any, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the prompts of these clusters, by key, as what can be drawn."""
        from core.prompts import drawable

        states = eraser.states_
        return {key: drawable(eraser.config_.prompt, eraser.backbone_, states[key].tensors["prompt"]) for key in keys}

    def origins(self, eraser: Any, plan: ForgetPlan) -> dict[str, str | None]:
        """Return, by key of each cluster that a plan retrains, the key of the one before that most of it comes from."""
        from core.reach import origins

        found = origins(eraser.samples_, eraser.partition_, plan)
        return {key: None if c is None else eraser.keys_[c] for key, c in found.items()}

    def bench(self, eraser: Any) -> Any:
        """Return the methods that a request of this model can be put to."""
        from core.bench_unlearn import Bench

        return Bench(eraser, self.dataset.test)

    def audit(self, eraser: Any, ids: Sequence[str], progress: ProgressCallback, cancel: threading.Event) -> dict[str, Any]:
        """Return the record of both membership attacks on the model before, after and retrained without the ids."""
        from core.audit import audit

        return audit(eraser, ids, self._unseen(), progress=progress, cancel=cancel)

    def _unseen(self) -> Samples:
        test = self.dataset.test
        return test.take(sorted(sorted(range(len(test)), key=test.digests.__getitem__)[:MOST_UNSEEN]))

    def facts(self) -> dict[str, str]:
        """Return what a reader of a timing wants to know of this machine."""
        from core.environment import hardware

        return hardware()

    def close(self) -> None:
        """End the worker processes at once: left to themselves they finish their work first, while the page is gone."""
        for child in multiprocessing.active_children():
            child.terminate()


def cache_folder() -> Path:
    """Return where fitted states are kept between starts, by the platform's custom."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmeraser-lab"


def open_lab(dataset: str, preset: str, workspace: str | None) -> Lab:
    """Return the lab for a data set and preset; raises DataError for an unknown data set."""
    folder = Path(workspace) if workspace else cache_folder()
    data = load_dataset(dataset)
    return Lab(CoreEngine(data, preset, folder / "states"), data.train, folder)

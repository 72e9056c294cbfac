"""The page's side of `core`: which model is fitted, how it is measured. Imports PyTorch only when a method is called."""

from __future__ import annotations

import multiprocessing
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets import Dataset, load_dataset
from core.errors import DataError
from core.scratch import Scratch
from core.types import ProgressCallback, Samples
from demo.kept import Kept
from demo.records import Records
from demo.session import Lab

MOST_JUDGED = 5000  # beyond it the map is not colored by right and wrong: asking every image takes minutes


@dataclass(frozen=True)
class CoreEngine:
    """The real engine: one data set, one preset, states kept in a folder; with `kept`, the model of a workspace on disk."""

    dataset: Dataset
    preset: str
    folder: Path
    kept: Kept | None = None

    @property
    def name(self) -> str:
        return f"{self.dataset.name} · {self.preset}"

    def layout(self, folder: Path, compute: bool) -> np.ndarray | None:
        """Return the samples' places on the map: shipped, kept in the folder, or computed if that is allowed (it takes a while)."""
        from core.backbone import load_backbone
        from core.projection import load_layout

        backbone = load_backbone("embedded") if compute else None
        try:
            if self.kept:
                return self.kept.layout(folder, backbone)
            return load_layout(self.dataset.name, self.dataset.train, folder, backbone)
        except DataError:
            if compute:
                raise
            return None

    def fitted(self, progress: ProgressCallback) -> Any:
        """Return the fitted base model, trained now or found in the folder."""
        if self.kept:
            threading.Thread(target=self.kept.executor.warm_up, daemon=True).start()
            return self.kept.fitted(progress)
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

    def facts(self) -> dict[str, str]:
        """Return what a reader of a timing wants to know of this machine."""
        from core.environment import hardware

        return hardware()

    def records(self, eraser: Any, folder: Path) -> Records:
        """Return the ledger that a model's requests go through: the workspace's, or a new one in an empty folder."""
        return self.kept.records() if self.kept else Records.begin(eraser, folder)

    def first_fit(self) -> tuple[float, str, int] | None:
        """Return seconds, day and samples of the fit that made the workspace, if there is one and this machine made it."""
        return self.kept.first_fit() if self.kept else None

    def close(self) -> None:
        """End the worker processes at once: left to themselves they finish their work first, while the page is gone."""
        for child in multiprocessing.active_children():
            child.terminate()
        if self.kept:
            self.kept.close()


def cache_folder() -> Path:
    """Return where fitted states are kept between starts, by the platform's custom."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmeraser-lab"


def open_lab(dataset: str, preset: str, cache: str | None) -> Lab:
    """Return the lab for a data set and preset, each visitor with a private model; raises DataError for an unknown data set."""
    folder = Path(cache) if cache else cache_folder()
    data = load_dataset(dataset)
    return Lab(CoreEngine(data, preset, folder / "states"), data.train, folder)


def open_workspace(root: str, dataset: str | None, preset: str | None) -> Lab:
    """Return the lab for the model in a workspace on disk, made if need be, which all visitors share.

    Raises StoreError when another process has the folder or it is damaged, InputError when it holds another data set or preset.
    """
    kept = Kept(Path(root), dataset, preset)
    data = Dataset(kept.name, kept.samples.take(np.empty(0, np.int64)), kept.test)
    scratch = Scratch()  # the map's coordinates tell of private images: they vanish with the process
    folder = scratch.folder()
    engine = CoreEngine(data, kept.preset, folder / "states", kept)
    return Lab(engine, kept.samples, folder, shared=kept.root.resolve().name, scratch=scratch)

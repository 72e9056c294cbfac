"""The page's side of `core`: which model is fitted, how it is measured. Imports PyTorch only when a method is called."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets import Dataset, load_dataset
from core.errors import DataError, InputError
from core.executors import LocalExecutor
from core.presets import preset as configured
from core.scratch import Scratch
from core.types import ForgetPlan, ProgressCallback, Samples
from demo.kept import Kept
from demo.records import Records
from demo.session import Lab

MOST_UNSEEN = 2000  # test images that stand for unseen ones in an audit
MOST_JUDGED = 5000  # beyond it the map is not colored by right and wrong: asking every image takes minutes


@dataclass(frozen=True)
class CoreEngine:
    """The real engine: one data set, one preset, states kept in a folder; with `kept`, the model of a workspace on disk."""

    dataset: Dataset
    preset: str
    folder: Path
    executor: LocalExecutor = field(default_factory=LocalExecutor)
    kept: Kept | None = None

    @property
    def pair(self) -> tuple[str, str]:
        return self.dataset.name, self.preset

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
        threading.Thread(target=self.executor.warm_up, daemon=True).start()  # the first request should not wait for processes
        if self.kept:
            return self.kept.fitted(progress)
        from core.backbone import load_backbone
        from core.derived import features_file
        from core.environment import default_device
        from core.eraser import LMEraser
        from core.store import DirectoryStore

        backbone = load_backbone("embedded", default_device())
        eraser = LMEraser(configured(self.preset), backbone, DirectoryStore(self.folder), self.executor)
        features = features_file(self.folder.parent, self.dataset.train)
        known = eraser.load_features(features)
        eraser.fit(self.dataset.train, progress=progress)
        if not known:
            eraser.save_features(features)
        return eraser

    def prepare(self, eraser: Any) -> None:
        """Compute what the next plans have in common, so that previews come at once."""
        eraser.prepare_plans()

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

        found = origins(eraser.partition_, plan)
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

    def residue(self, eraser: Any, known: Samples, folders: Sequence[Path]) -> dict[str, Any]:
        """Return the residue scan's record: is anything of the samples in `known` that the model has forgotten left in it, its
        workspace or the folders?

        Where the model is kept, `known` holds no forgotten images any more; they are read from the data set once again.
        """
        from core.residue import module_caches, registries_of, scan
        from core.workspace_commands import needles_of_earlier

        name = self.dataset.name
        needles = needles_of_earlier(eraser, name, load_dataset(name, self.kept.data_dir).train if self.kept else known)
        mine = registries_of(eraser) if self.kept else {"model": eraser, "modules": module_caches()}  # the queues serve other visitors, too
        return scan(needles, [self.kept.root, *folders] if self.kept else folders, mine).to_json()

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


def open_labs(
    datasets: Sequence[str], presets: Sequence[str], cache: str | Path | None = None, data_dir: str | Path | None = None
) -> list[Lab]:
    """Return a lab for each data set and preset, in that order, each to be started when it is first visited.

    They share the data, the worker processes and the folder of states, and are fitted one at a time. Raises DataError for a data
    set, InputError for a preset that is unknown.
    """
    folder = Path(cache) if cache else cache_folder()
    for name in presets:
        configured(name)
    executor, turn, labs = LocalExecutor(), threading.Lock(), []
    for dataset in datasets:
        data = load_dataset(dataset, data_dir)
        labs += [Lab(CoreEngine(data, p, folder / "states", executor), data.train, folder, turn) for p in presets]
    return labs


def open_workspace(root: str, datasets: Sequence[str] = (), presets: Sequence[str] = (), data_dir: str | Path | None = None) -> Lab:
    """Return the lab for the model in a workspace on disk, made if need be, which all visitors share.

    Raises StoreError when another process has the folder or it is damaged, InputError when it holds another data set or preset, or
    when more than one of either is asked for.
    """
    for option, names in (("--dataset", datasets), ("--preset", presets)):
        if len(names) > 1:
            raise InputError(f"{option} names {len(names)} with --workspace; a workspace holds one model. Name one, or leave it out.")
    kept = Kept(Path(root), next(iter(datasets), None), next(iter(presets), None), data_dir)
    data = Dataset(kept.name, kept.samples.take(np.empty(0, np.int64)), kept.test)
    scratch = Scratch()  # the map's coordinates tell of private images: they vanish with the process
    folder = scratch.folder()
    engine = CoreEngine(data, kept.preset, folder / "states", kept.executor, kept)
    return Lab(engine, kept.samples, folder, shared=kept.root.resolve().name, scratch=scratch)

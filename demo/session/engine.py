"""The engine on `core`: fits a data set's base model, and puts `LMEraser` and its ledger behind `demo.session.protocol.Model`.

PyTorch is imported when a method is called, so that the page opens at once.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.audit.selftest_cache import kept_selftest
from core.config import preset as configured
from core.data.datasets import Dataset
from core.data.samples import Samples
from core.errors import DataError
from core.lmeraser.records import ForgetPlan, Outcome
from core.runtime.cache_folder import cache_folder
from core.runtime.executors import LocalExecutor
from core.runtime.progress import ProgressCallback
from demo.selection.numbering import of_samples
from demo.session.protocol import ClusterFacts

if TYPE_CHECKING:
    from core.audit.selftest import SelfTest
    from core.benchmarks.compare_methods import Bench
    from core.benchmarks.metrics import EvaluationReport
    from core.benchmarks.request_reach import Reaches
    from core.lmeraser.eraser import LMEraser
    from core.workspace.ledger import Event
    from core.workspace.proof import Proof
    from core.workspace.receipts import Receipt
    from core.workspace.recorder import Recorder
    from core.workspace.workspace import Workspace

PACKAGES = ("core", "demo")  # whose objects a residue scan looks into
MOST_UNSEEN = 2000  # test images that stand for unseen ones in an audit
MOST_COLORED = 5000  # beyond it the map is not colored by right and wrong or by memorization: asking about every image takes minutes


class CoreModel:
    """An eraser, the test images that it is measured on, and its ledger: a visitor's own, or that of a workspace."""

    def __init__(self, eraser: LMEraser, test: Samples, name: str, workspace: Workspace | None = None):
        """`name`: of the data set."""
        self.eraser, self.test, self.name, self.workspace = eraser, test, name, workspace
        self.recorder: Recorder | None = workspace.recorder if workspace else None

    @property
    def root(self) -> str:
        return self.eraser.root_

    @property
    def samples(self) -> Samples:
        return self.eraser.samples_

    def export(self, path: Path, requests: int) -> None:
        """Write the model without its images into a new .zip; `requests` are those so far, for its card. Raises StoreError."""
        self.eraser.export(path, self.name, requests)

    @property
    def clusters(self) -> int:
        return self.eraser.partition_.clusters

    @property
    def assignment(self) -> np.ndarray:
        return self.eraser.partition_.assignment

    @property
    def outcome(self) -> Outcome:
        return self.eraser.outcome_

    @property
    def sample_passes(self) -> int:
        return sum(state.sample_passes for state in self.eraser.states_.values())

    @property
    def pace(self) -> float:
        return self.eraser.pace_

    def keys(self) -> tuple[str, ...]:
        return self.eraser.keys_

    def cluster(self, number: int) -> ClusterFacts:
        key = self.eraser.keys_[number]
        members = self.eraser.partition_.members(number)
        return ClusterFacts(key, self.eraser.samples_.labels[members], self.eraser.states_[key].losses)

    def digests(self, keys: Iterable[str]) -> dict[str, str]:
        states = self.eraser.states_
        return {key: states[key].digest for key in keys}

    def fork(self) -> CoreModel:
        return CoreModel(self.eraser.fork(), self.test, self.name)

    def without(
        self,
        ids: Sequence[str],
        learned: Sequence[Samples] = (),
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> CoreModel:
        copy = self.fork()
        if ids:
            copy.eraser.forget(copy.eraser.plan(ids), progress=progress, cancel=cancel)
        for samples in learned:
            copy.eraser.learn(samples, progress=progress, cancel=cancel)
        return copy

    def prepare(self) -> None:
        self.eraser.prepare_plans()

    def plan(self, ids: Sequence[str]) -> ForgetPlan:
        return self.eraser.plan(ids)

    def similar(self, ids: Sequence[str], count: int) -> tuple[str, ...]:
        return self.eraser.similar(ids, count)

    def evaluate(self, forgotten: Samples | None) -> EvaluationReport:
        from core.benchmarks.metrics import evaluate

        return evaluate(self.eraser, self.test, forgotten=forgotten)

    def correct(self) -> np.ndarray | None:
        samples = self.samples
        if len(samples) > MOST_COLORED:
            return None
        return self.eraser.predict(self.eraser.prepare_members()) == samples.labels if len(samples) else np.zeros(0, bool)

    def memorized(self) -> np.ndarray | None:
        if len(self.samples) > MOST_COLORED:
            return None
        seen, unseen = self.eraser.memorized()
        return np.maximum(seen - unseen, 0)

    def probabilities(self, samples: Samples) -> np.ndarray:
        if set(samples.ids) <= set(self.samples.ids):
            return self.eraser.predict_proba(self.eraser.prepare_members(self.samples.rows(samples.ids)))
        return self.eraser.predict_proba(samples.images)

    def reach(self, plan: ForgetPlan) -> Reaches:
        from core.benchmarks.request_reach import reaches

        return reaches(self.eraser, plan)

    def prompts(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        from core.lmeraser.prompts import drawable

        if not self.eraser.config_.has_prompts:
            return {}
        states = self.eraser.states_
        return {key: drawable(self.eraser.config_.prompt, self.eraser.backbone_, states[key].tensors["prompt"]) for key in keys}

    def origins(self, plan: ForgetPlan) -> dict[str, str | None]:
        from core.benchmarks.request_reach import origins

        return {key: None if c is None else self.eraser.keys_[c] for key, c in origins(self.eraser.partition_, plan).items()}

    def bench(self) -> Bench:
        from core.benchmarks.compare_methods import Bench

        return Bench(self.eraser, self.test)

    def audit(self, ids: Sequence[str], progress: ProgressCallback, cancel: threading.Event) -> dict[str, Any]:
        from core.audit.membership import audit

        unseen = sorted(sorted(range(len(self.test)), key=self.test.digests.__getitem__)[:MOST_UNSEEN])
        return audit(self.eraser, ids, self.test.take(unseen), progress=progress, cancel=cancel)

    def residue(self, known: Samples, folders: Sequence[Path]) -> dict[str, Any]:
        from core.audit.earlier_requests import signatures_of_forgotten
        from core.audit.memory_walk import module_caches
        from core.audit.residue_scan import scan

        signatures = signatures_of_forgotten(self.eraser, self.name, known)
        memory = {"model": self.eraser, "modules": module_caches(PACKAGES)}  # the queues serve other visitors, too
        return scan(signatures, folders, memory, PACKAGES).to_json()

    def prove(self, before: Samples, ids: Sequence[str], progress: ProgressCallback, cancel: threading.Event) -> Proof:
        from core.workspace.proof import prove

        executor = self.eraser.executor
        return prove(self.eraser, before, ids, executor.workers if executor else 1, progress, cancel)

    def open_ledger(self, folder: Path) -> None:
        from core.workspace.recorder import Recorder

        if self.recorder is None:
            self.recorder = Recorder.begin(self.eraser, folder / "ledger.sqlite")

    def forget(self, plan: ForgetPlan, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> Receipt:
        return self._ledger().forget(plan, progress, cancel)

    def learn(self, samples: Samples, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> tuple[str, ...]:
        return self._ledger().learn(samples, progress, cancel)

    def learned(self) -> tuple[Event, ...]:
        return tuple(e for e in self.recorder.ledger.events() if e.state == "learned") if self.recorder else ()

    def receipts(self) -> tuple[Receipt, ...]:
        return self.recorder.receipts() if self.recorder else ()

    def withdrawn(self) -> int:
        return sum(e.state == "withdrawn" for e in self.recorder.ledger.events()) if self.recorder else 0

    def verify(self) -> dict[str, Any]:
        from core.workspace.verify import verify_model

        return verify_model(self._ledger(), self.workspace)

    def replay(self, request: int, progress: ProgressCallback, cancel: threading.Event) -> dict[str, Any]:
        from core.workspace.verify import replay_request

        return replay_request(self._ledger(), request, progress, cancel, self.workspace)

    def close(self) -> None:
        if self.recorder and self.workspace is None:
            self.recorder.close()

    def _ledger(self) -> Recorder:
        if self.recorder is None:
            raise RuntimeError("The model has no ledger yet; call open_ledger first.")
        return self.recorder


@dataclass(frozen=True)
class CoreEngine:
    """One data set and one preset; states are stored in a folder and used again at the next start."""

    dataset: Dataset
    preset: str
    folder: Path
    executor: LocalExecutor = field(default_factory=LocalExecutor)
    cache: Path | None = None  # where the self-test is stored; by default the user's cache

    @property
    def pair(self) -> tuple[str, str]:
        return self.dataset.name, self.preset

    @property
    def name(self) -> str:
        return f"{self.dataset.name} · {self.preset}"

    def layout(self, folder: Path, compute: bool) -> np.ndarray | None:
        """Return the samples' places on the map: shipped, stored in the folder, or computed if that is allowed (it takes a while)."""
        from core.backbone.map_layout import load_layout
        from core.backbone.model import load_backbone

        try:
            return load_layout(self.dataset.name, self.dataset.train, folder, load_backbone("embedded") if compute else None)
        except DataError:
            if compute:
                raise
            return None

    def fitted(self, progress: ProgressCallback) -> CoreModel:
        """Return the fitted base model, trained now or found in the folder."""
        from core.backbone.feature_cache import features_file
        from core.backbone.model import load_backbone
        from core.lmeraser.eraser import LMEraser
        from core.lmeraser.state_store import DirectoryStore
        from core.runtime.determinism import default_device

        start_workers(self.executor)
        backbone = load_backbone("embedded", default_device())
        eraser = LMEraser(configured(self.preset), backbone, DirectoryStore(self.folder), self.executor)
        features = features_file(self.folder.parent, self.dataset.train)
        eraser.load_features(features)
        eraser.fit(self.dataset.train, progress=progress)
        if eraser.derived_images_:
            eraser.save_features(features)
        return CoreModel(eraser, self.dataset.test, self.dataset.name)

    def selftest(self) -> SelfTest:
        """Return this machine's self-test, run now or stored by an earlier start."""
        return kept_selftest(self.cache or cache_folder())

    def numbering(self, samples: Samples) -> str:
        """Return the fingerprint of the samples."""
        return of_samples(samples)

    def examples(self) -> np.ndarray:
        """Return the test images."""
        return self.dataset.test.images

    def facts(self) -> dict[str, str]:
        """Return what a reader of a timing wants to know of this machine."""
        return machine()

    def first_fit(self) -> tuple[float, str, int] | None:
        """Return None: a fit of this engine is measured when it runs."""
        return None

    def close(self) -> None:
        """End the worker processes."""
        end_workers()


def start_workers(executor: LocalExecutor) -> None:
    """Start the worker processes in the background, so that the first request does not wait for them."""
    threading.Thread(target=executor.warm_up, args=("core.lmeraser.cluster_training",), daemon=True).start()


def end_workers() -> None:
    """End the worker processes at once: left to themselves they finish their work first, while the page is gone."""
    for child in multiprocessing.active_children():
        child.terminate()


def machine() -> dict[str, str]:
    """Return this machine's hardware."""
    from core.runtime.determinism import hardware

    return hardware()

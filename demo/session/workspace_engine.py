"""The engine on a workspace: the one durable model that all visitors of such a page see and change.

The folder is opened before the page is, so that a folder in use is reported at once; its model is made or read in the background,
like any other fit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.audit.selftest_cache import kept_selftest
from core.data.datasets import OPTIONS, Dataset, load_dataset
from core.data.imports.options import ImportOptions
from core.data.samples import Samples
from core.errors import DataError, InputError, RepairNeeded
from core.runtime.cache_folder import cache_folder
from core.runtime.progress import Progress, ProgressCallback
from demo import texts
from demo.selection.numbering import of_workspace, spread
from demo.session.engine import PACKAGES, CoreModel, end_workers, machine, start_workers

if TYPE_CHECKING:
    from core.audit.selftest import SelfTest
    from core.workspace.workspace import Workspace


class WorkspaceModel(CoreModel):
    """The model of a workspace; its ledger and its copies of the samples lie on disk."""

    def __init__(self, workspace: Workspace, test: Samples, name: str, reread: Callable[[], Dataset]):
        super().__init__(workspace.eraser, test, name, workspace)
        self.folder, self._reread = workspace.root, reread

    def residue(self, known: Samples, folders: Sequence[Path]) -> dict[str, Any]:
        """Scan the workspace, the folders and this process; the forgotten images are read from the data set once more."""
        from core.audit.earlier_requests import signatures_of_forgotten
        from core.audit.memory_walk import registries_of
        from core.audit.residue_scan import scan

        signatures = signatures_of_forgotten(self.eraser, self.name, self._reread().train)
        return scan(signatures, [self.folder, *folders], registries_of(self.eraser, PACKAGES), PACKAGES).to_json()


class WorkspaceEngine:
    """A workspace that is made or loaded by `fitted`. `retained` are the samples that remain, until then."""

    def __init__(
        self,
        root: Path,
        dataset: str | None,
        preset: str | None,
        data_dir: str | Path | None = None,
        repair: bool = False,
        options: ImportOptions = OPTIONS,
    ):
        """Lock the folder, and repair it if `repair` is set and it is needed.

        Raises StoreError when another process has it, RepairNeeded when it must be repaired, InputError when it holds another model.
        """
        from core.runtime.executors import LocalExecutor
        from core.workspace.about import ABOUT
        from core.workspace.workspace import Workspace

        self.root, self.executor = root, LocalExecutor()
        self._loaded = False
        self.workspace = Workspace.attach(root, self.executor) if (root / ABOUT).exists() else None
        try:
            self.preset = self._preset(preset)
            data = self._dataset(partial(load_dataset, data_dir=data_dir, options=options), dataset)
            if self.workspace and repair:
                self.workspace.load(_told, repair=True)
                self._loaded = True
            self._read(data.train)
        except BaseException:
            self.release()
            raise
        self.dataset, self.test = data.name, data.test

    @property
    def pair(self) -> tuple[str, str]:
        return self.dataset, self.preset

    @property
    def name(self) -> str:
        return f"{self.dataset} · {self.preset}"

    def fitted(self, progress: ProgressCallback) -> WorkspaceModel:
        """Make the workspace, or load it and complete the request that was under way; return its model."""
        from core.backbone.model import load_backbone
        from core.lmeraser.eraser import LMEraser
        from core.runtime.determinism import default_device
        from core.workspace.workspace import Workspace

        start_workers(self.executor)
        if self.workspace is None:
            backbone = load_backbone("embedded", default_device())
            eraser = LMEraser(self.preset or "fast", backbone, executor=self.executor)
            self.workspace = Workspace.create(self.root, self.retained, eraser, self.dataset, progress=progress)
        elif not self._loaded:
            self.workspace.load(progress)
        del self.retained, self.numbers  # from now on the workspace alone holds them
        return WorkspaceModel(self.workspace, self.test, self.dataset, self._reread)

    def layout(self, folder: Path, compute: bool) -> np.ndarray | None:
        """Return the place of each number on the map, None if it must be computed and may not; forgotten ones lie in the middle."""
        from core.backbone.map_layout import load_layout
        from core.backbone.model import load_backbone

        places = np.full((self.total, 2), 0.5, np.float32)
        try:
            places[self.numbers] = load_layout(self.dataset, self.retained, folder, load_backbone("embedded") if compute else None)
        except DataError:
            if compute:
                raise
            return None
        return places

    def numbered(self) -> tuple[Samples, tuple[int, ...]]:
        """Return the samples, each at its permanent number, and the numbers whose samples are forgotten."""
        left = set(self.numbers.tolist())
        return spread(self.retained, self.numbers, self.total), tuple(row for row in range(self.total) if row not in left)

    def selftest(self) -> SelfTest:
        """Return this machine's self-test, run now or stored by an earlier start."""
        return kept_selftest(cache_folder())

    def examples(self) -> np.ndarray:
        """Return the test images that are at hand."""
        return self.test.images

    def facts(self) -> dict[str, str]:
        """Return what a reader of a timing wants to know of this machine."""
        return machine()

    def numbering(self, samples: Samples) -> str:
        """Return the fingerprint of what the numbers mean; empty while the workspace is still being made."""
        return of_workspace(self.workspace.id) if self.workspace else ""

    def first_fit(self) -> tuple[float, str, int] | None:
        """Return seconds, day and samples of the fit that made the workspace, if it was made on a machine like this one."""
        event = self.workspace.ledger.last("created") if self.workspace else None
        if self.workspace is None or event is None:
            return None
        facts = event.data
        if facts.get("hardware") != machine() or facts["versions"] != self.workspace.versions():
            return None
        return facts["seconds"]["total"], f"{datetime.fromisoformat(event.time):%d %B %Y}", facts["samples"]

    def close(self) -> None:
        """End the worker processes and release the folder."""
        end_workers()
        self.release()

    def release(self) -> None:
        """Release the folder."""
        if self.workspace is not None:
            self.workspace.close()

    def _preset(self, wanted: str | None) -> str:
        from core.config import PRESETS, preset

        if self.workspace is None:
            preset(wanted or "fast")
            return wanted or "fast"
        known = next((name for name, config in PRESETS.items() if config == self.workspace.about.config), "custom")
        if wanted not in (None, known):
            raise InputError(f"{self.root} was made with preset {known}, not {wanted}. Leave --preset out, or choose another folder.")
        return known

    def _dataset(self, load: Callable[[str], Dataset], wanted: str | None) -> Dataset:
        """Return the data set, for its test images; the private ones come from the workspace once there is one.

        A workspace outlives the data that it was made of: where they are no longer found, there are no test images.
        """
        if self.workspace is None:
            self._reread = partial(load, wanted or "digits")
            return self._reread()
        about = self.workspace.about
        self._reread = partial(load, wanted or about.name)
        try:
            data = self._reread()
        except DataError:
            if wanted:
                raise
            nothing = Samples.build(np.zeros((0, *about.shape, 3), np.uint8), np.zeros(0, np.int64), about.classes)
            return Dataset(about.name, nothing, nothing)
        if (data.name, data.test.classes) != (about.name, about.classes):
            raise InputError(f"{self.root} holds {about.name}, not {data.name}. Leave --dataset out, or choose another folder.")
        return replace(data, train=data.train.take(np.empty(0, np.int64)))

    def _read(self, train: Samples) -> None:
        """Note what there is: samples, their numbers, and how many were ever given; raises RepairNeeded where some have none.

        Samples of a request that is not finished count as forgotten, because it will be completed.
        """
        self.retained, self.numbers, self.total = train, np.arange(len(train)), len(train)
        if self.workspace is None:
            return
        samples, numbers, pending = self.workspace.files.read(), self.workspace.files.numbers(), self.workspace.ledger.pending()
        event = self.workspace.ledger.last("created", "rebuilt")
        if event is None or "total" not in event.data or (numbers < 0).any():
            what = "is of an earlier version, in which images had no permanent numbers"
            raise RepairNeeded(f"The workspace {self.root} {what}.", what)
        forgotten = set(pending.ids) if pending else set()
        stays = np.array([i not in forgotten for i in samples.ids], bool)
        self.retained, self.numbers, self.total = samples.take(stays), numbers[stays], event.data["total"]


def _told(progress: Progress) -> None:
    """Print how far a repair is; the page is not there yet."""
    ending = "\n" if progress.done >= progress.total else ""
    print(f"\r{texts.repairing(progress.stage, progress.done, progress.total)}", end=ending, file=sys.stderr, flush=True)

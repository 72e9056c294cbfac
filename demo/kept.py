"""The page's side of a workspace on disk: the one model that all visitors of such a page see and change.

Opened before the page is, so that a folder in use is said at once; read, or made, in the background like any other fit.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets import Dataset, load_dataset
from core.errors import DataError, InputError
from core.types import ProgressCallback, Samples
from demo.records import Records


class Kept:
    """A workspace that is made or loaded by `fitted`. `samples` are those that remain, until then."""

    def __init__(self, root: Path, dataset: str | None, preset: str | None, data_dir: str | Path | None = None):
        """Take hold of the folder; raises StoreError when another process has it, InputError when it holds another model."""
        from core.executors import LocalExecutor
        from core.workspace import ABOUT, Workspace

        self.root, self.data_dir, self.executor = root, data_dir, LocalExecutor()
        self.workspace = Workspace.attach(root, self.executor) if (root / ABOUT).exists() else None
        try:
            self.preset = self._preset(preset)
            data = self._dataset(dataset, data_dir)
            self.samples: Samples | None = self._left() if self.workspace else data.train
        except BaseException:
            self.close()
            raise
        self.name, self.test = data.name, data.test

    def fitted(self, progress: ProgressCallback) -> Any:
        """Make the workspace, or load it and complete the request that was under way; return its model."""
        from core.backbone import load_backbone
        from core.environment import default_device
        from core.presets import preset
        from core.workspace import Workspace

        if self.workspace is None:
            backbone = load_backbone("embedded", default_device())
            config = preset(self.preset)
            self.workspace = Workspace.create(self.root, self.samples, config, backbone, self.executor, self.name, progress=progress)
        else:
            self.workspace.load(progress)
        self.samples = None  # from now on the workspace alone holds them
        return self.workspace.eraser

    def records(self) -> Records:
        """Return the workspace's ledger, for the page."""
        return Records(self.workspace.recorder, self.workspace)

    def layout(self, folder: Path, backbone: Any) -> np.ndarray:
        """Return the places of the samples that remain, as `core.projection.load_layout` does."""
        from core.projection import load_layout

        return load_layout(self.name, self.samples, folder, backbone)

    def first_fit(self) -> tuple[float, str, int] | None:
        """Return seconds, day and samples of the fit that made the workspace, if it was made on a machine like this one."""
        from core.environment import hardware

        event = self.workspace.ledger.last("created")
        facts = event.data if event else {}
        if facts.get("hardware") != hardware() or facts["versions"] != self.workspace.versions():
            return None
        return facts["seconds"]["total"], f"{datetime.fromisoformat(event.time):%d %B %Y}", facts["samples"]

    def close(self) -> None:
        """Release the folder."""
        if self.workspace is not None:
            self.workspace.close()

    def _preset(self, asked: str | None) -> str:
        from core.presets import PRESETS, preset

        if self.workspace is None:
            preset(asked or "fast")
            return asked or "fast"
        known = next((name for name, config in PRESETS.items() if config == self.workspace.about.config), "custom")
        if asked not in (None, known):
            raise InputError(f"{self.root} was made with preset {known}, not {asked}. Leave --preset out, or choose another folder.")
        return known

    def _dataset(self, asked: str | None, data_dir: str | Path | None) -> Dataset:
        """Return the data set, for its test images; the private ones come from the workspace once there is one.

        A workspace outlives the data that it was made of: where they are no longer found, there are no test images.
        """
        if self.workspace is None:
            return load_dataset(asked or "digits", data_dir)
        about = self.workspace.about
        try:
            data = load_dataset(asked or about.name, data_dir)
        except DataError:
            if asked:
                raise
            nothing = Samples.build(np.zeros((0, *about.shape, 3), np.uint8), np.zeros(0, np.int64), about.classes)
            return Dataset(about.name, nothing, nothing)
        if (data.name, data.test.classes) != (about.name, about.classes):
            raise InputError(f"{self.root} holds {about.name}, not {data.name}. Leave --dataset out, or choose another folder.")
        return replace(data, train=data.train.take(np.empty(0, np.int64)))

    def _left(self) -> Samples:
        """Return what remains; samples of a request that is not finished count as gone, for it will be completed."""
        samples, pending = self.workspace.files.read(), self.workspace.ledger.pending()
        gone = set(pending.ids) if pending else set()
        return samples.take([i not in gone for i in samples.ids])

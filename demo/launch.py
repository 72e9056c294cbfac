"""Opens what the page serves: a lab for each data set and preset, or the one of a workspace."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from core.config import preset as configured
from core.data.datasets import OPTIONS, load_dataset
from core.data.imports.options import ImportOptions
from core.errors import InputError
from core.runtime.cache_folder import cache_folder, usable
from core.runtime.executors import LocalExecutor
from core.runtime.temporary import Scratch
from demo.session.engine import CoreEngine
from demo.session.lab import Lab
from demo.session.workspace_engine import WorkspaceEngine


def open_labs(
    datasets: Sequence[str],
    presets: Sequence[str],
    cache: str | Path | None = None,
    data_dir: str | Path | None = None,
    options: ImportOptions = OPTIONS,
) -> list[Lab]:
    """Return a lab for each data set and preset, in that order, each to be started when it is first visited.

    They share the data, the worker processes and the folder of states, and are fitted one at a time. Raises DataError for a data
    set, InputError for a preset that is unknown, StoreError for a cache folder that cannot be written.
    """
    folder = usable(Path(cache)) if cache else cache_folder()
    for name in presets:
        configured(name)
    executor, turn, labs = LocalExecutor(), threading.Lock(), []
    for dataset in datasets:
        data = load_dataset(dataset, data_dir, options=options)
        if data.report is not None and (data.report.skipped or data.report.warnings):
            print(data.report.text(), flush=True)
        labs += [Lab(CoreEngine(data, p, folder / "states", executor, cache=folder), data.train, folder, turn) for p in presets]
    return labs


def open_workspace(
    root: str,
    datasets: Sequence[str] = (),
    presets: Sequence[str] = (),
    data_dir: str | Path | None = None,
    repair: bool = False,
    options: ImportOptions = OPTIONS,
) -> Lab:
    """Return the lab for the model in a workspace on disk, which all visitors share; an empty folder becomes a new workspace.

    Raises StoreError when another process has the folder or it is damaged, RepairNeeded when it must be repaired first and `repair`
    is not set, InputError when it holds another data set or preset, or when more than one of either is asked for.
    """
    for option, names in (("--dataset", datasets), ("--preset", presets)):
        if len(names) > 1:
            raise InputError(f"{option} names {len(names)} with --workspace; a workspace holds one model. Name one, or leave it out.")
    engine = WorkspaceEngine(Path(root), next(iter(datasets), None), next(iter(presets), None), data_dir, repair, options)
    scratch = Scratch()  # the map's coordinates reveal something of private images: they vanish with the process
    samples, lost = engine.numbered()
    return Lab(engine, samples, scratch.folder(), shared=engine.root.resolve().name, scratch=scratch, lost=lost)

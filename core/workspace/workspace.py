"""A workspace: a folder that holds a model's samples, states and request ledger, and survives being killed at any instant.

    workspace.json      configuration, backbone, classes: nothing of any one sample; written last when a workspace is made
    samples/            pixels, labels, ids, subjects and frozen features of the samples that remain (`core.workspace.sample_files`)
    states/             cluster states by key (`core.lmeraser.state_store`)
    ledger.sqlite       requests and receipts (`core.workspace.ledger`)
    lock                who uses the folder

Every sample has a number that it keeps for the life of the workspace and that no other sample is ever given: 0, 1, 2, ... in the order
of the data at creation. `numbers` are those of the samples that remain.

A request is recorded, planned, trained and committed, and each step can be repeated: states are found under their keys, samples
are removed by id. So whatever a crash interrupted is simply done again when the folder is opened. Receipts are given only after
the forgotten samples' rows, features and states are deleted. Requests run one at a time; a second caller waits, unrecorded.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from core.backbone.feature_cache import made_by
from core.backbone.model import load_backbone
from core.config import preset
from core.data.samples import Samples
from core.errors import RepairNeeded, StoreError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.records import ClusterState
from core.lmeraser.state_store import DirectoryStore
from core.runtime.atomic_files import delete_partial_files, file_digest, sync_folder, write_atomically
from core.runtime.executors import Executor
from core.runtime.file_locks import WorkspaceLock
from core.runtime.progress import ProgressCallback
from core.workspace.about import ABOUT, SCHEMA, About
from core.workspace.ledger import Ledger, Pending
from core.workspace.merkle import merkle_root
from core.workspace.receipts import Receipt
from core.workspace.recorder import Recorder
from core.workspace.repair import run_repair
from core.workspace.sample_files import Part, SampleFiles

LEDGER = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm")
_OWN = {"lock", "samples", "states", *LEDGER}


class States(DirectoryStore):
    """Cluster states on disk; a damaged one counts as missing, so that it is trained again."""

    def get(self, key: str) -> ClusterState | None:
        """Return the state, or None where there is none or it was damaged."""
        try:
            return super().get(key)
        except StoreError:
            self.delete(key)
            return None


class Workspace:
    """A model with its samples and ledger in a folder. Use `create` or `open`; closing releases the folder.

    `total` is how many numbers were ever given: numbers from 0 to `total` - 1 that are not among `numbers` belong to forgotten samples.
    `repaired` says what `repair=True` repaired, if anything (see `core.workspace.repair`).
    """

    def __init__(self, root: Path, about: About, lock: WorkspaceLock, executor: Executor | None):
        self.root, self.about, self._lock = root, about, lock
        self.total = 0
        self.repaired: dict[str, Any] | None = None
        self._numbers: dict[str, int] = {}
        self._stale: list[Path] = []  # parts whose features were computed at the last fit
        self.store = States(root / "states")
        self.files = SampleFiles(root / "samples", about.classes, about.shape)
        self.ledger = Ledger(root / LEDGER[0])
        self._executor = executor
        self.start_over()

    @classmethod
    def create(
        cls,
        root: Path | str,
        samples: Samples,
        eraser: LMEraser,
        name: str = "",
        wait: float = 0.0,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> Workspace:
        """Fit a model like an unfitted eraser and store it in an empty folder, or in one where this was interrupted before.

        Configuration, backbone and executor are the eraser's; `name` is that of the data set. Raises StoreError when the folder holds
        anything else, is in use or cannot be written; whatever `fit` raises.
        """
        config = preset(eraser.config) if isinstance(eraser.config, str) else eraser.config
        backbone = load_backbone(eraser.backbone) if isinstance(eraser.backbone, str) else eraser.backbone
        about = About(config, backbone.spec, str(backbone.device), samples.classes, samples.images.shape[1:3], name).current()
        root = _empty_folder(Path(root))
        lock = WorkspaceLock(root / "lock", wait)
        try:
            _empty_folder(root)
            for part in LEDGER:  # of a creation that was interrupted
                (root / part).unlink(missing_ok=True)
            workspace = cls(root, about, lock, eraser.executor)
        except BaseException:
            lock.close()
            raise
        try:
            return workspace._or_close(workspace._make, samples, progress, cancel)
        except BaseException:
            _discard(root)
            raise

    @classmethod
    def open(
        cls,
        root: Path | str,
        executor: Executor | None = None,
        wait: float = 0.0,
        progress: ProgressCallback | None = None,
        repair: bool = False,
    ) -> Workspace:
        """Open a workspace and complete the unfinished request, if any; waits up to `wait` seconds for another user.

        Raises RepairNeeded, unless `repair`, when it is of an older version or differs from what its ledger recorded; StoreError when the
        folder is no workspace, in use, damaged or cannot be written.
        """
        workspace = cls.attach(root, executor, wait)
        return workspace._or_close(workspace.load, progress, True, repair)

    @classmethod
    def attach(cls, root: Path | str, executor: Executor | None = None, wait: float = 0.0) -> Workspace:
        """Lock a workspace without reading its samples and states; call `load` before using it."""
        root = Path(root)
        about = About.read(root / ABOUT)
        lock = WorkspaceLock(root / "lock", wait)
        try:
            return cls(root, about, lock, executor)
        except BaseException:
            lock.close()
            raise

    def load(self, progress: ProgressCallback | None = None, check: bool = True, repair: bool = False) -> None:
        """Fit on the stored samples, from stored states, and complete an unfinished request; `check`: compare with the ledger first.

        Raises RepairNeeded, unless `repair`, for a workspace of an older version or one that differs from what was recorded.
        """
        delete_partial_files(self.root)
        pending = self.ledger.pending()
        if pending and pending.state != "accepted":
            self.files.remove(pending.ids)
        try:
            self._load(pending, progress, check)
        except RepairNeeded as error:
            if not repair:
                raise
            self.repaired = run_repair(self, error.reason, progress)
        self.recorder.resume(progress)
        self._tidy()

    def start_over(self) -> None:
        """Replace the model by an unfitted one."""
        backbone = load_backbone(self.about.backbone, self.about.device)
        self.eraser = LMEraser(self.about.config, backbone, self.store, self._executor)
        self.recorder = Recorder(self.eraser, self.ledger, self._erase, self._notes)

    def fit(self, parts: dict[Path, Part], whole: Iterable[Path], progress: ProgressCallback | None = None) -> None:
        """Fit the model on parts; features are read from the `whole` files where they can be used, and else computed."""
        usable = [path for path in whole if self._usable(parts[path])]
        for path in usable:
            self.eraser.load_features(path)
        self.eraser.fit(self.files.joined([part.samples for part in parts.values()]), progress=progress)
        self._numbers = {i: int(n) for part in parts.values() for i, n in zip(part.samples.ids, part.numbered, strict=True)}
        self._stale = [path for path, part in parts.items() if path not in usable and len(part.samples)]

    def refresh(self) -> None:
        """Write the features that had to be computed at the last fit."""
        features, samples = self.eraser.member_features(), self.eraser.samples_
        self.files.refresh(self._stale, lambda some: features[samples.rows(some.ids)], made_by(self.eraser.backbone_))

    def upgrade(self) -> None:
        """Write workspace.json as this version does."""
        write_atomically(self.root / ABOUT, self.about.to_bytes())
        sync_folder(self.root)

    def note_rebuilt(self, more: dict) -> None:
        """Record that the same requests now give another model."""
        before = self.recorded()["root"]
        self.ledger.note("rebuilt", {**self.recorder.facts(), **self._own(), "root_before": before, **more})

    @property
    def id(self) -> str:
        """The workspace's permanent name."""
        return self.about.id

    @property
    def numbers(self) -> np.ndarray:
        """The permanent numbers (n,) int64 of the samples that remain, in the order of `eraser.samples_`."""
        known = self._numbers  # read before the model's ids: an unfinished request removes from the model first
        return np.array([known[i] for i in self.eraser.samples_.ids], np.int64)

    def forget(
        self,
        ids,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
        salt: bytes | None = None,
    ) -> Receipt:
        """Forget ids, or execute a plan unchanged, and return the receipt: see `Recorder.forget`."""
        return self.recorder.forget(ids, progress, cancel, salt)

    def receipts(self) -> tuple[Receipt, ...]:
        """Return all receipts, oldest first; raises DataError for an altered one."""
        return self.recorder.receipts()

    def recorded(self) -> dict:
        """Return what the ledger says of the model as it should be: root, samples, versions."""
        return self.recorder.recorded()

    def versions(self) -> dict[str, str]:
        """Return what decides a state's bytes here: device, instruction set, library versions."""
        return self.recorder.versions()

    @property
    def workers(self) -> int:
        return self.recorder.workers

    def close(self) -> None:
        """Release the folder. The model can still answer, but no longer forget."""
        try:
            self.ledger.close()
        finally:
            self._lock.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _or_close(self, step, *arguments) -> Workspace:
        try:
            step(*arguments)
        except BaseException:
            self.close()
            raise
        return self

    def _make(self, samples: Samples, progress: ProgressCallback | None, cancel: threading.Event | None) -> None:
        self.eraser.fit(samples, progress=progress, cancel=cancel)
        self.files.write(samples, self.eraser.member_features(), made_by(self.eraser.backbone_))
        self.total, self._numbers = len(samples), {i: n for n, i in enumerate(samples.ids)}
        self._tidy()
        self._sync_states(self.eraser.keys_)
        self.recorder.note_created(self._own())
        self.upgrade()

    def _own(self) -> dict:
        """Return what `created` and `rebuilt` record of the workspace beside the model."""
        return {"total": self.total, "about": self.about.digest}

    def _notes(self, ids: Iterable[str]) -> dict:
        """Return what is recorded with a request: the numbers, so that a repair never restores a forgotten sample."""
        return {"numbers": sorted(self._numbers[i] for i in ids)}

    def _erase(self, pending: Pending) -> None:
        """Delete the samples' rows and the states that only they needed; may be repeated."""
        self.files.remove(pending.ids)
        forgotten = set(pending.ids)
        self._numbers = {i: n for i, n in self._numbers.items() if i not in forgotten}
        self._tidy()
        self._sync_states([*pending.facts["planned"]["affected"], *pending.facts["planned"]["retrain"]])

    def _usable(self, part: Part) -> bool:
        return part.made_by == made_by(load_backbone(self.about.backbone, self.about.device)) and part.intact("features")

    def _load(self, pending: Pending | None, progress: ProgressCallback | None, check: bool) -> None:
        """Fit on the stored samples; raises RepairNeeded for files that are not intact and for a model that was not recorded."""
        self._check_about()
        parts = dict(self.files.parts())
        self._check_parts(parts)
        self.fit(parts, parts, progress)
        self.total = self.ledger.model_event("created", "rebuilt").data["total"]
        if check:
            self._check_root(pending)
        self.refresh()

    def _check_about(self) -> None:
        event = self.ledger.last("created", "rebuilt")
        if self.about.schema < SCHEMA or event is None or "total" not in event.data:
            raise self._needed(f"has schema {self.about.schema}, and this version writes {SCHEMA}")
        if file_digest(self.root / ABOUT) != event.data.get("about"):
            raise self._needed(f"has another {ABOUT} than its ledger recorded")

    def _check_parts(self, parts: dict[Path, Part]) -> None:
        for path, part in parts.items():
            if part.numbers is None or not part.intact("pixels") or not part.intact("facts"):
                raise self._needed(f"holds {path.name}, which is not as it was written")

    def _check_root(self, pending: Pending | None) -> None:
        """Compare the model with the ledger; another environment makes another model, which is recorded as rebuilt."""
        if pending and pending.state == "planned":
            return  # neither the model before nor the one after
        recorded, samples = self.recorded(), merkle_root(self.eraser.samples_.ids)
        if recorded.get("retained", samples) != samples:
            raise self._needed(f"holds samples with Merkle root {samples[:12]}, but its ledger recorded {recorded['retained'][:12]}")
        if recorded["root"] == self.eraser.root_:
            return
        if recorded["versions"] == self.versions():
            raise self._needed(f"gives a model with root {self.eraser.root_[:12]}, but its ledger recorded {recorded['root'][:12]}")
        self.note_rebuilt({})

    def _needed(self, what: str) -> RepairNeeded:
        remedy = (
            f"Run `python -m core ledger --workspace {self.root} --repair`: it checks every sample, fits the model on those that are "
            "intact and keeps all receipts. Or restore a copy."
        )
        return RepairNeeded(f"The workspace {self.root} {what}. {remedy}", what)

    def _tidy(self) -> None:
        """Delete states that the model does not use, and what interrupted writes left."""
        used = set(self.eraser.keys_)
        for key in self.store.keys():  # noqa: SIM118
            if key not in used:
                self.store.delete(key)
        delete_partial_files(self.root)

    def _sync_states(self, keys) -> None:
        for folder in {self.store.root / key[:2] for key in keys}:
            sync_folder(folder)
        sync_folder(self.store.root)


def _discard(root: Path) -> None:
    """Delete what a failed creation wrote."""
    for name in ("samples", "states"):
        shutil.rmtree(root / name, ignore_errors=True)
    for name in (*LEDGER, ABOUT):
        (root / name).unlink(missing_ok=True)


def _empty_folder(root: Path) -> Path:
    """Make the folder, or check that it holds nothing but what an interrupted creation left."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        names = {p.name for p in root.iterdir() if not p.name.startswith(".partial-")}
    except OSError as error:
        raise StoreError(f"{root} cannot be used ({error.strerror}). Choose a folder that you may write to.") from error
    if ABOUT in names:
        raise StoreError(f"{root} is a workspace already. Open it, or choose another folder.")
    if names - _OWN:
        raise StoreError(f"{root} holds {min(names - _OWN)!r}, which is no part of a workspace. Choose an empty folder.")
    return root

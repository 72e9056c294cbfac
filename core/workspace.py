"""A workspace: a folder that holds a model's samples, states and request ledger, and survives being killed at any instant.

    workspace.json      configuration, backbone, classes: nothing of any one sample; written last when a workspace is made
    samples/            pixels, labels, ids, subjects and frozen features of the samples that remain (`core.sample_files`)
    states/             cluster states by key (`core.store`)
    ledger.sqlite       requests and receipts (`core.ledger`)
    lock                who uses the folder

A request is recorded, planned, trained and committed, and each step can be repeated: states are found under their keys, samples
are removed by id. So whatever a crash interrupted is simply done again when the folder is opened. Receipts are given only after
the forgotten samples' rows, features and states are gone. Requests run one at a time; a second caller waits, unrecorded.
"""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from core.backbone import Backbone, BackboneSpec, load_backbone
from core.environment import environment
from core.eraser import LMEraser
from core.errors import StoreError
from core.executors import Executor
from core.ledger import Ledger, Pending, WorkspaceLock
from core.presets import preset
from core.receipts import Receipt, canonical
from core.recorder import Recorder
from core.sample_files import SampleFiles, Stamp, delete_partial_files, sync_folder
from core.store import DirectoryStore, write_atomically
from core.types import (
    EraserConfig,
    PartitionConfig,
    ProgressCallback,
    PromptConfig,
    Samples,
    ServeConfig,
    TrainConfig,
)
from core.vit import ViTConfig

ABOUT = "workspace.json"
LEDGER = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm")
_OWN = {"lock", "samples", "states", *LEDGER}


@dataclass(frozen=True)
class About:
    """What workspace.json holds."""

    config: EraserConfig
    backbone: BackboneSpec
    device: str
    classes: tuple[str, ...]
    shape: tuple[int, int]  # height and width of the images
    name: str = ""  # of the data set

    def to_json(self) -> dict:
        return {"schema": 1, **asdict(self)}

    @classmethod
    def read(cls, path: Path) -> About:
        """Read the file; raises StoreError when it is missing or damaged."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            shape = data["backbone"]["random"]
            shape = shape and ViTConfig(**{**shape, "stem_widths": tuple(shape["stem_widths"])})
            backbone = BackboneSpec(data["backbone"]["name"], shape, data["backbone"]["seed"])
            config = _read_config(data["config"])
            return cls(config, backbone, data["device"], tuple(data["classes"]), tuple(data["shape"]), data["name"])
        except FileNotFoundError as error:
            raise StoreError(
                f"{path.parent} is not a workspace: {path.name} is missing. Make one with Workspace.create or `fit`."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} is damaged ({error}). Restore it from a copy, or make the workspace anew.") from error


def _read_config(data: dict) -> EraserConfig:
    parts = {"partition": PartitionConfig, "prompt": PromptConfig, "train": TrainConfig, "serve": ServeConfig}
    return EraserConfig(**{name: record(**data[name]) for name, record in parts.items()})


class Workspace:
    """A model with its samples and ledger in a folder. Use `create` or `open`; closing releases the folder."""

    def __init__(self, root: Path, about: About, lock: WorkspaceLock, executor: Executor | None):
        self.root, self.about, self._lock = root, about, lock
        self.store = DirectoryStore(root / "states")
        self.files = SampleFiles(root / "samples", about.classes, about.shape)
        self.ledger = Ledger(root / LEDGER[0])
        self.eraser = LMEraser(about.config, load_backbone(about.backbone, about.device), self.store, executor)
        self.recorder = Recorder(self.eraser, self.ledger, self._erase)

    @classmethod
    def create(
        cls,
        root: Path | str,
        samples: Samples,
        config: EraserConfig | str = "fast",
        backbone: Backbone | str = "embedded",
        executor: Executor | None = None,
        name: str = "",
        wait: float = 0.0,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> Workspace:
        """Fit a model and keep it in an empty folder, or one where this was interrupted before.

        Raises StoreError when the folder holds anything else, is in use or cannot be written; whatever `fit` raises.
        """
        config = preset(config) if isinstance(config, str) else config
        backbone = load_backbone(backbone) if isinstance(backbone, str) else backbone
        about = About(config, backbone.spec, str(backbone.device), samples.classes, samples.images.shape[1:3], name)
        root = _empty_folder(Path(root))
        lock = WorkspaceLock(root / "lock", wait)
        try:
            _empty_folder(root)
            for part in LEDGER:  # of a creation that was interrupted
                (root / part).unlink(missing_ok=True)
            workspace = cls(root, about, lock, executor)
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
        cls, root: Path | str, executor: Executor | None = None, wait: float = 0.0, progress: ProgressCallback | None = None
    ) -> Workspace:
        """Open a workspace and complete the request that was under way, if any; waits up to `wait` seconds for another user.

        Raises StoreError when the folder is no workspace, in use, damaged, cannot be written, or is not what its ledger recorded.
        """
        workspace = cls.attach(root, executor, wait)
        return workspace._or_close(workspace.load, progress)

    @classmethod
    def attach(cls, root: Path | str, executor: Executor | None = None, wait: float = 0.0) -> Workspace:
        """Take hold of a workspace without reading its samples and states; `load` must follow before it can be used."""
        root = Path(root)
        about = About.read(root / ABOUT)
        lock = WorkspaceLock(root / "lock", wait)
        try:
            return cls(root, about, lock, executor)
        except BaseException:
            lock.close()
            raise

    def load(self, progress: ProgressCallback | None = None, check: bool = True) -> None:
        """Fit on the samples kept, from the states kept, and complete an unfinished request; `check` compares with the ledger first."""
        delete_partial_files(self.root)
        pending = self.ledger.pending()
        if pending and pending.state != "accepted":
            self.files.remove(pending.ids)
        known = self.files.stamped(self._stamp())
        for path in known:
            self.eraser.load_features(path)
        self.eraser.fit(self.files.read(), progress=progress)
        if check:
            self._check_root(pending)
        if len(known) < len(self.files.paths()):
            self.files.write(self.eraser.samples_, self.eraser.member_features(), self._stamp())
        self.recorder.resume(progress)
        self._tidy()

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
        self.files.write(samples, self.eraser.member_features(), self._stamp())
        self._tidy()
        self._sync_states(self.eraser.keys_)
        self.recorder.note_created()
        write_atomically(self.root / ABOUT, json.dumps(self.about.to_json(), indent=1).encode())
        sync_folder(self.root)

    def _erase(self, pending: Pending) -> None:
        """Delete the samples' rows and the states that only they needed; may be repeated."""
        self.files.remove(pending.ids)
        self._tidy()
        self._sync_states([*pending.facts["planned"]["affected"], *pending.facts["planned"]["retrain"]])

    def _stamp(self) -> Stamp:
        backbone = load_backbone(self.about.backbone, self.about.device)
        return Stamp(backbone.fingerprint, canonical(environment(backbone.device)))

    def _check_root(self, pending: Pending | None) -> None:
        """Compare the model with the ledger; another environment makes another model, which is recorded as rebuilt."""
        if pending and pending.state == "planned":
            return  # neither the model before nor the one after
        recorded = self.recorded()
        if recorded["root"] == self.eraser.root_:
            return
        if recorded["versions"] == self.versions():
            raise StoreError(
                f"The model in {self.root} has root {self.eraser.root_[:12]}, but its ledger recorded {recorded['root'][:12]}: "
                f"samples, states or ledger were altered. Run `python -m core verify --workspace {self.root}`, or restore a copy."
            )
        self.ledger.note("rebuilt", {**self.recorder.facts(), "root_before": recorded["root"]})

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

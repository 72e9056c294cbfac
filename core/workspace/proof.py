"""Proves a request: compares the model with one that was trained without the requested samples in another process.

It compares which samples are left, the root, every untouched state, and the answers that are served. The clean room starts from the data
before the request and from the ids as they were requested, never from the model's own list of samples.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from core.data.samples import Samples
from core.lmeraser.eraser import LMEraser
from core.lmeraser.records import Seconds
from core.runtime.progress import ProgressCallback
from core.workspace.clean_room import CleanRoomResult, clean_room
from core.workspace.merkle import merkle_root


@dataclass(frozen=True)
class Proof:
    """The result of a proof. It holds (`equal`) only when there is no problem at all; each problem is a sentence."""

    problems: tuple[str, ...]
    root: str
    clean_root: str
    retained: str  # Merkle root over the ids of the model's samples
    clean_retained: str
    samples: int
    clean_samples: int
    answers: int  # answers that were compared, bit for bit
    untouched: int  # states that the request left alone and that are compared with the clean room's
    seconds: Seconds  # of the clean room's training

    @property
    def equal(self) -> bool:
        return not self.problems

    def to_json(self) -> dict:
        """Return plain values."""
        return {"equal": self.equal, **asdict(self), "problems": list(self.problems)}


def prove(
    eraser: LMEraser,
    before: Samples,
    ids: Sequence[str],
    workers: int = 1,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
    untouched: Sequence[str] = (),
) -> Proof:
    """Compare a model with one trained on `before` without `ids` in another process.

    `before` are the data before the request (or before several), `ids` what was requested since, as it was recorded before any
    work; `untouched` are keys of clusters that the request left alone. Raises what `clean_room` raises.
    """
    control = clean_room(before, ids, eraser.config_, eraser.backbone_, workers, progress, cancel)
    return compare(eraser, before, control, untouched)


def prove_survivors(
    eraser: LMEraser,
    survivors: Samples,
    retained: str,
    workers: int = 1,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> Proof:
    """Compare a model whose forgotten samples are deleted for good with one trained on what was left of the data.

    `survivors` are read from disk, not from the model; `retained` is the Merkle root over the ids that were to
    remain, recorded before the request's work. Raises what `clean_room` raises.
    """
    control = clean_room(survivors, (), eraser.config_, eraser.backbone_, workers, progress, cancel)
    wrong = f"the stored samples have Merkle root {control.retained[:12]}, but {retained[:12]} was recorded before the request"
    return compare(eraser, survivors, control, (), [] if control.retained == retained else [wrong])


def compare(
    eraser: LMEraser, before: Samples, control: CleanRoomResult, untouched: Sequence[str] = (), problems: Sequence[str] = ()
) -> Proof:
    """Return the proof of a model against a clean room's result."""
    retained = merkle_root(eraser.samples_.ids)
    problems = list(problems)
    if retained != control.retained:
        problems.append(
            f"the model holds other samples than remain without the requested ones ({len(eraser.samples_)} beside {control.samples}; "
            f"Merkle roots {retained[:12]} and {control.retained[:12]})"
        )
    if eraser.recomputed_root() != eraser.root_:
        problems.append(f"the model's parts give root {eraser.recomputed_root()[:12]}, but it states {eraser.root_[:12]}")
    if eraser.root_ != control.root:
        problems.append(f"trained from scratch, the model has root {control.root[:12]}, not {eraser.root_[:12]}")
    changed = [key for key in untouched if key not in eraser.states_ or control.digests.get(key) != eraser.states_[key].digest]
    if changed:
        problems.append(f"{len(changed)} of {len(untouched)} untouched clusters differ from the clean room's")
    different = int((served(eraser, before, control.probes) != control.answers).any(1).sum())
    if different:
        problems.append(f"{different} of {len(control.probes)} answers differ from those of the model trained from scratch")
    return Proof(
        problems=tuple(problems),
        root=eraser.root_,
        clean_root=control.root,
        retained=retained,
        clean_retained=control.retained,
        samples=len(eraser.samples_),
        clean_samples=control.samples,
        answers=len(control.probes),
        untouched=len(untouched),
        seconds=control.seconds,
    )


def served(eraser: LMEraser, before: Samples, ids: Sequence[str]) -> np.ndarray:
    """Return the class probabilities (n, classes) that a model serves for samples of `before`, remembered answers included.

    A copy of the model answers, so that the model itself remembers nothing of it.
    """
    copy, answers = eraser.fork(), np.empty((len(ids), len(before.classes)))
    row_of = {name: row for row, name in enumerate(before.ids)}
    own = copy.samples_.places(ids)
    if (own >= 0).any():
        answers[own >= 0] = copy.predict_proba(copy.prepare_members(own[own >= 0]))
    others = [row_of[name] for name, row in zip(ids, own, strict=True) if row < 0]
    if others:
        inputs = copy.prepare(before.images[others])
        answers[own < 0] = copy.predict_proba(replace(inputs, digests=tuple(before.digests[row] for row in others)))
    return answers

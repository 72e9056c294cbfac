"""What the page remembers of a request: the plan's figures, accuracies before and after, the receipt, and what was found out since."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.lmeraser.records import Outcome
from core.runtime.progress import Progress

if TYPE_CHECKING:
    from core.benchmarks.metrics import EvaluationReport
    from core.benchmarks.request_reach import Reaches
    from core.workspace.receipts import Receipt
    from demo.session.protocol import Model


@dataclass(frozen=True)
class Fit:
    """How far the base model is."""

    state: str = "fitting"  # fitting, ready, failed
    progress: Progress = field(default_factory=lambda: Progress("open", 0, 0))
    error: str = ""
    seconds: float = 0.0  # that it took, the map included


@dataclass(frozen=True)
class Measurement:
    """A full retraining measured on this machine."""

    seconds: float
    day: str
    samples: int
    here: bool = True  # measured in this session, not read from the cache

    def scaled_to(self, samples: int) -> float:
        """Return the seconds that retraining so many samples should take."""
        return self.seconds * samples / self.samples if self.samples else 0.0

    @classmethod
    def stored(cls, figures: tuple[float, str, int] | None) -> Measurement | None:
        """Return seconds, day and samples of an earlier session as a measurement."""
        return cls(*figures, here=False) if figures else None


@dataclass(frozen=True)
class Spent:
    """What deletions have cost so far: the seconds of each, and those of full retraining; `over`: the measurement has ended."""

    root: str  # of the model that they began with
    seconds: tuple[float, ...]
    full: float
    over: bool = False

    @property
    def deletions(self) -> int:
        """How many cost no more than full retraining."""
        return int((np.cumsum(self.seconds) <= self.full).sum())

    @property
    def exhausted(self) -> bool:
        """Whether they have cost more than full retraining."""
        return sum(self.seconds) > self.full


def measured(model: Model, workspace: Path) -> Measurement | None:
    """Return the time of the model's fit if it trained everything, else the one stored when it did."""
    path = workspace / f"measured-{model.root[:16]}.json"
    outcome = model.outcome
    if outcome.trained and not outcome.reused:
        measurement = Measurement(outcome.seconds.total, f"{datetime.date.today():%d %B %Y}", outcome.samples)
        path.write_text(json.dumps(asdict(measurement)))
        return measurement
    return Measurement(**{**json.loads(path.read_text()), "here": False}) if path.exists() else None


@dataclass(frozen=True)
class Clean:
    """One full retraining in another process: the control of one request."""

    root: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Probabilities:
    """Labels (n,) and class probabilities (n, classes) of a request's first rows, before and after; deleted when the next request comes."""

    rows: tuple[int, ...]
    labels: np.ndarray
    before: np.ndarray
    after: np.ndarray

    @property
    def telling(self) -> int:
        """The place of the image whose answer the request changed most; of those that changed alike, the first."""
        changed = self.before.argmax(1) != self.after.argmax(1)
        lost = np.array([b[c] - a[c] for b, a, c in zip(self.before, self.after, self.labels.tolist(), strict=True)])
        return int(np.argmax(lost.round(3) + changed))


@dataclass(frozen=True, eq=False)
class Unlearned:
    """What the model was before it learned a picture that a request then forgot: its root, and its answers (classes,) about it."""

    root: str
    answers: np.ndarray


@dataclass(frozen=True)
class Portrait:
    """A cluster's pixel prompt as pictures (data URIs) on one scale."""

    before: str | None
    after: str
    difference: str | None


@dataclass(frozen=True, eq=False)
class Request:
    """One request that was carried out."""

    rows: tuple[int, ...]
    summary: dict[str, Any]
    outcome: Outcome
    before: EvaluationReport
    after: EvaluationReport
    untouched: tuple[int, int]  # clusters whose digest is unchanged, of how many
    ids: tuple[str, ...] = ()  # of the rows, noted before any work; none where the lab stores no copy of what was forgotten
    full_passes: int = 0  # sample passes of full retraining on what remains
    clean: Clean | None = None  # full retraining of this request's result, in another process
    emptied: tuple[str, ...] = ()  # classes that have lost their last image, in this request or an earlier one
    receipt: Receipt | None = None
    reach: Reaches | None = None
    probabilities: Probabilities | None = None
    prompts_before: dict[str, np.ndarray | None] = field(default_factory=dict)  # by key of the retrained cluster
    taught: Unlearned | None = None  # of the first image, if the visitor had taught it
    compared: tuple[dict, ...] = ()  # rows of core.benchmarks.compare_methods, one a method
    compared_at: str = ""  # when, for people
    pace: float = 1.0  # of the model's trainings then: `Model.pace`
    waited: float = 0.0  # seconds from its turn in the queue to its result, evaluation included
    audit: dict[str, Any] | None = None  # record of core.audit.membership
    residue: dict[str, Any] | None = None  # record of core.audit.residue_scan

    def full_seconds(self, measured: Measurement | None) -> float | None:
        """Return what full retraining on what remains takes: measured for this request, else `measured` at its size and pace, else None."""
        if self.clean:
            return self.clean.seconds
        return measured.scaled_to(self.outcome.samples) * self.pace if measured else None

    @property
    def beside(self) -> float:
        """Seconds that the person waited for everything but the forgetting itself: evaluation, and what the page shows of it."""
        return max(0.0, self.waited - self.outcome.seconds.total)

    @property
    def number(self) -> int:
        """The request's number in the ledger; 0 without a receipt."""
        return self.receipt.request if self.receipt else 0

    def bare(self) -> Request:
        """Return the request without what shows traces of the forgotten images themselves."""
        return replace(self, probabilities=None, prompts_before={}, taught=None)

    def nameless(self) -> Request:
        """Return the request as it may stay where its images are deleted for good: bare, and without their ids."""
        return replace(self.bare(), ids=())

"""One page's own model, selection and history."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.lmeraser.records import ForgetPlan
from demo.selection.rows import Taught
from demo.session.jobs import Job
from demo.session.limits import Rate
from demo.session.protocol import Model
from demo.session.requests import Request, Spent
from demo.session.verdict import Finding

if TYPE_CHECKING:
    from core.benchmarks.metrics import EvaluationReport

REQUESTS = 30  # a visitor may start in a minute
CALLS = 300  # of the public API, in a minute
# what visitors of a workspace's model have in common
SHARED = ("model", "report", "correct", "correct_root", "requests", "findings", "lost")


@dataclass(eq=False)
class Visitor:
    """A visitor. `model` is None until the base model is ready, and after closing.

    Gradio copies what lies in a `gr.State`, so a page's state holds the token alone and the lab holds the visitor.
    """

    token: str
    page: str | None = None  # Gradio's session, if it is a page
    model: Model | None = None
    report: EvaluationReport | None = None  # of the model as it is now, forgotten samples aside
    correct: np.ndarray | None = None  # (n,) bool over the model's samples
    correct_root: str = ""  # of the model that `correct` belongs to
    row_clusters: tuple[str, np.ndarray] | None = None  # root, and the cluster of each row of the map under it
    selection: tuple[int, ...] = ()  # rows on the map
    taught: dict[int, Taught] = field(default_factory=dict)  # by row: pictures of their own that the model holds
    taught_so_far: int = 0  # forgotten ones included: their rows are not used again
    story: str = ""  # what the request column shows instead of the selection: teach, result, or neither
    drawn: int = 0  # how many of them were drawn at random: all, or none
    seed: int = 0  # of drawing at random
    plan: ForgetPlan | None = None
    requests: list[Request] = field(default_factory=list)
    findings: dict[int, Finding] = field(default_factory=dict)  # of checks, by the request's number in the ledger
    proving: int = 0  # number of the request that a check runs on
    lost: tuple[int, ...] = ()  # rows that were forgotten before the page started
    fresh: tuple[int, ...] = ()  # rows of the last request, which the map shows fading
    job: Job | None = None
    study: Job | None = None  # work about the last request that leaves the model alone: a comparison, an audit
    check: Job | None = None  # the proof of the last request, which began by itself
    spent: Spent | None = None  # what deletions cost, as the Compare tab measured it
    checked: tuple[str, str] = ("", "")  # hash of the receipt that the Ledger tab's last check followed, and what it showed
    folder: Path | None = None  # where a ledger of one's own lies
    files: list[Path] = field(default_factory=list)  # made for this visitor to fetch
    rate: Rate = field(default_factory=lambda: Rate(REQUESTS))
    calls: Rate = field(default_factory=lambda: Rate(CALLS))  # of the public API
    shown_root: str = ""  # of the model that the page shows
    left: tuple[int, ...] = ()  # the selection when the last request ended
    open_tab: str = ""  # the tab that the page shows; empty for the first
    stale: set[str] = field(default_factory=set)  # tabs to be filled when they are opened
    reopened: bool = False  # a tab was opened since tabs last went stale
    closed: bool = False
    seen: float = field(default_factory=time.monotonic)  # last sign of life

    @property
    def forgotten(self) -> tuple[int, ...]:
        """Rows of everything forgotten so far."""
        return (*self.lost, *(row for request in self.requests for row in request.rows))

    @property
    def worked(self) -> bool:
        """Whether there is anything to lose: a request, or a picture taught."""
        return bool(self.requests or self.taught)

    @property
    def last(self) -> Request | None:
        """The last request, if there is one."""
        return self.requests[-1] if self.requests else None

    def found(self, number: int, finding: Finding) -> None:
        """Add what a check of a request has found."""
        self.findings[number] = self.findings.get(number, Finding()).joined(finding)

    def amend(self, request: Request, **changes: Any) -> None:
        """Add to what is known of a request, unless another one has followed it."""
        if self.at(request):
            self.requests[-1] = replace(self.requests[-1], **changes)

    def at(self, request: Request) -> bool:
        """Whether a request is still the last one."""
        return bool(self.requests) and self.requests[-1].outcome is request.outcome

    def begin(self, job: Job, proving: int = 0) -> Job:
        """Make this the visitor's own job until it is over, and note the request that it checks, if it does; return the job."""
        self.job, self.proving = job, proving or (self.proving if self.check else 0)
        job.when_over(lambda: self._rest(job))
        return job

    def begin_study(self, job: Job) -> Job:
        """Make this the visitor's study until it is over; return the job."""
        self.study = job
        job.when_over(lambda: setattr(self, "study", None) if self.study is job else None)
        return job

    def begin_check(self, job: Job, request: int) -> Job:
        """Make this the check of a request, beside whatever else the visitor does, until it is over; return the job."""
        self.check, self.proving = job, request
        job.when_over(lambda: self._checked() if self.check is job else None)
        return job

    def end_check(self) -> None:
        """Stop the check, if one runs, and ignore what comes of it."""
        if self.check:
            self.check.stop()
            self._checked()

    def end_study(self) -> None:
        """Stop the study and the check, if any run, and ignore what comes of them."""
        if self.study:
            self.study.stop()
        self.study = None
        self.end_check()

    def stop(self) -> None:
        """Stop what runs, except a request: that goes on, and only its own Cancel withdraws it."""
        self.end_study()
        if self.job:
            self.job.abandon()

    def close(self) -> None:
        """Stop what runs and release the private copy, after a request that is under way."""
        self.closed = True
        self.stop()
        if self.job is None:
            self._let_go()

    def _checked(self) -> None:
        self.check, self.proving = None, 0

    def _rest(self, job: Job) -> None:
        if self.job is job:
            self.job, self.proving = None, self.proving if self.check else 0
        if self.closed:
            self._let_go()

    def _let_go(self) -> None:
        self.discard()
        self.model, self.plan, self.correct, self.report, self.row_clusters = None, None, None, None, None
        self.taught = {}
        self.requests, self.findings = [], {}  # the list and dictionary themselves may be everyone's

    def keep_file(self, path: Path) -> None:
        """Let a file, alone in its folder, live until the next one is made for this visitor, or the visitor leaves."""
        old, self.files = self.files, [path]
        for folder in [p.parent for p in old] + [path.parent] * self.closed:
            shutil.rmtree(folder, ignore_errors=True)

    def drop_files(self) -> None:
        """Delete files made for this visitor: a request may forget what they were made of."""
        old, self.files = self.files, []
        for path in old:
            shutil.rmtree(path.parent, ignore_errors=True)

    def discard(self) -> None:
        """Delete what lies on disk for this visitor alone."""
        if self.folder is not None:
            if self.model is not None:
                self.model.close()
            shutil.rmtree(self.folder, ignore_errors=True)
        for path in self.files:
            shutil.rmtree(path.parent, ignore_errors=True)
        self.folder, self.files = None, []

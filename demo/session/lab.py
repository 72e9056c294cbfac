"""The lab: the base model, its fit in the background, and the visitors. One for each page of the site."""

from __future__ import annotations

import functools
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.data.samples import Samples
from core.errors import CancelledError, InputError, LMEraserError, NotFittedError, RepairNeeded
from core.runtime.progress import Progress, ProgressCallback
from core.runtime.temporary import Scratch
from demo import texts
from demo.map.points import blur_points, publish_points
from demo.selection.numbering import Numbering, without_content
from demo.selection.rows import SPARE, Rows
from demo.session.jobs import Job
from demo.session.protocol import Engine, Model
from demo.session.requests import Clean, Fit, Measurement, Request, measured
from demo.session.verdict import Finding, Verdict, judge, of_proof, of_replay
from demo.session.visitor import SHARED, Visitor

if TYPE_CHECKING:
    from core.audit.selftest import SelfTest
    from core.benchmarks.compare_methods import Bench
    from core.benchmarks.metrics import EvaluationReport

VISITORS = 200  # at once; beyond it, the one idle longest goes
BENCHES = 2  # models whose fitted methods are stored for comparisons
LINGER = 3.0  # seconds that a closing lab waits for its own thread, which ends badly when the interpreter ends first
AWAY = 120.0  # seconds after which a page that was closed is forgotten
RESUMED = 3600.0  # the same for one whose visitor has taught or forgotten something: a reload finds it again


class Lab:
    """The base model, its fit in the background, and the visitors.

    samples: all private samples by their row on the map, for good. `points` is the file of their places, None until they are known.
    turn: held while fitting; labs that share a machine share it, so that their measured times do not mix.
    shared: the name of the workspace whose model all visitors see and change; empty where each has a private copy of the base model.
    lost: rows that a shared model forgot before this start; nothing of their images is in `samples`.
    """

    def __init__(
        self,
        engine: Engine,
        samples: Samples,
        workspace: Path,
        turn: threading.Lock | None = None,
        shared: str = "",
        scratch: Scratch | None = None,
        lost: tuple[int, ...] = (),
    ):
        self.lost, self.closing = lost, False
        self.engine, self.samples, self.workspace = engine, samples, workspace
        self.shared, self.scratch = shared, scratch or Scratch()
        self.public = workspace / "public"
        self.points = self._placed(compute=False)
        self.row_of = {sample: row for row, sample in enumerate(samples.ids)}
        self.fit = Fit()
        self.measured: Measurement | None = None
        self.beside: float | None = None  # seconds that the last request's evaluation took
        self.base: Visitor | None = None
        self.selftest: SelfTest | None = None  # once it has run
        self.under_way: Job | None = None  # the request that changes a shared model right now
        self._testing = threading.Lock()
        self._visitors: dict[str, Visitor] = {}
        self._benches: OrderedDict[str, Bench] = OrderedDict()  # by root
        self._lock = threading.Lock()
        self.turn = turn or threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> threading.Thread:
        """Fit in the background, once; returns the thread."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._fit, name="lmeraser-fit", daemon=True)
                self._thread.start()
        return self._thread

    def _placed(self, compute: bool) -> Path | None:
        layout = self.engine.layout(self.workspace, compute)
        return None if layout is None else publish_points(layout, self.public)

    def _fit(self) -> None:
        self._say(Fit(progress=Progress("turn", 0, 0)))
        with self.turn:
            self._say(Fit())
            self._fitted()
            if self.fit.state == "ready":
                self._tested()

    def _fitted(self) -> None:
        began = time.monotonic()
        try:
            if self.points is None:
                self._say(Fit(progress=Progress("map", 0, 0)))
                self.points = self._placed(compute=True)
            model = self.engine.fitted(lambda p: self._say(Fit(progress=p)))
            self._say(Fit(progress=Progress("evaluate", 0, 0)))
            self.measured = measured(model, self.workspace) or Measurement.stored(self.engine.first_fit())
            self.base = self._based(model)
            self._say(Fit("ready", seconds=time.monotonic() - began))
            model.prepare()
        except LMEraserError as error:
            self._say(Fit("failed", error=f"{error} {texts.REPAIR}" if isinstance(error, RepairNeeded) else str(error)))
        except BaseException as error:
            self._say(Fit("failed", error=type(error).__name__))
            if not self.closing:  # its processes end with the program
                raise

    def _tested(self) -> None:
        try:
            self.examined()
        except Exception:
            if not self.closing:  # its processes end with the program
                raise

    def examined(self) -> SelfTest:
        """Return this machine's self-test, run at the first call: after the first fit, whose time is measured."""
        with self._testing:
            if self.selftest is None:
                self.selftest = self.engine.selftest()
        return self.selftest

    def request_begun(self, job: Job) -> None:
        """Take note that a request is changing the shared model, until its job is over."""
        self.under_way = job
        job.when_over(lambda: setattr(self, "under_way", None) if self.under_way is job else None)

    def verdict(self, visitor: Visitor, number: int) -> Verdict:
        """Return what may be said of the visitor's request with this number."""
        return judge(visitor.findings.get(number), self.selftest, bool(number) and visitor.proving == number)

    def prove(self, visitor: Visitor, progress: ProgressCallback, cancel: threading.Event) -> Clean:
        """Let another process train the last request's result from data and ids noted before it, and keep what that shows.

        Raises what `Model.prove` and `Model.replay` raise.
        """
        self.examined()
        request = visitor.requests[-1]
        if self.shared:
            return self.replayed(visitor, self.model(visitor).replay(request.number, progress, cancel))
        own = [taught.sample for taught in visitor.taught.values()]
        before = functools.reduce(Samples.extended, own, self.samples)  # a taught picture that was forgotten never gets there
        ids = [i for r in visitor.requests for i in r.ids if i in self.row_of]
        proof = self.model(visitor).prove(before, ids, progress, cancel)
        if cancel.is_set():  # the model may be changing already
            raise CancelledError(texts.CANCELLED)
        return self._cleaned(visitor, request.number, of_proof(proof), proof.seconds.total)

    def replayed(self, visitor: Visitor, report: dict[str, Any]) -> Clean:
        """Keep what a replay's report shows."""
        self.examined()
        return self._cleaned(visitor, report["request"], of_replay(report), sum(report["seconds"].values()))

    def _cleaned(self, visitor: Visitor, number: int, finding: Finding, seconds: float) -> Clean:
        visitor.found(number, finding)
        clean = Clean(finding.root, seconds)
        if visitor.requests and visitor.requests[-1].number == number:
            visitor.requests[-1] = replace(visitor.requests[-1], clean=clean)
        return clean

    @property
    def numbering(self) -> Numbering:
        """What the rows mean, as links and files carry it."""
        forgotten = self.base.forgotten if self.base and self.shared else self.lost
        return Numbering(self.engine.numbering(self.samples), frozenset(forgotten), bool(self.shared))

    def _based(self, model: Model) -> Visitor:
        base = Visitor("", model=model, report=model.evaluate(None), correct=model.correct(), correct_root=model.root)
        base.lost = self.lost
        if self.shared:
            model.open_ledger(self.workspace)
        return base

    def _say(self, fit: Fit) -> None:
        self.fit = fit

    def enter(self) -> Visitor:
        """Return a new visitor, with a private copy if the base model is ready."""
        visitor = Visitor(secrets.token_urlsafe(18))
        with self._lock:
            self._visitors[visitor.token] = visitor
            idle = sorted((v for v in self._visitors.values() if not v.job), key=lambda v: v.seen)[: max(0, len(self._visitors) - VISITORS)]
        for old in idle:
            self.leave(old.token)
        return self.reset(visitor)

    def away(self, visitor: Visitor | None) -> None:
        """Take note that a page was closed: studies and checks stop now, a request goes on; the visitor is forgotten unless it shows up
        again soon."""
        if visitor is None or visitor.closed:
            return
        visitor.stop()
        visitor.page = None
        last = visitor.seen = time.monotonic()
        timer = threading.Timer(RESUMED if visitor.worked else AWAY, lambda: self.leave(visitor.token) if visitor.seen == last else None)
        timer.daemon = True
        timer.start()

    def resumed(self, token: Any, page: str | None) -> Visitor | None:
        """Return the visitor of a token for another page, if the one before was closed; None when there is no such visitor."""
        visitor = self.find(token)
        if visitor is None or visitor.closed or visitor.page is not None or self.shared:
            return None
        visitor.page, visitor.open_tab, visitor.reopened = page, "", False
        visitor.stale.clear()
        visitor.story = "result" if visitor.story == "result" and visitor.last else ""
        return visitor

    def reset(self, visitor: Visitor) -> Visitor:
        """Give the visitor a fresh copy of the base model and an empty history; where the model is shared, that model as it is."""
        if self.shared:
            return self._caught_up(visitor)
        visitor.discard()
        if self.base is not None:
            visitor.model, visitor.report = self.model(self.base).fork(), self.base.report
            visitor.correct, visitor.correct_root = self.base.correct, self.base.correct_root
        visitor.plan, visitor.fresh, visitor.story = None, (), ""
        visitor.taught.clear()
        visitor.taught_so_far = 0
        visitor.stop()
        visitor.requests.clear()
        visitor.findings.clear()
        visitor.checked = "", ""
        return visitor

    def _caught_up(self, visitor: Visitor) -> Visitor:
        """Let a visitor see the shared model as it is now; an older plan is dropped, and forgotten images are deselected."""
        if self.base is None or visitor.closed:
            return visitor
        for name in SHARED:
            setattr(visitor, name, getattr(self.base, name))
        if visitor.plan and visitor.plan.root != self.model(visitor).root and not visitor.job:
            forgotten = set(visitor.forgotten)
            visitor.selection, visitor.plan = tuple(r for r in visitor.selection if r not in forgotten), None
        return visitor

    def open_ledger(self, visitor: Visitor) -> None:
        """Begin the ledger that the visitor's requests go through, unless there is one; raises StoreError."""
        if visitor.folder is None and not self.shared:
            visitor.folder = self.scratch.folder()
            self.model(visitor).open_ledger(visitor.folder)

    def holder(self, visitor: Visitor) -> Visitor:
        """Return whoever the visitor's model belongs to: the visitor, or all of them together."""
        return self.base if self.shared and self.base else visitor

    def done(self, visitor: Visitor, request: Request, report: EvaluationReport, correct: np.ndarray | None) -> None:
        """Take up a finished request, and keep of earlier ones only what shows no traces of the images; a shared model changed for all.

        Called where the request ran, because the page may be closed by now.
        """
        holder, self.beside = self.holder(visitor), request.beside
        visitor.end_study()
        same, of = request.untouched
        if same < of:
            holder.found(request.number, Finding(problems=(texts.untouched(same, of),)))
        holder.requests[:] = [*(r.bare() for r in holder.requests), request.nameless() if self.shared else request]
        holder.report, holder.correct = report, correct
        visitor.selection, visitor.plan, visitor.fresh, visitor.left = (), None, request.rows, ()
        for row in request.rows:
            visitor.taught.pop(row, None)
        if self.shared:
            self._erase(request.rows)
            for other in list(self._visitors.values()):
                self._caught_up(other)

    def _erase(self, rows: tuple[int, ...]) -> None:
        """Let go of the lab's own copies of images that a shared model has forgotten."""
        self.samples = without_content(self.samples, rows)
        self.row_of = {sample: row for row, sample in enumerate(self.samples.ids)}
        if self.points is not None:
            blur_points(self.points, rows)

    @property
    def visited(self) -> bool:
        """Whether a page of it is open."""
        return any(visitor.page for visitor in list(self._visitors.values()))

    def leave(self, token: str) -> None:
        """Remove a visitor whose page is closed."""
        with self._lock:
            visitor = self._visitors.pop(token, None)
        if visitor is not None:
            visitor.close()

    def close(self) -> None:
        """Let go of every visitor, stop what runs for them, and release the engine.

        A request that is under way stops where it is and stays recorded: a workspace completes it at its next start.
        """
        self.closing = True
        for token in list(self._visitors):
            self.leave(token)
        self.engine.close()
        if self._thread:
            self._thread.join(LINGER)
        self.scratch.close()
        self.samples, self.base, self.row_of = self.samples.take(np.empty(0, np.int64)), None, {}
        self._benches.clear()

    def find(self, token: Any) -> Visitor | None:
        """Return the visitor of a token, or None."""
        visitor = self._visitors.get(token) if isinstance(token, str) else None
        if visitor is not None:
            visitor.seen = time.monotonic()
        return self._caught_up(visitor) if visitor is not None and self.shared else visitor

    def find_page(self, page: str | None) -> Visitor | None:
        """Return the visitor of a page (Gradio's session), or None."""
        return next((v for v in list(self._visitors.values()) if page and v.page == page), None)

    def ready(self, visitor: Visitor | None) -> Visitor:
        """Return the visitor if its model can be asked; raises NotFittedError saying why not."""
        if visitor is None or visitor.closed or visitor.model is None:
            raise self._not_ready(visitor)
        return visitor

    def _not_ready(self, visitor: Visitor | None) -> NotFittedError:
        if visitor is None or visitor.closed:
            return NotFittedError(texts.SESSION_OVER)
        return NotFittedError(texts.FIT_FAILED.format(self.fit.error) if self.fit.state == "failed" else texts.NOT_READY)

    def model(self, visitor: Visitor | None) -> Model:
        """Return the visitor's model, for a request under way even when the page is closed; raises NotFittedError saying why not."""
        if visitor is None or visitor.model is None:
            raise self._not_ready(visitor)
        return visitor.model

    def free(self, token: Any) -> Visitor:
        """Return the visitor of a token if its model can be asked and no request of its own runs; raises NotFittedError, InputError."""
        visitor = self.ready(self.find(token))
        if visitor.job:
            raise InputError(texts.BUSY)
        visitor.rate.count()
        return visitor

    def before(self, visitor: Visitor, request: Request, progress: ProgressCallback, cancel: threading.Event) -> Model:
        """Return a model like the visitor's before a request, made again from the lab's own copy of the images.

        The visitor's model does not get them back. Raises InputError when the lab's copy has changed since, or where there is none
        because the model is a workspace's and has forgotten them for good; CancelledError.
        """
        if self.shared:
            raise InputError(texts.FORGOTTEN_FOR_GOOD)
        if any(row >= len(self.samples) for row in request.rows):
            raise InputError(texts.TAUGHT_IS_GONE)
        earlier = [i for r in visitor.requests if r.outcome is not request.outcome for i in r.ids if i in self.row_of]
        taught = [t.sample for t in visitor.taught.values() if t.requests < len(visitor.requests)]
        model = self.model(self.base).without(earlier, taught, progress, cancel)
        if model.root != request.outcome.root_before:
            raise InputError(texts.NO_EARLIER_MODEL)
        return model

    def bench(self, visitor: Visitor, request: Request, progress: ProgressCallback, cancel: threading.Event) -> Bench:
        """Return the methods to compare a request with, fitted ones included where that model was compared before; raises as `before`.

        For the thread that runs jobs. At most `BENCHES` models' methods are stored, those used last.
        """
        root = request.outcome.root_before or ""
        if root not in self._benches:
            self._benches[root] = self.before(visitor, request, progress, cancel).bench()
        self._benches.move_to_end(root)
        while len(self._benches) > BENCHES:
            self._benches.popitem(last=False)
        return self._benches[root]

    def folders(self, visitor: Visitor) -> list[Path]:
        """Return where things of the visitor's model lie on disk, a workspace of the engine's own aside."""
        if self.shared:
            return [self.workspace]
        return [visitor.folder] if visitor.folder else []

    @property
    def size(self) -> int:
        """How many rows the map has: the data set's, and spare ones for what a visitor teaches a model of their own."""
        return len(self.samples) + (0 if self.shared else SPARE)

    def rows(self, visitor: Visitor) -> Rows:
        """Return what the rows of the visitor's map are."""
        return Rows(self.samples, self.row_of, visitor.taught, self.size - len(self.samples))

    def row_clusters(self, visitor: Visitor) -> np.ndarray:
        """Return the cluster of each row of the map in the visitor's model; -1 where a sample is forgotten."""
        model, known = self.model(visitor), visitor.row_clusters
        while known is None or known[0] != model.root:  # again where a request changed a shared model meanwhile
            rows = self.rows(visitor)  # read first: what a request takes out of a shared model meanwhile is still in it
            root, ids, clusters = model.root, model.samples.ids, model.assignment
            if root == model.root:
                known = visitor.row_clusters = (root, rows.scattered(clusters, rows.of(ids)))
        return known[1]

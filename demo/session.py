"""What lives longer than one click: the lab (one for all visitors) and each visitor's private copy of the model.

It knows when things are computed and for whom; what is computed is the engine's affair (`demo/engine.py`, or a fake in tests).
"""

from __future__ import annotations

import datetime
import json
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from core.errors import CancelledError, InputError, LMEraserError, NotFittedError, UnknownSampleError
from core.receipts import Receipt
from core.scratch import Scratch
from core.types import ForgetPlan, Outcome, Progress, ProgressCallback, Samples
from demo import texts
from demo.limits import Rate


class Engine(Protocol):
    """What the page asks of the engine."""

    name: str  # data set and preset, for people
    pair: tuple[str, str]  # data set and preset, as in addresses

    def layout(self, folder: Path, compute: bool) -> np.ndarray | None:
        """Return the places (n, 2) float32 in 0..1 of all samples on the map; None if they must be computed and may not."""

    def fitted(self, progress: ProgressCallback) -> Any:
        """Return the fitted base model, trained now or found in the cache."""

    def prepare(self, eraser: Any) -> None:
        """Compute what the next plans have in common, so that previews come at once."""

    def evaluate(self, eraser: Any, forgotten: Samples | None) -> Any:
        """Return an EvaluationReport."""

    def correct(self, eraser: Any) -> np.ndarray | None:
        """Return (n,) bool: which of the model's own samples it classifies correctly; None when that would take long."""

    def before(self, report: Any, correct: np.ndarray, gone: np.ndarray) -> Any:
        """Return the report on a model from its own report and `correct`, with the rows `gone` (n,) bool counted apart."""

    def reach(self, eraser: Any, plan: ForgetPlan) -> Any:
        """Return a plan's core.reach.Reaches."""

    def proba(self, eraser: Any, samples: Samples) -> np.ndarray:
        """Return class probabilities (n, classes) of samples, in the model or not; remembers nothing of those that are not."""

    def prompts(self, eraser: Any, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the prompts of these clusters, by key, as what can be drawn (core.prompts.drawable)."""

    def origins(self, eraser: Any, plan: ForgetPlan) -> dict[str, str | None]:
        """Return, by key of each cluster that a plan retrains, the key of the one before that most of it comes from."""

    def bench(self, eraser: Any) -> Any:
        """Return a core.bench_unlearn.Bench on a model as it was before a request."""

    def audit(self, eraser: Any, ids: Sequence[str], progress: ProgressCallback, cancel: threading.Event) -> dict[str, Any]:
        """Return the record of core.audit on a model as it was before a request."""

    def residue(self, eraser: Any, known: Samples, folders: Sequence[Path]) -> dict[str, Any]:
        """Return the record of core.residue on a model that has forgotten some of the samples in `known`."""

    def facts(self) -> dict[str, str]:
        """Return hardware and versions."""

    def records(self, eraser: Any, folder: Path) -> Any:
        """Return the ledger that a model's requests go through (`demo.records.Records`), begun in an empty folder if it is a visitor's."""

    def first_fit(self) -> tuple[float, str, int] | None:
        """Return seconds, day and samples of a kept model's first fit, if this machine made it."""

    def close(self) -> None:
        """End worker processes."""


@dataclass(frozen=True)
class Measurement:
    """A full retraining measured on this machine."""

    seconds: float
    day: str
    samples: int
    here: bool = True  # measured in this session, not read from the cache

    def judged(self, samples: int) -> float:
        """Return the seconds that retraining so many samples should take."""
        return self.seconds * samples / self.samples if self.samples else 0.0


@dataclass(frozen=True)
class Fit:
    """How the base model is coming along."""

    state: str = "fitting"  # fitting, ready, failed
    progress: Progress = field(default_factory=lambda: Progress("open", 0, 0))
    error: str = ""


@dataclass(frozen=True, eq=False)
class FullRun:
    """One full retraining on the survivors, run on request: the control of one request."""

    root: str
    outcome: Outcome
    equal: bool


@dataclass(frozen=True, eq=False)
class Odds:
    """Class probabilities (n, classes) of a request's first rows, before it and after; they go when the next request comes."""

    rows: tuple[int, ...]
    before: np.ndarray
    after: np.ndarray | None = None


@dataclass(frozen=True)
class Portrait:
    """A retrained cluster's prompt as pictures (data URIs) on one scale; before and difference go when the next request comes."""

    kind: str  # matrix or frame
    before: str | None
    after: str
    difference: str | None


@dataclass(frozen=True, eq=False)
class Request:
    """One request that was carried out."""

    rows: tuple[int, ...]
    summary: dict[str, Any]
    outcome: Outcome
    before: Any  # EvaluationReport
    after: Any
    untouched: tuple[int, int]  # clusters whose digest is unchanged, of how many
    full: FullRun | None = None
    receipt: Receipt | None = None
    reach: Any = None  # core.reach.Reaches
    odds: Odds | None = None
    portraits: dict[str, Portrait] = field(default_factory=dict)  # by key of the cluster afterwards
    compared: tuple[dict, ...] = ()  # rows of core.bench_unlearn, one a method
    compared_at: str = ""  # when, for people
    audit: dict[str, Any] | None = None  # record of core.audit
    residue: dict[str, Any] | None = None  # record of core.residue

    def full_seconds(self, measured: Measurement | None) -> float | None:
        """Return what full retraining on what remains takes: measured for this request, else judged by the one that was; None without."""
        if self.full:
            return self.full.outcome.seconds.total
        return measured.judged(self.outcome.samples) if measured else None

    def bare(self) -> Request:
        """Return the request without what shows traces of the forgotten images themselves."""
        return replace(self, odds=None, portraits={})


@dataclass(eq=False)
class Visitor:
    """One page's own model, selection and history. `eraser` is None until the base model is ready, and after closing.

    Gradio copies what lies in a `gr.State`, so a page's state holds the token alone and the lab holds the visitor.
    """

    token: str
    page: str | None = None  # Gradio's session, if it is a page
    eraser: Any = None
    report: Any = None  # of the model as it is now, forgotten samples aside
    correct: np.ndarray | None = None  # (n,) bool over the model's samples
    correct_root: str = ""  # of the model that `correct` was found with
    homes: tuple[str, np.ndarray] | None = None  # root, and the cluster of each row of the map under it
    selection: tuple[int, ...] = ()  # rows on the map
    drawn: int = 0  # how many of them were drawn at random: all, or none
    seed: int = 0  # of drawing at random
    plan: ForgetPlan | None = None
    requests: list[Request] = field(default_factory=list)
    fresh: tuple[int, ...] = ()
    job: Any = None
    records: Any = None  # the ledger; None until the first request
    folder: Path | None = None  # where a ledger of one's own lies
    files: list[Path] = field(default_factory=list)  # made for this visitor to fetch
    rate: Rate = field(default_factory=lambda: Rate(REQUESTS))
    calls: Rate = field(default_factory=lambda: Rate(CALLS))  # of the public API
    shown: str = ""  # root of the model that the page shows
    left: tuple[int, ...] = ()  # the selection when the last request ended
    curious: bool = False  # whether the Methods tab was opened
    study: Any = None  # a job about the last request that leaves the model alone: a comparison, an audit
    closed: bool = False
    seen: float = field(default_factory=time.monotonic)  # last sign of life

    @property
    def gone(self) -> tuple[int, ...]:
        """Original rows of everything forgotten so far."""
        return tuple(row for request in self.requests for row in request.rows)

    def amend(self, request: Request, **changes: Any) -> None:
        """Add to what is known of a request, unless another one has followed it."""
        if self.at(request):
            self.requests[-1] = replace(self.requests[-1], **changes)

    def at(self, request: Request) -> bool:
        """Whether a request is still the last one."""
        return bool(self.requests) and self.requests[-1].outcome is request.outcome

    def end_study(self) -> None:
        """Stop the study, if one runs, and take no more notice of it."""
        if self.study:
            self.study.stop()
        self.study = None

    def stop(self) -> None:
        """Stop what runs."""
        self.end_study()
        if self.job:
            self.job.stop()

    def close(self) -> None:
        """Stop what runs and let go of the private copy."""
        self.closed = True
        self.stop()
        self.eraser, self.plan, self.correct, self.report, self.homes = None, None, None, None, None
        self.requests = []  # the list itself may be everyone's
        self.discard()

    def keep_file(self, path: Path) -> None:
        """Let a file, alone in its folder, live until the next one is made for this visitor, or the visitor leaves."""
        old, self.files = self.files, [path]
        for folder in [p.parent for p in old] + [path.parent] * self.closed:
            shutil.rmtree(folder, ignore_errors=True)

    def discard(self) -> None:
        """Delete what lies on disk for this visitor alone."""
        if self.records is not None and self.folder is not None:
            self.records.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        for path in self.files:
            shutil.rmtree(path.parent, ignore_errors=True)
        self.records, self.folder, self.files = None, None, []


REQUESTS = 30  # a visitor may start in a minute
CALLS = 300  # of the public API, likewise
SHARED = ("eraser", "report", "correct", "correct_root", "requests", "records")  # what visitors of a kept model have in common
VISITORS = 200  # kept at once; beyond it, the one idle longest goes
BENCHES = 2  # models whose fitted methods are kept for comparisons
AWAY = 120.0  # seconds after which a page that was closed is forgotten


class Lab:
    """The base model, its fit in the background, and the visitors.

    samples: all private samples by their row on the map, for good. `points` is the file of their places, None until they are known.
    turn: held while fitting; labs that share a machine share it, so that their measured times do not mix.
    shared: the name of the kept model that all visitors see and change; empty where each has a private copy of the base model.
    """

    def __init__(
        self,
        engine: Engine,
        samples: Samples,
        workspace: Path,
        turn: threading.Lock | None = None,
        shared: str = "",
        scratch: Scratch | None = None,
    ):
        self.engine, self.samples, self.workspace = engine, samples, workspace
        self.shared, self.scratch = shared, scratch or Scratch()
        self.public = workspace / "public"
        self.points = self._placed(compute=False)
        self.row_of = {sample: row for row, sample in enumerate(samples.ids)}
        self.fit = Fit()
        self.measured: Measurement | None = None
        self.base: Visitor | None = None
        self._visitors: dict[str, Visitor] = {}
        self._benches: OrderedDict[str, Any] = OrderedDict()  # by root
        self._lock = threading.Lock()
        self._turn = turn or threading.Lock()
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
        return None if layout is None else _public_points(layout, self.public)

    def _fit(self) -> None:
        self._say(Fit(progress=Progress("turn", 0, 0)))
        with self._turn:
            self._say(Fit())
            self._fitted()

    def _fitted(self) -> None:
        try:
            if self.points is None:
                self._say(Fit(progress=Progress("map", 0, 0)))
                self.points = self._placed(compute=True)
            eraser = self.engine.fitted(lambda p: self._say(Fit(progress=p)))
            self._say(Fit(progress=Progress("evaluate", 0, 0)))
            self.measured = _measurement(eraser, self.workspace) or _kept_measurement(self.engine.first_fit())
            self.base = self._based(eraser)
            self._say(Fit("ready"))
            self.engine.prepare(eraser)
        except LMEraserError as error:
            self._say(Fit("failed", error=str(error)))
        except BaseException as error:
            self._say(Fit("failed", error=type(error).__name__))
            raise

    def _based(self, eraser: Any) -> Visitor:
        base = Visitor("", eraser=eraser, report=self.engine.evaluate(eraser, None), correct=self.engine.correct(eraser))
        if self.shared:
            base.correct_root, base.records = eraser.root_, self.engine.records(eraser, self.workspace)
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
        """Take note that a page was closed: what runs stops now; the visitor is forgotten unless it shows up again soon."""
        if visitor is None or visitor.closed:
            return
        visitor.stop()
        last = visitor.seen = time.monotonic()
        timer = threading.Timer(AWAY, lambda: self.leave(visitor.token) if visitor.seen == last else None)
        timer.daemon = True
        timer.start()

    def reset(self, visitor: Visitor) -> Visitor:
        """Give the visitor a fresh copy of the base model and an empty history; where the model is kept, the model as it is."""
        if self.shared:
            return self._caught_up(visitor)
        visitor.discard()
        if self.base is not None:
            visitor.eraser, visitor.report = self.base.eraser.fork(), self.base.report
            visitor.correct, visitor.correct_root = self.base.correct, self.base.eraser.root_
        visitor.plan, visitor.fresh = None, ()
        visitor.stop()
        visitor.requests.clear()
        return visitor

    def _caught_up(self, visitor: Visitor) -> Visitor:
        """Let a visitor see the kept model as it is now; a plan made for an earlier one is dropped, and what is gone deselected."""
        if self.base is None or visitor.closed:
            return visitor
        for name in SHARED:
            setattr(visitor, name, getattr(self.base, name))
        if visitor.plan and visitor.plan.root != visitor.eraser.root_ and not visitor.job:
            gone = set(visitor.gone)
            visitor.selection, visitor.plan = tuple(r for r in visitor.selection if r not in gone), None
        return visitor

    def records(self, visitor: Visitor) -> Any:
        """Return the ledger that the visitor's requests go through, begun at the first; raises StoreError."""
        if visitor.records is None:
            visitor.folder = self.scratch.folder()
            visitor.records = self.engine.records(visitor.eraser, visitor.folder)
            if visitor.closed:  # left meanwhile
                visitor.discard()
                raise CancelledError(texts.SESSION_OVER)
        return visitor.records

    def holder(self, visitor: Visitor) -> Visitor:
        """Return whoever the visitor's model belongs to: the visitor, or all of them together."""
        return self.base if self.shared else visitor

    def done(self, visitor: Visitor, request: Request, report: Any, correct: np.ndarray | None) -> None:
        """Take up a finished request, and keep of earlier ones only what shows no traces of the images; a kept model changed for all.

        Called where the request ran, for the page may be gone by now.
        """
        holder = self.holder(visitor)
        visitor.end_study()
        holder.requests[:] = [*(r.bare() for r in holder.requests), request.bare() if self.shared else request]
        holder.report, holder.correct = report, correct
        if self.shared:
            self._erase(request.rows)
            for other in list(self._visitors.values()):
                self._caught_up(other)

    def _erase(self, rows: tuple[int, ...]) -> None:
        """Let go of the lab's own copies of images that a kept model has forgotten."""
        self.samples = _without_content(self.samples, rows)
        self.row_of = {sample: row for row, sample in enumerate(self.samples.ids)}
        if self.points is not None:
            _blur_points(self.points, rows)

    def leave(self, token: str | None) -> None:
        """Forget a visitor whose page is gone."""
        with self._lock:
            visitor = self._visitors.pop(token, None)
        if visitor is not None:
            visitor.close()

    def close(self) -> None:
        """Let go of every visitor, stop what runs for them, and release the engine."""
        for token in list(self._visitors):
            self.leave(token)
        self.engine.close()
        self.scratch.close()

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
        if visitor is None or visitor.closed:
            raise NotFittedError(texts.SESSION_OVER)
        if visitor.eraser is None:
            raise NotFittedError(texts.FIT_FAILED.format(self.fit.error) if self.fit.state == "failed" else texts.NOT_READY)
        return visitor

    def free(self, token: Any) -> Visitor:
        """Return the visitor of a token if its model can be asked and no request of its own runs; raises NotFittedError, InputError."""
        visitor = self.ready(self.find(token))
        if visitor.job:
            raise InputError(texts.BUSY)
        visitor.rate.count()
        return visitor

    def before(self, visitor: Visitor, request: Request, progress: ProgressCallback, cancel: threading.Event) -> Any:
        """Return a model like the visitor's before a request, made anew from the lab's own copy of the images.

        The visitor's model does not get them back. Raises InputError when the lab's copy has changed since, or where there is none
        because the model is kept and has forgotten them for good; CancelledError.
        """
        if self.shared:
            raise InputError(texts.FORGOTTEN_FOR_GOOD)
        earlier = [row for r in visitor.requests if r.outcome is not request.outcome for row in r.rows]
        eraser = self.base.eraser.fork()
        if earlier:
            eraser.forget(eraser.plan(self.ids(earlier)), progress=progress, cancel=cancel)
        if eraser.root_ != request.outcome.root_before:
            raise InputError(texts.NO_EARLIER_MODEL)
        return eraser

    def bench(self, visitor: Visitor, request: Request, progress: ProgressCallback, cancel: threading.Event) -> Any:
        """Return the methods to compare a request with, fitted ones included where that model was compared before; raises as `before`.

        For the thread that runs jobs. At most `BENCHES` models' methods are kept, whichever were used last.
        """
        root = request.outcome.root_before
        if root not in self._benches:
            self._benches[root] = self.engine.bench(self.before(visitor, request, progress, cancel))
        self._benches.move_to_end(root)
        while len(self._benches) > BENCHES:
            self._benches.popitem(last=False)
        return self._benches[root]

    def folders(self, visitor: Visitor) -> list[Path]:
        """Return where things of the visitor's model lie on disk, a workspace of the engine's own aside."""
        if self.shared:
            return [self.workspace]
        return [visitor.folder] if visitor.folder else []

    def ids(self, rows: list[int]) -> list[str]:
        """Return the sample ids at these rows of the map."""
        return [self.samples.ids[row] for row in rows]

    def rows(self, ids) -> list[int]:
        """Return the rows on the map of these sample ids; raises UnknownSampleError."""
        try:
            return sorted(self.row_of[i] for i in ids)
        except KeyError as error:
            raise UnknownSampleError(f"{error.args[0]!r:.24} is not a sample of this data set.") from error

    def homes(self, visitor: Visitor) -> np.ndarray:
        """Return the cluster of each row of the map in the visitor's model; -1 where a sample is gone."""
        root = visitor.eraser.root_
        if visitor.homes is None or visitor.homes[0] != root:
            visitor.homes = (root, self.scattered(visitor.eraser.partition_.assignment, visitor.eraser))
        return visitor.homes[1]

    def scattered(self, values: np.ndarray, eraser: Any) -> np.ndarray:
        """Return one value per row of the map from one per sample of the model; -1 where a sample is gone."""
        out = np.full(len(self.samples), -1, np.int64)
        out[[self.row_of[i] for i in eraser.samples_.ids]] = values
        return out


def _public_points(layout: np.ndarray, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"points-{len(layout)}-{secrets.token_hex(4)}.f32"
    for old in folder.glob("points-*.f32"):
        if time.time() - old.stat().st_mtime > 7 * 86_400:
            old.unlink(missing_ok=True)
    path.write_bytes(np.ascontiguousarray(layout, "<f4").tobytes())
    return path


def _blur_points(path: Path, rows) -> None:
    """Move forgotten images to the middle of the map's file; where they lay told what they looked like."""
    places = np.fromfile(path, "<f4").reshape(-1, 2)
    places[list(rows)] = 0.5
    part = path.with_suffix(".part")
    part.write_bytes(places.tobytes())
    part.replace(path)


def _without_content(samples: Samples, rows) -> Samples:
    """Return the samples with nothing left of some rows: black pixels, the first class, no subject, no digest."""
    gone = set(rows)
    images, labels = samples.images.copy(), samples.labels.copy()
    images[list(gone)], labels[list(gone)] = 0, 0
    ids = tuple(f"forgotten-{r}" if r in gone else i for r, i in enumerate(samples.ids))
    subjects = samples.subjects and tuple("" if r in gone else s for r, s in enumerate(samples.subjects))
    return Samples(images, labels, samples.classes, ids, subjects)


def _kept_measurement(found: tuple[float, str, int] | None) -> Measurement | None:
    return Measurement(*found, here=False) if found else None


def _measurement(eraser: Any, workspace: Path) -> Measurement | None:
    """Return this fit's time if it trained everything, else the one stored when it did."""
    path = workspace / f"measured-{eraser.root_[:16]}.json"
    outcome = eraser.outcome_
    if outcome.trained and not outcome.reused:
        found = Measurement(outcome.seconds.total, f"{datetime.date.today():%d %B %Y}", outcome.samples)
        path.write_text(json.dumps(asdict(found)))
        return found
    return Measurement(**{**json.loads(path.read_text()), "here": False}) if path.exists() else None


def progress_of(send: Callable[[Progress], None]) -> ProgressCallback:
    """Return a callback that passes on at most some 20 reports a second, and every stage's last."""
    last = [0.0]

    def report(progress: Progress) -> None:
        now = time.monotonic()
        if progress.done >= progress.total or now - last[0] > 0.05:
            last[0] = now
            send(progress)

    return report

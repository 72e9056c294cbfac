"""UI value → core call → UI value. Every handler returns updates by component name; `build.py` knows the components.

No mathematics and no markup here: figures come from the engine and its records, words from `texts`, HTML from `markup`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from core.errors import CancelledError, InputError, StalePlanError
from core.types import ProgressCallback
from demo import charts, exports, markup, odds, permalink, texts, toolbar
from demo.comparisons import Comparisons
from demo.groups import offered
from demo.jobs import Finished, Jobs, QueueFullError, Waiting
from demo.leftovers import Leftovers
from demo.membership import Membership
from demo.offers import Offers
from demo.prompt_pictures import PromptPictures
from demo.receipts_tab import ReceiptsTab
from demo.rows import parse_numbers
from demo.scatter import Marks, Paint, Scheme
from demo.session import FullRun, Lab, Request, Visitor, progress_of
from demo.witness import complete_odds, portraits, witness

Updates = dict[str, Any]
TABLE_MOST = 200
SELECTION_PARTS = ("tray", "actions", "plan", "copies", "forget", "cancel", "clear", "start_over", "choose", "draw", "map", "how")


class Handlers:
    """The page's events, for one lab."""

    def __init__(self, lab: Lab, jobs: Jobs, offers: Offers | None = None):
        self.lab, self.jobs = lab, jobs
        self.offers = offers or Offers((lab.engine.pair,))
        self.receipts = ReceiptsTab(self)
        self.leftovers = Leftovers(lab, jobs)
        self.comparisons, self.membership, self.pictures = Comparisons(lab, jobs), Membership(lab, jobs), PromptPictures(lab)

    # --- arriving -------------------------------------------------------------------------------------------------

    async def arrive(self, request: gr.Request) -> AsyncIterator[Updates]:
        """Let a visitor in: the map at once, then the first fit's progress, then everything.

        One whose address asks for another page's data set or preset is on the way there: the page itself goes.
        """
        if not self._meant_here(request.query_params):
            return
        self.lab.start()
        visitor = self.lab.enter()
        visitor.page = request.session_hash
        self._restore(visitor, request.query_params)
        placed = self._points()
        first = {"visitor": visitor.token, "top": gr.update(token=visitor.token)}
        if visitor.seed:  # a link's; sent in vain, it would overwrite what a quick visitor has typed by now
            first["seed"] = visitor.seed
        yield first | await asyncio.to_thread(self._everything, visitor)
        while self.lab.fit.state == "fitting" and not visitor.closed:
            await asyncio.sleep(0.25)
            late = {} if placed == self._points() else {"map": gr.update(points=self._points())}
            placed = self._points()
            yield {"status": self._status(visitor), **late}
        if visitor.eraser is None and not visitor.closed:
            self.lab.reset(visitor)
            visitor.plan = self._planned(visitor, visitor.selection)
            yield await asyncio.to_thread(self._everything, visitor)

    def _meant_here(self, query: Mapping[str, str]) -> bool:
        try:
            return self.offers.chosen(query, self.lab.engine.pair) == self.lab.engine.pair
        except InputError as error:
            gr.Warning(str(error))
            return True

    def _restore(self, visitor: Visitor, query: Mapping[str, str]) -> None:
        """Take up a permalink's selection; what does not fit is left out, with a word about it."""
        link = permalink.read(query, self.lab.samples)
        for problem in link.problems:
            gr.Warning(problem)
        visitor.selection, visitor.drawn, visitor.seed = link.rows, link.drawn, link.seed
        visitor.plan = self._planned(visitor, visitor.selection)

    def depart(self, request: gr.Request) -> None:
        """Take note that a page was closed."""
        self.lab.away(self.lab.find_page(request.session_hash))

    def thumbnail(self, asked: Any) -> dict | None:
        """Return the hover card of one picture, to the visitor whose token is given; None for anything else."""
        asked = asked if isinstance(asked, dict) else {}
        visitor, row = self.lab.find(asked.get("token")), asked.get("row")
        if visitor is None or not isinstance(row, int) or not 0 <= row < len(self.lab.samples) or row in visitor.gone:
            return None
        lines = [texts.CLUSTER.format(self.lab.homes(visitor)[row])] if visitor.eraser else []
        if self.lab.samples.subjects:
            lines.append(f"{texts.SCHEMES['subject']} {self.lab.samples.subjects[row]}")
        title, lines = texts.card(row, self._name(row), lines)
        return {"src": markup.data_uri(self.lab.samples.images[row]), "title": title, "lines": lines}

    # --- selecting ------------------------------------------------------------------------------------------------

    def select(self, token: str | None, rows: list[int]) -> Updates:
        """Take a selection made on the map."""
        visitor = self.guest(token)
        if visitor.job:
            return {}
        return self._selected(visitor, rows)

    def remove(self, token: str | None, event: gr.EventData) -> Updates:
        """Take one image out of the selection."""
        visitor = self.guest(token)
        row = event._data.get("row") if isinstance(event._data, dict) else None
        return self.reselected(visitor, [r for r in visitor.selection if r != row])

    def clear(self, token: str | None) -> Updates:
        """Select nothing."""
        return self.reselected(self.guest(token), [])

    def choose(self, token: str | None, classes: list[int], subject: str | None, numbers: str) -> Updates:
        """Select by class, subject and number; raises InputError for numbers that are none."""
        visitor, samples = self.guest(token), self.lab.samples
        wanted = set(np.flatnonzero(np.isin(samples.labels, classes or [])).tolist()) | set(parse_numbers(numbers, len(samples)))
        if subject and samples.subjects:
            wanted |= {row for row, s in enumerate(samples.subjects) if s == subject}
        return self.present(visitor, wanted)

    def include_copies(self, token: str | None) -> Updates:
        """Add the identical copies that the plan would leave behind."""
        visitor = self.guest(token)
        copies = visitor.plan.copies_left if visitor.plan else ()
        return self.reselected(visitor, sorted({*visitor.selection, *self.lab.rows(copies)}))

    def arrived(self, token: str | None) -> Updates:
        """Show the selection as it is, if there is one, from a link or made by a quick visitor while being let in.

        When an event that reports as it goes ends, Gradio shows its last state once more, over whatever has been selected by then.
        """
        visitor = self.lab.find(token)
        return self._shown_again(visitor) if visitor is not None and visitor.selection else {}

    def forgotten(self, token: str | None) -> Updates:
        """As `arrived`, if a quick visitor has made another selection as a request ended."""
        visitor = self.lab.find(token)
        return self._shown_again(visitor) if visitor is not None and visitor.selection != visitor.left else {}

    def _shown_again(self, visitor: Visitor) -> Updates:
        if visitor.job:
            shown = {**self._idle_controls(visitor, working=True), "cancel": gr.update(interactive=True)}
            return shown | {"map": gr.update(value=list(visitor.selection), marks=self._marks(visitor, working=True))}
        visitor.plan = visitor.plan or self._planned(visitor, visitor.selection)  # none, if the selection came just before the model
        return self._with_map(visitor, self._selection(visitor))

    def present(self, visitor: Visitor, rows: Iterable[int]) -> Updates:
        """Select those of the rows that are still in the model, with a word about the others."""
        wanted = set(rows)
        gone = wanted & set(visitor.gone)
        if gone:
            gr.Info(texts.gone_numbers(len(gone)))
        return self.reselected(visitor, sorted(wanted - gone))

    def reselected(self, visitor: Visitor, rows: list[int]) -> Updates:
        """Select rows and show them on the map as well; while a request runs, nothing changes, and a word says so."""
        if visitor.job:
            gr.Info(texts.BUSY)
            return {}
        return self._with_map(visitor, self._selected(visitor, rows))

    def _with_map(self, visitor: Visitor, updates: Updates) -> Updates:
        """Return updates with the selection on the map as well, which a visitor who drew it there sees already."""
        return updates | {"map": {**updates["map"], "value": list(visitor.selection)}}

    def _selected(self, visitor: Visitor, rows: list[int]) -> Updates:
        gone = set(visitor.gone)
        selection = tuple(r for r in rows if r not in gone)
        plan = self._planned(visitor, selection)
        visitor.selection, visitor.drawn, visitor.plan = selection, 0, plan  # together: a request may begin while the next is planned
        if self.lab.shared and visitor.eraser is not None and visitor.shown != visitor.eraser.root_:
            return self._everything(visitor)  # somebody else's request has changed the model
        return self._selection(visitor)

    def _selection(self, visitor: Visitor) -> Updates:
        return {**self._request(visitor), "map": gr.update(marks=self._marks(visitor)), "how": self._how(visitor)}

    def _planned(self, visitor: Visitor, selection: tuple[int, ...]):
        if visitor.eraser is None or not selection:
            return None
        return visitor.eraser.plan(self.lab.ids(list(selection)))

    def _summary(self, visitor: Visitor) -> dict[str, Any]:
        """Return the plan's figures, and how many clusters hold the selected images; full retraining as measured, where it was."""
        plan, measured = visitor.plan, self.lab.measured
        holding = np.unique(self.lab.homes(visitor)[list(visitor.selection)])
        full = {"predicted_full_seconds": measured.judged(len(plan.kept))} if measured else {}
        return plan.summary() | {"clusters_holding": len(holding)} | full

    # --- working --------------------------------------------------------------------------------------------------

    async def forget(self, token: str | None) -> AsyncIterator[Updates]:
        """Carry out the plan that is shown, with progress; the page returns to rest whatever happens."""
        known = self.lab.find(token)
        if known is not None and known.job:  # a second click on the same button
            return
        visitor = self._free(token)
        if visitor.plan is None and visitor.selection:
            yield self.reselected(visitor, list(visitor.selection))
            raise InputError(texts.MODEL_CHANGED)
        if visitor.plan is None:
            raise InputError(texts.NOTHING_SELECTED)
        plan, rows = visitor.plan, visitor.selection
        if visitor.study:
            gr.Info(texts.STUDY_ENDED)
        visitor.end_study()
        job = visitor.job = self.jobs.submit(lambda send, cancel: self._forget(visitor, rows, plan, progress_of(send), cancel))
        yield self._busy(visitor)
        try:
            async for event in self.jobs.follow(job):
                if isinstance(event, Finished):
                    visitor.selection, visitor.plan, visitor.fresh = (), None, rows
                else:
                    yield {"plan": self._working(visitor, event)}
            visitor.job, visitor.left = None, visitor.selection
            yield (await asyncio.to_thread(self._everything, visitor)) | {"plan": self._done(visitor.requests[-1])}
        except Exception as error:  # whatever it was, the page comes to rest first
            visitor.job = None
            yield self._rested(visitor, error)
            if not isinstance(error, CancelledError):
                raise
        finally:
            visitor.job = None if visitor.job is job else visitor.job  # by now another request may run

    def _forget(self, visitor: Visitor, rows, plan, progress: ProgressCallback, cancel: threading.Event) -> Request:
        if plan.root != visitor.eraser.root_:
            raise StalePlanError(texts.MODEL_CHANGED)
        eraser, engine, summary = visitor.eraser, self.lab.engine, self._summary(visitor)
        gone = np.isin(eraser.samples_.ids, plan.ids)
        forgotten = eraser.samples_.take(gone)
        kept = {key: eraser.states_[key].digest for key in plan.untouched}
        correct = self._correct(visitor)
        before = engine.evaluate(eraser, forgotten) if correct is None else engine.before(visitor.report, correct, gone)
        notes = witness(engine, eraser, plan, rows)
        receipt = self.lab.records(visitor).forget(plan, progress=progress, cancel=cancel)
        report = engine.evaluate(eraser, forgotten)
        same = sum(eraser.states_[key].digest == digest for key, digest in kept.items())
        seen = {"reach": notes.reach, "odds": notes.odds, "portraits": portraits(engine, eraser, notes)}
        request = Request(tuple(rows), summary, eraser.outcome_, before, report, (same, len(kept)), receipt=receipt, **seen)
        self.lab.done(visitor, request, report, None if correct is None else correct[~gone])
        return request

    def _correct(self, visitor: Visitor) -> np.ndarray | None:
        """Return which samples the model classifies correctly, found anew only if the model has changed."""
        root, holder = visitor.eraser.root_, self.lab.holder(visitor)
        if holder.correct_root != root:
            holder.correct, holder.correct_root = self.lab.engine.correct(visitor.eraser), root
        return holder.correct

    async def recolor(self, token: str | None) -> AsyncIterator[Updates]:
        """Bring the map's right-or-wrong colors and the probability card up to date, after the result is already on the page.

        An event of its own: when one ends, Gradio shows its last state once more, and by then a visitor may have selected anew.
        """
        visitor = self.lab.find(token)
        if visitor is None or visitor.eraser is None or visitor.job or not visitor.requests:
            return
        try:
            job = self.jobs.submit(lambda send, cancel: self._asked_again(visitor))
        except QueueFullError:  # the request is done; only these wait for the next one
            return
        async for event in self.jobs.follow(job):
            if isinstance(event, Finished) and not visitor.job and self.lab.find(visitor.token) and visitor.eraser is not None:
                yield {"map": gr.update(paint=await asyncio.to_thread(self._paint, visitor)), **odds.show(self.lab, visitor)}

    def _asked_again(self, visitor: Visitor) -> None:
        complete_odds(self.lab, visitor)
        self._correct(visitor)
        self.lab.engine.prepare(visitor.eraser)

    async def full(self, token: str | None) -> AsyncIterator[Updates]:
        """Retrain from nothing on what remains: measures full retraining and gives the proof of the last request."""
        visitor = self._free(token)
        if not visitor.requests:
            raise InputError(texts.NOTHING_FORGOTTEN)
        job = visitor.job = self.jobs.submit(lambda send, cancel: self._full(visitor, progress_of(send), cancel))
        yield self._full_busy(True) | self._idle_controls(visitor, working=True)
        try:
            async for event in self.jobs.follow(job):
                if isinstance(event, Finished):
                    visitor.requests[-1] = replace(visitor.requests[-1], full=event.result)
                else:
                    yield self._full_note(event)
            visitor.job = None
            yield self._results(visitor) | self._full_busy(False) | self._request(visitor)
        except Exception as error:  # whatever it was, the page comes to rest first
            visitor.job = None
            stopped = {f"note_{tab}": markup.note(texts.FULL_STOPPED) for tab in ("result", "proof")}
            yield self._full_busy(False) | self._request(visitor) | (stopped if isinstance(error, CancelledError) else {})
            if not isinstance(error, CancelledError):
                raise
        finally:
            visitor.job = None if visitor.job is job else visitor.job  # by now another request may run

    def _full(self, visitor: Visitor, progress: ProgressCallback, cancel: threading.Event) -> FullRun:
        control, outcome = visitor.eraser.full_retraining(progress=progress, cancel=cancel)
        return FullRun(control.root_, outcome, control.root_ == visitor.eraser.root_)

    def cancel(self, token: str | None) -> Updates:
        """Ask what runs to stop."""
        visitor = self.lab.find(token)
        if visitor is not None and visitor.job:
            visitor.job.stop()
            return {name: gr.update(interactive=False) for name in ("cancel", "stop_result", "stop_proof", "stop_ledger")}
        return {}

    def start_over(self, token: str | None) -> Updates:
        """Give the visitor a fresh copy of the base model; raises InputError where forgetting is for good."""
        visitor = self._free(token)
        if self.lab.shared:
            raise InputError(texts.FOR_GOOD)
        visitor.selection = ()
        return self._everything(self.lab.reset(visitor))

    # --- guards ---------------------------------------------------------------------------------------------------

    def guest(self, token: str | None) -> Visitor:
        """Return the visitor of a token; raises InputError when the session is over."""
        visitor = self.lab.find(token)
        if visitor is None or visitor.closed:
            raise InputError(texts.SESSION_OVER)
        return visitor

    def _free(self, token: str | None) -> Visitor:
        return self.lab.free(token)

    # --- showing --------------------------------------------------------------------------------------------------

    def _everything(self, visitor: Visitor) -> Updates:
        visitor.shown = visitor.eraser.root_ if visitor.eraser is not None else ""
        marks = self._marks(visitor)
        look = {"points": self._points(), "token": visitor.token, "paint": self._paint(visitor), "marks": marks}
        return {
            "status": self._status(visitor),
            **self._request(visitor),
            **self._results(visitor),
            "map": gr.update(value=list(visitor.selection), **look),
            "how": self._how(visitor),
            "lesson": self._lesson(),
        }

    def _status(self, visitor: Visitor) -> str:
        fit, lab = self.lab.fit, self.lab
        if fit.state == "failed":
            return markup.status("failed", texts.FIT_FAILED.format(fit.error), "")
        if fit.state == "fitting" or lab.base is None:
            p = fit.progress
            return markup.status("fitting", texts.fitting(p.done, p.total, p.stage), texts.FIT_NOTE, markup.share_of(p.done, p.total))
        eraser, m = visitor.eraser or lab.base.eraser, lab.measured
        note = texts.measured(m.seconds, m.day, m.here) if m else texts.NOT_MEASURED
        return markup.status("ready", texts.ready(len(eraser.samples_), eraser.partition_.clusters, len(visitor.gone)), note)

    def _paint(self, visitor: Visitor) -> str:
        samples, eraser = self.lab.samples, visitor.eraser
        schemes = {"class": Scheme(texts.SCHEMES["class"], samples.classes, samples.labels)}
        if eraser is not None:
            names = tuple(texts.CLUSTER.format(c) for c in range(eraser.partition_.clusters))
            schemes["cluster"] = Scheme(texts.SCHEMES["cluster"], names, self.lab.homes(visitor))
        if eraser is not None and visitor.correct is not None:
            schemes["correct"] = Scheme(
                texts.SCHEMES["correct"], texts.CORRECT, self.lab.scattered(np.where(visitor.correct, 0, 1), eraser)
            )
        if samples.subjects:
            names, codes = np.unique(samples.subjects, return_inverse=True)
            schemes["subject"] = Scheme(texts.SCHEMES["subject"], tuple(names.tolist()), codes)
        return Paint(schemes, "class").message()

    def _points(self) -> str:
        return str(self.lab.points or "")

    def _marks(self, visitor: Visitor, working: bool = False) -> str:
        touched = visitor.plan.touched if visitor.plan else ()
        return Marks(visitor.gone, visitor.fresh, touched, working).message(len(self.lab.samples))

    def _request(self, visitor: Visitor) -> Updates:
        rows, plan = visitor.selection, visitor.plan
        first = list(rows[: markup.TRAY_MOST])
        return {
            "tray": markup.tray(rows, self.lab.samples.images[first], [self._name(r) for r in first]),
            "actions": gr.update(value=toolbar.actions(offered(self.lab, visitor), bool(rows)), token=visitor.token),
            "plan": self._preview(visitor),
            "copies": gr.update(visible=bool(plan and plan.copies_left)),
            "forget": gr.update(value=texts.forget_button(len(rows)), interactive=plan is not None),
            "cancel": gr.update(interactive=False),
            "clear": gr.update(interactive=bool(rows)),
            "start_over": gr.update(interactive=bool(visitor.requests), visible=not self.lab.shared),
            "choose": gr.update(interactive=True),
            "draw": gr.update(interactive=True),
        }

    def _name(self, row: int) -> str:
        return f"{texts.SCHEMES['class']} {self.lab.samples.classes[self.lab.samples.labels[row]]}"

    def _preview(self, visitor: Visitor) -> str:
        if visitor.plan:
            return markup.plan(self._summary(visitor), visitor.plan.touched)
        clusters = visitor.eraser.partition_.clusters if visitor.eraser else 0
        note = texts.PLAN_WAIT if visitor.selection and not visitor.eraser else texts.PLAN_EMPTY
        return markup.plan_empty(texts.PLAN_EMPTY_TITLE, note, clusters)

    def _idle_controls(self, visitor: Visitor, working: bool) -> Updates:
        off = {name: gr.update(interactive=False) for name in ("forget", "clear", "start_over", "choose", "draw")}
        return off | {"copies": gr.update(visible=False)} if working else self._request(visitor)

    def _busy(self, visitor: Visitor) -> Updates:
        return {
            **self._idle_controls(visitor, working=True),
            "plan": self._working(visitor, Waiting(self.jobs.ahead(visitor.job))),
            "cancel": gr.update(interactive=True),
            "map": gr.update(marks=self._marks(visitor, working=True)),
            **{f"full_{tab}": gr.update(interactive=False) for tab in ("result", "proof")},
        }

    def _working(self, visitor: Visitor, event) -> str:
        plan = visitor.plan
        if visitor.job and visitor.job.cancel.is_set():
            return markup.work(texts.WORKING, texts.CANCELLING, None, markup.strip(plan.clusters_before, plan.touched, texts.WORKING))
        if isinstance(event, Waiting):
            note, done, share = texts.waiting(event.ahead) if event.ahead else texts.STAGES["evaluate"], 0, None
        else:
            note, done, share = texts.working(event.done, event.total, event.stage), event.done, markup.share_of(event.done, event.total)
        cells = markup.strip(plan.clusters_before, plan.touched, note, done, working=True)
        return markup.work(texts.WORKING, note, share, cells)

    def _done(self, request: Request) -> str:
        taken, full = request.outcome.seconds.total, request.full_seconds(self.lab.measured)
        return markup.done(
            texts.headline(len(request.rows), taken, full, request.full is not None), texts.untouched(*request.untouched), texts.SEE_RESULT
        )

    def _rested(self, visitor: Visitor, error: Exception) -> Updates:
        self.lab.find(visitor.token)  # a kept model may have changed meanwhile
        visitor.plan = visitor.plan or self._planned(visitor, visitor.selection)
        visitor.left = visitor.selection
        updates = self._request(visitor) | {"map": gr.update(marks=self._marks(visitor))}
        if isinstance(error, CancelledError):
            updates["plan"] = markup.notice("cancelled", texts.CANCELLED, texts.plan(self._summary(visitor)))
        return updates | {f"full_{tab}": gr.update(interactive=True) for tab in ("result", "proof")}

    def _full_busy(self, on: bool) -> Updates:
        updates: Updates = {}
        for tab in ("result", "proof"):
            updates[f"full_{tab}"] = gr.update(interactive=not on)
            updates[f"stop_{tab}"] = gr.update(interactive=on)
            updates[f"note_{tab}"] = markup.running(texts.STAGES["features"], None) if on else markup.note(texts.RUN_FULL_INFO)
        return updates

    def _full_note(self, event) -> Updates:
        if isinstance(event, Waiting):
            words, share = texts.waiting(event.ahead) if event.ahead else texts.STAGES["features"], None
        else:
            words, share = texts.training(event.done, event.total, event.stage), markup.share_of(event.done, event.total)
        return {f"note_{tab}": markup.running(words, share) for tab in ("result", "proof")}

    # --- what happened --------------------------------------------------------------------------------------------

    def _results(self, visitor: Visitor) -> Updates:
        last = visitor.requests[-1] if visitor.requests else None
        shown = {f"row_{tab}": gr.update(visible=last is not None) for tab in ("result", "proof")}
        notes = {f"full_{tab}": gr.update(interactive=last is not None) for tab in ("result", "proof")}
        told = {"proof": self._proof(last), **self.receipts.shown(visitor)}
        return shown | notes | self._result(visitor, last) | told | self._clusters(visitor) | self._studies(visitor)

    def _studies(self, visitor: Visitor) -> Updates:
        parts = (self.comparisons, self.membership, self.leftovers, self.pictures)
        shown = [*(part.show(visitor) for part in parts), odds.show(self.lab, visitor)]
        return {name: value for part in shown for name, value in part.items()}

    def _result(self, visitor: Visitor, request: Request | None) -> Updates:
        report = {"report": gr.update(visible=request is not None, interactive=True), "report_file": None}
        if request is None:
            nothing = {"times": gr.update(visible=False), "changes": gr.update(visible=False)}
            return {"result": markup.empty(texts.EMPTY_RESULT), **nothing, **report}
        taken, full = request.outcome.seconds.total, request.full_seconds(self.lab.measured)
        names = [c for c in self.lab.samples.classes if c in request.after.per_class and request.after.per_class[c].n]
        changes = [100 * (request.after.per_class[c].accuracy - request.before.per_class[c].accuracy) for c in names]
        return {
            **report,
            "result": self._result_text(visitor, request, taken, full),
            "times": gr.update(value=charts.times(taken, full), visible=True) if full else gr.update(visible=False),
            "changes": gr.update(value=charts.class_changes(names, changes), visible=True) if names else gr.update(visible=False),
        }

    def _result_text(self, visitor: Visitor, request: Request, taken: float, full: float | None) -> str:
        groups = {k: (getattr(request.before, k), getattr(request.after, k)) for k in ("test", "retained", "forgotten")}
        pairs = {k: (b, a) for k, (b, a) in groups.items() if b and a and b.n and a.n}
        spoken = {k: (texts.percent(b.accuracy), texts.percent(a.accuracy)) for k, (b, a) in pairs.items()}
        cards = [(texts.ACCURACY[k], texts.ACCURACY_INFO[k], *spoken[k], texts.count(a.n, "image")) for k, (_, a) in pairs.items()]
        notes = [texts.untouched(*request.untouched)]
        if request.full:
            notes.append(texts.passes(request.outcome.sample_passes, request.full.outcome.sample_passes))
        headline = texts.headline(len(request.rows), taken, full, request.full is not None)
        spoken_result = texts.result_summary(spoken, taken, full)
        return markup.result(headline, cards, notes, self._badge(request), spoken_result) + self._downloads(visitor, request)

    def _downloads(self, visitor: Visitor, request: Request) -> str:
        everything = exports.files(visitor.requests, self.lab) if len(visitor.requests) > 1 else ()
        return markup.downloads([*exports.files([request], self.lab), *everything])

    def _badge(self, request: Request) -> str:
        if request.full:
            return texts.measured(request.full.outcome.seconds.total, "", True)
        m = self.lab.measured
        return texts.judged(m.seconds, m.day, m.here, m.samples, request.outcome.samples) if m else texts.NOT_MEASURED

    def _proof(self, request: Request | None) -> str:
        if request is None:
            return markup.empty(texts.EMPTY_PROOF)
        verdict = "open" if request.full is None else "equal" if request.full.equal else "different"
        title, info = texts.VERDICTS[verdict]
        roots = (
            (texts.ROOT_BEFORE, request.outcome.root_before),
            (texts.ROOT_AFTER, request.outcome.root_after),
            (texts.ROOT_CLEAN, request.full.root if request.full else None),
        )
        return markup.proof(verdict, title, info, roots, texts.untouched(*request.untouched))

    def _clusters(self, visitor: Visitor) -> Updates:
        if visitor.eraser is None:
            return {"clusters": markup.empty(texts.EMPTY_CLUSTERS), "sizes": gr.update(visible=False)}
        eraser, new = visitor.eraser, set(visitor.requests[-1].outcome.trained) if visitor.requests else set()
        partition, states, keys = eraser.partition_, eraser.states_, eraser.keys_
        members = [partition.members(c) for c in range(partition.clusters)]
        touched = [key in new for key in keys]
        order = sorted(range(len(members)), key=lambda c: (not touched[c], -len(members[c])))[:TABLE_MOST]
        rows = [_cluster_row(c, eraser.samples_.labels[members[c]], self.lab.samples.classes, states[keys[c]], touched[c]) for c in order]
        return {
            "clusters": markup.table(texts.CLUSTERS_HEAD, rows, (1, 3), texts.LEAD_CLUSTERS),
            "sizes": gr.update(value=charts.cluster_sizes([len(m) for m in members], touched), visible=bool(members)),
        }

    def _lesson(self) -> str:
        if self.lab.base is None:
            return markup.lesson(texts.lesson(0, 0, None))
        eraser, m = self.lab.base.eraser, self.lab.measured
        return markup.lesson(texts.lesson(eraser.partition_.clusters, len(eraser.samples_), m.seconds if m else None))

    def _how(self, visitor: Visitor) -> str:
        clusters = visitor.eraser.partition_.clusters if visitor.eraser else 0
        touched = visitor.plan.touched if visitor.plan else ()
        return markup.how(clusters, touched, texts.how_note(clusters, len(touched)))


def _cluster_row(cluster: int, labels: np.ndarray, classes: tuple[str, ...], state: Any, new: bool) -> tuple[str, ...]:
    values, counts = np.unique(labels, return_counts=True)
    top = counts.argmax()
    loss = f"{state.losses[0]:.2f} → {state.losses[-1]:.2f}" if state.losses else "–"
    name = f"{classes[values[top]]} ({100 * counts[top] / len(labels):.0f} %)"
    return (texts.CLUSTER.format(cluster), f"{len(labels):,}", name, loss, texts.STATE_NEW if new else texts.STATE_SAME)

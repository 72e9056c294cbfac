"""Takes each request on a model from the ledger to its receipt, one at a time; every step may be repeated after a crash.

The recorder works on an eraser and a ledger. A caller that stores samples and states elsewhere passes `erase`: it is called once the new
model is in place, and must delete every copy of the request's samples before the receipt is given.

Which samples must remain is derived from the ids before the request and the requested ids, and recorded with the request before any work.
A model that then retains any other set gets no receipt: see `_check_retained`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from pathlib import Path

from core.backbone.model import Backbone, load_backbone
from core.data.samples import Samples
from core.errors import CancelledError, InputError, StoreError
from core.lmeraser.eraser import LMEraser, checked_ids
from core.lmeraser.records import ForgetPlan, Outcome
from core.runtime.determinism import environment, hardware
from core.runtime.file_locks import utc_now
from core.runtime.progress import ProgressCallback
from core.workspace.ledger import Ledger, Pending
from core.workspace.merkle import merkle_root, roots_around
from core.workspace.receipts import Receipt, commit_to, commit_to_subjects, keys_digest

LEAST_SALT = 16
RETAINED = ("samples_before", "retained_before", "retained_after")


def retained(before: Iterable[str], ids: Iterable[str]) -> dict:
    """Return what a request starts from and must leave: the number of samples before, and the Merkle roots before and after."""
    before = frozenset(before)
    start, end = roots_around(before, ids)
    return {"samples_before": len(before), "retained_before": start, "retained_after": end}


class Recorder:
    """A model whose requests are recorded before any work. `begin` starts a new ledger; a `Workspace` passes its own."""

    def __init__(
        self,
        eraser: LMEraser,
        ledger: Ledger,
        erase: Callable[[Pending], None] | None = None,
        notes: Callable[[tuple[str, ...]], dict] | None = None,
    ):
        """`notes` returns what else to record with a request for these ids."""
        self.eraser, self.ledger, self._erase, self._notes, self._busy = eraser, ledger, erase, notes, threading.RLock()

    @classmethod
    def begin(cls, eraser: LMEraser, path: Path | str) -> Recorder:
        """Start a ledger in a new file, with the fitted model as it is now; raises StoreError."""
        recorder = cls(eraser, Ledger(path))
        recorder.note_created()
        return recorder

    def note_created(self, more: dict | None = None) -> None:
        """Record the model that the first request will start from, and what the caller adds."""
        self.ledger.note("created", {**self.facts(), "hardware": hardware(), **(more or {})})

    def forget(
        self,
        ids,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
        salt: bytes | None = None,
    ) -> Receipt:
        """Forget ids, or execute a plan unchanged, and return the receipt; the request is recorded before any work.

        `salt`: random bytes (16 or more) that the requester keeps, to prove later what the receipt's commitments hold; by default
        one is drawn and deleted with the commit. Raises what `LMEraser.forget` raises; CancelledError withdraws the request.
        After a StoreError the request stays recorded, the model is as before without the clusters concerned, and the request
        is completed before the next one or by `resume`; asking again for the same ids gives its receipt.
        """
        with self._busy:
            plan = ids if isinstance(ids, ForgetPlan) else None
            ids = plan.ids if plan else checked_ids(ids)
            left = self.ledger.pending()
            if left:
                receipt = self._carry_out(left, progress=progress, resumed=True)
                if set(left.ids) == set(ids):
                    return receipt
            self._check_request(ids, plan, salt)
            salt = salt or os.urandom(32)
            pending = self.ledger.accept(ids, salt, self._accepted(ids, salt))
            return self._carry_out(pending, plan, progress, cancel)

    def learn(self, samples: Samples, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> tuple[str, ...]:
        """Add samples of the same classes and image size, record that, and return the ids that they have in the model.

        If it cannot be recorded, the model is as before. Raises what `LMEraser.learn` raises; StoreError; InputError where samples are
        stored elsewhere, which this does not do.
        """
        with self._busy:
            if self._erase:
                raise InputError("A workspace's model does not learn more samples. Make a new workspace from all of them.")
            self.resume()
            before, root = self.eraser.model_, self.eraser.root_
            outcome = self.eraser.learn(samples, progress, cancel)
            try:
                self.ledger.note("learned", {**self.facts(outcome), "root_before": root, "count": len(samples)})
            except StoreError:
                self.eraser.adopt(before)
                raise
            return self.eraser.samples_.ids[-len(samples) :]

    def resume(self, progress: ProgressCallback | None = None) -> Receipt | None:
        """Complete the request that was under way when the process ended, if any; raises StoreError."""
        with self._busy:
            left = self.ledger.pending()
            return self._carry_out(left, progress=progress, resumed=True) if left else None

    def receipts(self) -> tuple[Receipt, ...]:
        """Return all receipts, oldest first; raises DataError for an altered one."""
        return tuple(Receipt.from_json(e.data["receipt"]) for e in self.ledger.events() if e.state == "committed")

    def recorded(self) -> dict:
        """Return what the ledger says of the model as it should be: root, samples, versions."""
        return self.ledger.model_event("created", "trained", "rebuilt", "learned").data

    def versions(self) -> dict[str, str]:
        """Return what decides a state's bytes here: device, instruction set, library versions."""
        backbone = self.eraser.backbone
        return environment((backbone if isinstance(backbone, Backbone) else load_backbone(backbone)).device)

    def facts(self, outcome: Outcome | None = None) -> dict:
        """Return the facts about the model that `created`, `trained` and `rebuilt` record."""
        outcome = outcome or self.eraser.outcome_
        return {
            "root": self.eraser.root_,
            "samples": len(self.eraser.samples_),
            "retained": merkle_root(self.eraser.samples_.ids),
            "sample_passes": outcome.sample_passes,
            "seconds": {**asdict(outcome.seconds), "total": outcome.seconds.total},
            "versions": self.versions(),
        }

    @property
    def workers(self) -> int:
        return self.eraser.executor.workers if self.eraser.executor else 1

    def close(self) -> None:
        """Close the ledger. The model can still answer, but no longer forget."""
        self.ledger.close()

    def _check_request(self, ids: tuple[str, ...], plan: ForgetPlan | None, salt: bytes | None) -> None:
        """Refuse a request that can never be completed, before it is recorded."""
        if plan:
            plan.check(self.eraser.root_, self.eraser.samples_.ids)
        self.eraser.samples_.rows(ids)
        if salt is not None and len(salt) < LEAST_SALT:
            raise InputError(f"The salt has {len(salt)} bytes; give at least {LEAST_SALT} random ones, or none.")

    def _accepted(self, ids: tuple[str, ...], salt: bytes) -> dict:
        """Return what is recorded with a request before any work; raises StoreError when the samples are not those recorded last."""
        facts, stated = retained(self.eraser.samples_.ids, ids), self.recorded().get("retained")
        if stated not in (None, facts["retained_before"]):
            raise StoreError(
                f"The model holds samples with Merkle root {facts['retained_before'][:12]}, but {stated[:12]} was recorded last. "
                "Reopen the workspace; nothing was changed."
            )
        subjects = commit_to_subjects(salt, self.eraser.samples_.subjects_within(ids))
        return {**facts, "subjects": subjects, **(self._notes(ids) if self._notes else {})}

    def _carry_out(
        self,
        pending: Pending,
        plan: ForgetPlan | None = None,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
        resumed: bool = False,
    ) -> Receipt:
        """Take a request from where it stands to its receipt."""
        expected = self._expected(pending)
        try:
            if pending.state == "accepted":
                plan = plan or self.eraser.plan(pending.ids)
                _check_plan(plan, pending)
                self.eraser.block(plan)
                pending = self.ledger.advance(pending.request, "planned", self._planned(plan))
            if pending.state == "planned":
                facts = self.facts(self._train(pending, plan, progress, cancel))
                _check_retained(facts["retained"], expected, pending)
                pending = self.ledger.advance(pending.request, "trained", facts)
            elif resumed:
                _check_retained(merkle_root(self.eraser.samples_.ids), expected, pending)
            if self._erase:
                self._erase(pending)
            receipt = self._receipt(pending, expected, resumed)
            self.ledger.finish(pending.request, "committed", {"receipt": receipt.to_json()})
            return receipt
        except CancelledError:
            self.ledger.finish(pending.request, "withdrawn", {})
            self.eraser.unblock()
            raise
        except StoreError as error:
            raise StoreError(
                f"{error} Request {pending.request} stays recorded; it is completed before the next one, or at the next opening."
            ) from error

    def _planned(self, plan: ForgetPlan) -> dict:
        return {
            "root_before": plan.root,
            "affected": sorted(self.eraser.keys_[c] for c in plan.touched),
            "retrain": sorted(plan.retrain),
            "untouched": len(plan.untouched),
            "untouched_digest": keys_digest(plan.untouched),
        }

    def _expected(self, pending: Pending) -> dict:
        """Return which samples a request starts from and must leave, as recorded with it, or by a repair since.

        A request that an earlier version accepted did not record this; it is then derived now, before the rest of the work.
        """
        rebuilt = self.ledger.last("rebuilt")
        repaired = rebuilt.data.get("pending", {}) if rebuilt else {}
        if repaired.get("request") == pending.request:
            return {name: repaired[name] for name in RETAINED}
        accepted = pending.facts["accepted"]
        if all(name in accepted for name in RETAINED):
            return {name: accepted[name] for name in RETAINED}
        return retained({*self.eraser.samples_.ids, *pending.ids}, pending.ids)

    def _train(
        self, pending: Pending, plan: ForgetPlan | None, progress: ProgressCallback | None, cancel: threading.Event | None
    ) -> Outcome:
        """Bring the model to what remains: by the plan, or, after a crash, by fitting on it."""
        if plan is not None:
            return self.eraser.forget(plan, progress, cancel)
        samples, forgotten = self.eraser.samples_, set(pending.ids)
        outcome = self.eraser.fit(samples.take([i not in forgotten for i in samples.ids]), progress=progress).outcome_
        states = [self.eraser.states_[key] for key in self._retrained(pending)]  # trained before the crash or after it
        seconds = replace(outcome.seconds, train=sum(s.seconds for s in states))
        return replace(outcome, sample_passes=sum(s.sample_passes for s in states), seconds=seconds)

    def _retrained(self, pending: Pending) -> set[str]:
        """Return the clusters that a request retrained: those planned, or all when libraries changed between crash and restart."""
        planned = pending.facts["planned"]
        retrained = set(planned["retrain"])
        untouched = set(self.eraser.keys_) - retrained
        return retrained if keys_digest(untouched) == planned["untouched_digest"] else set(self.eraser.keys_)

    def _repaired(self) -> bool:
        """Return whether the model was repaired since the last receipt."""
        rebuilt, earlier = self.ledger.last("rebuilt"), self.ledger.last("committed")
        return bool(rebuilt and "reason" in rebuilt.data and (earlier is None or earlier.seq < rebuilt.seq))

    def _learned(self) -> int:
        """Return how many samples the model has learned since the last receipt."""
        events = self.ledger.events()
        since = max((e.seq for e in events if e.state == "committed"), default=0)
        return sum(e.data["count"] for e in events if e.state == "learned" and e.seq > since)

    def _receipt(self, pending: Pending, expected: dict, resumed: bool) -> Receipt:
        planned, trained = pending.facts["planned"], pending.facts["trained"]
        retrained = self._retrained(pending)
        untouched = set(self.eraser.keys_) - retrained
        earlier = self.ledger.last("committed")
        return Receipt(
            request=pending.request,
            accepted=pending.accepted,
            committed=utc_now(),
            commitments=commit_to(pending.salt, pending.ids),
            root_before=planned["root_before"],
            root_after=self.eraser.root_,
            affected=tuple(planned["affected"]),
            retrained=tuple(sorted(retrained)),
            untouched=len(untouched),
            untouched_digest=keys_digest(untouched),
            samples=len(self.eraser.samples_),
            sample_passes=trained["sample_passes"],
            seconds=trained["seconds"],
            resumed=resumed,
            versions=self.versions(),
            hardware=hardware(),
            backbone=self.eraser.backbone_.fingerprint,
            repaired=self._repaired(),
            learned=self._learned(),
            subjects=tuple(pending.facts["accepted"].get("subjects", ())),
            **expected,
        ).after(Receipt.from_json(earlier.data["receipt"]) if earlier else None)


def _check_plan(plan: ForgetPlan, pending: Pending) -> None:
    """Raise StoreError unless a plan removes exactly the ids of the request as it was recorded; the model is then as before."""
    removed = set(plan.among) - {plan.among[row] for row in plan.retained.tolist()}
    if removed != set(pending.ids):
        raise StoreError(
            f"The plan for request {pending.request} removes {len(removed)} samples, and they are not the {len(pending.ids)} that were "
            "requested. No sample was deleted. Open the workspace again."
        )


def _check_retained(retained: str, expected: dict, pending: Pending) -> None:
    """Raise StoreError unless a model retains exactly the samples that were to remain when the request was recorded.

    No receipt is given and no sample deleted from disk, and the request stays recorded. When a workspace is opened again, its files are
    cut by the requested ids alone and the model is fitted on the rest.
    """
    if retained != expected["retained_after"]:
        raise StoreError(
            f"After request {pending.request} the model keeps samples with Merkle root {retained[:12]}, but by the request "
            f"{expected['retained_after'][:12]} were to remain: other samples than the requested ones went. "
            "No sample was deleted from disk. Open the workspace again."
        )

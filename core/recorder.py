"""Carries requests on a model through a ledger to receipts, one at a time; every step may be repeated after a crash.

Knows an eraser and its ledger. Where samples and states are kept beside the model is the caller's affair: `erase` is called once
the new model is in place, and deletes every copy of the request's samples before the receipt is given.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from core.backbone import Backbone, load_backbone
from core.environment import environment, hardware
from core.eraser import LMEraser, checked_ids
from core.errors import CancelledError, InputError, StoreError
from core.ledger import Ledger, Pending, utc_now
from core.receipts import Receipt, commit_to, keys_digest
from core.types import ForgetPlan, Outcome, ProgressCallback

LEAST_SALT = 16


class Recorder:
    """A model whose requests are recorded before any work. `begin` starts a new ledger; `core.workspace` brings one on disk."""

    def __init__(self, eraser: LMEraser, ledger: Ledger, erase: Callable[[Pending], None] | None = None):
        self.eraser, self.ledger, self._erase, self._busy = eraser, ledger, erase, threading.RLock()

    @classmethod
    def begin(cls, eraser: LMEraser, path: Path | str) -> Recorder:
        """Start a ledger in a new file, with the fitted model as it is now; raises StoreError."""
        recorder = cls(eraser, Ledger(path))
        recorder.note_created()
        return recorder

    def note_created(self) -> None:
        """Record the model that the first request will start from."""
        self.ledger.note("created", {**self.facts(), "hardware": hardware()})

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
            return self._carry_out(self.ledger.accept(ids, salt or os.urandom(32)), plan, progress, cancel)

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
        event = self.ledger.last("created", "trained", "rebuilt")
        if event is None:
            raise StoreError(f"{self.ledger.path} does not say that a workspace was made here. Restore it from a copy.")
        return event.data

    def versions(self) -> dict[str, str]:
        """Return what decides a state's bytes here: device, instruction set, library versions."""
        backbone = self.eraser.backbone
        return environment((backbone if isinstance(backbone, Backbone) else load_backbone(backbone)).device)

    def facts(self, outcome: Outcome | None = None) -> dict:
        """Return what `created`, `trained` and `rebuilt` record of the model."""
        outcome = outcome or self.eraser.outcome_
        return {
            "root": self.eraser.root_,
            "samples": len(self.eraser.samples_),
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
        """Refuse what can never be carried out, before it is recorded."""
        if plan:
            plan.check(self.eraser.root_, self.eraser.samples_.ids)
        self.eraser.samples_.rows(ids)
        if salt is not None and len(salt) < LEAST_SALT:
            raise InputError(f"The salt has {len(salt)} bytes; give at least {LEAST_SALT} random ones, or none.")

    def _carry_out(
        self,
        pending: Pending,
        plan: ForgetPlan | None = None,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
        resumed: bool = False,
    ) -> Receipt:
        """Take a request from where it stands to its receipt."""
        try:
            if pending.state == "accepted":
                plan = plan or self.eraser.plan(pending.ids)
                self.eraser.block(plan)
                pending = self.ledger.advance(pending.request, "planned", self._planned(plan))
            if pending.state == "planned":
                outcome = self._train(pending, plan, progress, cancel)
                pending = self.ledger.advance(pending.request, "trained", self.facts(outcome))
            if self._erase:
                self._erase(pending)
            receipt = self._receipt(pending, resumed)
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

    def _train(self, pending: Pending, plan: ForgetPlan | None, progress, cancel) -> Outcome:
        """Bring the model to what remains: by the plan, or, after a crash, by fitting on it."""
        if plan is not None:
            return self.eraser.forget(plan, progress, cancel)
        samples, gone = self.eraser.samples_, set(pending.ids)
        return self.eraser.fit(samples.take([i not in gone for i in samples.ids]), progress=progress).outcome_

    def _receipt(self, pending: Pending, resumed: bool) -> Receipt:
        planned, trained = pending.facts["planned"], pending.facts["trained"]
        retrained = set(planned["retrain"])
        untouched = set(self.eraser.keys_) - retrained
        if keys_digest(untouched) != planned["untouched_digest"]:  # libraries changed between crash and restart: all was trained again
            retrained, untouched = set(self.eraser.keys_), set()
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
        ).after(earlier and Receipt.from_json(earlier.data["receipt"]))

"""A small engine with the real one's surface and none of its work, and a check that it behaves."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field, replace

import numpy as np

from core import reach
from core.audit import AttackResult
from core.bench_unlearn import MethodProgress
from core.errors import CancelledError
from core.ledger import Ledger
from core.receipts import Receipt, check_chain, commit_to, keys_digest
from core.types import ClusterState, ForgetPlan, Outcome, Partition, Progress, Samples, Seconds

CLUSTERS = 6


@dataclass(frozen=True)
class FakeScore:
    accuracy: float
    n: int


@dataclass(frozen=True)
class FakeReport:
    test: FakeScore
    retained: FakeScore
    forgotten: FakeScore | None
    per_class: dict
    seconds: float = 0.0


def fake_samples(n: int = 60) -> Samples:
    """Return n images of 3 classes; the last is a copy of the first."""
    images = np.random.default_rng(0).integers(0, 255, (n, 8, 8), np.uint8)
    labels = np.arange(n) % 3
    images[-1], labels[-1] = images[0], labels[0]
    return Samples.build(images, labels, ("a", "b", "c"))


@dataclass(eq=False)
class FakeEraser:
    """Clusters by row number; a state per cluster; a root over what remains."""

    samples_: Samples
    pause: float = 0.0
    outcome_: Outcome | None = None
    home: dict = field(default_factory=dict)

    def __post_init__(self):
        self.home = self.home or {i: row % CLUSTERS for row, i in enumerate(self.samples_.ids)}
        self.outcome_ = self.outcome_ or self._outcome("fit", None, self.keys_)

    @property
    def partition_(self) -> Partition:
        names = sorted({self.home[i] for i in self.samples_.ids})
        assignment = np.array([names.index(self.home[i]) for i in self.samples_.ids], np.int64)
        return Partition(np.zeros((len(names), 2), np.float32), np.arange(len(names)), assignment, np.arange(0))

    @property
    def keys_(self) -> tuple[str, ...]:
        partition = self.partition_
        ids = [[self.samples_.ids[r] for r in partition.members(c)] for c in range(partition.clusters)]
        return tuple(hashlib.sha256("".join(i).encode()).hexdigest() for i in ids)

    @property
    def states_(self) -> dict[str, ClusterState]:
        return {key: ClusterState({"head": np.frombuffer(bytes.fromhex(key), np.uint8)}, (2.0, 1.0), 0.1, 10) for key in self.keys_}

    @property
    def root_(self) -> str:
        return hashlib.sha256("".join(sorted(self.keys_)).encode()).hexdigest()

    def _outcome(self, kind: str, before: str | None, trained) -> Outcome:
        return Outcome(
            kind, before, self.root_, tuple(trained), (), (), Seconds(train=0.1 * len(trained)), 10 * len(trained), len(self.samples_)
        )

    def fork(self) -> FakeEraser:
        return FakeEraser(self.samples_, self.pause, self.outcome_, self.home)

    def plan(self, ids) -> ForgetPlan:
        survivors = self.samples_.without(ids)
        after = FakeEraser(survivors, 0, None, self.home)
        retrain = tuple(k for k in after.keys_ if k not in self.keys_)
        rows = self.samples_.rows(ids)
        kept = np.delete(np.arange(len(self.samples_)), rows)
        return ForgetPlan(
            ids=tuple(ids), root=self.root_, among=self.samples_.ids, kept=kept, partition=after.partition_, keys=after.keys_,
            touched=tuple(sorted({int(c) for c in self.partition_.assignment[rows]})), clusters_before=self.partition_.clusters,
            retrain=retrain, untouched=tuple(k for k in after.keys_ if k in self.keys_), samples_to_retrain=9 * len(retrain),
            copies_left=self.samples_.copies_of(ids), predicted_seconds=0.1 * len(retrain), predicted_full_seconds=0.6, seconds=0.0,
            predicted_range=(0.05 * len(retrain), 0.2 * len(retrain)), measured_clusters=CLUSTERS,
        )  # fmt: skip

    def similar(self, ids, count: int = 10) -> tuple[str, ...]:
        return tuple(i for i in self.samples_.ids if i not in set(ids))[:count]

    def forget(self, plan: ForgetPlan, progress=None, cancel: threading.Event | None = None) -> Outcome:
        self._work(plan.retrain, progress, cancel)
        before, self.samples_ = self.root_, self.samples_.take(plan.kept)
        self.outcome_ = self._outcome("forget", before, plan.retrain)
        return self.outcome_

    def expected_seconds(self, sizes) -> float:
        return 0.1 * len(sizes)

    def full_retraining(self, progress=None, cancel: threading.Event | None = None):
        self._work(self.keys_, progress, cancel)
        control = replace(self, outcome_=None)
        return control, control.outcome_

    def _work(self, keys, progress, cancel) -> None:
        for done, key in enumerate(keys, 1):
            if cancel and cancel.wait(self.pause):
                raise CancelledError("Cancelled; the model is as it was before.")
            if progress:
                progress(Progress("train", done, len(keys), (key,)))


ATTACKS = ("likelihood ratio", "loss threshold")


def attack_result(attack: str, model: str) -> dict:
    verdict = None if model == "control" else "too few samples to conclude"
    found = AttackResult(attack, model, 2, 20, 0.75, (0.5, 1.0), 0.2, 0.5, (0.0, 1.0), 0.0, (-0.1, 0.1), verdict)
    return found.to_json()


@dataclass
class FakeBench:
    """Answers after a pause each; the slower, the later."""

    eraser: FakeEraser
    pause: float = 0.0

    def answers(self, names, ids, seed=0, progress=None, cancel=None):
        rows = []
        for place, name in enumerate(names, 1):
            progress(MethodProgress(name, "fit", 1, 2))
            if cancel.wait(self.pause):
                raise CancelledError("Cancelled; the model is as it was before.")
            attack = attack_result("loss threshold", name)
            rows.append({
                "method": name, "exact": name != "gradient ascent", "seconds": {"total": 0.5 * place}, "sample_passes": 100 * place,
                "accuracy": {"test": 0.9, "retained": 0.95, "forgotten": None}, "attack": attack, "times_lmeraser": float(place),
            })  # fmt: skip
            yield list(rows)


@dataclass
class FakeEngine:
    """Fits by waiting."""

    samples: Samples
    pause: float = 0.0
    name: str = "fake · fast"
    pair: tuple[str, str] = ("fake", "fast")
    benches: list = field(default_factory=list)  # roots that methods were made for

    def layout(self, folder, compute):
        return np.zeros((len(self.samples), 2), np.float32)

    def fitted(self, progress):
        for done in range(CLUSTERS + 1):
            progress(Progress("train", done, CLUSTERS))
            time.sleep(self.pause)
        return FakeEraser(self.samples, self.pause)

    def prepare(self, eraser):
        pass

    def evaluate(self, eraser, forgotten):
        score = FakeScore(0.9, 30)
        per_class = dict.fromkeys(eraser.samples_.classes, score)
        return FakeReport(score, FakeScore(0.95, len(eraser.samples_)), FakeScore(0.5, len(forgotten)) if forgotten else None, per_class)

    def correct(self, eraser):
        return np.arange(len(eraser.samples_)) % 7 > 0

    def before(self, report, correct, gone):
        return replace(report, forgotten=FakeScore(float(correct[gone].mean()), int(gone.sum())))

    def reach(self, eraser, plan):
        return reach.reaches(eraser, plan)

    def proba(self, eraser, samples):
        known = np.isin(samples.ids, eraser.samples_.ids)[:, None]
        return np.where(known, [[0.8, 0.1, 0.1]], [[0.4, 0.3, 0.3]])

    def prompts(self, eraser, keys):
        return {key: eraser.states_[key].tensors["head"].reshape(4, 8) / 255 for key in keys}

    def origins(self, eraser, plan):
        found = reach.origins(eraser.partition_, plan)
        return {key: eraser.keys_[c] for key, c in found.items()}

    def bench(self, eraser):
        self.benches.append(eraser.root_)
        return FakeBench(eraser, self.pause)

    def audit(self, eraser, ids, progress, cancel):
        progress(Progress("shadows", 1, 1))
        after = eraser.fork()
        after.forget(after.plan(ids), cancel=cancel)
        scores = {a: {m: {"members": [0.0, 1.0], "others": [-1.0, 0.5]} for m in ("before", "after", "control")} for a in ATTACKS}
        results = [attack_result(a, m) for a in ATTACKS for m in ("before", "after", "control")]
        root = {"before": eraser.root_, "after": after.root_, "control": after.root_}
        return {"root": root, "sensitive": dict.fromkeys(ATTACKS, False), "results": results, "scores": scores}

    def residue(self, eraser, known, folders):
        gone = len(known) - len(eraser.samples_)
        searched = [{"place": "model", "items": 3, "bytes": 1000}]
        report = {"clean": True, "samples": gone, "sought": {"id": 6 * gone}, "searched": searched, "found": [], "unread": []}
        return report | {"spared": 0, "plain": {}, "seconds": 0.1}

    def facts(self):
        return {"processor": "fake"}

    def records(self, eraser, folder):
        return FakeRecords(eraser, Ledger(folder / "ledger.sqlite"))

    def first_fit(self):
        return None

    def close(self):
        pass


class FakeRecords:
    """A real ledger's file and real receipts for a fake model."""

    def __init__(self, eraser, ledger):
        self.eraser, self.ledger, self.given = eraser, ledger, []

    def forget(self, plan, progress=None, cancel=None):
        self.eraser.forget(plan, progress=progress, cancel=cancel)
        receipt = fake_receipt(len(self.given) + 1, plan, self.eraser.outcome_)
        self.given.append(receipt.after(self.given[-1] if self.given else None))
        return self.given[-1]

    def receipts(self):
        return tuple(self.given)

    def withdrawn(self):
        return 0

    def verify(self):
        problems = list(check_chain(self.given))
        counts = {"receipts": len(self.given), "rows": 4, "states": CLUSTERS, "samples": len(self.eraser.samples_)}
        return {"equal": not problems, "problems": problems, "root": self.eraser.root_, **counts}

    def replay(self, request, progress=None, cancel=None):
        control, _ = self.eraser.full_retraining(progress, cancel)
        problems = [] if control.root_ == self.eraser.root_ else ["other root"]
        return {"request": request, "ran": True, "clean_room": control.root_, "seconds": {"train": 0.6}, "problems": problems}

    def close(self):
        self.ledger.close()


def fake_receipt(number, plan, outcome):
    when = "2026-01-01T00:00:00.000+00:00"
    return Receipt(
        request=number, accepted=when, committed=when, commitments=commit_to(b"x" * 16, plan.ids), root_before=plan.root,
        root_after=outcome.root_after, affected=(), retrained=plan.retrain, untouched=len(plan.untouched),
        untouched_digest=keys_digest(plan.untouched), samples=outcome.samples, sample_passes=outcome.sample_passes,
        seconds={"train": outcome.seconds.train, "total": outcome.seconds.total}, resumed=False, versions={"torch": "0"},
        hardware={"processor": "fake"}, backbone="0" * 64,
    )  # fmt: skip


def test_the_fake_forgets_like_the_real_engine():
    eraser = FakeEraser(fake_samples())
    before, plan = eraser.root_, eraser.plan(eraser.samples_.ids[:1])
    assert len(plan.retrain) == 1
    assert len(plan.copies_left) == 1
    outcome = eraser.forget(plan)
    control, _ = eraser.full_retraining()
    assert before != outcome.root_after == control.root_

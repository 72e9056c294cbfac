"""A small engine with the real one's surface and none of its work, for tests of the page."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from core.benchmarks import request_reach as reach
from core.benchmarks.compare_methods import MethodProgress
from core.benchmarks.equivalence import AttackResult
from core.benchmarks.metrics import EvaluationReport, Score
from core.data.samples import Samples
from core.errors import CancelledError
from core.lmeraser.records import ForgetPlan, Outcome, Partition, Seconds
from core.runtime.progress import Progress
from core.workspace.ledger import Event, Ledger
from core.workspace.merkle import merkle_root, without
from core.workspace.receipts import Receipt, check_chain, commit_to, keys_digest
from demo.selection.numbering import of_samples
from demo.session.protocol import ClusterFacts

CLUSTERS = 6


def fake_samples(n: int = 60) -> Samples:
    """Return n images of 3 classes; the last is a copy of the first."""
    images = np.random.default_rng(0).integers(0, 255, (n, 8, 8), np.uint8)
    labels = np.arange(n) % 3
    images[-1], labels[-1] = images[0], labels[0]
    return Samples.build(images, labels, ("a", "b", "c"))


@dataclass(eq=False)
class FakeModel:
    """Clusters by row number; a state per cluster; a root over what remains; real receipts in a list, a real ledger's file."""

    samples: Samples
    engine: FakeEngine
    pause: float = 0.0
    outcome: Outcome | None = None
    home: dict = field(default_factory=dict)
    ledger: Ledger | None = None
    given: list = field(default_factory=list)
    rows: list = field(default_factory=list)  # of the ledger, about what was learned
    pace: float = 1.0

    def __post_init__(self):
        self.home = self.home or {i: row % CLUSTERS for row, i in enumerate(self.samples.ids)}
        self.outcome = self.outcome or self._outcome("fit", None, self.keys())

    @property
    def root(self) -> str:
        return hashlib.sha256("".join(sorted(self.keys())).encode()).hexdigest()

    @property
    def assignment(self) -> np.ndarray:
        names = sorted({self.home[i] for i in self.samples.ids})
        return np.array([names.index(self.home[i]) for i in self.samples.ids], np.int64)

    @property
    def clusters(self) -> int:
        return len({self.home[i] for i in self.samples.ids})

    @property
    def sample_passes(self) -> int:
        return 10 * self.clusters

    @property
    def partition(self) -> Partition:
        return Partition(np.zeros((self.clusters, 2), np.float32), np.arange(self.clusters), self.assignment, np.arange(0))

    @property
    def _as_eraser(self) -> SimpleNamespace:
        expected = lambda sizes: 0.1 * len(sizes)  # noqa: E731
        return SimpleNamespace(keys_=self.keys(), samples_=self.samples, partition_=self.partition, expected_seconds=expected)

    def keys(self) -> tuple[str, ...]:
        assignment, ids = self.assignment, np.array(self.samples.ids)
        return tuple(hashlib.sha256("".join(ids[assignment == c]).encode()).hexdigest() for c in range(self.clusters))

    def cluster(self, number: int) -> ClusterFacts:
        return ClusterFacts(self.keys()[number], self.samples.labels[self.assignment == number], (2.0, 1.0))

    def export(self, path, requests: int) -> None:
        path.write_bytes(f"{self.root} {requests}".encode())

    def digests(self, keys) -> dict[str, str]:
        return {key: key for key in keys}

    def _outcome(self, kind: str, before: str | None, trained) -> Outcome:
        seconds = Seconds(train=0.1 * len(trained))
        return Outcome(kind, before, self.root, tuple(trained), (), (), seconds, 10 * len(trained), len(self.samples))

    def fork(self) -> FakeModel:
        return FakeModel(self.samples, self.engine, self.pause, self.outcome, self.home)

    def without(self, ids, learned=(), progress=None, cancel=None) -> FakeModel:
        copy = self.fork()
        if ids:
            copy._forget(copy.plan(ids), progress, cancel)
        for samples in learned:
            copy._learn(samples, progress, cancel)
        return copy

    def prepare(self) -> None:
        pass

    def plan(self, ids) -> ForgetPlan:
        after = FakeModel(self.samples.without(ids), self.engine, 0, None, self.home)
        keys, keys_after = self.keys(), after.keys()
        retrain = tuple(k for k in keys_after if k not in keys)
        rows = self.samples.rows(ids)
        return ForgetPlan(
            ids=tuple(ids), root=self.root, among=self.samples.ids, retained=np.delete(np.arange(len(self.samples)), rows),
            partition=after.partition, keys=keys_after, touched=tuple(sorted({int(c) for c in self.assignment[rows]})),
            clusters_before=self.clusters, retrain=retrain, untouched=tuple(k for k in keys_after if k in keys),
            samples_to_retrain=9 * len(retrain), copies_left=self.samples.copies_of(ids), predicted_seconds=0.1 * len(retrain),
            predicted_full_seconds=0.6, seconds=0.0, predicted_range=(0.05 * len(retrain), 0.2 * len(retrain)), measured_clusters=CLUSTERS,
        )  # fmt: skip

    def similar(self, ids, count: int = 10) -> tuple[str, ...]:
        return tuple(i for i in self.samples.ids if i not in set(ids))[:count]

    def evaluate(self, forgotten):
        score = Score(0.9, 30)
        per_class = dict.fromkeys(self.samples.classes, score)
        return EvaluationReport(score, Score(0.95, len(self.samples)), Score(0.5, len(forgotten)) if forgotten else None, per_class, 0.0)

    def correct(self):
        return np.arange(len(self.samples)) % 7 > 0

    def memorized(self):
        return np.arange(len(self.samples)) % 5 / 5

    def probabilities(self, samples):
        known = np.isin(samples.ids, self.samples.ids)[:, None]
        return np.where(known, [[0.8, 0.1, 0.1]], [[0.4, 0.3, 0.3]])

    def reach(self, plan):
        return reach.reaches(self._as_eraser, plan)

    def prompts(self, keys):
        return {key: np.frombuffer(bytes.fromhex(key), np.uint8).reshape(4, 8) / 255 for key in keys}

    def origins(self, plan):
        keys = self.keys()
        return {key: None if c is None else keys[c] for key, c in reach.origins(self.partition, plan).items()}

    def bench(self):
        self.engine.benches.append(self.root)
        return FakeBench(self, self.engine.pause)

    def audit(self, ids, progress, cancel):
        progress(Progress("shadows", 1, 1))
        after = self.without(ids, cancel=cancel)
        scores = {a: {m: {"members": [0.0, 1.0], "others": [-1.0, 0.5]} for m in ("before", "after", "control")} for a in ATTACKS}
        results = [attack_result(a, m) for a in ATTACKS for m in ("before", "after", "control")]
        root = {"before": self.root, "after": after.root, "control": after.root}
        planted = {"head not subtracted": dict.fromkeys(ATTACKS, "distinguishable"), "one touched cluster stale": dict.fromkeys(ATTACKS)}
        facts = {"verdict": "too few samples to conclude", "margin": {"auc": 0.02}, "controls": 4, "planted": planted}
        return {"root": root, "sensitive": dict.fromkeys(ATTACKS, False), "results": results, "scores": scores, **facts}

    def residue(self, known, folders):
        n = len(known) - len(self.samples)
        searched = [{"place": "model", "items": 3, "bytes": 1000}]
        report = {"clean": True, "samples": n, "sought": {"id": 6 * n}, "searched": searched, "found": [], "unread": []}
        return report | {"spared": 0, "plain": {}, "seconds": 0.1}

    def prove(self, before, ids, progress, cancel):
        self.engine.proved.append((before.ids, tuple(ids)))
        control = FakeModel(before.without(ids), self.engine, self.pause, None, self.home)
        control._work(control.keys(), progress, cancel)
        broken = self.engine.broken
        problems = [broken] if broken else [] if control.root == self.root else ["the roots differ"]
        return FakeProof(not problems, tuple(problems), control.root, control.outcome.seconds)

    def open_ledger(self, folder) -> None:
        self.ledger = self.ledger or Ledger(folder / "ledger.sqlite")

    def forget(self, plan: ForgetPlan, progress=None, cancel: threading.Event | None = None) -> Receipt:
        self._forget(plan, progress, cancel)
        receipt = fake_receipt(len(self.given) + 1, plan, self.outcome)
        self.given.append(receipt.after(self.given[-1] if self.given else None))
        return self.given[-1]

    def _forget(self, plan: ForgetPlan, progress, cancel) -> None:
        self._work(plan.retrain, progress, cancel)
        before, self.samples = self.root, self.samples.take(plan.retained)
        self.outcome = self._outcome("forget", before, plan.retrain)

    def learn(self, samples, progress=None, cancel=None):
        root = self.root
        names = self._learn(samples, progress, cancel)
        self.rows.append(Event(len(self.rows) + 1, 0, "learned", "2026-01-01T00:00:00.000+00:00",
                               {"root": self.root, "root_before": root, "count": len(samples)}, "", ""))  # fmt: skip
        return names

    def _learn(self, samples, progress, cancel):
        union = self.samples.extended(samples)
        names = union.ids[len(self.samples) :]
        home = {**self.home, **{i: int(digest[:8], 16) % CLUSTERS for i, digest in zip(names, names, strict=True)}}
        after = FakeModel(union, self.engine, 0, None, home)
        trained = tuple(k for k in after.keys() if k not in self.keys())  # noqa: SIM118
        self._work(trained, progress, cancel)
        before, self.samples, self.home = self.root, union, home
        self.outcome = self._outcome("learn", before, trained)
        return names

    def learned(self):
        return tuple(self.rows)

    def receipts(self):
        return tuple(self.given)

    def withdrawn(self):
        return 0

    def verify(self):
        problems = list(check_chain(self.given))
        counts = {"receipts": len(self.given), "rows": 4, "states": CLUSTERS, "samples": len(self.samples)}
        return {"equal": not problems, "problems": problems, "root": self.root, **counts}

    def replay(self, request, progress, cancel):
        control = FakeModel(self.samples, self.engine, self.pause, None, self.home)
        control._work(control.keys(), progress, cancel)
        problems = [] if control.root == self.root else ["other root"]
        return {"request": request, "ran": True, "clean_room": control.root, "seconds": {"train": 0.6}, "problems": problems}

    def close(self):
        if self.ledger:
            self.ledger.close()

    def _work(self, keys, progress, cancel) -> None:
        for done, key in enumerate(keys, 1):
            if cancel and cancel.wait(self.pause):
                raise CancelledError("Cancelled; the model is as it was before.")
            if progress:
                progress(Progress("train", done, len(keys), (key,)))


ATTACKS = ("likelihood ratio", "loss threshold", "mislabeled canaries")


def attack_result(attack: str, model: str) -> dict:
    verdict = None if model == "control" else "too few samples to conclude"
    found = AttackResult(attack, model, 2, 20, 0.75, (0.5, 1.0), 0.2, 0.5, (0.0, 1.0), 0.0, (-0.1, 0.1), 0.0, (-0.1, 0.1), verdict)
    return found.to_json()


@dataclass
class FakeBench:
    """Answers after a pause each; the slower, the later."""

    model: FakeModel
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


@dataclass(frozen=True)
class FakeProof:
    """What core.workspace.proof.Proof says, as far as the page reads it."""

    equal: bool
    problems: tuple
    clean_root: str
    seconds: Seconds


@dataclass(frozen=True)
class FakeCheck:
    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class FakeSelfTest:
    passed: bool = True
    checks: tuple = (FakeCheck("rows move", True), FakeCheck("another process", True))
    environment: dict = field(default_factory=lambda: {"device": "cpu", "kernel": "Fake"})
    seconds: float = 0.1


FAILED = FakeSelfTest(False, (FakeCheck("rows move", False, "3 of 60 rows differ"), FakeCheck("another process", True)))


@dataclass
class FakeEngine:
    """Fits by waiting."""

    samples: Samples
    pause: float = 0.0
    name: str = "fake · fast"
    pair: tuple[str, str] = ("fake", "fast")
    benches: list = field(default_factory=list)  # roots that methods were made for
    tested: FakeSelfTest = field(default_factory=FakeSelfTest)
    broken: str = ""  # a problem that every proof finds
    proved: list = field(default_factory=list)  # what proofs were asked about: numbers of images before, and ids

    def layout(self, folder, compute):
        return np.zeros((len(self.samples), 2), np.float32)

    def fitted(self, progress):
        for done in range(CLUSTERS + 1):
            progress(Progress("train", done, CLUSTERS))
            time.sleep(self.pause)
        return FakeModel(self.samples, self, self.pause)

    def selftest(self):
        return self.tested

    def numbering(self, samples):
        return of_samples(samples)

    def examples(self):
        return self.samples.images[:2] // 2

    def facts(self):
        return {"processor": "fake"}

    def first_fit(self):
        return None

    def close(self):
        pass


def fake_receipt(number, plan, outcome):
    when = "2026-01-01T00:00:00.000+00:00"
    return Receipt(
        request=number, accepted=when, committed=when, commitments=commit_to(b"x" * 16, plan.ids), root_before=plan.root,
        root_after=outcome.root_after, affected=(), retrained=plan.retrain, untouched=len(plan.untouched),
        untouched_digest=keys_digest(plan.untouched), samples=outcome.samples, sample_passes=outcome.sample_passes,
        seconds={"train": outcome.seconds.train, "total": outcome.seconds.total}, resumed=False, versions={"torch": "0"},
        hardware={"processor": "fake"}, backbone="0" * 64, samples_before=outcome.samples + len(plan.ids),
        retained_before=merkle_root(plan.among), retained_after=merkle_root(without(plan.among, plan.ids)), repaired=False,
        learned=0, subjects=(),
    )  # fmt: skip

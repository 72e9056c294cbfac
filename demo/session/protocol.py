"""What the page needs from a model, and from whatever makes one. You need it to put another engine, or a test's fake, behind the page.

`demo.session.engine` implements both protocols on `core`; `tests/demo/session/fake.py` implements them without PyTorch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from core.data.samples import Samples
from core.lmeraser.records import ForgetPlan, Outcome
from core.runtime.progress import ProgressCallback

if TYPE_CHECKING:
    from core.audit.selftest import SelfTest
    from core.benchmarks.compare_methods import Bench
    from core.benchmarks.metrics import EvaluationReport
    from core.benchmarks.request_reach import Reaches
    from core.workspace.ledger import Event
    from core.workspace.proof import Proof
    from core.workspace.receipts import Receipt


@dataclass(frozen=True, eq=False)
class ClusterFacts:
    """One cluster: its key, the labels (n,) of its members, and the training loss by step."""

    key: str
    labels: np.ndarray
    losses: Sequence[float]


class Model(Protocol):
    """One fitted model, and the ledger that its requests go through once there is one."""

    @property
    def root(self) -> str:
        """The hash over everything that decides an answer."""

    @property
    def samples(self) -> Samples:
        """The private samples that the model has learned."""

    def export(self, path: Path, requests: int) -> None:
        """Write the model without its images into a new .zip; raises StoreError."""

    @property
    def clusters(self) -> int:
        """How many clusters there are."""

    @property
    def assignment(self) -> np.ndarray:
        """The cluster (n,) of each sample."""

    @property
    def outcome(self) -> Outcome:
        """What the last fit or request did and took."""

    @property
    def sample_passes(self) -> int:
        """How many sample passes all states together took: those of full retraining."""

    @property
    def pace(self) -> float:
        """How long training takes now, as a multiple of what it took when the model's clusters were trained."""

    def cluster(self, number: int) -> ClusterFacts:
        """Return the facts of one cluster."""

    def keys(self) -> tuple[str, ...]:
        """Return the clusters' keys, in the clusters' order."""

    def digests(self, keys: Iterable[str]) -> dict[str, str]:
        """Return the digest of these clusters' states, by key."""

    def fork(self) -> Model:
        """Return an independent copy without a ledger."""

    def without(
        self,
        ids: Sequence[str],
        learned: Sequence[Samples] = (),
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> Model:
        """Return an independent copy that has forgotten these ids and learned these samples, recorded nowhere; raises CancelledError."""

    def prepare(self) -> None:
        """Compute what the next plans have in common, so that previews come at once."""

    def plan(self, ids: Sequence[str]) -> ForgetPlan:
        """Return what forgetting these ids would take."""

    def similar(self, ids: Sequence[str], count: int) -> tuple[str, ...]:
        """Return the ids of the samples most similar to these, and not among them."""

    def evaluate(self, forgotten: Samples | None) -> EvaluationReport:
        """Return the accuracy on test, retained and forgotten images."""

    def correct(self) -> np.ndarray | None:
        """Return (n,) bool: which of its own samples the model classifies correctly; None when that would take long."""

    def memorized(self) -> np.ndarray | None:
        """Return (n,) from 0 to 1: how far each own sample's probability of its label drops without it; None when that takes long."""

    def probabilities(self, samples: Samples) -> np.ndarray:
        """Return class probabilities (n, classes) of samples, in the model or not; stores nothing of those that are not."""

    def reach(self, plan: ForgetPlan) -> Reaches:
        """Return how far a plan reaches under the model's clusters, under random ones, and at worst."""

    def prompts(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """Return the prompts of these clusters, by key, as arrays that can be drawn."""

    def origins(self, plan: ForgetPlan) -> dict[str, str | None]:
        """Return, by key of each cluster that a plan retrains, the key of the cluster before that most of it comes from."""

    def bench(self) -> Bench:
        """Return the other methods, to be compared on this model as it was before a request."""

    def audit(self, ids: Sequence[str], progress: ProgressCallback, cancel: threading.Event) -> dict[str, Any]:
        """Return the record of the membership attacks on this model, which still holds the ids."""

    def residue(self, known: Samples, folders: Sequence[Path]) -> dict[str, Any]:
        """Return the record of a scan for anything left of the samples in `known` that the model has forgotten."""

    def prove(self, before: Samples, ids: Sequence[str], progress: ProgressCallback, cancel: threading.Event) -> Proof:
        """Return the proof that the model equals one that another process trains on `before` without `ids`."""

    def open_ledger(self, folder: Path) -> None:
        """Begin a ledger in an empty folder, unless the model has one; raises StoreError."""

    def forget(self, plan: ForgetPlan, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> Receipt:
        """Execute a plan, recorded step by step in the ledger, and return the receipt; raises CancelledError, StoreError."""

    def learn(self, samples: Samples, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> tuple[str, ...]:
        """Add samples, record that in the ledger, and return the ids that they have now; raises CancelledError, StoreError."""

    def learned(self) -> tuple[Event, ...]:
        """Return the ledger's rows about what was learned, oldest first; none without a ledger."""

    def receipts(self) -> tuple[Receipt, ...]:
        """Return all receipts, oldest first; none without a ledger."""

    def withdrawn(self) -> int:
        """Return how many requests were cancelled."""

    def verify(self) -> dict[str, Any]:
        """Return what a check of ledger, receipts and states finds (`core.workspace.verify.verify_model`)."""

    def replay(self, request: int, progress: ProgressCallback, cancel: threading.Event) -> dict[str, Any]:
        """Train the last request's result from scratch in another process and compare; return the report."""

    def close(self) -> None:
        """Close a ledger that belongs to this model alone."""


class Engine(Protocol):
    """Makes the base model of one data set and preset."""

    @property
    def name(self) -> str:
        """Data set and preset, for people."""

    @property
    def pair(self) -> tuple[str, str]:
        """Data set and preset, as in addresses."""

    def layout(self, folder: Path, compute: bool) -> np.ndarray | None:
        """Return the places (n, 2) float32 in 0..1 of all samples on the map; None if they must be computed and may not."""

    def fitted(self, progress: ProgressCallback) -> Model:
        """Return the fitted base model, trained now or found in the cache."""

    def selftest(self) -> SelfTest:
        """Return this machine's self-test, run now or stored by an earlier start."""

    def numbering(self, samples: Samples) -> str:
        """Return the fingerprint of what the rows of these samples mean; empty while that is not known yet."""

    def examples(self) -> np.ndarray:
        """Return images (n, h, w, 3) like the private ones that no model here learns; none where there are none to show."""

    def facts(self) -> dict[str, str]:
        """Return hardware and versions."""

    def first_fit(self) -> tuple[float, str, int] | None:
        """Return seconds, day and number of samples of a workspace's first fit, if this machine made it."""

    def close(self) -> None:
        """End worker processes and release the workspace, if there is one."""

"""A model's own ledger, as the page uses it: requests are carried out through it, checked and replayed. Imports PyTorch when called."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.types import ForgetPlan, ProgressCallback

if TYPE_CHECKING:
    from core.receipts import Receipt
    from core.recorder import Recorder
    from core.workspace import Workspace


class Records:
    """A ledger and the model it belongs to: a visitor's own, or, with `workspace`, the one on disk."""

    def __init__(self, recorder: Recorder, workspace: Workspace | None = None):
        self._recorder, self._workspace = recorder, workspace

    @classmethod
    def begin(cls, eraser: Any, folder: Path) -> Records:
        """Start a ledger in an empty folder with the fitted model as it is now; raises StoreError."""
        from core.recorder import Recorder

        return cls(Recorder.begin(eraser, folder / "ledger.sqlite"))

    def forget(self, plan: ForgetPlan, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> Receipt:
        """Execute a plan, recorded step by step, and return the receipt; raises what `Recorder.forget` raises."""
        return self._recorder.forget(plan, progress, cancel)

    def receipts(self) -> tuple[Receipt, ...]:
        """Return all receipts, oldest first."""
        return self._recorder.receipts()

    def withdrawn(self) -> int:
        """Return how many requests were cancelled."""
        return sum(e.state == "withdrawn" for e in self._recorder.ledger.events())

    def verify(self) -> dict[str, Any]:
        """Return what `core.verify.verify_model` finds."""
        from core.verify import verify_model

        return verify_model(self._recorder, self._workspace)

    def replay(self, request: int, progress: ProgressCallback | None = None, cancel: threading.Event | None = None) -> dict[str, Any]:
        """Train the last request's result from scratch in another process and compare; see `core.verify.replay_request`."""
        from core.verify import replay_request

        return replay_request(self._recorder, request, progress, cancel)

    def close(self) -> None:
        """Close a visitor's own ledger; a workspace is closed by whoever opened it."""
        if self._workspace is None:
            self._recorder.close()

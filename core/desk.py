"""What planning keeps at hand for one model, so that the next plan need not gather it again: unit features, and anchors' distances.

Made when first needed, or beforehand by `LMEraser.prepare_plans`; gone with the model that it belongs to, so that nothing of a
forgotten sample stays. A process keeps few of them, for they are as large as the features. Knows no clusters and no requests.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

KEPT = 2  # desks that hold something at any time: a page's base model, and the visitor's model that was planned on last
_held: list[weakref.ref[Desk]] = []
_lock = threading.Lock()


class Desk:
    """Arrays, or tuples of them, by name, each made once; cleared when `KEPT` other desks were used since."""

    def __init__(self):
        self._made: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what has that name, made now if it is not at hand."""
        found = self._made.get(name)
        if found is None:
            found = self._made[name] = make()
        _used(self)
        return found

    def clear(self) -> None:
        """Let go of everything."""
        self._made = {}


def _used(desk: Desk) -> None:
    with _lock:
        others = [other for other in (ref() for ref in _held) if other is not None and other is not desk]
        for old in others[: -(KEPT - 1)]:
            old.clear()
        _held[:] = [weakref.ref(d) for d in [*others[-(KEPT - 1) :], desk]]

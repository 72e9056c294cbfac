"""How often one visitor may ask: a sliding minute. Knows no visitors and no requests."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from core.errors import LMEraserError


class TooOftenError(LMEraserError):
    """One visitor asked more often than a shared machine allows."""


@dataclass(eq=False)
class Rate:
    """At most `most` calls in `window` seconds."""

    most: int
    window: float = 60.0
    _times: deque[float] = field(default_factory=deque)

    def count(self, now: float | None = None) -> None:
        """Note a call, or raise TooOftenError saying when the next may come."""
        now = time.monotonic() if now is None else now
        while self._times and now - self._times[0] >= self.window:
            self._times.popleft()
        if len(self._times) >= self.most:
            wait = self.window - (now - self._times[0])
            raise TooOftenError(
                f"{len(self._times)} requests within {self.window:.0f} s, the most for one visitor. Try again in {max(1, round(wait))} s."
            )
        self._times.append(now)

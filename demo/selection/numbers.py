"""Row numbers of the map as text that a person could have typed, such as 3, 17, 200-240, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.errors import InputError
from demo import texts


def parse_numbers(text: str, n: int) -> list[int]:
    """Return the sample numbers in text like `3, 17, 200-240`; raises InputError naming the part that is invalid."""
    rows: set[int] = set()
    for part in re.split(r"[,;\s]+", re.sub(r"\s*[-–]\s*", "-", (text or "").strip())):
        if not part:
            continue
        found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if not found:
            raise InputError(texts.BAD_NUMBERS.format(part[:40], n - 1))
        first, last = int(found[1]), int(found[2] or found[1])
        if first > last:
            raise InputError(texts.BAD_ORDER.format(part[:40]))
        if last >= n:
            raise InputError(texts.BAD_RANGE.format(part[:40], n - 1))
        rows.update(range(first, last + 1))
    return sorted(rows)


def ranges(rows: Sequence[int]) -> str:
    """Return rows as short text: 3,17,200-240."""
    parts: list[list[int]] = []
    for row in sorted(rows):
        if parts and row == parts[-1][1] + 1:
            parts[-1][1] = row
        else:
            parts.append([row, row])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)

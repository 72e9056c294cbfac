"""Numbers, durations and short phrases that many sentences share."""

from __future__ import annotations


def whole(least: int, most: int) -> str:
    """Return the words for a range of whole numbers."""
    return f"a whole number from {least:,} to {most:,}"


def one_of(names: tuple[str, ...]) -> str:
    """Return the words for a choice."""
    return f"one of {', '.join(names)}"


def count(n: int, one: str, many: str | None = None) -> str:
    """Return "1 image" or "1,234 images"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def seconds(value: float) -> str:
    """Return a duration as people say it: 0.62 s, 21 s, 3 min 20 s."""
    if value < 10:
        return "under 0.01 s" if 0 < value < 0.01 else f"{value:.2g} s" if value < 1 else f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def percent(value: float) -> str:
    """Return an accuracy with one decimal; value in 0..1."""
    return f"{100 * value:.1f} %"


def ratio(x: float) -> str:
    """Return "35x" or "1.4x"."""
    return f"{x:,.0f}x" if x >= 10 else f"{x:.1f}x"


def of(part: int, whole: int) -> str:
    """Return "3 of 67"."""
    return f"{part:,} of {whole:,}"


def more_problems(n: int) -> str:
    """Return the line that stands for what is not listed."""
    return f"and {n:,} more"


def share(value: float | None) -> str:
    """Return an accuracy that may be missing."""
    return "–" if value is None else percent(value)


def stepped(words: str, done: int, total: int) -> str:
    """Return words with how far they are."""
    return f"{words}: {done:,} of {total:,}" if total else words

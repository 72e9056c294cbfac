"""Images of one split as they were found: still encoded, with names for messages, labels and subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from core.data.images import InputLimits, shown, within
from core.errors import DataError

Label: TypeAlias = int | str  # an index into `classes`, or a raw value where there are none


@dataclass(frozen=True)
class EncodedRows:
    """The images of one split with what is known of each; all lists have one entry an image."""

    names: list[str] = field(default_factory=list)  # for messages
    blobs: list[bytes] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    subjects: list[str] | None = None
    classes: tuple[str, ...] | None = None

    def take(self, rows: Sequence[int]) -> EncodedRows:
        """Return the given rows, in their order."""
        subjects = None if self.subjects is None else _picked(self.subjects, rows)
        return EncodedRows(_picked(self.names, rows), _picked(self.blobs, rows), _picked(self.labels, rows), subjects, self.classes)


Item = TypeVar("Item")


def _picked(values: list[Item], rows: Sequence[int]) -> list[Item]:
    return [values[r] for r in rows]


def distinct_labels(labels: list[Label]) -> list[Label]:
    """Return each label once, sorted; raises DataError unless all are integers or all are texts."""
    kinds = {type(v) for v in labels}
    if kinds not in ({int}, {str}):
        raise DataError(f"Labels are of type {', '.join(sorted(k.__name__ for k in kinds))}; use integers only or texts only.")
    return sorted(set(labels))


def checked_name(value: object, what: str, limits: InputLimits) -> str:
    """Return a class or subject name from outside; raises DataError for an empty, long or unprintable one."""
    text = "" if value is None else str(value)
    within(f"characters in a {what} name", len(text), limits.name_chars, "use a shorter one")
    if not text.strip() or not text.isprintable():
        raise DataError(f"A {what} name is {shown(text)}; use printable characters, at least 1.")
    return text

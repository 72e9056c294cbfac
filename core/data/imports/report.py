"""What became of everything that an import found: read, left out and why, repaired, renamed, warned about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from core.data.images import shown

NAMED_EACH = 5  # names that the text gives for a reason, unless all are asked for


@dataclass
class ImportReport:
    """Filled while a data set is read; `Dataset.report` holds the finished one.

    skipped: (name, reason). repaired: images by what was done to them. warnings: sentences. classes and splits: images in each.
    """

    name: str = ""
    skipped: list[tuple[str, str]] = field(default_factory=list)
    repaired: Counter[str] = field(default_factory=Counter)
    renamed: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    subjects: int = 0
    size: tuple[int, int] = (0, 0)  # height and width as stored, px

    @property
    def read(self) -> int:
        """Images that were read."""
        return sum(self.splits.values())

    def skip(self, name: str, reason: str) -> None:
        """Note a file or row that is left out."""
        self.skipped.append((name, reason))

    def repair(self, kinds: Iterable[str]) -> None:
        """Note what was done to one image."""
        self.repaired.update(kinds)

    def rename(self, old: str, new: str) -> None:
        """Note a name that was changed."""
        if old != new:
            self.renamed.append((old, new))

    def warn(self, sentence: str) -> None:
        """Note what the person should know; the same sentence once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    @property
    def reasons(self) -> dict[str, list[str]]:
        """What was left out, by reason, the most frequent first."""
        grouped: dict[str, list[str]] = {}
        for name, reason in self.skipped:
            grouped.setdefault(reason, []).append(name)
        return dict(sorted(grouped.items(), key=lambda item: -len(item[1])))

    def to_json(self) -> dict[str, Any]:
        """Return plain values; names are given as they are."""
        return {
            "name": self.name,
            "read": self.read,
            "skipped": [{"name": name, "reason": reason} for name, reason in self.skipped],
            "repaired": dict(sorted(self.repaired.items())),
            "renamed": [{"name": old, "new": new} for old, new in self.renamed],
            "warnings": list(self.warnings),
            "classes": dict(self.classes),
            "splits": dict(self.splits),
            "subjects": self.subjects,
            "size": list(self.size),
        }

    def text(self, every_name: bool = False) -> str:
        """Return the report for people; with `every_name`, each skipped or renamed file is named."""
        most = len(self.skipped) + len(self.renamed) if every_name else NAMED_EACH
        height, width = self.size
        lines = [f"{shown(self.name)}: {counted(self.read, 'image')} read, stored at {width} x {height} px."]
        lines += ["splits: " + ", ".join(f"{name} {n:,}" for name, n in self.splits.items())]
        lines += [f"classes ({len(self.classes)}): " + _some([f"{shown(c)} {n:,}" for c, n in self.classes.items()], 40)]
        lines += [f"subjects: {self.subjects:,}"] if self.subjects else []
        lines += ["repaired: " + ", ".join(f"{kind} {n:,}" for kind, n in self.repaired.most_common())] if self.repaired else []
        lines += [f"left out: {counted(len(self.skipped), 'file')}"] if self.skipped else []
        for reason, names in self.reasons.items():
            lines.append(f"  {len(names):,} x {reason}: {_some([shown(n) for n in names], most)}")
        if self.renamed:
            lines.append(f"renamed: {_some([f'{shown(old)} to {shown(new)}' for old, new in self.renamed], most)}")
        return "\n".join(lines + [f"warning: {sentence}" for sentence in self.warnings])


def counted(n: int, what: str, many: str = "") -> str:
    """Return a number with its word: `1 image`, `2 images`."""
    return f"{n:,} {what if n == 1 else many or f'{what}s'}"


def _some(parts: list[str], most: int) -> str:
    more = len(parts) - most
    return ", ".join(parts[:most]) + (f" and {more:,} more" if more > 0 else "")

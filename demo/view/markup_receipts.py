"""Receipts, and what a check of them found, as HTML. Pure functions over `templates/`, like `markup.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from core.workspace.ledger import Event
from core.workspace.receipts import MOST_BYTES, Receipt
from demo import texts
from demo.session.verdict import Verdict
from demo.view.markup import File, swatch
from demo.view.render import render

MOST_LINES = 6  # of what a check found


@dataclass(frozen=True)
class Row:
    """One line of the table of requests; figures are text already."""

    number: str
    file: File
    images: str
    persons: str  # of whom nothing remains
    retrained: str
    passes: str
    time: str
    root: str
    swatch: Markup
    kind: str  # of the verdict
    committed: str
    moment: str


def ledger(receipts: Sequence[Receipt], verdicts: Mapping[int, Verdict]) -> Markup:
    """The table of all requests, each with its receipt and its verdict by number, and all receipts as one file."""
    rows = [_row(r, verdicts[r.request].kind) for r in reversed(receipts)]
    content = json.dumps([r.to_json() for r in receipts], indent=1)
    everything = File("lmeraser-receipts.json", "application/json", content, texts.all_receipts(len(receipts)))
    return render("ledger", "ledger", rows=rows, everything=everything)


def learned(events: Sequence[Event]) -> Markup:
    """The ledger's rows about what the model has learned since it was made, the newest first."""
    rows = [
        (texts.learned(e.data["count"]), f"{datetime.fromisoformat(e.time):%d %b %Y, %H:%M} UTC", e.data["root"]) for e in reversed(events)
    ]
    return render("ledger", "learned", rows=[(*row, swatch(row[2])) for row in rows])


def _row(receipt: Receipt, kind: str) -> Row:
    return Row(
        number=f"{receipt.request:,}",
        file=_file(receipt),
        images=f"{len(receipt.commitments):,}",
        persons=texts.all_of(len(receipt.subjects)) if receipt.subjects else "",
        retrained=texts.of(len(receipt.retrained), len(receipt.retrained) + receipt.untouched),
        passes=f"{receipt.sample_passes:,}",
        time=texts.seconds(receipt.seconds["total"]),
        root=receipt.root_after,
        swatch=swatch(receipt.root_after),
        kind=kind,
        committed=receipt.committed,
        moment=f"{datetime.fromisoformat(receipt.committed):%d %b %Y, %H:%M} UTC",
    )


def _file(receipt: Receipt) -> File:
    name, content = f"lmeraser-receipt-{receipt.request}.json", json.dumps(receipt.to_json(), indent=1)
    return File(name, "application/json", content, texts.RECEIPT, texts.receipt_label(receipt.request))


def outcome(good: bool, title: str, lines: Sequence[str], most: int = MOST_LINES) -> Markup:
    """What a check found, in words."""
    shown = [*lines[:most], *([texts.more_problems(len(lines) - most)] if len(lines) > most else ())]
    return render("ledger", "outcome", good=good, title=title, lines=shown)


def file_picker() -> Markup:
    """The button that reads a receipt file in the browser and sends its text."""
    return render("ledger", "file_picker", most=MOST_BYTES)

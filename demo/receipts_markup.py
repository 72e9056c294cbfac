"""Receipts and what a check of them found become HTML. Pure functions, like `markup.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from core.receipts import MOST_BYTES, Receipt
from demo import markup, texts
from demo.markup import escape

MOST_LINES = 6  # of what a check found


def ledger(receipts: Sequence[Receipt]) -> str:
    """The table of all requests, each with its receipt, and all receipts as one file."""
    head = "".join(f"<th{' class=num' if i in texts.LEDGER_NUMBERS else ''}>{escape(h)}</th>" for i, h in enumerate(texts.LEDGER_HEAD))
    rows = "".join(_row(r) for r in reversed(receipts))
    everything = json.dumps([r.to_json() for r in receipts], indent=1)
    links = markup.downloads([("lmeraser-receipts.json", "application/json", everything, texts.all_receipts(len(receipts)))])
    return (
        f'<div class="lm-table lm-ledger" tabindex="0" role="region" aria-label="{escape(texts.LEAD_LEDGER)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{links}"
    )


def _row(receipt: Receipt) -> str:
    clusters = len(receipt.retrained) + receipt.untouched
    moment = datetime.fromisoformat(receipt.committed)
    values = (
        f"{receipt.request:,}",
        _link(receipt),
        f"{len(receipt.commitments):,}",
        escape(texts.of(len(receipt.retrained), clusters)),
        f"{receipt.sample_passes:,}",
        escape(texts.seconds(receipt.seconds["total"])),
        f'<span>{markup.swatch(receipt.root_after)}<code title="{receipt.root_after}">{receipt.root_after[:12]}…</code></span>',
        f'<time datetime="{escape(receipt.committed)}">{moment:%d %b %Y, %H:%M} UTC</time>',
    )
    cells = "".join(f"<td{' class=num' if i in texts.LEDGER_NUMBERS else ''}>{value}</td>" for i, value in enumerate(values))
    return f"<tr>{cells}</tr>"


def _link(receipt: Receipt) -> str:
    name = f"lmeraser-receipt-{receipt.request}.json"
    content = json.dumps(receipt.to_json(), indent=1)
    label = texts.receipt_label(receipt.request)
    return markup.download(name, "application/json", content, texts.RECEIPT, label)


def outcome(good: bool, title: str, lines: Sequence[str], most: int = MOST_LINES) -> str:
    """What a check found, in words."""
    shown = [*lines[:most], *([texts.more_problems(len(lines) - most)] if len(lines) > most else ())]
    items = "".join(f"<li>{escape(line)}</li>" for line in shown)
    sign = "✓" if good else "✕"
    return (
        f'<section class="lm-outcome {"good" if good else "bad"}" role="status"><span aria-hidden="true">{sign}</span>'
        f"<div><h3>{escape(title)}</h3><ul>{items}</ul></div></section>"
    )


def file_picker() -> str:
    """The button that reads a receipt file in the browser and sends its text."""
    return (
        '<div class="lm-filing"><label class="lm-file">'
        f'<input type="file" accept=".json,application/json" data-receipts data-most="{MOST_BYTES}">'
        f'<span>{texts.CHECK_FILE}</span></label><p class="lm-sub">{texts.CHECK_FILE_INFO}</p></div>'
    )

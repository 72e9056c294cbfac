"""The page's pieces as HTML: tray, preview, result, proof. Pure functions over `templates/`.

Each computes what its template needs to lay out, nothing more. Other tabs: `markup_methods.py`, `markup_receipts.py`, `markup_learn.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from demo import texts
from demo.session.verdict import Verdict
from demo.view.pictures import data_uri
from demo.view.render import render

TRAY_MOST = 60  # thumbnails shown at once
STRIP_MOST = 600  # cluster cells shown at once
SIGNS = {"equal": "✓", "different": "✕", "unchecked": "…", "running": "…", "unprovable": "?"}


# Pieces that several tabs use


def share_of(done: int, total: int) -> float | None:
    """Return how much of some work is done, 0..1; None while its length is unknown."""
    return done / total if total else None


def bar(share: float | None) -> Markup:
    """A progress bar; None while the length of the work is unknown."""
    return render("common", "bar", share=share)


def lead(words: str) -> Markup:
    """The plain sentence that opens a tab."""
    return render("common", "lead", words=words)


def heading(title: str) -> Markup:
    """The heading of a panel."""
    return render("common", "heading", title=title)


def part(title: str, words: str) -> Markup:
    """The heading of a part of a tab, with its sentence."""
    return render("common", "part", title=title, words=words)


def note(words: str) -> Markup:
    """A quiet line."""
    return render("common", "note", words=words)


def empty(words: str) -> Markup:
    """A tab that has nothing to show yet."""
    return render("common", "empty", words=words)


def running(words: str, share: float | None) -> Markup:
    """A quiet line with a progress bar."""
    return render("common", "running", words=words, share=share)


def strip(clusters: int, touched: Iterable[int], label: str, done: int = 0, working: bool = False) -> Markup:
    """One cell per cluster: filled where a request touches it, marked where it is done already."""
    order = sorted(set(touched))
    state = dict.fromkeys(order, "on") | dict.fromkeys(order[:done], "done")
    size = "small" if clusters > 160 else "large" if clusters <= 60 else ""
    cells = [state.get(cluster, "") for cluster in range(min(clusters, STRIP_MOST))]
    return render("common", "strip", cells=cells, size=size, working=working, label=label)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Iterable[int] = (), caption: str = "") -> Markup:
    """A plain table; `numeric` columns align right."""
    return render("common", "table", head=head, rows=rows, numbers=tuple(numeric), caption=caption)


def swatch(root: str) -> Markup:
    """A small picture of a root, so that two can be compared at a glance: a mirrored 8 by 8 pattern of its bits."""
    bits = bin(int(root[:8], 16) | 1 << 32)[3:]
    cells = [(x, y) for y in range(8) for x in range(4) if bits[4 * y + x] == "1"]
    squares = [(q, y) for x, y in cells for q in (x, 7 - x)]
    return render("common", "swatch", root=root, squares=squares, hue=int(root[8:11], 16) % 360)


@dataclass(frozen=True)
class File:
    """A file that lies in the page itself, so that the server keeps none. label: for screen readers."""

    name: str
    media_type: str
    content: str
    words: str
    label: str = ""

    @property
    def address(self) -> str:
        return f"data:{self.media_type};base64,{base64.b64encode(self.content.encode()).decode()}"


def downloads(files: Iterable[tuple[str, str, str, str]]) -> Markup:
    """Links to files given as (name, media type, content, words)."""
    return render("common", "downloads", files=[File(*file) for file in files])


def download(name: str, kind: str, content: str, words: str, label: str = "") -> Markup:
    """The link to one file."""
    return render("common", "download", file=File(name, kind, content, words, label))


# Selection and request


def status(state: str, title: str, note: str, share: float | None = None) -> Markup:
    """The line under the top bar: the state of the base model."""
    return render("request", "status", state=state, title=title, note=note, share=share)


def offline() -> Markup:
    """The line that `offline.js` shows when the server does not answer, or was restarted."""
    return render("request", "offline")


def tray(rows: Sequence[int], images: np.ndarray, names: Sequence[str]) -> Markup:
    """The selected images with a remove button each; `images` and `names` belong to the first rows."""
    if not rows:
        return render("request", "tray_empty")
    tiles = [(row, data_uri(image), f"{name}, No. {row}") for row, image, name in zip(rows, images, names, strict=False)]
    return render("request", "tray", title=texts.count(len(rows), "image"), tiles=tiles, more=len(rows) - TRAY_MOST)


def plan_empty(title: str, note: str, clusters: int) -> Markup:
    """The preview while nothing is selected."""
    return render("request", "plan_empty", title=title, note=note, cells=strip(clusters, (), title) if clusters else "")


def plan(summary: dict, touched: Sequence[int]) -> Markup:
    """The preview of a plan."""
    sentence, total = texts.plan(summary), summary["clusters_total"]
    facts = (
        (f"of {texts.count(total, 'cluster')}", f"{len(touched):,}"),
        ("samples to retrain", f"{summary['samples_to_retrain']:,}"),
        ("expected", texts.plan_figure(summary)),
    )
    words = f"{sentence} {texts.plan_time(summary)}"
    warning = texts.copies(summary["copies_left"]) if summary["copies_left"] else ""
    return render("request", "plan", facts=facts, cells=strip(total, touched, sentence), words=words, warning=warning)


def work(title: str, note: str, share: float | None, cells: Markup | str = "") -> Markup:
    """The preview's place while a request runs; `cells` is the HTML of a strip."""
    return render("request", "work", title=title, note=note, share=share, cells=cells)


def notice(kind: str, title: str, note: str) -> Markup:
    """The preview's place after a request was cancelled or failed."""
    return render("request", "notice", kind=kind, title=title, note=note)


# Result and proof


def result(
    kind: str, headline: str, doubt: str, accuracy: Sequence[tuple[str, str, str, str, str]], notes: Sequence[str], badge: str, spoken: str
) -> Markup:
    """What a request did; `kind` is its verdict's, `accuracy` has (title, info, before, after, size) for each group of images."""
    values = {"kind": kind, "headline": headline, "doubt": doubt, "accuracy": accuracy, "notes": notes, "badge": badge, "spoken": spoken}
    return render("result", "result", **values)


def proof(verdict: Verdict, roots: Sequence[tuple[str, str | None]], notes: Sequence[str]) -> Markup:
    """The proof of one request; roots are (title, hex or None)."""
    shown = [(title, root, swatch(root) if root else "") for title, root in roots]
    return render("proof", "proof", verdict=verdict, sign=SIGNS[verdict.kind], roots=shown, notes=notes)


def basis(words: str, facts: Sequence[tuple[str, str]], failed: Sequence[str]) -> Markup:
    """What the proof rests on: the self-test in one line, this machine's facts folded away, and the checks that failed."""
    return render("proof", "basis", words=words, facts=facts, failed=failed)


def breaks(table_rows: Mapping[str, Sequence[bool]]) -> Markup:
    """Which check notices which planted mistake, folded away."""
    return render("proof", "breaks", rows=table_rows)

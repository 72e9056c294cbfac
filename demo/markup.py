"""Records and words become HTML. Pure functions: everything variable is escaped, nothing is computed beyond layout."""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from demo import texts

TRAY_MOST = 60  # thumbnails shown at once
STRIP_MOST = 600  # cluster cells shown at once
MARK = (
    '<svg viewBox="0 0 32 32" aria-hidden="true"><circle cx="9" cy="10" r="3.4"/><circle cx="21.5" cy="8" r="3.4"/>'
    '<circle cx="9.500" cy="23" r="3.4"/>'
    '<path d="m19 19 7.500 7.500M26.500 19 19 26.500"/></svg>'
)


def escape(value: object) -> str:
    return html.escape(str(value), quote=True)


def data_uri(image: np.ndarray) -> str:
    """Return a PNG of an image (h, w, 3) uint8 as a data URI, so that it is stored nowhere."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def bar(share: float | None) -> str:
    """A progress bar; None while the length of the work is unknown."""
    if share is None:
        return '<div class="lm-bar lm-bar-open"><i></i></div>'
    return f'<div class="lm-bar"><i style="width:{100 * min(1.0, share):.1f}%"></i></div>'


def share_of(done: int, total: int) -> float | None:
    return done / total if total else None


def status(state: str, title: str, note: str, share: float | None = None) -> str:
    """The line under the top bar: how the base model is coming along."""
    moving = bar(share) if state == "fitting" else ""
    return f'<div class="lm-status lm-{state}" role="status"><b>{escape(title)}</b><span>{escape(note)}</span>{moving}</div>'


def offline() -> str:
    """The line that appears when the server is gone; `offline.js` fills it."""
    return f'<div class="lm-offline" role="alert" data-gone="{texts.SERVER_GONE}" data-anew="{texts.SERVER_ANEW}" hidden></div>'


def tray(rows: Sequence[int], images: np.ndarray, names: Sequence[str]) -> str:
    """The selected images with a remove button each; `images` and `names` belong to the first rows."""
    if not rows:
        return f'<div class="lm-tray lm-empty"><b>{texts.TRAY_EMPTY}</b><span>{texts.TRAY_HINT}</span></div>'
    tiles = "".join(_tile(row, image, name) for row, image, name in zip(rows, images, names, strict=False))
    more = f'<span class="lm-more">+{len(rows) - TRAY_MOST:,}</span>' if len(rows) > TRAY_MOST else ""
    title = texts.count(len(rows), "image")
    return f'<div class="lm-tray"><b>{title}</b><ul aria-label="{texts.TRAY_LABEL}" tabindex="0">{tiles}{more}</ul></div>'


def _tile(row: int, image: np.ndarray, name: str) -> str:
    label = f"{name}, No. {row}"
    return (
        f'<li title="{escape(label)}"><img src="{data_uri(image)}" alt="{escape(label)}">'
        f'<button type="button" data-remove="{row}" aria-label="{escape(texts.REMOVE.format(row))}">×</button></li>'
    )


def strip(clusters: int, touched: Iterable[int], label: str, done: int = 0, working: bool = False) -> str:
    """One cell per cluster; those a request touches are filled, those done already are marked."""
    order = sorted(set(touched))
    filled, finished = set(order), set(order[:done])
    shown = min(clusters, STRIP_MOST)
    cell = lambda c: "done" if c in finished else "on" if c in filled else ""  # noqa: E731
    cells = "".join(f'<i class="{cell(c)}"></i>' if cell(c) else "<i></i>" for c in range(shown))
    size = "small" if clusters > 160 else "large" if clusters <= 60 else ""
    return f'<div class="lm-strip {size}{" working" if working else ""}" role="img" aria-label="{escape(label)}">{cells}</div>'


def plan_empty(title: str, note: str, clusters: int) -> str:
    """The preview's place while nothing is selected."""
    cells = strip(clusters, (), title) if clusters else '<div class="lm-strip" aria-hidden="true"></div>'
    return f'<section class="lm-plan lm-idle"><h3>{escape(title)}</h3>{cells}<p>{escape(note)}</p></section>'


def plan(summary: dict, touched: Sequence[int]) -> str:
    """The preview of a plan."""
    sentence = texts.plan(summary)
    cells = strip(summary["clusters_total"], touched, sentence)
    facts = _facts(
        (f"{len(touched):,}", f"of {texts.count(summary['clusters_total'], 'cluster')}"),
        (f"{summary['samples_to_retrain']:,}", "samples to retrain"),
        (texts.plan_figure(summary), "expected"),
    )
    warn = f'<p class="lm-warn">{escape(texts.copies(summary["copies_left"]))}</p>' if summary["copies_left"] else ""
    words = escape(f"{sentence} {texts.plan_time(summary)}")
    return f'<section class="lm-plan" aria-live="polite">{facts}{cells}<p>{words}</p>{warn}</section>'


def _facts(*pairs: tuple[str, str]) -> str:
    return '<dl class="lm-facts">' + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for v, k in pairs) + "</dl>"


def work(title: str, note: str, share: float | None, cells: str = "") -> str:
    """The preview's place while a request runs."""
    return f'<section class="lm-plan lm-working" role="status"><h3>{escape(title)}</h3>{cells}{bar(share)}<p>{escape(note)}</p></section>'


def notice(kind: str, title: str, note: str) -> str:
    """The preview's place after a request was cancelled or failed."""
    return f'<section class="lm-plan lm-{kind}" role="status"><h3>{escape(title)}</h3><p>{escape(note)}</p></section>'


def done(title: str, note: str, link: str) -> str:
    """The preview's place right after a request: what came of it, and the way to the details."""
    return (
        f'<section class="lm-plan lm-done" role="status"><h3>{escape(title)}</h3><p>{escape(note)}</p>'
        f'<a href="#lm-result">{escape(link)}</a></section>'
    )


def lead(words: str) -> str:
    """The plain sentence that opens a tab."""
    return f'<p class="lm-lead">{escape(words)}</p>'


def empty(words: str) -> str:
    """A tab that has nothing to show yet."""
    return f'<div class="lm-blank"><span class="lm-mark">{MARK}</span><p>{escape(words)}</p></div>'


def result(headline: str, accuracy: Sequence[tuple[str, str, str, str, str]], notes: Sequence[str], badge: str, spoken: str) -> str:
    """What a request did: (title, info, before, after, size) for each group of images."""
    cards = "".join(_change(*row) for row in accuracy)
    lines = "".join(f"<li>{escape(n)}</li>" for n in notes)
    return (
        f'<section class="lm-result"><h2>{escape(headline)}</h2><p class="lm-sr">{escape(spoken)}</p><div class="lm-cards">{cards}</div>'
        f'<ul class="lm-notes">{lines}</ul><span class="lm-badge">{escape(badge)}</span></section>'
    )


def _change(title: str, info: str, before: str, after: str, size: str) -> str:
    return (
        f'<article><h3>{escape(title)}</h3><p class="lm-change"><span>'
        f'<small>{texts.BEFORE}</small>{escape(before)}</span><i aria-hidden="true">→</i>'
        f"<span><small>{texts.AFTER}</small><b>{escape(after)}</b></span></p><p>{escape(size)}, {escape(info)}</p></article>"
    )


def proof(verdict: str, title: str, info: str, roots: Sequence[tuple[str, str | None]], untouched: str) -> str:
    """The proof: verdict is equal, different or open; roots are (title, hex or None)."""
    rows = "".join(_root(*row) for row in roots)
    sign = {"equal": "✓", "different": "✕", "open": "…"}[verdict]
    return (
        f'<section class="lm-proof"><div class="lm-verdict lm-{verdict}"><span aria-hidden="true">{sign}</span><div>'
        f"<h2>{escape(title)}</h2>"
        f'<p>{escape(info)}</p></div></div><div class="lm-roots">{rows}</div><p class="lm-sub">{escape(untouched)}</p></section>'
    )


def _root(title: str, root: str | None) -> str:
    value = f'{swatch(root)}<code title="{escape(root)}">{escape(root[:24])}…</code>' if root else f"<em>{texts.NOT_RUN}</em>"
    return f"<div><h3>{escape(title)}</h3>{value}</div>"


def swatch(root: str) -> str:
    """A small picture of a fingerprint, so that two can be compared at a glance: a mirrored 8 by 8 pattern of its bits."""
    bits = bin(int(root[:8], 16) | 1 << 32)[3:]
    cells = [(x, y) for y in range(8) for x in range(4) if bits[4 * y + x] == "1"]
    squares = "".join(f'<rect x="{q}" y="{y}" width="1" height="1"/>' for x, y in cells for q in (x, 7 - x))
    return f'<svg class="lm-swatch" viewBox="0 0 8 8" aria-hidden="true" style="--hue:{int(root[8:11], 16) % 360}">{squares}</svg>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numeric: Iterable[int] = (), caption: str = "") -> str:
    """A plain table; `numeric` columns align right."""
    right = set(numeric)
    cell = lambda tag, i, v: f"<{tag}{' class=num' if i in right else ''}>{v}</{tag}>"  # noqa: E731
    top = "".join(cell("th", i, escape(h)) for i, h in enumerate(head))
    body = "".join("<tr>" + "".join(cell("td", i, escape(v)) for i, v in enumerate(row)) + "</tr>" for row in rows)
    return (
        f'<div class="lm-table" tabindex="0" role="region" aria-label="{escape(caption)}"><table><thead><tr>{top}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def how(clusters: int, touched: Sequence[int], note: str) -> str:
    """The figure of the method, with the visitor's own clusters."""
    steps = "".join(f"<li><b>{escape(title)}</b><span>{escape(words)}</span></li>" for title, words in texts.HOW_STEPS)
    return (
        f'<section class="lm-how">{_figure(max(1, clusters), set(touched), note)}<ol>{steps}</ol>'
        f'<p class="lm-sub">{escape(note)}</p></section>'
    )


def _figure(clusters: int, touched: set[int], note: str) -> str:
    """The figure twice, side by side and top to bottom: the style sheet shows the one that fits."""
    wide = (
        '<g class="box"><rect x="8" y="56" width="150" height="88" rx="12"/><text x="83" y="94">Public model</text>'
        '<text x="83" y="114" class="small">frozen</text></g>'
        '<path class="arrow" d="M168 100h62m-9-7 9 7-9 7"/><rect class="pen" x="236" y="30" width="428" height="152" rx="14"/>'
        f'{_cells(clusters, touched, 250, 46, 400, 120)}<path class="arrow" d="M672 100h54m-9-7 9 7-9 7"/>'
        '<g class="box"><rect x="736" y="56" width="116" height="88" rx="12"/><text x="794" y="105">Prediction</text></g>'
        '<text x="450" y="20" class="small">one prompt and classifier for each cluster</text>'
    )
    tall = (
        '<g class="box"><rect x="85" y="4" width="150" height="56" rx="12"/><text x="160" y="28">Public model</text>'
        '<text x="160" y="46" class="small">frozen</text></g><path class="arrow" d="M160 66v30m-7-9 7 9 7-9"/>'
        '<rect class="pen" x="6" y="104" width="308" height="164" rx="14"/>'
        '<text x="160" y="124" class="small">one prompt and classifier for each cluster</text>'
        f"{_cells(clusters, touched, 18, 136, 284, 120)}"
        '<path class="arrow" d="M160 274v30m-7-9 7 9 7-9"/>'
        '<g class="box"><rect x="85" y="312" width="150" height="48" rx="12"/><text x="160" y="341">Prediction</text></g>'
    )
    return _drawing("wide", "860 200", wide, note) + _drawing("tall", "320 364", tall, note)


def _drawing(kind: str, size: str, content: str, note: str) -> str:
    return f'<svg class="lm-figure {kind}" viewBox="0 0 {size}" role="img" aria-label="{escape(note)}">{content}</svg>'


def _cells(clusters: int, touched: set[int], x: float, y: float, width: float, height: float) -> str:
    """One square per cluster (at most 96), in a frame of this place and size."""
    shown = min(clusters, 96)
    columns = math.ceil(math.sqrt(shown * 2.2))
    step = min(width / columns, height / math.ceil(shown / columns))
    left = x + (width - step * columns) / 2
    return "".join(_cell(c, left + step * (c % columns), y + step * (c // columns), step * 0.8, c in touched) for c in range(shown))


def _cell(index: int, x: float, y: float, side: float, on: bool) -> str:
    return f'<rect class="cell{" on" if on else ""}" x="{x:.1f}" y="{y:.1f}" width="{side:.1f}" height="{side:.1f}" rx="{side / 4:.1f}"/>'


def note(words: str) -> str:
    """A quiet line."""
    return f'<p class="lm-sub">{escape(words)}</p>'


def running(words: str, share: float | None) -> str:
    """A quiet line with a progress bar."""
    return f'<div class="lm-running" role="status"><p class="lm-sub">{escape(words)}</p>{bar(share)}</div>'


def downloads(files: Iterable[tuple[str, str, str, str]]) -> str:
    """Links to (file name, media type, content, words) that lie in the page itself, so that no file stays on the server."""
    return '<p class="lm-links">' + "".join(download(*file) for file in files) + "</p>"


def download(name: str, kind: str, content: str, words: str, label: str = "") -> str:
    """One such link; `label` is for those who do not see what stands around it."""
    encoded = base64.b64encode(content.encode()).decode()
    spoken = f' aria-label="{escape(label)}"' if label else ""
    return f'<a download="{escape(name)}"{spoken} href="data:{kind};base64,{encoded}">{escape(words)}</a>'


def lesson(steps: Sequence[dict]) -> str:
    """The lesson: choosing an answer reveals its step's explanation (by style sheet alone, so it works from the keyboard)."""
    cards = "".join(_step(i, step) for i, step in enumerate(steps, 1))
    button = f'<p class="lm-links"><button type="button" data-print>{texts.PRINT}</button></p>'
    return f'{_sheet_head()}<section class="lm-lesson">{cards}</section>{button}'


def _sheet_head() -> str:
    """What only paper shows: a title, and where to write name and date."""
    blanks = "".join(f"<span>{word}</span>" for word in (texts.SHEET_NAME, texts.SHEET_DATE))
    return f'<header class="lm-sheet" aria-hidden="true"><b>{texts.SHEET_TITLE}</b>{blanks}</header>'


def _step(number: int, step: dict) -> str:
    options = "".join(_option(number, i, words, i == step["right"]) for i, words in enumerate(step["options"]))
    return (
        f'<article class="lm-step" id="lesson-{number}"><h3><span>{number}</span>{escape(step["title"])}</h3>'
        f'<p class="lm-sub">{escape(step["do"])}</p>'
        f"<fieldset><legend>{escape(step['ask'])}</legend>{options}</fieldset>"
        f'<p class="lm-reveal" aria-live="polite"><b class="yes">{texts.LESSON_RIGHT} </b>'
        f'<b class="no">{texts.LESSON_WRONG} </b>{escape(step["reveal"])}</p>'
        f'<p class="lm-write" aria-hidden="true">{texts.SHEET_WHY}</p></article>'
    )


def _option(number: int, index: int, words: str, right: bool) -> str:
    return f'<label><input type="radio" name="lesson-{number}" value="{index}"{" data-right" if right else ""}>{escape(words)}</label>'

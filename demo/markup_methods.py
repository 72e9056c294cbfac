"""Comparisons, audits, prompts and probability cards become HTML. Pure functions: everything variable is escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from demo import texts
from demo.markup import escape, strip, table
from demo.receipts_markup import outcome
from demo.session import Portrait

# Methods


def comparison(rows: Sequence[dict], waiting: Sequence[str], badge: str) -> str:
    """A row for each method that has answered, and one for each that is still to come."""
    head = "".join(f'<th scope="col"{" class=num" if i > 1 else ""}>{escape(h)}</th>' for i, h in enumerate(texts.METHODS_HEAD))
    body = "".join(_answered(row) for row in rows) + "".join(_awaited(name) for name in waiting)
    foot = f'<span class="lm-badge">{escape(badge)}</span>' if badge else ""
    return (
        f'<section class="lm-compare"><p class="lm-sr" aria-live="polite">{escape(texts.compared(rows))}</p>'
        f"{_table(texts.METHODS_CAPTION, head, body)}{foot}</section>"
    )


def _table(caption: str, head: str, body: str) -> str:
    return (
        f'<div class="lm-table" tabindex="0" role="region" aria-label="{escape(caption)}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _method(name: str) -> str:
    title, info = texts.METHODS[name]
    return f'<th scope="row">{escape(title)}<small>{escape(info)}</small></th>'


def _answered(row: dict) -> str:
    kind = "exact" if row["exact"] else "approximate"
    cells = "".join(f'<td class="num">{_cell(value)}</td>' for value in texts.method_cells(row))
    own = ' class="lm-own"' if row["method"] == "LMEraser" else ""
    return f'<tr{own}>{_method(row["method"])}<td><i class="lm-kind {kind}">{escape(texts.KINDS[kind])}</i></td>{cells}</tr>'


def _cell(value: tuple[str, str]) -> str:
    return escape(value[0]) + (f"<small>{escape(value[1])}</small>" if value[1] else "")


def _awaited(name: str) -> str:
    empty = len(texts.METHODS_HEAD) - 1
    return f'<tr class="lm-awaited">{_method(name)}<td colspan="{empty}">{texts.METHOD_WAITS}</td></tr>'


def reaches(found: Any, headline: str) -> str:
    """One request under the model's clusters, random ones, and spread over all of the model's."""
    cards = "".join(_reach(name, getattr(found, name)) for name in texts.REACHES)
    return (
        f'<section class="lm-reach"><h3>{escape(headline)}</h3><div class="lm-cards">{cards}</div>'
        f'<p class="lm-sub">{escape(texts.reach_verdict(found))}</p></section>'
    )


def _reach(name: str, reach: Any) -> str:
    title, info = texts.REACHES[name]
    figures = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in texts.reach_figures(reach))
    cells = strip(reach.clusters, reach.touched, texts.reach_spoken(title, reach))
    return f'<article><h4>{escape(title)}</h4><p>{escape(info)}</p>{cells}<dl class="lm-facts">{figures}</dl></article>'


# Membership


def audit(record: dict, spoken: str) -> str:
    """Verdicts of both attacks, and all scores for the plot that `membership.js` draws."""
    rows = "".join(_attack(r) for r in record["results"])
    head = "".join(f'<th scope="col"{" class=num" if 0 < i < 4 else ""}>{escape(h)}</th>' for i, h in enumerate(texts.AUDIT_HEAD))
    notes = "".join(f"<li>{escape(n)}</li>" for n in texts.audit_notes(record))
    return (
        f'<section class="lm-audit"><h3>{escape(spoken)}</h3>{_threshold(record)}'
        f'{_table(texts.AUDIT_CAPTION, head, rows)}<ul class="lm-notes">{notes}</ul></section>'
    )


def _attack(result: dict) -> str:
    cells = texts.audit_cells(result)
    verdict = {"distinguishable": "bad", "indistinguishable from the control": "good"}.get(result["verdict"], "open")
    figures = "".join(f'<td class="num">{_cell(c)}</td>' for c in cells[2:5])
    return (
        f'<tr><th scope="row">{escape(cells[1])}<small>{escape(cells[0])}</small></th>{figures}'
        f'<td><i class="lm-verdict-{verdict}">{escape(cells[5])}</i></td></tr>'
    )


def _threshold(record: dict) -> str:
    """The plot's controls and its place; the scores ride along as an attribute."""
    attacks = _choices("attack", [(a, texts.ATTACKS[a]) for a in record["scores"]])
    models = _choices("model", list(texts.AUDIT_MODELS.items()))
    words = json.dumps(texts.THRESHOLD)
    return (
        f'<figure class="lm-threshold" data-scores="{escape(json.dumps(record["scores"]))}" data-words="{escape(words)}">'
        f"<figcaption>{escape(texts.THRESHOLD_INFO)}</figcaption>"
        f'<div class="lm-pick"><fieldset><legend>{texts.PICK_ATTACK}</legend>{attacks}</fieldset>'
        f"<fieldset><legend>{texts.PICK_MODEL}</legend>{models}</fieldset></div>"
        f'<div class="lm-plotted"><div class="lm-drawing" aria-hidden="true"></div>'
        f'<input type="range" min="0" max="200" value="100" aria-label="{escape(texts.THRESHOLD_LABEL)}"></div>'
        f'<p class="lm-readout" role="status"></p></figure>'
    )


def _choices(name: str, options: Sequence[tuple[str, str]]) -> str:
    return "".join(_radio(name, f'data-{name}="{escape(value)}"', i == 0, words) for i, (value, words) in enumerate(options))


def _radio(group: str, attribute: str, checked: bool, words: str) -> str:
    return f'<label><input type="radio" name="lm-{group}" {attribute}{" checked" if checked else ""}><span>{escape(words)}</span></label>'


# Prompts


def portraits(cards: Sequence[str], more: int) -> str:
    """The clusters that retrained last."""
    rest = f'<p class="lm-sub">{escape(texts.more_clusters(more))}</p>' if more > 0 else ""
    return (
        f'<section class="lm-portraits"><h3>{texts.PORTRAITS}</h3><p class="lm-sub">{texts.PORTRAITS_INFO}</p>'
        f'<div class="lm-gallery">{"".join(cards)}</div>{rest}</section>'
    )


def portrait(title: str, facts: str, picture: Portrait, losses: Sequence[float]) -> str:
    """One cluster: its prompt, before and after where there was one before, size, purity and tuning curve."""
    shown = [(name, uri) for name in texts.PICTURES if (uri := getattr(picture, name))]
    names = texts.PICTURES if len(shown) > 1 else {"after": texts.PICTURE_NOW}
    pictures = "".join(_picture(uri, names[name], texts.picture_alt(title, names[name], picture.kind)) for name, uri in shown)
    return (
        f'<article class="lm-portrait lm-{picture.kind}"><header><h4>{escape(title)}</h4><p>{escape(facts)}</p></header>'
        f'<div class="lm-pictures">{pictures}</div>{_curve(losses)}<p class="lm-what">{texts.PICTURE_KINDS[picture.kind]}</p></article>'
    )


def _picture(uri: str, name: str, words: str) -> str:
    return f'<figure><img src="{uri}" alt="{escape(words)}"><figcaption>{escape(name)}</figcaption></figure>'


def _curve(losses: Sequence[float]) -> str:
    """A sparkline of the training loss, step by step."""
    if not losses:
        return ""
    top, last = max(losses), max(1, len(losses) - 1)
    points = " ".join(f"{200 * i / last:.1f},{34 - 30 * loss / (top or 1):.1f}" for i, loss in enumerate(losses))
    words = texts.curve(len(losses), losses[0], losses[-1])
    return (
        f'<div class="lm-curve"><svg viewBox="0 0 200 36" preserveAspectRatio="none" role="img" aria-label="{escape(words)}">'
        f'<path d="M0 34.500H200"/><polyline points="{points}"/></svg><span>{escape(words)}</span></div>'
    )


# Probability cards


def odds_waiting() -> str:
    """The card's place until the model has been asked again."""
    return f'<section class="lm-odds"><h3>{texts.ODDS}</h3><p class="lm-sub">{texts.ODDS_WAIT}</p></section>'


def odds(cards: Sequence[tuple[int, str, list[tuple[str, float, float, bool]]]], more: int) -> str:
    """One card for each image, of which the chosen one is shown (by style sheet alone, so it works from the keyboard)."""
    picks = "".join(
        _radio("odds", f'value="{i}"', i == 0, texts.odds_title(row, name)) + _odds_card(row, name, bars)
        for i, (row, name, bars) in enumerate(cards)
    )
    rest = f"<span>{escape(texts.more_images(more))}</span>" if more > 0 else ""
    return (
        f'<section class="lm-odds"><h3>{texts.ODDS}</h3><p class="lm-sub">{texts.ODDS_INFO}</p>'
        f'<fieldset class="lm-picks"><legend class="lm-sr">{texts.ODDS_PICK}</legend>{picks}{rest}</fieldset></section>'
    )


def _odds_card(row: int, name: str, bars: list[tuple[str, float, float, bool]]) -> str:
    lines = "".join(_odds_bar(*bar) for bar in bars)
    return (
        f'<div class="lm-odds-card"><p class="lm-key"><i class="was"></i>{texts.BEFORE}<i class="is"></i>{texts.AFTER}</p>'
        f'<dl aria-label="{escape(texts.odds_title(row, name))}">{lines}</dl></div>'
    )


def _odds_bar(name: str, before: float, after: float, true: bool) -> str:
    mark = f"<small>{texts.ODDS_TRUE}</small>" if true else ""
    spoken = f'<span class="lm-sr">{escape(texts.odds_spoken(before, after))}</span>'
    return (
        f"<div{' class=true' if true else ''}><dt>{escape(name)}{mark}</dt><dd>{spoken}"
        f'<span class="was" style="width:{100 * before:.1f}%"></span><span class="is" style="width:{100 * after:.1f}%"></span></dd>'
        f'<dd class="num" aria-hidden="true">{escape(texts.odds_change(before, after))}</dd></div>'
    )


# Residue


def residue(record: dict[str, Any]) -> str:
    """The verdict of a residue scan, what it looked for, and every place that was searched."""
    title = texts.RESIDUE_CLEAN if record["clean"] else texts.RESIDUE_FOUND if record["found"] else texts.RESIDUE_UNREAD
    rows = [(s["place"], f"{s['items']:,}", f"{s['bytes'] / 1e6:,.1f}") for s in record["searched"]]
    places = table(texts.RESIDUE_HEAD, rows, (1, 2), texts.RESIDUE_CAPTION)
    return outcome(record["clean"], title, texts.residue_summary(record), 12) + places

"""Comparisons, membership tests, probabilities and residue as HTML. Pure functions over `templates/`, like `markup.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from core.benchmarks.request_reach import Reach, Reaches
from demo import texts
from demo.session.verdict import Verdict, method_kind
from demo.view.markup import strip, table
from demo.view.markup_receipts import outcome
from demo.view.render import render

MOST_RESIDUE_LINES = 12
AUDIT_KINDS = {"distinguishable": "bad", "indistinguishable from the control": "good"}

Bar = tuple[str, float, float, bool]  # class, probability before and after, whether it is the true class


def comparison(rows: Sequence[dict], waiting: Sequence[str], badge: str, verdict: Verdict) -> Markup:
    """A row for each method that has answered, and one for each that is still to come; the verdict decides what is called exact."""
    answered = [(row["method"], method_kind(row, verdict), texts.method_cells(row)) for row in rows]
    spoken, added = texts.compared(rows), texts.clusters_add(rows)
    return render("compare", "comparison", answered=answered, waiting=waiting, spoken=spoken, added=added, badge=badge)


def reaches(found: Reaches, headline: str) -> Markup:
    """One request under the model's clusters, random ones, and spread over all of the model's."""
    cards = [_reach(*texts.REACHES[name], getattr(found, name)) for name in texts.REACHES]
    return render("compare", "reaches", headline=headline, cards=cards, verdict=texts.reach_verdict(found))


def _reach(title: str, info: str, reach: Reach) -> tuple[str, str, Markup, list[tuple[str, str]]]:
    return title, info, strip(reach.clusters, reach.touched, texts.reach_spoken(title, reach)), texts.reach_figures(reach)


def audit(record: dict, spoken: str) -> Markup:
    """Verdicts of all attacks, and all scores for the plot that `membership.js` draws."""
    rows = [(*_attack(texts.audit_cells(r)), AUDIT_KINDS.get(r["verdict"], "open")) for r in texts.audit_shown(record)]
    scores, words = json.dumps(record["scores"]), json.dumps(texts.THRESHOLD)
    notes = texts.audit_notes(record)
    values = {"spoken": spoken, "summary": texts.audit_scores(record), "scores": scores, "words": words, "notes": notes}
    return render("membership", "audit", **values, attacks=list(record["scores"]), rows=rows)


def _attack(cells: list) -> tuple[str, str, list, str]:
    attack, model, *figures, verdict = cells
    return attack, model, figures, verdict


def probabilities(cards: Sequence[tuple[int, str, list[Bar]]], more: int) -> Markup:
    """One card (number, class, bars) for each image, of which the chosen one is shown."""
    return render("result", "probabilities", cards=cards, more=more)


def residue(record: dict[str, Any]) -> Markup:
    """The verdict of a residue scan, what it looked for, and every place that was searched."""
    places = table(texts.RESIDUE_HEAD, texts.residue_rows(record), (1, 2), texts.RESIDUE_CAPTION)
    return outcome(record["clean"], texts.residue_title(record), texts.residue_summary(record), MOST_RESIDUE_LINES) + places

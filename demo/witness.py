"""What must be looked at before a request because it cannot be looked at afterwards, and what becomes of it then.

Of the forgotten images only class probabilities are taken, of the clusters only their prompts; both are kept as the page shows
them, until the visitor's next request, Start over, or departure. Images are never kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.types import ForgetPlan
from demo.prompt_pictures import portrait
from demo.session import Engine, Lab, Odds, Portrait, Visitor

MOST_IMAGES = 12  # whose class probabilities are shown
MOST_CLUSTERS = 8  # whose prompts are drawn


@dataclass(frozen=True, eq=False)
class Witness:
    """Notes taken before a request."""

    reach: Any
    odds: Odds
    prompts: dict[str, np.ndarray | None]  # by key of the cluster afterwards: the prompt before


def witness(engine: Engine, eraser: Any, plan: ForgetPlan, rows: tuple[int, ...]) -> Witness:
    """Take notes of a plan that is about to be carried out; rows are those of its images on the map, in the order of its ids."""
    samples = eraser.samples_
    first = samples.take(samples.rows(plan.ids[:MOST_IMAGES]))
    odds = Odds(tuple(rows[:MOST_IMAGES]), engine.proba(eraser, first))
    origins = dict(list(engine.origins(eraser, plan).items())[:MOST_CLUSTERS])
    prompts = engine.prompts(eraser, {key for key in origins.values() if key})
    return Witness(engine.reach(eraser, plan), odds, {key: prompts.get(old) for key, old in origins.items()})


def portraits(engine: Engine, eraser: Any, notes: Witness) -> dict[str, Portrait]:
    """Return the pictures of the clusters that a request has retrained."""
    now = engine.prompts(eraser, notes.prompts)
    return {key: portrait(before, now[key]) for key, before in notes.prompts.items()}


def complete_odds(lab: Lab, visitor: Visitor) -> None:
    """Ask the model as it is now about the last request's first images, from the lab's own copy of them."""
    request = visitor.requests[-1] if visitor.requests else None
    if visitor.eraser is None or request is None or request.odds is None:
        return
    images = lab.samples.take(np.array(request.odds.rows, np.int64))
    visitor.amend(request, odds=replace(request.odds, after=lab.engine.proba(visitor.eraser, images)))

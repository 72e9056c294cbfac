"""The top bar and the small actions under the selection: HTML, and the scripts that belong to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from demo import texts
from demo.session.available import Offers, Pair
from demo.view.render import render

SCRIPTS = Path(__file__).parent / "static"
TOP_JS = (SCRIPTS / "top.js").read_text()
ACTIONS_JS = (SCRIPTS / "actions.js").read_text()


def top(offers: Offers, here: Pair) -> Markup:
    """The top bar: name, pickers of data set and preset, the ways to the explanations, and the permalink."""
    dataset, preset = here
    pickers = ((texts.DATASET, "dataset", offers.datasets, dataset), (texts.PRESET, "preset", offers.presets, preset))
    paths = json.dumps({"\n".join(pair): offers.path(pair) for pair in offers.pairs})
    own = (offers.own, texts.OWN_BACK if offers.back else texts.OWN_IMAGES) if offers.own else None
    return render("toolbar", "top", pickers=pickers, paths=paths, dataset=dataset, preset=preset, own=own)


def people(rows: Sequence[tuple[str, str, str, str]], more: int) -> Markup:
    """The table of persons: (name, pictures, clusters, time) of each, and how many more there are."""
    return render("toolbar", "people", rows=rows, more=more)


def actions(additions: Sequence[tuple[str, str, str]], selected: bool) -> Markup:
    """The small actions: (key, words, tooltip) of those that add something, then saving and opening a file."""
    return render("toolbar", "actions", additions=additions, selected=selected)

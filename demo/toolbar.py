"""The top bar and the line of small actions under the selection: HTML and the scripts that belong to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from demo import texts
from demo.markup import MARK, escape
from demo.offers import Offers, Pair

SCRIPTS = Path(__file__).parent
TOP_JS = (SCRIPTS / "top.js").read_text()
ACTIONS_JS = (SCRIPTS / "actions.js").read_text()


def top(offers: Offers, here: Pair) -> str:
    """The top bar: name, pickers, the ways to the explanations, and the permalink."""
    paths = json.dumps({"\n".join(pair): offers.path(pair) for pair in offers.pairs})
    pickers = _picker(texts.DATASET, "dataset", offers.datasets, here[0]) + _picker(texts.PRESET, "preset", offers.presets, here[1])
    link = f'<button type="button" data-link data-copied="{texts.LINK_COPIED}" data-shown="{texts.LINK_SHOWN}">{texts.LINK}</button>'
    return (
        f'<header class="lm-brand"><span class="lm-mark">{MARK}</span><div><h1>{texts.TITLE}</h1><p>{texts.TAGLINE}</p></div></header>'
        f'<div class="lm-tools"><div class="lm-pickers" role="group" aria-label="{texts.PICKERS}" data-paths="{escape(paths)}" '
        f'data-dataset="{escape(here[0])}" data-preset="{escape(here[1])}">{pickers}</div>'
        f"<nav>{_open('how-it-works', texts.TAB_HOW)}{_open('lesson', texts.TAB_LESSON)}{link}</nav></div>"
    )


def _picker(title: str, name: str, names: Sequence[str], chosen: str) -> str:
    """A choice among names; one alone is written out, for there is nothing to choose."""
    if len(names) == 1:
        return f'<span class="lm-picker"><span>{title}</span><b>{escape(names[0])}</b></span>'
    options = "".join(f'<option value="{escape(n)}"{" selected" if n == chosen else ""}>{escape(n)}</option>' for n in names)
    return f'<label class="lm-picker"><span>{title}</span><select data-pick="{name}">{options}</select></label>'


def _open(tab: str, words: str) -> str:
    return f'<button type="button" data-open="{tab}">{words}</button>'


def actions(offered: Sequence[tuple[str, str, str]], selected: bool) -> str:
    """The small actions: (what, words, tooltip) of those that add something, then saving and opening a file."""
    adds = "".join(
        f'<button type="button" data-add="{what}" title="{escape(info)}">{escape(words)}</button>' for what, words, info in offered
    )
    save = f'<button type="button" class="quiet" data-save title="{texts.SAVE_INFO}">{texts.SAVE}</button>' if selected else ""
    load = (
        f'<label class="quiet" title="{texts.OPEN_INFO}">{texts.OPEN_FILE}'
        f'<input type="file" accept=".json,application/json" aria-label="{texts.OPEN_FILE}"></label>'
    )
    none = "" if selected else " none"
    return f'<div class="lm-actions{none}" role="group" aria-label="{texts.ACTIONS}">{adds}<span class="lm-files">{save}{load}</span></div>'

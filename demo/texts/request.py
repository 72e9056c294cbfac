"""A request: its preview, its buttons and its progress."""

from __future__ import annotations

from demo.texts.formats import count, seconds
from demo.texts.status import STAGES

FORGET = "Forget"
CANCEL = "Cancel"
START_OVER = "Start over"
INCLUDE_COPIES = "Include the copies"
PLAN_EMPTY_TITLE = "What it would take"
PLAN_EMPTY = "Before anything runs, this shows which clusters will retrain and how long it will take."
PLAN_WAIT = "You can already select. The preview appears when the model is ready."
WORKING = "Forgetting"
CANCELLING = "Stopping at the next step…"
CANCELLED = "Cancelled. The model is unchanged."


def plan(s: dict) -> str:
    """Return the preview sentence; `s` is `ForgetPlan.summary()` with `clusters_holding`: how many clusters hold the images."""
    if s["samples_total"] == s["images"]:
        return f"All {count(s['images'], 'image')}. The model will be empty."
    held, total = s["clusters_holding"], s["clusters_total"]
    where = f"{count(s['images'], 'image')} in {held:,} of {count(total, 'cluster')}."
    shaped = " Some of them shaped the clusters, so more retrain." if s["clusters_touched"] > held else ""
    share = f"{s['samples_to_retrain']:,} of {s['samples_total']:,} samples"
    verb, stay = "retrains" if s["clusters_retrained"] == 1 else "retrain", s["clusters_untouched"]
    retrained = f"{count(s['clusters_retrained'], 'cluster')} {verb} ({share})"
    lost = total - stay - s["clusters_retrained"]
    dissolved = f", {lost:,} {'dissolves' if lost == 1 else 'dissolve'}" if lost > 0 else ""
    return f"{where}{shaped} {retrained}{dissolved}, {stay:,} {'stays' if stay == 1 else 'stay'} untouched."


def plan_time(s: dict) -> str:
    """Return the predicted times in words, and how sure they are."""
    full = f"{_expected(s)}; full retraining about {seconds(s['predicted_full_seconds'])}."
    everything = s["clusters_retrained"] and not s["clusters_untouched"]
    return f"{full} Every cluster that is left retrains, as in full retraining." if everything else full


def _expected(s: dict) -> str:
    if not s["measured_clusters"]:
        return f"Time: {NOT_MEASURED_TIME} on this machine"
    about = seconds(s["predicted_seconds"])
    about = about.capitalize() if about.startswith("under") else f"About {about}"
    low, high = (seconds(value) for value in s["predicted_range"])
    return about if low == high else f"{about} ({low} to {high}, estimated from {count(s['measured_clusters'], 'cluster')} trained here)"


def plan_figure(s: dict) -> str:
    """Return the predicted time alone."""
    return seconds(s["predicted_seconds"]) if s["measured_clusters"] else NOT_MEASURED_TIME


NOT_MEASURED_TIME = "not measured yet"


def copies(n: int) -> str:
    """Return the warning about identical copies that would stay."""
    return f"{count(n, 'identical copy', 'identical copies')} of your selection would stay in the model."


def forget_button(n: int) -> str:
    """Return the button's words for a selection of n."""
    return f"Forget {count(n, 'image')}" if n else FORGET


def working(done: int, total: int, stage: str) -> str:
    """Return what a running request is doing."""
    return f"Retraining cluster {min(done + 1, total):,} of {total:,}" if stage == "train" and total else STAGES.get(stage, stage)

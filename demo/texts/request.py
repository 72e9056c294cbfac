"""The request column: three ways in, teaching a picture, a request's preview, its buttons and its progress."""

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


def forget_button(n: int, s: dict | None = None) -> str:
    """Return the button's words for a selection of n; `s` as in `plan`."""
    return f"Forget {count(n, 'image')}{_about(s)}" if n else FORGET


def working(done: int, total: int, stage: str) -> str:
    """Return what a running request is doing."""
    return f"Retraining cluster {min(done + 1, total):,} of {total:,}" if stage == "train" and total else STAGES.get(stage, stage)


# Three ways in
WAYS_TITLE = "Start here"
WAYS_HINT = "Or draw around points on the map: each is a picture that the model has learned."
WAY_TEACH = (
    "Teach it yours, then erase it",
    "Draw or photograph something, give it a wrong name, and see the model believe it, then forget it.",
)
WAY_ONE_SEARCHING = ("Forget one picture", "Looking for a picture that changes the model's answer…")
WAY_ONE_NONE = ("Forget one picture", "No single picture of those tried changes the model's answer. Pick any on the map.")


def way_class(name: str, n: int) -> tuple[str, str]:
    """Return title and sentence of the way that forgets a class."""
    size = f"{count(n, 'picture')}. " if n else ""
    return f"Forget every {name}", f"{size}Afterwards the model reads a {name} as something else."


def way_one(row: int, name: str) -> tuple[str, str]:
    """Return title and sentence of the way that forgets one picture."""
    return "Forget one picture", f"No. {row:,} is labeled {name}. Without it, the model gives it another name."


# Teaching a picture
TEACH_TITLE = "Teach it yours, then erase it"
TEACH_BACK = "Back"
TEACH_LABEL = "Call it"
ASK, TEACH, TEACH_MORE = "Ask the model", "Teach it", "Teach another"
TEACHING = "Teaching your picture"
YOURS = "your picture"
TEACH_STEPS = ("Before", "After teaching")
TEACH_HINT = "Draw something and give it a name, right or wrong. Only you see it; it is gone when you leave."
TEACH_NEXT = "Now press Forget."
NO_PICTURE = "Draw or choose a picture first."
NO_LABEL = "Choose what to call your picture first."
TAUGHT_ALREADY = "The model already has exactly this picture under this name. Change the drawing, or choose another name."
NO_TEACHING = "This model is stored in a workspace and shared by everyone, so it learns no pictures of a visitor's own."
TAUGHT_IS_GONE = "The picture that you taught is deleted, so this comparison cannot be made for it. Forget a picture of the map to compare."
DRAWING = {
    "stage": "Drawing area. Draw with the mouse or a finger; or choose a photo, or an example.",
    "hint": "Draw here",
    "clear": "Clear",
    "photo": "Photo or file",
    "example": "Example",
    "shown": "What the model sees",
    "unreadable": "This file is not a picture that your browser can read. Choose a PNG, JPEG or WebP file.",
}


def taught_too_many(most: int) -> str:
    """Return that a visitor has taught as many pictures as one visit allows."""
    return f"You have taught {most:,} pictures, the most in one visit. Press Start over to begin again."


def bad_label(given: object, classes: int) -> str:
    """Return that a class number is none."""
    return f"label is {given!r:.40}; give a whole number from 0 to {classes - 1:,}, the number of a class."


def picture(name: str, own: bool) -> str:
    """Return a picture's class in words, and that it is the visitor's own."""
    return f"Class {name}, {YOURS}" if own else f"Class {name}"


def teaching(done: int, total: int, stage: str) -> str:
    """Return what a running lesson is doing."""
    return f"Training cluster {min(done + 1, total):,} of {total:,} with your picture" if stage == "train" and total else f"{TEACHING}…"


def taught_in(taken: float, clusters: int) -> str:
    """Return what teaching took."""
    return f"Learned in {seconds(taken)}: {count(clusters, 'cluster')} trained."


def forget_taught(s: dict | None) -> str:
    """Return the button's words when the selection is the picture just taught; `s` as in `plan`."""
    return f"Forget my picture{_about(s)}"


def _about(s: dict | None) -> str:
    return f" · about {seconds(s['predicted_seconds'])}" if s and s["measured_clusters"] else ""

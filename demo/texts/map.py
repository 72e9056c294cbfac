"""The map: its tools, its legend and the card of a picture."""

from __future__ import annotations

MAP = {
    "many": "# selected",
    "none": "",
    "color_by": "Color by",
    "tools": "Map tools",
    "shape": "Selection tool",
    "lasso": "Lasso: draw around points",
    "box": "Box: drag a rectangle",
    "pan": "Move: drag the map",
    "operation": "How a new selection combines with the current one",
    "replace": "Replace",
    "add": "Add",
    "remove": "Remove",
    "common": "Intersect",
    "zoom": "Zoom",
    "zoom_in": "Zoom in",
    "zoom_out": "Zoom out",
    "zoom_fit": "Show everything",
    "stage": "Map of the private training images. Draw around points to select them. Arrow keys move, plus and minus zoom, 0 shows all, "
    "Escape clears. To select by keyboard, use “Choose without the map”.",
    "hint": "Draw around points. Shift adds, Alt removes, Esc clears.",
    "touch": "Tap a point to select it. Two fingers zoom.",
    "drawing": "Draw around points. Two fingers zoom.",
    "draw": "Draw with a finger",
    "stop": "Stop drawing",
    "finger": "To draw around points, press “Draw with a finger”.",
    "empty": "No picture inside. Draw around a few.",
    "busy": "You cannot select while a request is running.",
    "loading": "Loading the map",
    "failed": "The map could not be loaded. Reload the page.",
    "legend": "Legend. Each name selects its group; the eye beside it shows or hides the group.",
    "all": "All",
    "show_all": "Show or hide all",
    "show": "Show #",
    "pick": "Select #",
    "share": "# of #",
    "find": "Find a group",
    "selected": "selected",
    "retrain": "will retrain",
    "retraining": "to be retrained",
    "retrained": "retrained",
    "untouched": "untouched",
}
SCHEMES = {"class": "Class", "cluster": "Cluster", "correct": "Correct?", "memorized": "Memorized", "subject": "Subject"}
MEMORIZED_ABOUT = "How much the model's answer about each picture rests on having seen it."
MEMORIZED = {  # by level: how far the probability of a picture's class drops when the picture is left out
    "Not at all": "Left out, the picture is recognized as well as before: its probability drops by less than 0.01.",
    "A little": "Left out, the probability of the picture's class drops by 0.01 to 0.1.",
    "Partly": "Left out, the probability of the picture's class drops by 0.1 to 0.5.",
    "Mostly": "Left out, the probability of the picture's class drops by 0.5 to 0.9.",
    "Entirely": "The model recognizes the picture only because it has seen it: left out, its probability drops by 0.9 or more.",
}
CORRECT = ("Correct", "Wrong")
CLUSTER = "Cluster {}"


def card(row: int, label: str, lines: list[str]) -> tuple[str, list[str]]:
    """Return the title and lines of the card shown when hovering over a picture."""
    return f"{label}", [f"No. {row:,}", *lines]

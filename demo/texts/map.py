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
    "busy": "You cannot select while a request is running.",
    "loading": "Loading the map",
    "failed": "The map could not be loaded. Reload the page.",
    "legend": "Legend. Each button shows or hides its group; All shows or hides every group.",
    "all": "All",
}
SCHEMES = {"class": "Class", "cluster": "Cluster", "correct": "Correct?", "subject": "Subject"}
CORRECT = ("Correct", "Wrong")
CLUSTER = "Cluster {}"


def card(row: int, label: str, lines: list[str]) -> tuple[str, list[str]]:
    """Return the title and lines of the card shown when hovering over a picture."""
    return f"{label}", [f"No. {row:,}", *lines]

"""The Clusters tab: sizes, training and the pictures of prompts."""

from __future__ import annotations

from demo.texts.formats import count

LEAD_CLUSTERS = (
    "Every cluster has its own small prompt and classifier (preset instant: its own class means), "
    "so a request retrains only the clusters it touches."
)
EMPTY_CLUSTERS = "The clusters appear when the model is ready."
CHART_SIZES = "Images in each cluster, largest first; those that retrained last are green"
CLUSTERS_HEAD = ("Cluster", "Images", "Most frequent class", "Training loss", "State")
STATE_SAME, STATE_NEW = "unchanged", "retrained"
PORTRAITS = "Retrained last"
PORTRAITS_INFO = "The earlier prompts are stored only as these pictures, until your next request or Start over."
NO_PROMPTS = "The clusters of this preset learn no prompts. Each keeps the mean feature of its pictures, class by class."
PICTURES = {"before": "Before", "after": "After", "difference": "Difference"}
PICTURE_NOW = "Now"
PICTURE_KINDS = {
    "matrix": (
        "The prompt is not an image: each row is one learned token, each cell one of its numbers. Blue is below zero, orange above. "
        "Training starts from new noise each time, so removing even one picture changes every cell."
    ),
    "frame": "The prompt is a frame of pixels added to every image, shown around plain gray with its contrast raised.",
}
CLUSTER_PICK = "Show a cluster"
NO_CLUSTER = "{} is not a cluster of this model. Choose one from 0 to {:,}."


def cluster_facts(n: int, name: str, purity: float) -> str:
    """Return a cluster's size and purity."""
    return f"{count(n, 'image')}, {100 * purity:.0f} % of class {name}"


def curve(steps: int, first: float, last: float) -> str:
    """Return a tuning curve in words."""
    return f"Training loss {first:.2f} → {last:.2f} in {count(steps, 'step')}"


def picture_alt(title: str, when: str, kind: str) -> str:
    """Return the words for a prompt's picture."""
    return f"{title}, {when.lower()}: {'learned tokens as a heat map' if kind == 'matrix' else 'pixel frame'}"


def more_clusters(n: int) -> str:
    """Return how many retrained clusters are not drawn here."""
    return f"{count(n, 'more cluster')} retrained; choose any of them below."

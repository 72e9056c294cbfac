"""The Clusters tab: members, sizes, training and prompts."""

from __future__ import annotations

from demo.texts.formats import count

LEAD_CLUSTERS = (
    "Pictures that look alike share a cluster. Each cluster is trained on its own, so a request retrains only the clusters it touches."
)
EMPTY_CLUSTERS = "The clusters appear when the model is ready."
NO_CLUSTERS = "The model is empty, so there are no clusters."
CHART_SIZES = "Images per cluster; green: retrained last"
CLUSTERS_RETRAINED, CLUSTERS_LARGEST = "Retrained by your last request", "The largest clusters"
FRAMES_INFO = "The earlier prompts are stored only as these pictures, until your next request or Start over."
NO_PROMPTS = "This preset learns no prompts. Each cluster keeps the mean feature of its pictures, class by class."
PROMPT_FRAME = "The prompt is a frame of pixels added to every picture. It is shown on gray, with its contrast raised."
PICTURES = {"before": "Prompt before", "after": "Prompt after", "difference": "Difference"}
PICTURE_NOW = "Prompt"
CLUSTER_PICK = "Show another cluster"
NO_CLUSTER = "{} is not a cluster of this model. Choose one from 0 to {:,}."


def cluster_choice(number: int, images: int) -> str:
    """Return a cluster's name in the list."""
    return f"Cluster {number} · {count(images, 'image')}"


def cluster_facts(n: int, name: str, purity: float) -> str:
    """Return a cluster's size and purity."""
    return f"{count(n, 'image')}, {100 * purity:.0f} % of class {name}"


def picture_name(row: int, name: str) -> str:
    """Return the name of a member's picture."""
    return f"No. {row:,} · class {name}"


def members_alt(shown: int, more: int) -> str:
    """Return the words for the pictures of a cluster's members."""
    return f"{shown:,} of its {count(shown + more, 'picture')}"


def more_members(n: int) -> str:
    """Return how many of a cluster's pictures are not shown."""
    return f"+{n:,}"


def prompt_tokens(n: int) -> str:
    """Return what a prompt of tokens is."""
    return f"The prompt is not a picture: it is {count(n, 'learned token')}, {'a list' if n == 1 else 'each a list'} of numbers."


def curve(steps: int, first: float, last: float) -> str:
    """Return a tuning curve in words."""
    return f"Training loss {first:.2f} → {last:.2f} in {count(steps, 'step')}"


def picture_alt(title: str, when: str) -> str:
    """Return the words for a prompt's picture."""
    return f"{title}, {when.lower()}: pixel frame"


def more_clusters(n: int, retrained: bool) -> str:
    """Return how many clusters are not shown here."""
    if n <= 0:
        return ""
    return f"{count(n, 'more cluster')}{' retrained' if retrained else ''}; choose any of them below."

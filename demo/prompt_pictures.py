"""A cluster's prompt as a picture: tokens as a heat map, pixel prompts as a frame around the mean image the backbone expects.

Drawing only: arrays come from `core.prompts.drawable`. Blue is below zero and orange above, so that it reads without color vision.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from core.errors import InputError
from demo import markup, markup_methods, texts
from demo.session import Lab, Portrait, Visitor

LOW, MIDDLE, HIGH = np.array([33, 92, 168]), np.array([243, 244, 244]), np.array([208, 96, 12])
REACH = 110  # grey levels that the strongest pixel is drawn away from the mean image

Updates = dict[str, Any]


def portrait(before: np.ndarray | None, after: np.ndarray) -> Portrait:
    """Return a prompt before and after, and the difference, on one scale: of tokens (p, dim), or offsets of pixels (s, s, 3)."""
    draw, kind = (_frame, "frame") if after.ndim == 3 else (_heat, "matrix")
    comparable = before is not None and before.shape == after.shape
    shown = [before, after, after - before] if comparable else [after]
    scale = max(max(float(np.abs(a).max(initial=0)) for a in shown), 1e-9)
    pictures = [markup.data_uri(draw(a / scale)) for a in shown]
    return Portrait(kind, *pictures) if comparable else Portrait(kind, None, pictures[0], None)


def _heat(values: np.ndarray) -> np.ndarray:
    """Return values (p, d) in -1..1 as an RGB image, one pixel each."""
    share = np.abs(values)[..., None]
    return (MIDDLE + share * (np.where(values[..., None] < 0, LOW, HIGH) - MIDDLE)).astype(np.uint8)


def _frame(offsets: np.ndarray) -> np.ndarray:
    """Return offsets (s, s, 3) in -1..1 as an RGB image around mid-grey."""
    return np.clip(128 + REACH * offsets, 0, 255).astype(np.uint8)


class PromptPictures:
    """The Clusters tab's pictures, for one lab."""

    def __init__(self, lab: Lab):
        self.lab = lab

    def show(self, visitor: Visitor) -> Updates:
        """Return the clusters that retrained last, and the chooser."""
        if visitor.eraser is None:
            return {"portraits": "", "cluster_pick": gr.update(visible=False), "portrait": ""}
        last, names = visitor.requests[-1] if visitor.requests else None, self._names(visitor)
        kept = {key: p for key, p in (last.portraits if last else {}).items() if key in visitor.eraser.states_}
        cards = [self._card(visitor, visitor.eraser.keys_.index(key), p) for key, p in kept.items()]
        more = len(last.outcome.trained) - len(cards) if last else 0
        return {
            "portraits": markup_methods.portraits(cards, more) if cards else "",
            "cluster_pick": gr.update(choices=names, value=0 if names else None, visible=bool(names)),
            "portrait": self._one(visitor, 0) if names else "",
        }

    def choose(self, token: str | None, cluster: int | None) -> Updates:
        """Show one cluster's prompt; raises InputError for a cluster that is none."""
        visitor = self.lab.ready(self.lab.find(token))
        clusters = visitor.eraser.partition_.clusters
        if not isinstance(cluster, int) or not 0 <= cluster < clusters:
            raise InputError(texts.NO_CLUSTER.format(cluster, clusters - 1))
        return {"portrait": self._one(visitor, cluster)}

    def _names(self, visitor: Visitor) -> list[tuple[str, int]]:
        return [(texts.CLUSTER.format(c), c) for c in range(visitor.eraser.partition_.clusters)]

    def _one(self, visitor: Visitor, cluster: int) -> str:
        key = visitor.eraser.keys_[cluster]
        return self._card(visitor, cluster, portrait(None, self.lab.engine.prompts(visitor.eraser, [key])[key]))

    def _card(self, visitor: Visitor, cluster: int, picture: Portrait) -> str:
        eraser = visitor.eraser
        labels = eraser.samples_.labels[eraser.partition_.members(cluster)]
        values, counts = np.unique(labels, return_counts=True)
        name = self.lab.samples.classes[values[counts.argmax()]]
        facts = texts.cluster_facts(len(labels), name, counts.max() / len(labels))
        return markup_methods.portrait(texts.CLUSTER.format(cluster), facts, picture, eraser.states_[eraser.keys_[cluster]].losses)

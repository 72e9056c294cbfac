"""The Clusters tab: the clusters of the last request, or the largest, each with some of its pictures; and any other one by choice."""

from __future__ import annotations

from collections.abc import Iterable

import gradio as gr
import numpy as np
from markupsafe import Markup

from core.errors import InputError
from demo import texts
from demo.panels.common import Context, Parts, Updates, html, plot
from demo.session.protocol import ClusterFacts, Model
from demo.session.requests import Portrait
from demo.session.visitor import Visitor
from demo.view import charts, markup, markup_clusters
from demo.view.pictures import data_uri, portrait

MOST_CARDS = 8
MOST_PICTURES, MOST_PICTURES_CHOSEN = 12, 48  # of a cluster, on a card


class ClustersTab:
    """The tab's components, events and contents, for one lab."""

    def __init__(self, context: Context):
        self.lab = context.lab
        context.tabs.add("clusters", self.show)

    def components(self) -> Parts:
        """Create the tab's contents."""
        html(markup.lead(texts.LEAD_CLUSTERS))
        parts: Parts = {"clusters": html(markup.empty(texts.EMPTY_CLUSTERS), elem_id="lm-clusters")}
        parts["cluster_pick"] = gr.Dropdown([], label=texts.CLUSTER_PICK, visible=False, elem_classes="lm-pick-cluster")
        parts["cluster_chosen"] = html(elem_id="lm-cluster-chosen")
        parts["sizes"] = plot()
        return parts

    def show(self, visitor: Visitor) -> Updates:
        """Return the tab for the visitor's model."""
        model = visitor.model
        if model is None or not model.clusters:
            words = texts.EMPTY_CLUSTERS if model is None else texts.NO_CLUSTERS
            hidden = {"cluster_pick": gr.update(visible=False), "sizes": gr.update(visible=False)}
            return {"clusters": markup.empty(words), "cluster_chosen": "", **hidden}
        sizes, retrained = self._sizes(visitor, model), self._retrained(visitor, model)
        touched = [c in retrained for c in range(model.clusters)]
        names = [(texts.cluster_choice(c, n), c) for c, n in enumerate(sizes)]
        return {
            "clusters": self._cards(visitor, model, sizes, retrained),
            "cluster_pick": gr.update(choices=names, value=None, visible=True),
            "cluster_chosen": "",
            "sizes": gr.update(value=charts.cluster_sizes(sizes, touched), visible=True),
        }

    def choose(self, token: str | None, cluster: int | None) -> Updates:
        """Show one cluster; raises InputError for a cluster that is none."""
        visitor = self.lab.find(token)
        model = self.lab.model(visitor)
        if visitor is None or not isinstance(cluster, int) or not 0 <= cluster < model.clusters:
            raise InputError(texts.NO_CLUSTER.format(cluster, model.clusters - 1))
        key = model.keys()[cluster]
        prompt = model.prompts([key]).get(key)
        words = texts.NO_PROMPTS if prompt is None else texts.PROMPT_FRAME if prompt.ndim == 3 else texts.prompt_tokens(len(prompt))
        values = self._card(visitor, model, cluster, portrait(None, prompt), MOST_PICTURES_CHOSEN)
        return {"cluster_chosen": markup_clusters.chosen(values, words, model.cluster(cluster).losses)}

    def _sizes(self, visitor: Visitor, model: Model) -> list[int]:
        clusters = self.lab.row_clusters(visitor)
        return np.bincount(clusters[clusters >= 0], minlength=model.clusters).tolist()

    @staticmethod
    def _retrained(visitor: Visitor, model: Model) -> set[int]:
        """Return the clusters that the last request retrained."""
        trained = set(visitor.last.outcome.trained) if visitor.last else set()
        return {c for c, key in enumerate(model.keys()) if key in trained}

    def _cards(self, visitor: Visitor, model: Model, sizes: list[int], retrained: set[int]) -> Markup:
        order = sorted(retrained or range(model.clusters), key=lambda c: -sizes[c])
        shown = order[:MOST_CARDS]
        drawn = self._drawn(visitor, model, shown)
        cards = [self._card(visitor, model, c, drawn[c], MOST_PICTURES) for c in shown]
        info = texts.FRAMES_INFO if any(p and p.before for p in drawn.values()) else ""
        title = texts.CLUSTERS_RETRAINED if retrained else texts.CLUSTERS_LARGEST
        return markup_clusters.cards(title, info, cards, texts.more_clusters(len(order) - len(shown), bool(retrained)))

    def _drawn(self, visitor: Visitor, model: Model, clusters: Iterable[int]) -> dict[int, Portrait | None]:
        """Return each cluster's prompt as pictures, with the earlier one where the last request changed it; None where it is none."""
        keys, before = model.keys(), visitor.last.prompts_before if visitor.last else {}
        now = model.prompts([keys[c] for c in clusters])
        return {c: portrait(before.get(keys[c]), now.get(keys[c])) for c in clusters}

    def _card(self, visitor: Visitor, model: Model, number: int, picture: Portrait | None, most: int) -> markup_clusters.Card:
        """Return a card's contents; its pictures are those of members that are still in the model."""
        facts, samples = model.cluster(number), self.lab.samples
        rows = np.flatnonzero(self.lab.row_clusters(visitor) == number).tolist()
        shown = rows if len(rows) <= most else rows[: most - 1]  # the last place says how many more there are
        tiles = [(data_uri(samples.images[row]), texts.picture_name(row, samples.classes[samples.labels[row]])) for row in shown]
        words = texts.cluster_facts(len(facts.labels), *self._class(facts))
        return markup_clusters.Card(texts.CLUSTER.format(number), words, tiles, len(facts.labels) - len(tiles), picture)

    def _class(self, facts: ClusterFacts) -> tuple[str, float]:
        """Return the most frequent class and its share."""
        values, counts = np.unique(facts.labels, return_counts=True)
        return self.lab.samples.classes[values[counts.argmax()]], counts.max() / len(facts.labels)

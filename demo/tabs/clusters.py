"""The Clusters tab: sizes, a table, the prompts that retrained last, and the prompt of any cluster a visitor chooses."""

from __future__ import annotations

import gradio as gr
import numpy as np
from markupsafe import Markup

from core.errors import InputError
from demo import texts
from demo.session.protocol import ClusterFacts, Model
from demo.session.requests import Portrait
from demo.session.visitor import Visitor
from demo.tabs.common import Context, Parts, Updates, html, plot
from demo.view import charts, markup, markup_methods
from demo.view.pictures import portrait

TABLE_MOST = 200


class ClustersTab:
    """The tab's components, events and contents, for one lab."""

    def __init__(self, context: Context):
        self.lab = context.lab
        context.tabs.add("clusters", self.show)

    def components(self) -> Parts:
        """Create the tab's contents."""
        html(markup.lead(texts.LEAD_CLUSTERS))
        parts: Parts = {"sizes": plot(), "portraits": html()}
        parts["cluster_pick"] = gr.Dropdown([], label=texts.CLUSTER_PICK, visible=False, elem_classes="lm-pick-cluster")
        parts["portrait"] = html(elem_id="lm-portrait")
        parts["clusters"] = html(markup.empty(texts.EMPTY_CLUSTERS))
        return parts

    def show(self, visitor: Visitor) -> Updates:
        """Return the tab for the visitor's model."""
        model, request = visitor.model, visitor.last
        if model is None:
            hidden = {"cluster_pick": gr.update(visible=False), "sizes": gr.update(visible=False)}
            return {"clusters": markup.empty(texts.EMPTY_CLUSTERS), "portraits": "", "portrait": "", **hidden}
        names = [(texts.CLUSTER.format(c), c) for c in range(model.clusters)]
        retrained = set(request.outcome.trained) if request else set()
        return {
            **self._table([model.cluster(c) for c in range(model.clusters)], retrained),
            "portraits": self._retrained(visitor, model),
            "cluster_pick": gr.update(choices=names, value=0 if names else None, visible=bool(names)),
            "portrait": self._one(model, 0) if names else "",
        }

    def choose(self, token: str | None, cluster: int | None) -> Updates:
        """Show one cluster's prompt; raises InputError for a cluster that is none."""
        model = self.lab.model(self.lab.find(token))
        if not isinstance(cluster, int) or not 0 <= cluster < model.clusters:
            raise InputError(texts.NO_CLUSTER.format(cluster, model.clusters - 1))
        return {"portrait": self._one(model, cluster)}

    def _table(self, clusters: list[ClusterFacts], retrained: set[str]) -> Updates:
        sizes, touched = [len(c.labels) for c in clusters], [c.key in retrained for c in clusters]
        order = sorted(range(len(clusters)), key=lambda c: (not touched[c], -sizes[c]))[:TABLE_MOST]
        rows = [self._row(c, clusters[c], touched[c]) for c in order]
        return {
            "clusters": markup.table(texts.CLUSTERS_HEAD, rows, (1, 3), texts.LEAD_CLUSTERS),
            "sizes": gr.update(value=charts.cluster_sizes(sizes, touched), visible=bool(clusters)),
        }

    def _row(self, number: int, facts: ClusterFacts, new: bool) -> tuple[str, ...]:
        name, purity = self._class(facts.labels)
        loss = f"{facts.losses[0]:.2f} → {facts.losses[-1]:.2f}" if facts.losses else "–"
        state = texts.STATE_NEW if new else texts.STATE_SAME
        return (texts.CLUSTER.format(number), f"{len(facts.labels):,}", f"{name} ({100 * purity:.0f} %)", loss, state)

    def _class(self, labels: np.ndarray) -> tuple[str, float]:
        """Return the most frequent class and its share."""
        values, counts = np.unique(labels, return_counts=True)
        return self.lab.samples.classes[values[counts.argmax()]], counts.max() / len(labels)

    def _retrained(self, visitor: Visitor, model: Model) -> str:
        """Return the prompts of the clusters that retrained last, before and after."""
        request, keys = visitor.last, model.keys()
        before = {key: prompt for key, prompt in (request.prompts_before if request else {}).items() if key in keys}
        if request is None or not before:
            return ""
        now = model.prompts(before)
        if not now:
            return ""
        cards = [self._card(model, keys.index(key), portrait(prompt, now[key])) for key, prompt in before.items()]
        return markup_methods.portraits(cards, len(request.outcome.trained) - len(cards))

    def _one(self, model: Model, number: int) -> str:
        key = model.keys()[number]
        prompts = model.prompts([key])
        return self._card(model, number, portrait(None, prompts[key])) if prompts else markup.note(texts.NO_PROMPTS)

    def _card(self, model: Model, number: int, picture: Portrait) -> Markup:
        facts = model.cluster(number)
        words = texts.cluster_facts(len(facts.labels), *self._class(facts.labels))
        return markup_methods.portrait(texts.CLUSTER.format(number), words, picture, facts.losses)

"""Prompts as pictures and probability cards: right values drawn, and nothing kept longer than said."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from demo import texts
from demo.tabs.result import show_probabilities
from demo.view.pictures import portrait
from tests.demo.tabs.test_compare import forgotten


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_tokens_are_drawn_as_a_heat_map_on_one_scale():
    before, after = np.zeros((2, 3)), np.array([[1.0, -1.0, 0.5], [0, 0, 0]])
    drawn = portrait(before, after)
    assert drawn.kind == "matrix"
    image = pixels(drawn.after)
    assert image.shape == (2, 3, 3)
    assert image[0, 0, 0] > image[0, 0, 2]  # orange above zero
    assert image[0, 1, 2] > image[0, 1, 0]  # blue below
    assert (pixels(drawn.before) == image[1, 0]).all()
    assert (pixels(drawn.difference) == image).all()


def test_frames_are_drawn_around_grey():
    offsets = np.zeros((5, 5, 3))
    offsets[0, 0] = 0.3
    image = pixels(portrait(None, offsets).after)
    assert (image[2, 2] == 128).all()
    assert (image[0, 0] > 200).all()


def test_retrained_clusters_show_before_after_and_difference(lab, site):
    visitor = forgotten(lab, site, [1, 2])
    shown = site.clusters.show(visitor)
    assert shown["portraits"].count("lm-portrait ") == 2
    assert shown["portraits"].count("<img") == 6
    assert shown["portrait"].count("<img") == 1
    assert "polyline" in shown["portrait"]
    assert "9 images, 100 % of class b" in shown["portraits"]


def test_a_model_without_prompts_says_so(lab, site, monkeypatch):
    monkeypatch.setattr(type(lab.base.model), "prompts", lambda self, keys: {})
    shown = site.clusters.show(forgotten(lab, site, [1, 2]))
    assert shown["portraits"] == ""
    assert texts.NO_PROMPTS in shown["portrait"] and "<img" not in shown["portrait"]


def test_any_cluster_can_be_looked_at_and_no_other(lab, site):
    visitor = lab.enter()
    assert "Cluster 4" in site.clusters.choose(visitor.token, 4)["portrait"]
    for wrong in (6, -1, "x", None):
        with pytest.raises(InputError, match="is not a cluster"):
            site.clusters.choose(visitor.token, wrong)


def test_the_probability_card_has_before_and_after_and_no_picture(lab, site):
    visitor = forgotten(lab, site, [1, 2])
    shown = show_probabilities(lab, visitor)["probabilities"]
    assert "No. 1 · Class b" in shown
    assert "80 → 40 %" in shown
    assert shown.count("true class") == 2
    assert "<img" not in shown


def test_traces_of_forgotten_images_go_with_the_next_request(lab, site):
    visitor = forgotten(lab, site, list(range(20)), [30])
    first, second = visitor.requests
    assert first.probabilities is None and first.prompts_before == {}
    assert second.probabilities.rows == (30,)
    site.request.start_over(visitor.token)
    assert show_probabilities(lab, visitor)["probabilities"] == ""


def test_at_most_twelve_images_have_a_card(lab, site):
    visitor = forgotten(lab, site, range(20))
    shown = show_probabilities(lab, visitor)["probabilities"]
    assert shown.count('type="radio"') == 12
    assert "and 8 more" in shown

"""Clusters with their pictures, prompts and probability cards: right values drawn, and nothing kept longer than said."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from demo import texts
from demo.tabs import clusters
from demo.tabs.result import show_probabilities
from demo.view.pictures import portrait
from tests.demo.tabs.test_compare import forgotten


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_tokens_are_no_picture():
    assert portrait(np.zeros((2, 3)), np.ones((2, 3))) is None
    assert portrait(None, None) is None


def test_frames_are_drawn_on_one_scale():
    before, after = np.zeros((4, 4, 3)), np.zeros((4, 4, 3))
    after[0, 0], after[3, 3] = 1, -1
    drawn = portrait(before, after)
    assert (pixels(drawn.before) == 128).all()
    assert pixels(drawn.after)[0, 0, 0] > 128 > pixels(drawn.after)[3, 3, 0]
    assert (pixels(drawn.difference) == pixels(drawn.after)).all()


def test_frames_are_drawn_around_grey():
    offsets = np.zeros((5, 5, 3))
    offsets[0, 0] = 0.3
    image = pixels(portrait(None, offsets).after)
    assert (image[2, 2] == 128).all()
    assert (image[0, 0] > 200).all()


def test_the_clusters_of_the_last_request_show_pictures_of_members_and_no_forgotten_one(lab, site):
    shown = site.clusters.show(forgotten(lab, site, [1, 2]))["clusters"]
    assert texts.CLUSTERS_RETRAINED in shown
    assert shown.count('lm-cluster"') == 2
    assert shown.count("<img") == 18  # nine members each are left
    assert "9 images, 100 % of class b" in shown
    assert texts.picture_name(7, "b") in shown and texts.picture_name(1, "b") not in shown


def test_before_a_request_the_largest_clusters_are_shown(lab, site):
    shown = site.clusters.show(lab.enter())
    assert texts.CLUSTERS_LARGEST in shown["clusters"]
    assert shown["clusters"].count('lm-cluster"') == 6
    assert shown["cluster_pick"]["choices"][4] == ("Cluster 4 · 10 images", 4)


def test_what_does_not_fit_is_counted(lab, site, monkeypatch):
    monkeypatch.setattr(clusters, "MOST_CARDS", 4)
    monkeypatch.setattr(clusters, "MOST_PICTURES", 3)
    shown = site.clusters.show(lab.enter())["clusters"]
    assert shown.count("<img") == 8 and "+8" in shown
    assert texts.more_clusters(2, False) in shown


def test_a_pixel_frame_is_shown_before_after_and_as_a_difference(lab, site, monkeypatch):
    frames = lambda self, keys: {key: np.full((4, 4, 3), int(key[:4], 16) / 65536) for key in keys}  # noqa: E731
    monkeypatch.setattr(type(lab.base.model), "prompts", frames)
    visitor = forgotten(lab, site, [1])
    shown = site.clusters.show(visitor)["clusters"]
    assert shown.count("<figure") == 3
    assert texts.FRAMES_INFO in shown
    assert site.clusters.choose(visitor.token, 0)["cluster_chosen"].count("<figure") == 1


def test_a_prompt_that_is_no_picture_is_put_into_words(lab, site, monkeypatch):
    visitor = lab.enter()
    shown = site.clusters.choose(visitor.token, 4)["cluster_chosen"]
    assert texts.prompt_tokens(4) in shown and "<figure" not in shown and "polyline" in shown
    monkeypatch.setattr(type(lab.base.model), "prompts", lambda self, keys: {})
    assert texts.NO_PROMPTS in site.clusters.choose(visitor.token, 4)["cluster_chosen"]


def test_an_empty_model_has_no_clusters(lab, site):
    shown = site.clusters.show(forgotten(lab, site, range(60)))
    assert texts.NO_CLUSTERS in shown["clusters"]
    assert not shown["cluster_pick"]["visible"] and not shown["sizes"]["visible"]


def test_any_cluster_can_be_looked_at_and_no_other(lab, site):
    visitor = lab.enter()
    assert "Cluster 4" in site.clusters.choose(visitor.token, 4)["cluster_chosen"]
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

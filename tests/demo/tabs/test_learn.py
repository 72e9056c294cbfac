"""The Learn tab: the figure follows the selection, and the lesson's numbers the model as it is now."""

from demo import texts
from tests.demo.tabs.test_compare import forgotten
from tests.demo.tabs.test_page import last


def test_the_figure_marks_what_the_selection_touches(lab, site):
    visitor = lab.enter()
    visitor.open_tab = "learn"
    shown = site.request.select(visitor.token, [1, 2])
    assert shown["how"].count('class="cell on"') == 4  # two clusters, in the figure drawn wide and in the one drawn tall
    assert texts.how_note(6, 2) in shown["how"]
    assert texts.how_note(6, 0) in site.request.select(visitor.token, [])["how"]


def test_the_lesson_counts_what_is_left(lab, site):
    visitor = forgotten(lab, site, [1, 7])
    shown = site.learn.show(visitor)["lesson"]
    assert "The model learned 58 pictures." in shown and "6 clusters" in shown
    assert texts.retrained_before(60, lab.measured.seconds, lab.measured.day) in shown


def test_full_retraining_of_the_request_itself_takes_the_place_of_an_earlier_measurement(lab, site):
    visitor = forgotten(lab, site, [1])
    last(site.proof.full(visitor.token))
    shown = site.learn.show(visitor)["lesson"]
    assert texts.retrained_here(visitor.last.clean.seconds) in shown and lab.measured.day not in shown


def test_without_a_measurement_no_time_is_said(lab, site):
    lab.measured = None
    assert " took " not in site.learn.show(lab.enter())["lesson"]

"""What an address asks for: offers, selections, seeds; and what it asks for in vain, named in words."""

from dataclasses import replace

import pytest

from core.data.selection import select
from core.errors import InputError
from demo import texts
from demo.selection import permalink
from demo.selection.numbering import Numbering, of_samples
from demo.session.available import Offers
from tests.demo.fake import fake_samples

SAMPLES = fake_samples()
HERE = Numbering(of_samples(SAMPLES))
OFFERS = Offers((("digits", "fast"), ("digits", "paper"), ("My Set!", "fast")))


def test_numbers_and_seed_are_taken_up():
    link = permalink.read({"select": "3, 7-8", "seed": "5", "step": "2", "tab": "proof", "hide": "map,results"}, SAMPLES, HERE)
    assert (link.rows, link.seed, link.drawn, link.problems) == ((3, 7, 8), 5, 0, ())


def test_an_empty_address_asks_for_nothing():
    assert permalink.read({}, SAMPLES, HERE) == permalink.Link()


def test_random_images_follow_from_count_and_seed():
    link = permalink.read({"select": "random-10", "seed": "3"}, SAMPLES, HERE)
    assert link.drawn == len(link.rows) == 10
    assert [SAMPLES.ids[r] for r in link.rows] == list(select(SAMPLES, count=10, seed=3))
    assert link.rows != permalink.read({"select": "random-10", "seed": "4"}, SAMPLES, HERE).rows


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"select": "3-999"}, texts.LINK_SELECTION.format(texts.BAD_RANGE.format("3-999", 59))),
        ({"select": "random-99"}, "select=random-99, which is not random- and a whole number from 1 to 60"),
        ({"select": "random-x"}, "select=random-x, which is not random- and a whole number"),
        ({"select": "random-0"}, "select=random-0"),
        ({"seed": "-1"}, "seed=-1, which is not a whole number from 0"),
        ({"seed": "9" * 10}, "seed=9999999999"),
        ({"seed": "²"}, "seed=²"),
        ({"step": "6"}, "step=6, which is not a whole number from 1 to 5"),
        ({"tab": "secret"}, "tab=secret, which is not one of result"),
        ({"hide": "map,<b>"}, "hide=<b>, which is not one of top"),
    ],
)
def test_what_cannot_be_is_named_and_left_out(query, words):
    link = permalink.read(query, SAMPLES, HERE)
    assert link.rows == () and link.seed == 0 and link.drawn == 0
    if words:
        assert len(link.problems) == 1 and words in link.problems[0]


def test_one_bad_value_does_not_spoil_the_others():
    link = permalink.read({"select": "3", "seed": "x", "step": "9"}, SAMPLES, HERE)
    assert link.rows == (3,) and len(link.problems) == 2


def test_the_first_pair_is_at_home_and_the_others_under_plain_paths():
    assert [OFFERS.path(pair) for pair in OFFERS.pairs] == ["", "digits-paper", "my-set-fast"]
    assert OFFERS.datasets == ("digits", "My Set!") and OFFERS.presets == ("fast", "paper")


def test_an_address_leads_to_its_pair_and_half_an_address_keeps_the_other_half():
    assert OFFERS.chosen({"dataset": "digits", "preset": "paper"}, OFFERS.pairs[0]) == ("digits", "paper")
    assert OFFERS.chosen({"preset": "fast"}, OFFERS.pairs[1]) == ("digits", "fast")
    assert OFFERS.chosen({}, OFFERS.pairs[2]) == OFFERS.pairs[2]
    with pytest.raises(InputError, match="digits · turbo.*digits · fast, digits · paper"):
        OFFERS.chosen({"preset": "turbo"}, OFFERS.pairs[0])


def test_two_folders_of_one_name_and_no_offer_at_all_are_refused():
    with pytest.raises(InputError, match="Name at least one"):
        Offers(())
    with pytest.raises(InputError, match="share the page “/b-c-fast”"):
        Offers((("a", "x"), ("b c", "fast"), ("b-c", "fast")))


def test_the_tabs_of_an_address_are_those_of_the_page():
    shown = (texts.TAB_RESULT, texts.TAB_COMPARE, texts.TAB_PROOF, texts.TAB_CLUSTERS, texts.TAB_LEDGER, texts.TAB_LEARN)
    assert tuple(title.lower() for title in shown) == texts.TABS
    assert set(texts.TABS_RENAMED.values()) <= set(texts.TABS)


@pytest.mark.parametrize("tab", ["methods", "how", "how-it-works", "lesson"])
def test_an_older_link_to_a_renamed_tab_is_not_called_wrong(tab):
    assert permalink.read({"tab": tab}, SAMPLES, HERE).problems == ()


def test_a_link_that_hides_everything_hides_nothing_and_says_so():
    assert permalink.read({"hide": "map,choose,request,results"}, SAMPLES, HERE).problems == (texts.LINK_HIDES_ALL,)
    assert permalink.read({"hide": "top,status,map,choose,request"}, SAMPLES, HERE).problems == ()


def test_a_tab_that_never_was_is_named_with_those_that_are():
    (problem,) = permalink.read({"tab": "magic"}, SAMPLES, HERE).problems
    assert "magic" in problem and "learn" in problem and "methods" not in problem


def test_a_link_made_for_other_pictures_selects_nothing_and_says_why():
    link = permalink.read({"select": "3,4", "data": "0" * 16, "tab": "proof"}, SAMPLES, HERE)
    assert link.rows == ()
    assert link.problems == (texts.LINK_SELECTION.format(texts.OTHER_DATA.format("0" * 16, HERE.data)),)
    assert permalink.read({"select": "3,4", "data": HERE.data}, SAMPLES, HERE).rows == (3, 4)


def test_a_hand_written_link_needs_no_check_but_says_so_where_numbers_outlive_the_page():
    assert permalink.read({"select": "3"}, SAMPLES, HERE).problems == ()
    durable = permalink.read({"select": "3"}, SAMPLES, replace(HERE, permanent=True))
    assert durable.rows == (3,) and durable.problems == (texts.LINK_UNCHECKED,)


def test_forgotten_numbers_are_left_out_with_a_word():
    link = permalink.read({"select": "3-5", "data": HERE.data}, SAMPLES, replace(HERE, forgotten=frozenset((3, 5))))
    assert link.rows == (4,)
    assert link.problems == (texts.forgotten_numbers(2),)


def test_a_draw_is_refused_where_it_would_draw_others():
    link = permalink.read({"select": "random-3"}, SAMPLES, replace(HERE, forgotten=frozenset((3,))))
    assert (link.rows, link.drawn) == ((), 0)
    assert link.problems == (texts.LINK_SELECTION.format(texts.draws_others(1)),)


def test_a_workspace_that_is_still_being_made_takes_no_link_of_another():
    link = permalink.read({"select": "3", "data": "0" * 16}, SAMPLES, Numbering("", permanent=True))
    assert link.rows == () and texts.NO_DATA_YET in link.problems[0]

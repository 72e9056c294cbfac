"""What an address asks for: offers, selections, seeds; and what it asks for in vain, named in words."""

import pytest

from core.errors import InputError
from core.selection import select
from demo import permalink, texts
from demo.offers import Offers
from tests.test_demo_fake import fake_samples

SAMPLES = fake_samples()
OFFERS = Offers((("digits", "fast"), ("digits", "paper"), ("My Set!", "fast")))


def test_numbers_and_seed_are_taken_up():
    link = permalink.read({"select": "3, 7-8", "seed": "5", "step": "2", "tab": "proof", "hide": "map,results"}, SAMPLES)
    assert (link.rows, link.seed, link.drawn, link.problems) == ((3, 7, 8), 5, 0, ())


def test_an_empty_address_asks_for_nothing():
    assert permalink.read({}, SAMPLES) == permalink.Link()


def test_random_images_follow_from_count_and_seed():
    link = permalink.read({"select": "random-10", "seed": "3"}, SAMPLES)
    assert link.drawn == len(link.rows) == 10
    assert [SAMPLES.ids[r] for r in link.rows] == list(select(SAMPLES, count=10, seed=3))
    assert link.rows != permalink.read({"select": "random-10", "seed": "4"}, SAMPLES).rows


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"select": "3-999"}, "This link's selection was left out. “3-999” is not among the numbers"),
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
    link = permalink.read(query, SAMPLES)
    assert link.rows == () and link.seed == 0 and link.drawn == 0
    if words:
        assert len(link.problems) == 1 and words in link.problems[0]


def test_one_bad_value_does_not_spoil_the_others():
    link = permalink.read({"select": "3", "seed": "x", "step": "9"}, SAMPLES)
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
    shown = (texts.TAB_RESULT, texts.TAB_CLUSTERS, texts.TAB_PROOF, texts.TAB_LEDGER, texts.TAB_HOW, texts.TAB_LESSON)
    assert {title.lower().replace(" ", "-") for title in shown} <= set(texts.TABS)

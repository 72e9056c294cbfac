"""A selection as a file: it comes back the same, and every other file is refused in words."""

import json

import pytest

from core.errors import InputError
from demo import texts
from demo.selection import selection_file
from demo.selection.numbering import Numbering, of_samples
from tests.demo.fake import fake_samples

SAMPLES = fake_samples()
HERE = Numbering(of_samples(SAMPLES))
GOOD = json.loads(selection_file.write([3, 17, 42], ("fake", "fast"), HERE))


def test_a_selection_comes_back_the_same_under_any_preset():
    text = selection_file.write([42, 3, 17], ("fake", "paper"), HERE)
    assert selection_file.read(text, "fake", 60, HERE) == [3, 17, 42]


def test_the_file_holds_no_ids():
    assert not any(i[:16] in json.dumps(GOOD) for i in SAMPLES.ids)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "zip"}, "format 'zip' version 1"),
        ({"version": 2}, "version 2; this page reads lmeraser-selection version 1"),
        ({"dataset": "cifar10"}, "made on data set 'cifar10', but this page shows 'fake'. Choose that data set"),
        ({"dataset": ["x"] * 99}, "made on data set"),
        ({"data": "0" * 16}, texts.FILE_DATA.format("fake", 60)),
        ({"rows": "3"}, texts.FILE_ROWS.format("'3'", 60)),
        ({"rows": list(range(61))}, texts.FILE_ROWS.format(61, 60)),
        ({"rows": [60]}, "60 in this file is not a row number from 0 to 59"),
        ({"rows": [-1]}, "-1 in this file"),
        ({"rows": [True]}, "True in this file"),
        ({"rows": [1.5]}, "1.5 in this file"),
        ({"rows": None}, texts.FILE_ROWS.format(None, 60)),
    ],
)
def test_a_file_that_does_not_fit_is_refused_naming_value_limit_and_remedy(change, words):
    with pytest.raises(InputError) as error:
        selection_file.read(json.dumps(GOOD | change), "fake", 60, HERE)
    assert words in str(error.value)


@pytest.mark.parametrize("text", ["", "nonsense", "[1]", "7", "\x00", "[" * 100_000, '{"rows": ' + "9" * 5000 + "}"])
def test_what_is_no_json_object_is_refused(text):
    with pytest.raises(InputError, match="is (not a saved selection|empty)"):
        selection_file.read(text, "fake", 60, HERE)


def test_a_file_that_is_too_large_is_not_read():
    with pytest.raises(InputError, match="has 1,000,001 bytes; a selection has at most 1,000,000"):
        selection_file.read(" " * 1_000_001, "fake", 60, HERE)

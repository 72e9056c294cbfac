import numpy as np
import pytest

from core.data.samples import Samples
from core.data.selection import select
from core.errors import InputError


@pytest.fixture
def people():
    images = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2)
    return Samples.build(images, [0, 0, 1, 1, 1, 0], ("cat", "dog"), ["ann", "bob", "ann", "bob", "cy", "cy"])


def test_by_label_subject_both_count_and_ids(people):
    assert select(people, label="dog") == people.ids[2:5]
    assert select(people, subject="ann") == (people.ids[0], people.ids[2])
    assert select(people, subject="ann", label="dog") == (people.ids[2],)
    assert len(select(people, count=4, seed=1)) == 4
    assert select(people, count=4, seed=1) == select(people, count=4, seed=1) != select(people, count=4, seed=2)
    assert select(people, ids=f"{people.ids[1]},{people.ids[3][:20]}") == (people.ids[1], people.ids[3])


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"label": "cow"},
        {"subject": "zoe"},
        {"count": 0},
        {"count": 7},
        {"ids": "zz"},
        {"ids": ""},
        {"ids": "0", "count": 1},
        {"count": 1, "seed": -1},
    ],
)
def test_wishes_that_name_nothing_are_refused(people, wish):
    with pytest.raises(InputError):
        select(people, **wish)


def test_subjects_that_do_not_exist(digits):
    with pytest.raises(InputError, match="names no subjects"):
        select(digits.train, subject="ann")

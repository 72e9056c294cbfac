"""The rows of a visitor's map: the data set's, then the pictures that the visitor taught."""

import numpy as np
import pytest

from core.data.samples import Samples
from core.errors import UnknownSampleError
from demo.selection.rows import Rows, Taught
from tests.demo.fake import fake_samples


@pytest.fixture
def rows():
    data = fake_samples(10)
    own = Samples.build(np.full((1, 8, 8), 7, np.uint8), [2], data.classes)
    taught = {11: Taught(own, (0.2, 0.3), "r", np.ones(3) / 3, 0)}
    return Rows(data, {i: row for row, i in enumerate(data.ids)}, taught, 4)


def test_a_row_is_the_data_sets_or_a_taught_picture_or_empty(rows):
    assert len(rows) == 14
    assert [row in rows for row in (-1, 0, 9, 10, 11, 12, 13, 14)] == [False, True, True, False, True, False, False, False]
    assert rows.labels().tolist() == [*rows.data.labels.tolist(), -1, 2, -1, -1]
    assert (rows.label(1), rows.label(11)) == (rows.data.labels[1], 2)


def test_ids_and_rows_lead_to_each_other_in_order(rows):
    wanted = [11, 3, 0]
    assert rows.of(rows.ids(wanted)) == wanted
    assert (rows.images(wanted) == np.stack([rows.taught[11].sample.images[0], rows.data.images[3], rows.data.images[0]])).all()
    assert rows.images([]).shape == (0, 8, 8, 3)
    with pytest.raises(UnknownSampleError, match="not a sample"):
        rows.of(["f" * 64 + "-0"])


def test_values_are_scattered_over_all_rows(rows):
    assert rows.scattered(np.array([5, 6]), [11, 2]).tolist() == [-1, -1, 6, *[-1] * 8, 5, -1, -1]

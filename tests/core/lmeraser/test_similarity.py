"""Nearest in feature space: order, ties, limits."""

import numpy as np

from core.lmeraser.similarity import nearest

AROUND = np.array([[1, 0], [1, 0.1], [0, 1], [-1, 0], [2, 0.1], [0, 0]], np.float32)


def test_the_nearest_come_first_and_length_does_not_count():
    assert nearest(AROUND, np.array([0]), 3, "abcdef") == [4, 1, 2]


def test_near_any_of_several_is_near():
    assert nearest(AROUND, np.array([0, 3]), 2, "abcdef") == [4, 1]


def test_ties_go_by_name_whatever_the_order_of_rows():
    same = np.ones((5, 3), np.float32)
    assert nearest(same, np.array([2]), 2, "edxba") == [4, 3]


def test_what_was_asked_about_is_never_an_answer_and_all_may_be_asked_for():
    assert sorted(nearest(AROUND, np.array([1, 2]), 100, "abcdef")) == [0, 3, 4, 5]
    assert nearest(AROUND, np.arange(6), 3, "abcdef") == []


def test_many_rows_are_compared_in_blocks(monkeypatch):
    features = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    whole = nearest(features, np.array([7, 8]), 9, [f"{i:02}" for i in range(50)])
    monkeypatch.setattr("core.lmeraser.similarity.BLOCK", 7)
    assert nearest(features, np.array([7, 8]), 9, [f"{i:02}" for i in range(50)]) == whole

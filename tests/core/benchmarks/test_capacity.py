"""How many deletions cost as much as training from scratch, on small sets."""

import numpy as np
import pytest

from core.benchmarks.capacity import SHARDS, bench_capacity
from core.data.datasets import Dataset
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from tests.conftest import tiny_config


@pytest.fixture(scope="module")
def rows(digits, backbone):
    samples = digits.train.take(np.arange(120))
    data = Dataset("own", samples, samples)
    found = bench_capacity(data, LMEraser(tiny_config(), backbone), ("stable",), ("random", "similar"), most=4)["rows"]
    return {(row["method"], row["parts"], row["request"]): row for row in found}


def test_each_method_and_request_has_a_row(rows):
    parts = {parts for method, parts, _ in rows if method == "SISA"}
    clusters = next(parts for method, parts, _ in rows if method == "LMEraser, stable")
    assert parts == {*SHARDS, clusters}
    assert {method for method, *_ in rows} == {"LMEraser, stable", "SISA", "closed form only"}
    assert len(rows) == 2 * (2 + len(parts))


def test_deletions_are_those_that_the_budget_pays_for(rows):
    for row in rows.values():
        spent = row["request_seconds"]
        assert 0 <= row["deletions"] <= 4
        assert row["expected_deletions"] == pytest.approx(row["training_seconds"] / spent["mean"])
        assert row["expected_deletions"] < row["expected_deletions_with_features"]
        assert row["exhausted"] == (spent["mean"] * spent["n"] > row["training_seconds"])
        if not row["exhausted"]:
            assert row["deletions"] == spent["n"]
        assert 0 <= row["accuracy"] <= 1


@pytest.mark.parametrize(
    ("partitions", "requests", "most", "named"),
    [
        (("ward",), ("random",), 1, "'ward' is not"),
        ((), ("random",), 1, "No partition is named"),
        (("stable",), ("all",), 1, "'all' is not"),
        (("stable",), ("random",), 0, "--most is 0"),
    ],
)
def test_impossible_measurements_are_refused(samples, backbone, partitions, requests, most, named):
    with pytest.raises(InputError, match=named):
        bench_capacity(Dataset("own", samples, samples), LMEraser(tiny_config(), backbone), partitions, requests, most)

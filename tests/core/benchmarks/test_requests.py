"""What requests cost under each partition, on small sets."""

from dataclasses import replace

import numpy as np
import pytest

from core.benchmarks.metrics import majority_share
from core.benchmarks.requests import bench_requests
from core.data.datasets import Dataset
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from tests.conftest import tiny_config


def test_each_partition_and_kind_of_request_has_a_row(samples, backbone):
    named = replace(samples, subjects=tuple(str(i % 10) for i in range(len(samples))))
    result = bench_requests(Dataset("own", named, samples), LMEraser(tiny_config(), backbone), ("stable", "random"), trials=3)
    rows = {(row["partition"], row["request"]): row for row in result["rows"]}
    kinds = ["1 similar", "5 similar", "20 similar", "1 random", "10 random", "one subject", "one class"]
    assert list(rows) == [(partition, kind) for partition in ("stable", "random") for kind in kinds]
    assert len({row["clusters"] for row in rows.values()}) <= 2
    for row in rows.values():
        assert row["trials"] == 3
        assert 0 <= row["retrained_share"] <= row["worst"]["retrained_share"] <= 1
        assert row["speedup"] == pytest.approx(row["full_seconds"] / row["seconds"])
    single = rows["random", "1 random"]
    assert single["held_clusters"] == 1
    assert single["retrained_clusters"] <= 1  # shards keep everyone in place
    assert single["retrained_share"] < single["held_share"]
    assert rows["random", "20 similar"]["held_clusters"] >= rows["stable", "20 similar"]["held_clusters"]


def test_planning_alone_gives_the_same_shares(samples, backbone):
    def shares(plan_only):
        eraser = LMEraser(tiny_config("stable"), backbone)
        rows = bench_requests(Dataset("own", samples, samples), eraser, ("stable",), 3, ("5 similar", "one class"), plan_only)["rows"]
        names = ("request", "held_clusters", "retrained_clusters", "held_share", "retrained_share", "worst")
        return [{n: row[n] if n != "worst" else row[n]["retrained_share"] for n in names} for row in rows], rows

    (planned, rows), (forgotten, _) = shares(True), shares(False)
    assert planned == forgotten
    assert [row["speedup"] for row in rows] == [None, None]


def test_purity_is_the_share_of_the_most_frequent_class():
    assert majority_share(np.array([0, 0, 0, 1]), np.array([2, 2, 1, 0])) == 0.75


@pytest.mark.parametrize(
    ("partition", "trials", "kind", "named"),
    [
        ("ward", 1, "1 random", "'ward' is not one of"),
        ("stable", 0, "1 random", "--trials is 0"),
        ("stable", 1, "2 odd", "'2 odd' is not"),
    ],
)
def test_impossible_measurements_are_refused(samples, backbone, partition, trials, kind, named):
    with pytest.raises(InputError, match=named):
        bench_requests(Dataset("own", samples, samples), LMEraser(tiny_config(), backbone), (partition,), trials, (kind,))

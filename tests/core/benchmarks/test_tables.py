"""Tables of requests and capacity, from records as the benchmarks make them."""

from core.benchmarks.tables import capacity_table, requests_table

FIGURES = {"held_share": 0.1, "retrained_share": 0.12, "retrained_clusters": 3.0, "seconds": 0.5}
ROW = {
    "partition": "stable",
    "clusters": 9,
    "purity": 0.5,
    **FIGURES,
    "median": FIGURES,
    "p95": FIGURES,
    "worst": FIGURES | {"seconds": 2.0},
}


def requests(speedup):
    rows = [ROW | {"request": kind, "speedup": speedup, "full_seconds_without_features": 5.0} for kind in ("1 random", "one class")]
    return requests_table({"dataset": "own", "rows": rows}).splitlines()


def test_a_kind_of_request_is_a_row_and_a_partition_a_column():
    head, _, first, last = requests(20.0)
    assert head == "| own | `stable` (9 clusters, purity 0.50) |"
    assert first.startswith("| 1 random | held 10.0 %, retrained 12.0 % (12.0 %), 0.50 s, mean 0.50, 95 % 0.50, worst 2.00;")
    assert first.endswith("; 20.0 times cheaper (10.0 without features) |")
    assert last.startswith("| one class |")


def test_planned_requests_have_clusters_instead_of_seconds():
    assert requests(None)[2] == "| 1 random | held 10.0 %, retrained 12.0 % (12.0 %), 3.0 clusters |"


def capacity(exhausted):
    row = {
        "method": "SISA", "parts": 5, "request": "random", "accuracy": 0.831, "deletions": 40, "exhausted": exhausted,
        "expected_deletions": 41.2, "expected_deletions_with_features": 80.6, "training_seconds": 8.0, "features_seconds": 7.5,
        "request_seconds": {"median": 0.2, "mean": 0.194, "p95": 0.3, "max": 0.31, "n": 40, "min": 0.1},
    }  # fmt: skip
    return capacity_table({"dataset": "own", "rows": [row]}).splitlines()[2]


def test_deletions_are_counted_where_the_budget_was_spent_and_else_expected():
    assert "| 40 counted, 41 by the mean | 81 | 0.200 | 0.194 | 0.300 | 0.310 | 40 | 8.0, 7.5 s |" in capacity(True)
    assert "| 41 by the mean | 81 |" in capacity(False)

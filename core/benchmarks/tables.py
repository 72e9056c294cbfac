"""Writes the results of `bench requests` and `bench capacity` as Markdown tables, as BENCHMARKS.md has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def requests_table(result: dict) -> str:
    """Return one row a kind of request and one column a partition, from what `bench_requests` returns."""
    partitions = {row["partition"]: row for row in result["rows"]}
    heads = [f"`{name}` ({row['clusters']} clusters, purity {row['purity']:.2f})" for name, row in partitions.items()]
    cells = {(row["request"], row["partition"]): _request_cell(row) for row in result["rows"]}
    kinds = dict.fromkeys(row["request"] for row in result["rows"])
    return _table([result["dataset"], *heads], ([kind, *(cells[kind, name] for name in partitions)] for kind in kinds))


def _request_cell(row: dict) -> str:
    worst = row["worst"]
    shares = f"held {_percent(row['held_share'])}, retrained {_percent(row['retrained_share'])} ({_percent(worst['retrained_share'])})"
    if row["speedup"] is None:
        return f"{shares}, {row['retrained_clusters']:.1f} clusters"
    without = row["full_seconds_without_features"] / row["seconds"]
    spent = f"{row['median']['seconds']:.2f} s, mean {row['seconds']:.2f}, 95 % {row['p95']['seconds']:.2f}, worst {worst['seconds']:.2f}"
    return f"{shares}, {spent}; {row['speedup']:.1f} times cheaper ({without:.1f} without features)"


def capacity_table(result: dict) -> str:
    """Return one row a method and kind of request, from what `bench_capacity` returns."""
    heads = [
        *(result["dataset"], "parts", "accuracy", "request", "deletions", "with features"),
        *("median s", "mean s", "95 % s", "worst s", "requests", "training from scratch, features"),
    ]
    return _table(heads, map(_capacity_cells, result["rows"]))


def _capacity_cells(row: dict) -> list[str]:
    spent, counted = row["request_seconds"], f"{row['deletions']:,} counted, " if row["exhausted"] else ""
    accuracy = "–" if row["accuracy"] is None else _percent(row["accuracy"])
    return [
        *(row["method"], str(row["parts"]), accuracy, row["request"]),
        f"{counted}{row['expected_deletions']:,.0f} by the mean",
        f"{row['expected_deletions_with_features']:,.0f}",
        *(f"{spent[name]:.3f}" for name in ("median", "mean", "p95", "max")),
        str(spent["n"]),
        f"{row['training_seconds']:.1f}, {row['features_seconds']:.1f} s",
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)

from types import SimpleNamespace

import numpy as np
import pytest

from core.backbone.model import load_backbone
from core.benchmarks.baselines import METHODS
from core.benchmarks.compare_methods import COLUMNS, REQUESTS, bench_unlearn, markdown_table, request_ids, table_rows
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser.eraser import LMEraser
from tests.conftest import TINY, tiny_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(digits):
    return SimpleNamespace(name="digits", train=digits.train.take(np.arange(120)), test=digits.test.take(np.arange(60)))


@pytest.fixture(scope="module")
def eraser(data):
    return LMEraser(tiny_config(clusters=4), load_backbone(TINY)).fit(data.train)


@pytest.fixture(scope="module")
def record(data, eraser):
    return bench_unlearn(data, eraser, requests=("1 random", "one class", "one subject"), repeats=2)


def test_every_method_answers_every_request(record):
    assert record["left_out"] == ["one subject"]
    found = [(r["request"], r["method"]) for r in record["rows"]]
    assert found == [(q, m) for q in ("1 random", "1 random", "one class", "one class") for m in METHODS]
    assert [r["method"] for r in record["before"]] == list(METHODS)
    for row in record["rows"]:
        assert {"setup", "plan", "train", "evaluate", "total"} == set(row["seconds"])
        assert row["seconds"]["evaluate"] > 0
        assert all(0 <= a <= 1 for a in row["accuracy"].values())
        assert 0 <= row["attack"]["auc"] <= 1


def test_speed_ups_are_against_full_refit_of_the_same_request(record):
    for i in range(0, len(record["rows"]), len(METHODS)):
        rows = {r["method"]: r for r in record["rows"][i : i + len(METHODS)]}
        full = rows["full refit"]
        assert full["speedup"] == 1
        for row in rows.values():
            assert row["speedup"] == pytest.approx(full["seconds"]["total"] / row["seconds"]["total"])
        assert rows["LMEraser"]["fewer_passes"] >= 1
        assert rows["LMEraser"]["accuracy"] == full["accuracy"]
        assert rows["LMEraser"]["attack"]["auc"] == full["attack"]["auc"]


def test_only_methods_with_a_control_in_the_run_get_a_verdict(record, data, eraser):
    judged = {r["method"] for r in record["rows"] if r["attack"]["verdict"] is not None}
    assert judged == set(METHODS) - {"full refit", "one prompt", "SISA", "closed form only", "class means"}
    alone = bench_unlearn(data, eraser, ["gradient ascent"], ["1 random"])["rows"][0]
    assert (alone["attack"]["verdict"], alone["attack"]["difference"], alone["speedup"]) == (None, None, None)


def test_the_model_itself_is_left_as_it_is(record, data, eraser):
    assert len(eraser.samples_) == 120
    assert eraser.root_ == LMEraser(tiny_config(clusters=4), load_backbone(TINY)).fit(data.train).root_


def test_models_without_prompts_are_compared_with_methods_that_learn_the_usual_ones(data):
    eraser = LMEraser(tiny_config(prompt="none", clusters=4), load_backbone(TINY)).fit(data.train)
    rows = bench_unlearn(data, eraser, requests=("1 random",))["rows"]
    assert [r["method"] for r in rows] == list(METHODS)
    ours, full = rows[:2]
    assert ours["accuracy"] == full["accuracy"] and ours["attack"]["auc"] == full["attack"]["auc"]
    assert ours["flops"] == 0 < full["flops"]  # nothing passes through the backbone or a prompt again
    assert all(row["sample_passes"] > 0 for row in rows)


def test_requests_name_what_they_say(eraser, data):
    assert len(request_ids("10 random", eraser)) == 10
    assert request_ids("10 random", eraser) == request_ids("10 random", eraser) != request_ids("10 random", eraser, 1)
    one_each = data.train.rows(request_ids("one per cluster", eraser))
    assert sorted(eraser.partition_.assignment[one_each]) == list(range(eraser.partition_.clusters))
    labels = data.train.labels[data.train.rows(request_ids("one class", eraser))]
    assert (labels == labels[0]).all()
    assert len(labels) == (data.train.labels == labels[0]).sum()
    with pytest.raises(InputError, match="'7 random' is not one of"):
        request_ids("7 random", eraser)


def test_a_subject_is_all_of_its_samples(data, backbone):
    named = Samples.build(data.train.images, data.train.labels, data.train.classes, [f"s{i % 5}" for i in range(120)])
    eraser = LMEraser(tiny_config("random", clusters=2), backbone).fit(named)
    assert {named.subjects[r] for r in named.rows(request_ids("one subject", eraser))} <= set(named.subjects)
    assert len(request_ids("one subject", eraser)) == 24
    few = LMEraser(tiny_config("random", clusters=2), backbone).fit(named.take(np.arange(100)))
    assert request_ids("100 random", few) is None


def test_table_has_a_line_for_each_method_and_request(record):
    lines = markdown_table(record).splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert sum(line.startswith("| one class | ") for line in lines) == len(METHODS)
    assert "n = 2 a row" in lines[-1]


def test_a_spread_is_shown_where_there_is_one(record):
    rows = [dict(record["rows"][0], sample_passes=n, request="here") for n in (40, 80)]
    (cells,) = table_rows(dict(record, rows=rows))
    assert cells[COLUMNS.index("passes")] == "60 (40 to 80)"
    assert cells[COLUMNS.index("test %")] == f"{100 * rows[0]['accuracy']['test']:.1f}"


@pytest.mark.parametrize(("methods", "requests", "repeats"), [(["magic"], REQUESTS, 1), (METHODS, ["all"], 1), (METHODS, REQUESTS, 0)])
def test_unknown_names_are_refused(data, eraser, methods, requests, repeats):
    with pytest.raises(InputError):
        bench_unlearn(data, eraser, methods, requests, repeats)

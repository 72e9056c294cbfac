"""The Compare tab on a fake engine, and once on a tiny real one: rows as they come, stop, and the clusterings side by side."""

import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from core.backbone.model import load_backbone
from core.benchmarks.compare_methods import Bench
from core.errors import CancelledError, InputError
from core.lmeraser.eraser import LMEraser
from demo import texts
from demo.session.lab import BENCHES
from demo.view import charts
from tests.conftest import TINY, tiny_config
from tests.demo.tabs.test_page import last


def forgotten(lab, site, *requests):
    visitor = lab.enter()
    for rows in requests:
        site.request.select(visitor.token, list(rows))
        last(site.request.forget(visitor.token))
    last(site.map.recolor(visitor.token))
    return visitor


def test_a_row_appears_as_each_method_finishes_and_lmeraser_is_always_among_them(lab, site):
    visitor = forgotten(lab, site, [1, 7])
    *seen, merged = last(site.compare.run(visitor.token, ["SISA", "gradient ascent"]))
    tables = [u["compare_table"] for u in seen if "compare_table" in u]
    assert [t.count("lm-awaited") for t in tables] == [3, 2, 1, 0, 0]
    assert [r["method"] for r in visitor.requests[-1].compared] == ["LMEraser", "SISA", "gradient ascent"]
    assert "LMEraser is 2.0x faster" in merged["compare_table"]
    assert "Measured in this session on this machine (fake)" in merged["compare_table"]
    assert merged["compare_run"]["interactive"]
    assert not merged["compare_stop"]["interactive"]
    assert merged["compare_chart"]["visible"]
    assert visitor.study is None


def test_progress_names_the_method_and_how_far_it_is(lab, site):
    visitor = forgotten(lab, site, [1])
    lab.engine.pause = 0.1  # longer than reports are held back
    seen = last(site.compare.run(visitor.token, ["SISA"]))
    notes = [u["compare_note"] for u in seen[:-1] if "compare_note" in u]
    assert any(texts.comparing("SISA", 2, 2, "fit") in n and "width:50.0%" in n for n in notes)


def test_the_models_own_data_is_what_it_was_before_the_request(lab, site):
    visitor = forgotten(lab, site, [1], [2])
    last(site.compare.run(visitor.token, []))
    assert lab.engine.benches == [visitor.requests[-1].outcome.root_before]
    assert len(visitor.model.samples) == len(lab.samples) - 2


def test_fitted_methods_are_kept_for_a_few_models_only(lab, site):
    for first in range(BENCHES + 1):
        visitor = forgotten(lab, site, [first], [50])
        for _ in range(2):
            last(site.compare.run(visitor.token, []))
    assert len(lab.engine.benches) == BENCHES + 1
    assert len(lab._benches) == BENCHES


def test_stop_keeps_what_was_measured(lab, site):
    lab.engine.pause = 0.2
    visitor = forgotten(lab, site, [1])

    async def main():
        seen = []
        async for updates in site.compare.run(visitor.token, ["SISA", "full refit"]):
            seen.append(updates)
            if visitor.requests[-1].compared:
                site.compare.stop(visitor.token)
        return seen

    updates = asyncio.run(asyncio.wait_for(main(), 20))[-1]
    assert texts.COMPARE_STOPPED in updates["compare_note"]
    assert len(visitor.requests[-1].compared) == 1
    assert "lm-awaited" not in updates["compare_table"]
    assert visitor.study is None


def test_a_new_request_ends_the_comparison_of_the_last_one(lab, site):
    lab.engine.pause = 0.3
    visitor = forgotten(lab, site, [1])

    async def compare():
        return [u async for u in site.compare.run(visitor.token, ["SISA", "full refit"])]

    async def main():
        running = asyncio.create_task(compare())
        while visitor.study is None:
            await asyncio.sleep(0.01)
        site.request.select(visitor.token, [2])
        async for _ in site.request.forget(visitor.token):
            pass
        return await running

    asyncio.run(asyncio.wait_for(main(), 20))
    assert visitor.forgotten == (1, 2)
    assert visitor.requests[-1].compared == ()


def test_two_studies_at_once_and_none_before_a_request_are_refused(lab, site):
    with pytest.raises(InputError, match="Forget something first"):
        last(site.compare.run(lab.enter().token, []))
    visitor = forgotten(lab, site, [1])
    visitor.study = SimpleNamespace(stop=lambda: None)
    with pytest.raises(InputError, match="is running"):
        last(site.compare.run(visitor.token, []))


def test_a_lab_whose_data_has_changed_says_so(lab, site):
    visitor = forgotten(lab, site, [1])
    lab.base.model.samples = lab.samples.without(lab.rows(lab.base).ids([5]))
    with pytest.raises(InputError, match="no longer has the model"):
        last(site.compare.run(visitor.token, []))
    assert visitor.study is None


def test_clusterings_side_by_side_follow_the_selection_without_a_request(lab, site):
    visitor = lab.enter()
    site.request.select(visitor.token, [1, 7, 13])
    assert set(site.compare.follow(visitor.token)) == {"compare_body"}  # hidden until it is opened
    assert site.compare.follow(visitor.token) == {}
    shown = site.opened("compare", visitor.token)
    assert "Your selection: 3 images" in shown["reach"]
    assert shown["reach"].count("lm-strip") == 3
    assert shown["reach_chart"]["visible"]
    site.request.select(visitor.token, [])
    assert texts.EMPTY_REACH in site.compare.follow(visitor.token)["reach"]


def test_after_a_request_its_own_reach_stays(lab, site):
    visitor = forgotten(lab, site, [1, 7])
    assert "Your last request: 2 images" in site.opened("compare", visitor.token)["reach"]


def test_charts_hold_every_method_and_every_clustering(lab, site):
    visitor = forgotten(lab, site, [1, 7, 13])
    last(site.compare.run(visitor.token, ["gradient ascent"]))
    points = charts.methods(visitor.requests[-1].compared).data[0]
    assert list(points.x) == [0.5, 1.0]
    assert list(points.marker.symbol) == ["circle", "diamond-open"]
    lines = charts.growth(visitor.requests[-1].reach.grown).data
    assert [line.y[-1] for line in lines][0] == 1
    assert list(lines[2].y) == [1, 2, 3]


# The tiny real engine


@pytest.fixture(scope="module")
def real(digits):
    train, test = digits.train.take(np.arange(120)), digits.test.take(np.arange(60))
    return train, test, LMEraser(tiny_config(clusters=4), load_backbone(TINY)).fit(train)


def test_a_real_bench_answers_one_by_one_and_the_second_time_without_learning(real):
    train, test, eraser = real
    bench, names, seen = Bench(eraser, test), ["LMEraser", "full refit", "one prompt", "gradient ascent"], []
    for _ in range(2):
        seen.append([])
        rows = list(bench.answers(names, train.ids[:3], progress=seen[-1].append))
        assert [len(r) for r in rows] == [1, 2, 3, 4]
    first, again = ({(p.method, p.stage) for p in s} for s in seen)
    assert ("one prompt", "fit") in first
    assert {stage for _, stage in again} == {"forget", "score"}
    own, full = rows[-1][:2]
    assert own["attack"]["verdict"] is not None and rows[0][0]["attack"]["verdict"] is None
    assert own["accuracy"] == full["accuracy"]
    assert own["times_lmeraser"] == 1
    assert len(eraser.samples_) == 120


def test_a_real_bench_stops_in_the_middle_of_a_method(real):
    train, test, eraser = real
    cancel = threading.Event()
    answers = Bench(eraser, test).answers(["LMEraser", "one prompt"], train.ids[:2], progress=lambda p: cancel.set(), cancel=cancel)
    with pytest.raises(CancelledError):
        list(answers)

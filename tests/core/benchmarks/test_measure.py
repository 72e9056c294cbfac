from dataclasses import replace

import numpy as np
import pytest

from core.benchmarks import measure as bench
from core.benchmarks.measure import GRID, ONE_PROMPT, bench_accuracy, bench_settings
from core.benchmarks.metrics import score
from core.data.datasets import Dataset
from core.lmeraser.eraser import LMEraser
from tests.conftest import tiny_config


@pytest.fixture
def record(samples, backbone, monkeypatch):
    monkeypatch.setattr(bench, "GRID", [s for s in GRID if s.mix in (1, 8) and s.temperature == 0.1])
    return bench_settings(Dataset("few", samples, samples.take(np.arange(0))), LMEraser(tiny_config(), backbone))


def test_settings_are_scored_on_training_images_that_the_fit_left_out(record, samples):
    assert record["fitted"] + record["held_out"] == len(samples)
    assert 10 <= record["held_out"] <= 40
    assert len(record["rows"]) == 2 * 5
    assert record["best"]["held_out"] == max(row["held_out"] for row in record["rows"])


def test_the_presets_own_settings_score_as_the_model_does(record, samples, backbone):
    held = [int(d[:8], 16) % 5 == 0 for d in samples.digests]
    model = LMEraser(tiny_config(), backbone).fit(samples.take([not h for h in held]))
    unseen = samples.take(held)
    assert record["chosen"]["held_out"] == score(model.predict(unseen.images) == unseen.labels).accuracy


def test_a_subject_is_held_out_whole(samples):
    named = replace(samples, subjects=tuple(str(i // 3) for i in range(len(samples))))
    held = bench._held_out(named)
    assert 0.05 < held.mean() < 0.4
    assert all(len(set(held[i : i + 3])) == 1 for i in range(0, len(held), 3))


def test_every_way_to_answer_has_its_accuracy_and_seconds(samples, backbone):
    data = Dataset("few", samples, samples.take(np.arange(40)))
    record = bench_accuracy(data, LMEraser(tiny_config(), backbone).fit(samples))
    rows = {row["method"]: row for row in record["rows"]}
    assert {"LMEraser", "closed form only", ONE_PROMPT} <= set(rows)
    assert record["features_seconds"] > 0
    for row in rows.values():
        assert row["seconds"] > 0
        assert 0 <= row["low"] <= row["test"] <= row["high"] <= 1

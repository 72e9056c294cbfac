import numpy as np
import pytest

from core.benchmarks import measure as bench
from core.benchmarks.measure import GRID, bench_settings
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

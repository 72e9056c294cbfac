import numpy as np
import pytest

from core.benchmarks import metrics
from core.benchmarks.metrics import evaluate
from core.lmeraser.eraser import LMEraser


@pytest.fixture
def eraser(samples, backbone, config):
    return LMEraser(config, backbone).fit(samples)


def test_scores_are_shares_of_right_answers(eraser, digits):
    test = digits.test.take(np.arange(40))
    report = evaluate(eraser, test, eraser.samples_.take([0, 1]))
    right = eraser.predict(test.images) == test.labels
    assert report.test.accuracy == pytest.approx(right.mean())
    assert (report.test.n, report.retained.n, report.forgotten.n) == (40, 120, 2)
    assert sum(s.n for s in report.per_class.values()) == 40
    assert sum((s.accuracy or 0) * s.n for s in report.per_class.values()) == pytest.approx(right.sum())
    assert set(report.accuracies()) == {"test", "retained", "forgotten"}


def test_after_a_request_remembered_answers_equal_fresh_ones(eraser, digits, samples, backbone, config):
    test = digits.test.take(np.arange(40))
    evaluate(eraser, test)
    eraser.forget(samples.ids[:6])
    fresh = LMEraser(config, backbone).fit(eraser.samples_)
    assert np.allclose(eraser.predict_proba(eraser.prepare_public(test)), fresh.predict_proba(test.images), atol=1e-5)
    assert evaluate(eraser, test).accuracies() == evaluate(fresh, test).accuracies()


def test_large_retained_sets_are_sampled_and_say_so(eraser, digits, monkeypatch):
    monkeypatch.setattr(metrics, "RETAINED", 30)
    assert evaluate(eraser, digits.test.take(np.arange(4))).retained.n == 30

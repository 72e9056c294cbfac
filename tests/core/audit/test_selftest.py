"""The self-test passes here, and each of its checks fails when what it compares is made to depend on place, company or process."""

import numpy as np
import pytest

from core.audit import selftest_checks
from core.audit.selftest import selftest
from core.audit.selftest_checks import checks
from core.backbone.model import load_backbone
from core.config import preset


@pytest.mark.slow
def test_everything_holds_here():
    result = selftest("cpu")
    assert result.passed, result.text()
    assert [check.name for check in result.checks] == ["features", "activations", "distances", "global head", "answers", "cluster training"]


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["0 0", "no answer within 120 s"])
def test_another_result_in_the_other_process_is_noticed(answer):
    assert [check.name for check in checks("cpu", lambda: answer) if not check.passed] == ["cluster training"]


def features_and_activations(count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones((count, 8), np.float32), np.ones((count, 4, 2), np.float16)


@pytest.mark.parametrize(("name", "place"), [("features", 0), ("activations", 1)])
def test_numbers_that_depend_on_place_are_noticed(monkeypatch, name, place):
    def derive(backbone, config, images):
        parts = features_and_activations(len(images))
        if images is not first[0]:
            parts[place][5] = np.nextafter(parts[place][5], 2)
        return parts

    first = [selftest_checks._images()]
    monkeypatch.setattr(selftest_checks, "_images", lambda: first[0])
    monkeypatch.setattr(selftest_checks, "_derive", derive)
    made = checks("cpu", lambda: "")
    found = {check.name: check.passed for check in (next(made), next(made))}
    assert found == {"features": name != "features", "activations": name != "activations"}


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    return rng.standard_normal((selftest_checks.IMAGES, 16)).astype(np.float32), rng.permutation(selftest_checks.IMAGES)


def failed(rows) -> list[str]:
    return [check.name for check in selftest_checks._sums(*rows) if not check.passed]


def test_distances_that_depend_on_place_are_noticed(monkeypatch, rows):
    assert failed(rows) == []
    monkeypatch.setattr(selftest_checks, "squared_distances", lambda one, other: np.cumsum(one, 0, np.float32))
    assert failed(rows) == ["distances"]


def test_a_sum_that_keeps_what_was_subtracted_is_noticed(monkeypatch, rows):
    real = selftest_checks.GlobalHead.changed
    monkeypatch.setattr(selftest_checks.GlobalHead, "changed", lambda head, f, y, sign: real(head, f, y, sign) if sign > 0 else head)
    assert failed(rows) == ["global head"]


def test_answers_that_depend_on_company_are_noticed(monkeypatch):
    backbone, config = load_backbone("embedded"), preset("fast")
    answers = lambda state, inputs, rows, *rest: np.full((len(rows), 10), 1 / len(rows))  # noqa: E731
    monkeypatch.setattr(selftest_checks, "cluster_log_proba", answers)
    features, trunks = features_and_activations(12)
    assert not selftest_checks._answers(None, None, features, trunks, np.arange(12), backbone, config).passed

"""The self-test runs once per environment, is kept where it has passed, and is run again where it has failed or is damaged."""

import json

import pytest

from core.audit.selftest import Check, SelfTest
from core.audit.selftest_cache import kept_selftest


@pytest.fixture
def runs(monkeypatch):
    """What each run of the self-test finds, and how many there were."""
    found = {"passed": True, "count": 0, "kernel": "one"}

    def run():
        found["count"] += 1
        return SelfTest((Check("features", found["passed"], "as found"),), {"kernel": found["kernel"]}, 0.1)

    monkeypatch.setattr("core.audit.selftest.selftest", run)
    monkeypatch.setattr("core.runtime.determinism.environment", lambda device: {"kernel": found["kernel"]})
    return found


def test_it_runs_once_in_an_environment(runs, tmp_path):
    first = kept_selftest(tmp_path / "cache")
    assert kept_selftest(tmp_path / "cache") == first
    assert first.passed and runs["count"] == 1


def test_it_runs_again_in_another_environment(runs, tmp_path):
    kept_selftest(tmp_path)
    runs["kernel"] = "other"
    assert kept_selftest(tmp_path).environment == {"kernel": "other"}
    assert runs["count"] == 2


def test_a_failure_is_not_kept(runs, tmp_path):
    runs["passed"] = False
    assert not kept_selftest(tmp_path).passed
    runs["passed"] = True
    assert kept_selftest(tmp_path).passed
    assert runs["count"] == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"checks": 3}', "\x00"])
def test_a_damaged_file_is_not_believed(runs, tmp_path, text):
    kept_selftest(tmp_path)
    [path] = tmp_path.glob("selftest-*.json")
    path.write_text(text)
    assert kept_selftest(tmp_path).passed
    assert runs["count"] == 2


def test_a_file_that_says_that_a_check_failed_is_not_believed_either(runs, tmp_path):
    kept_selftest(tmp_path)
    [path] = tmp_path.glob("selftest-*.json")
    data = json.loads(path.read_text())
    data["checks"][0]["passed"] = False
    path.write_text(json.dumps(data))
    assert kept_selftest(tmp_path).passed
    assert runs["count"] == 2

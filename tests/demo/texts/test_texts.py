"""Words: plurals, units and the plan's sentence."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.benchmarks.request_reach import Reach, Reaches
from demo import texts

PLAN = {
    "images": 12,
    "clusters_touched": 3,
    "clusters_holding": 3,
    "clusters_total": 41,
    "clusters_retrained": 3,
    "clusters_untouched": 38,
    "samples_to_retrain": 187,
    "samples_total": 1437,
    "predicted_seconds": 0.6,
    "predicted_full_seconds": 21.0,
    "predicted_range": [0.4, 0.9],
    "measured_clusters": 41,
}


def test_the_plan_reads_as_agreed():
    assert texts.plan(PLAN) == "12 images in 3 of 41 clusters. 3 clusters retrain (187 of 1,437 samples), 38 stay untouched."
    assert texts.plan_time(PLAN) == "About 0.6 s (0.4 s to 0.9 s, estimated from 41 clusters trained here); full retraining about 21 s."


def test_a_request_that_retrains_everything_says_so():
    said = texts.plan_time(PLAN | {"clusters_retrained": 41, "clusters_untouched": 0})
    assert said.endswith("full retraining about 21 s. Every cluster that is left retrains, as in full retraining.")
    assert "as in full retraining" not in texts.plan_time(PLAN | {"clusters_retrained": 0, "clusters_untouched": 0})  # nothing is left


@pytest.mark.parametrize(
    ("taken", "full", "measured", "words"),
    [
        (0.5, 16.0, True, "32x faster than full retraining, which takes 16 s."),
        (0.5, 1.8, False, "3.6x faster than full retraining, which would take about 1.8 s."),
        (3.0, 0.9, True, "Training what is left from scratch takes 0.9 s: this request saved no time."),
    ],
)
def test_a_result_says_time_forwards(taken, full, measured, words):
    assert texts.headline(12, taken, full, measured, "equal") == f"12 images forgotten in {texts.seconds(taken)}. {words}"


@pytest.mark.parametrize(
    ("mine", "alone", "words"),
    [
        (
            0.835,
            0.828,
            "The clusters add 0.7 points to one linear classifier that forgets by subtraction (83.5 % and 82.8 % in test).",
        ),
        (0.82, 0.828, "The clusters lose 0.8 points against"),
        (1.0, 1.0, "The clusters add nothing here to"),
    ],
)
def test_what_the_clusters_add_is_said(mine, alone, words):
    rows = [{"method": name, "accuracy": {"test": value}} for name, value in (("LMEraser", mine), ("closed form only", alone))]
    assert texts.clusters_add(rows).startswith(words)
    assert texts.clusters_add(rows[:1]) == texts.clusters_add(rows[1:]) == ""


def test_a_time_without_doubt_has_no_range_and_one_never_measured_says_so():
    assert texts.plan_time(PLAN | {"predicted_range": [0.6, 0.6]}) == "About 0.6 s; full retraining about 21 s."
    unmeasured = PLAN | {"measured_clusters": 0, "predicted_seconds": 0.0, "predicted_range": [0.0, 0.0]}
    assert texts.plan_time(unmeasured).startswith("Time: not measured yet on this machine")
    assert texts.plan_figure(unmeasured) == "not measured yet"


def test_one_is_singular():
    one = PLAN | {"images": 1, "clusters_touched": 1, "clusters_holding": 1, "clusters_retrained": 1, "clusters_untouched": 1}
    assert texts.plan(one).startswith("1 image in 1 of 41 clusters. 1 cluster retrains")
    assert "1 stays untouched" in texts.plan(one)


def test_images_that_shaped_the_clusters_explain_why_more_retrain():
    assert "in 1 of 41 clusters. Some of them shaped the clusters, so more retrain. 3 clusters" in texts.plan(
        PLAN | {"clusters_holding": 1}
    )


def test_next_to_no_time_is_said_so():
    assert texts.plan_time(PLAN | {"predicted_seconds": 0.0008, "predicted_range": [0.001, 0.002]}).startswith("Under 0.01 s;")


@pytest.mark.parametrize(
    ("mine", "theirs", "words"),
    [
        ((2, 90), (3, 80), "fewer retrain than at random"),
        ((3, 37), (3, 60), "As many"),
        ((4, 37), (3, 60), "More clusters"),
        ((3, 60), (3, 60), "saves nothing"),
    ],
)
def test_the_clusterings_are_compared_by_clusters_then_by_samples(mine, theirs, words):
    reach = lambda touched, retrain: Reach(9, tuple(range(touched)), retrain, 99, 0.0)  # noqa: E731
    found = Reaches(3, reach(*mine), reach(*theirs), reach(3, 3), {})
    assert words in texts.reach_verdict(found)


def test_forgetting_everything_says_so():
    assert "empty" in texts.plan(PLAN | {"images": 1437})


@pytest.mark.parametrize(
    ("value", "words"), [(0.00083, "under 0.01 s"), (0.618, "0.62 s"), (1.25, "1.2 s"), (21.4, "21 s"), (200.0, "3 min 20 s")]
)
def test_seconds_read_well(value, words):
    assert texts.seconds(value) == words


def test_no_name_is_defined_in_two_files():
    """The package exports every file's names, so the second definition would hide the first."""
    files = [path for path in Path(texts.__file__).parent.glob("*.py") if path.name != "__init__.py"]
    found = Counter(name for path in files for name in defined(ast.parse(path.read_text("utf-8"))))
    assert len(found) > 300
    assert not [name for name, times in found.items() if times > 1]
    assert not [name for name in found if not name.startswith("_") and not hasattr(texts, name)]


def defined(module: ast.Module) -> Iterator[str]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        for target in node.targets if isinstance(node, ast.Assign) else ():
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))


@pytest.mark.parametrize(
    ("times", "words"),
    [(31.4, "LMEraser is 31x faster"), (3.62, "LMEraser is 3.6x faster"), (1.02, "as fast as"), (0.25, "4.0x faster than LMEraser")],
)
def test_times_are_said_forwards(times, words):
    assert texts.against_lmeraser(times).startswith(words)


def test_numbers_agree():
    assert texts.audit_summary({"results": [{"model": "after", "members": 1}], "verdict": "too few samples to conclude"}).startswith(
        "1 forgotten picture is too few"
    )
    assert "1 of 2 is in" in texts.file_known(1, 2) and "the other comes" in texts.file_known(1, 2)
    assert "2 of 5 are in" in texts.file_known(2, 5) and "the others come" in texts.file_known(2, 5)
    assert texts.audit_canaries(1).startswith("The canary is an unseen picture that a copy learns with a wrong label")
    assert texts.audit_weak(["a"]).startswith("The a attack did not") and "its other verdicts" in texts.audit_weak(["a"])
    assert texts.audit_weak(["a", "b", "c"]).startswith("The a, b and c attacks did not")
    assert texts.all_receipts(1) == "The receipt as a file"
    assert texts.prompt_tokens(1).endswith("1 learned token, a list of numbers.")
    assert texts.prompt_tokens(4).endswith("4 learned tokens, each a list of numbers.")

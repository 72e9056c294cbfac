import json
import subprocess
import sys

import pytest

from core import config as presets
from core.audit.selftest import Check, SelfTest
from core.backbone.model import load_backbone
from core.cli.main import main
from core.lmeraser.eraser import LMEraser
from tests.conftest import TINY, tiny_config


def selftest_that(passed: bool) -> SelfTest:
    return SelfTest((Check("features", passed, "images in another order"),), {"kernel": "a kernel"}, 0.1)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command on 80 digits with the tiny backbone; return its exit status, its output and its errors."""
    monkeypatch.setitem(presets.PRESETS, "fast", tiny_config())
    monkeypatch.setattr("core.backbone.model.load_backbone", lambda name, device: load_backbone(TINY, device))
    monkeypatch.setattr("core.audit.selftest.selftest", lambda device=None: selftest_that(True))

    def call(*words):
        status = main([words[0], "--limit", "80", "--workers", "1", "--device", "cpu", "--cache", str(tmp_path), "--json", *words[1:]])
        out, err = capsys.readouterr()
        return status, (json.loads(out) if out else None), err

    return call


def test_fit_then_start_again_from_the_cache(run):
    status, first, _ = run("fit")
    assert status == 0
    assert first["trained"] == first["clusters"] > 1
    assert run("fit")[1]["from_cache"] == first["clusters"]
    assert run("fit")[1]["root"] == first["root"]


def test_forget_prints_what_it_promises(run):
    _, result, _ = run("forget", "--count", "3", "--seed", "1", "--full")
    assert result["dataset"] == "digits"
    assert result["n"] == 3
    assert {"clusters_touched", "clusters_total", "samples_to_retrain", "predicted_seconds"} <= set(result["plan"])
    assert {"plan", "train", "evaluate", "total"} <= set(result["seconds"])
    assert result["sample_passes"]["request"] < result["sample_passes"]["full"]
    for when in ("before", "after"):
        assert set(result["accuracy"][when]) == {"test", "retained", "forgotten"}
    assert result["full"]["root"] == result["root"]["after"] != result["root"]["before"]
    assert result["speedup"] == pytest.approx(result["full"]["seconds"]["total"] / result["seconds"]["total"])


def test_requests_are_not_served_from_earlier_ones(run):
    first = run("forget", "--count", "2")[1]
    again = run("forget", "--count", "2")[1]
    assert again["root"] == first["root"]
    assert again["sample_passes"]["request"] == first["sample_passes"]["request"] > 0


@pytest.mark.slow
def test_verify_compares_with_another_process(run, monkeypatch):
    status, result, _ = run("verify", "--label", "3")
    assert (status, result["equal"], result["problems"]) == (0, True, [])
    assert result["root"]["after"] == result["root"]["clean_room"]
    assert result["retained"]["root"] == result["retained"]["clean_room"]
    delete = LMEraser.forget
    monkeypatch.setattr(LMEraser, "forget", lambda self, plan, **how: delete(self, following(self, plan.ids), **how))
    status, result, _ = run("verify", "--count", "3")
    assert (status, result["equal"]) == (1, False)
    assert "holds other samples than remain" in result["problems"][0]


def following(eraser, ids):
    """The samples after the requested ones: a wrong deletion."""
    samples = eraser.samples_
    return samples.take((samples.rows(ids) + 1) % len(samples)).ids


@pytest.mark.parametrize(
    "words",
    [
        ("forget", "--label", "eleven"),
        ("forget", "--subject", "ann"),
        ("forget", "--count", "81"),
        ("forget", "--ids", "nothing"),
        ("fit", "--preset", "best"),
        ("fit", "--partition", "kmeans"),
        ("fit", "--prompt", "frame"),
        ("fit", "--clusters", "0"),
        ("fit", "--workers", "0"),
        ("fit", "--dataset", "nowhere/at/all"),
    ],
)
def test_errors_go_to_standard_error_with_status_2(run, words):
    status, out, err = run(*words)
    assert status == 2
    assert out is None
    assert err.splitlines()[-1].strip().startswith("error: ")


def test_bench_forget_reports_medians(run):
    _, result, _ = run("bench", "forget", "--requests", "3")
    assert result["request_seconds"]["n"] == 3
    assert result["roots_equal"]
    assert result["speedup"] == pytest.approx(result["full_seconds"]["total"] / result["request_seconds"]["median"])


def test_bench_accuracy_lists_the_methods(run):
    rows = run("bench", "accuracy", "--seeds", "2")[1]["rows"]
    assert [r["method"] for r in rows] == [
        "LMEraser",
        "closed form only",
        "nearest cluster only",
        "mixed clusters only",
        "class means",
        "prompt not learned",
        "one prompt on all data",
    ]
    assert all(0 <= r["low"] <= r["test"] <= r["high"] <= 1 for r in rows)
    closed = rows[1]
    assert (closed["above_closed_form"], closed["margin"]) == (0, 0)
    assert all(r["above_closed_form"] == pytest.approx(r["test"] - closed["test"]) for r in rows)
    assert rows[0]["by_seed"][0] == run("fit")[1]["accuracy"]["test"]
    assert {r["method"]: len(r["by_seed"]) for r in rows if len(r["by_seed"]) == 1} == {"closed form only": 1, "class means": 1}


@pytest.mark.parametrize("words", [("accuracy", "--seeds", "0"), ("forget", "--requests", "0")])
def test_bench_refuses_to_measure_nothing(run, words):
    status, _, err = run("bench", *words)
    assert status == 2
    assert f"{words[1]} is" in err


def test_audit_attacks_the_request_and_copies_broken_on_purpose(run):
    status, result, _ = run("audit", "--count", "4", "--shadows", "2")
    assert status == 0
    assert (result["forgotten"], result["verdict"]) == (4, "too few samples to conclude")
    assert {r["attack"] for r in result["results"]} == {"likelihood ratio", "loss threshold", "mislabeled canaries"}
    assert {r["model"] for r in result["results"]} == {"before", "after", "control", "another control", *result["planted"]}
    assert set(result["planted"]) == {"head not subtracted", "one touched cluster stale", "all touched clusters stale"}
    assert run("audit", "--count", "4", "--shadows", "7")[0] == 2


def test_bench_unlearn_writes_a_table(run, tmp_path):
    table = tmp_path / "table.md"
    words = ("bench", "unlearn", "--methods", "LMEraser, SISA", "--requests", "1 random", "--table", str(table))
    status, result, _ = run(*words)
    assert status == 0
    assert [r["method"] for r in result["rows"]] == ["LMEraser", "SISA"]
    assert table.read_text("utf-8").count("| 1 random |") == 2
    assert table.read_text("utf-8").count("| yes |") == 2 and "Self-test of exactness: passed." in table.read_text("utf-8")
    for wrong in (("unlearn", "--methods", "magic"), ("unlearn", "--requests", "3"), ("forget", "--requests", "many")):
        assert run("bench", *wrong)[0] == 2


def test_no_table_calls_a_method_exact_where_the_self_test_fails(run, monkeypatch, tmp_path):
    monkeypatch.setattr("core.audit.selftest.selftest", lambda device=None: selftest_that(False))
    table = tmp_path / "table.md"
    _, result, _ = run("bench", "unlearn", "--methods", "LMEraser, SISA", "--requests", "1 random", "--table", str(table))
    assert (result["selftest"]["passed"], [row["exact"] for row in result["rows"]]) == (False, [False, False])
    assert "| yes |" not in table.read_text("utf-8") and "failed, so nothing is called exact" in table.read_text("utf-8")


@pytest.mark.parametrize("passed", [True, False])
def test_selftest_says_by_its_exit_status_whether_exactness_holds(monkeypatch, capsys, passed):
    monkeypatch.setattr("core.audit.selftest.selftest", lambda device=None: selftest_that(passed))
    assert main(["selftest"]) == (0 if passed else 1)
    assert ("Exact here" in capsys.readouterr().out) == passed
    assert main(["selftest", "--json"]) == (0 if passed else 1)
    assert json.loads(capsys.readouterr().out)["passed"] == passed


@pytest.mark.slow
def test_audit_attacks_the_approximate_methods_and_writes_a_table(run, tmp_path):
    table = tmp_path / "audit.md"
    status, result, _ = run("audit", "--count", "4", "--shadows", "2", "--approximate", "--table", str(table))
    assert status == 0
    models = {r["model"] for r in result["approximate"]}
    assert models == {"before", "control", "another control", "fine-tune on retained", "gradient ascent", "random labels"}
    text = table.read_text("utf-8")
    assert text.count("| LMEraser |") == 3 * 7
    assert text.count("| one prompt |") == 2 * 6
    assert "80 samples, 4 forgotten, 2 shadows" in text
    assert len({line.count("|") for line in text.splitlines() if line.startswith("|")}) == 1


def test_residue_of_a_request_on_a_private_copy(run, tmp_path):
    status, result, _ = run("audit", "--residue", "--count", "3")
    assert (status, result["clean"], result["found"]) == (0, True, [])
    assert {"model", "modules", "worker queues"} <= {s["place"] for s in result["searched"]}
    status, result, _ = run("audit", "--residue", "--count", "3", "--folder", str(tmp_path))
    assert (status, result["clean"]) == (1, False)  # the cached fit is another owner, and keeps the features
    assert {"feature"} <= {f["kind"] for f in result["found"]}


def test_residue_is_told_in_words_without_json(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(presets.PRESETS, "fast", tiny_config())
    monkeypatch.setattr("core.backbone.model.load_backbone", lambda name, device: load_backbone(TINY, device))
    words = ["audit", "--residue", "--limit", "40", "--workers", "1", "--device", "cpu", "--cache", str(tmp_path)]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("Nothing of the forgotten samples was found. 1 samples")


def test_forget_and_bench_forget_count_flops(run):
    flops = run("forget", "--count", "1")[1]["flops"]
    assert 0 < flops["request"] < flops["full"]
    result = run("bench", "forget", "--requests", "2")[1]
    assert 0 < result["request_flops"]["median"] < result["full_flops"]


def test_bench_unlearn_writes_its_result_for_the_page_to_draw(run, tmp_path):
    report = tmp_path / "result.json"
    words = ("bench", "unlearn", "--methods", "LMEraser", "--requests", "1 random", "--report")
    status, result, _ = run(*words, str(report))
    assert status == 0
    assert json.loads(report.read_text("utf-8")) == result
    status, _, said = run(*words, str(tmp_path / "no" / "result.json"))
    assert (status, "cannot be written" in said) == (2, True)


def test_a_report_named_html_is_refused_before_anything_is_measured(monkeypatch, capsys):
    monkeypatch.setattr("core.cli.bench.load_data", lambda args: pytest.fail("measured"))
    assert main(["bench", "unlearn", "--report", "r.html"]) == 2
    assert "--report r.json" in capsys.readouterr().err


def test_help_answers_without_pytorch():
    code = "import sys; from core.cli.main import build_parser; build_parser().format_help(); print({'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"

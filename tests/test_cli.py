import json

import pytest

from core import __main__ as cli
from core import presets
from core.backbone import load_backbone
from tests.conftest import TINY, tiny_config


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command on 80 digits with the tiny backbone; return its exit status, its output and its errors."""
    monkeypatch.setitem(presets.PRESETS, "fast", tiny_config())
    monkeypatch.setattr("core.backbone.load_backbone", lambda name, device: load_backbone(TINY, device))

    def call(*words):
        status = cli.main([words[0], "--limit", "80", "--workers", "1", "--device", "cpu", "--cache", str(tmp_path), "--json", *words[1:]])
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
    assert (status, result["equal"], result["untouched_equal"]) == (0, True, True)
    assert result["root"]["after"] == result["root"]["clean_room"]
    altered = lambda eraser, workers: type("Result", (), {"root": "0" * 64, "digests": {}})  # noqa: E731
    monkeypatch.setattr("core.cleanroom.clean_room", altered)
    status, result, _ = run("verify", "--count", "1")
    assert (status, result["equal"], result["untouched_equal"]) == (1, False, False)


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
    rows = run("bench", "accuracy")[1]["rows"]
    assert [r["method"] for r in rows] == ["LMEraser", "nearest cluster only", "mixed clusters only", "one prompt on all data"]
    assert all(0 <= r["test"] <= 1 for r in rows)


def test_audit_attacks_three_models(run):
    status, result, _ = run("audit", "--count", "4", "--shadows", "2")
    assert status == 0
    assert result["forgotten"] == 4
    assert [(r["attack"], r["model"]) for r in result["results"]] == [
        (attack, model) for attack in ("likelihood ratio", "loss threshold") for model in ("before", "after", "control")
    ]
    assert run("audit", "--count", "4", "--shadows", "7")[0] == 2


def test_bench_unlearn_writes_a_table(run, tmp_path):
    table = tmp_path / "table.md"
    words = ("bench", "unlearn", "--methods", "LMEraser, SISA", "--requests", "1 random", "--table", str(table))
    status, result, _ = run(*words)
    assert status == 0
    assert [r["method"] for r in result["rows"]] == ["LMEraser", "SISA"]
    assert table.read_text("utf-8").count("| 1 random |") == 2
    for wrong in (("unlearn", "--methods", "magic"), ("unlearn", "--requests", "3"), ("forget", "--requests", "many")):
        assert run("bench", *wrong)[0] == 2


def test_audit_attacks_the_approximate_methods_and_writes_a_table(run, tmp_path):
    table = tmp_path / "audit.md"
    status, result, _ = run("audit", "--count", "4", "--shadows", "2", "--approximate", "--table", str(table))
    assert status == 0
    models = {r["model"] for r in result["approximate"]}
    assert models == {"before", "control", "fine-tune on retained", "gradient ascent", "random labels"}
    text = table.read_text("utf-8")
    assert text.count("| LMEraser |") == 6
    assert text.count("| one prompt |") == 10
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
    monkeypatch.setattr("core.backbone.load_backbone", lambda name, device: load_backbone(TINY, device))
    words = ["audit", "--residue", "--limit", "40", "--workers", "1", "--device", "cpu", "--cache", str(tmp_path)]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.startswith("Nothing of the forgotten samples was found. 1 samples")


def test_forget_and_bench_forget_count_flops(run):
    flops = run("forget", "--count", "1")[1]["flops"]
    assert 0 < flops["request"] < flops["full"]
    result = run("bench", "forget", "--requests", "2")[1]
    assert 0 < result["request_flops"]["median"] < result["full_flops"]

import copy
import json
from html.parser import HTMLParser

import pytest

from core.benchmarks.baselines import METHODS
from core.errors import DataError
from demo import texts
from demo.reports import bench_report as report

VOID = {"meta", "br", "link", "img", "hr", "input"}


def row(method: str, request: str, seconds: float, auc: float | None = 0.6) -> dict:
    return {
        "request": request,
        "method": method,
        "exact": True,
        "seconds": {"setup": 0.1, "plan": 0.0, "train": seconds, "evaluate": 0.5, "total": seconds},
        "sample_passes": 320,
        "flops": 12_345_678_900,
        "accuracy": {"test": 0.95, "retained": 0.99, "forgotten": 0.9},
        "attack": {"auc": auc, "auc_interval": None if auc is None else [auc - 0.1, auc + 0.1], "verdict": "<distinguishable>"},
        "speedup": 3.0,
        "fewer_passes": 2.0,
    }


@pytest.fixture
def record():
    rows = [row(m, q, 0.5 + n) for q in ("1 random", "one class") for n, m in enumerate(METHODS)]
    rows.append(row("SISA", "one class", 9.5))
    rows.append(row("LMEraser", "one subject", 1.0, None))
    return {
        "dataset": "<digits>",
        "samples": 1437,
        "clusters": 67,
        "repeats": 2,
        "seed": 7,
        "rows": rows,
        "hardware": {"processor": "A & B", "cores": "2"},
        "versions": {"torch": "9.9"},
        "commands": ["python -m core bench unlearn --dataset digits"],
    }


class Reader(HTMLParser):
    """Checks that tags are closed in order; keeps text and attributes outside scripts."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.attributes, self.scripts = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.attributes += [value for _, value in attrs if value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.open and self.open[-1] == "script" else self.text).append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_page_names_every_method_and_how_it_was_measured(record):
    reader = read(report.unlearn_report(record))
    text = " ".join(reader.text)
    for wanted in (*METHODS, "1 random", "one class", "A & B", "torch 9.9", record["commands"][0], "<distinguishable>", "12.3", "GFLOPs"):
        assert wanted in text, wanted
    for title in (texts.BENCH_ACCURACY, texts.BENCH_SECONDS, texts.BENCH_ATTACK, texts.BENCH_TABLE):
        assert title in text
    assert len(reader.scripts) == 4  # the library and three charts
    charts = "".join(reader.scripts[1:])
    assert all(json.dumps(m) in charts for m in METHODS)


def test_nothing_is_fetched(record):
    page = report.unlearn_report(record)
    reader = read(page)
    assert "https://cdn" not in page
    assert not any(value.startswith(("http:", "https:", "//")) for value in reader.attributes)
    assert "http" not in "".join(reader.text) + "".join(reader.scripts[1:])
    assert "default-src 'none'" in page


def test_names_cannot_become_tags(record):
    page = report.unlearn_report(record)
    assert "<digits>" not in page
    assert "&lt;digits&gt;" in page


def test_repeats_become_medians_and_missing_attacks_are_left_out(record):
    rows = report.medians(record["rows"])
    sisa = next(r for r in rows if (r["method"], r["request"]) == ("SISA", "one class"))
    assert sisa["seconds"] == (0.5 + METHODS.index("SISA") + 9.5) / 2
    drawn = report.attack_chart(rows)
    assert all("one subject" not in trace.x for trace in drawn.data)
    assert drawn.data[0].error_y.array == pytest.approx([0.1] * len(drawn.data[0].x))


def test_the_charts_say_the_best_in_words(record):
    fastest = report.best(report.medians(record["rows"]))
    assert fastest.startswith("Fastest: LMEraser")


@pytest.mark.parametrize("damage", [{}, {"rows": [{}]}, {"rows": "x"}, {"seed": None, "rows": [1]}])
def test_what_is_no_result_is_refused(record, damage, tmp_path):
    bad = {**copy.deepcopy(record), **damage} if damage else {}
    with pytest.raises(DataError, match="cannot be drawn"):
        report.unlearn_report(bad)
    (tmp_path / "r.json").write_text(json.dumps(bad))
    assert report.main([str(tmp_path / "r.json"), str(tmp_path / "r.html")]) == 2
    assert not (tmp_path / "r.html").exists()


def test_files_are_read_and_written(record, tmp_path, capsys):
    source, page = tmp_path / "r.json", tmp_path / "r.html"
    source.write_text(json.dumps(record))
    assert report.main([str(source), str(page)]) == 0
    read(page.read_text("utf-8"))
    assert report.main([str(source), str(tmp_path / "no" / "r.html")]) == 2
    assert report.main([str(tmp_path / "no.json"), str(page)]) == 2
    assert capsys.readouterr().err.count("error: ") == 2

"""A proof that fails is seen everywhere: each place is asked after a planted break, on a fake engine and on a real one."""

import asyncio
import base64
import csv
import io
import json
import re
from html import unescape

import numpy as np
import pytest

from core import config as presets
from core.backbone.model import load_backbone
from core.data.datasets import Dataset
from core.lmeraser.eraser import LMEraser
from core.runtime.executors import InlineExecutor
from demo import texts
from demo.api import Api
from demo.reports.request_report import report
from demo.session.engine import CoreEngine
from demo.session.jobs import Jobs
from demo.session.lab import Lab
from demo.session.verdict import Finding, judge, method_kind
from demo.tabs.page import Page
from tests.conftest import TINY, tiny_config
from tests.demo.fake import FAILED, FakeEngine, FakeSelfTest, fake_samples
from tests.demo.tabs.test_ledger import everything as shown_everywhere
from tests.demo.tabs.test_ledger import forget, merged

BROKEN = "the head still holds 2 images"
PASSED = FakeSelfTest()


@pytest.mark.parametrize(
    ("finding", "selftest", "running", "kind"),
    [
        (None, None, False, "unchecked"),
        (None, PASSED, True, "running"),
        (Finding("a"), PASSED, False, "equal"),
        (Finding("a", ("x",)), PASSED, False, "different"),
        (Finding("a", ("x",)), FAILED, True, "different"),
        (Finding("a"), FAILED, False, "unprovable"),
        (None, FAILED, False, "unprovable"),
        (None, FAILED, True, "unprovable"),
    ],
)
def test_what_may_be_said(finding, selftest, running, kind):
    verdict = judge(finding, selftest, running)
    assert verdict.kind == kind
    assert (verdict.title, verdict.info) == texts.VERDICTS[kind]
    assert bool(verdict.problems) == (kind in ("different", "unprovable"))


def test_a_later_check_that_passes_does_not_take_a_problem_back():
    found = Finding("a", ("x",)).joined(Finding("b")).joined(Finding("b", ("x", "y")))
    assert found == Finding("b", ("x", "y"))


def test_only_what_no_check_contradicts_is_called_exact():
    own, other, rough = ({"method": m, "exact": e} for m, e in (("LMEraser", True), ("SISA", True), ("gradient ascent", False)))
    kinds = lambda finding, selftest: [method_kind(row, judge(finding, selftest)) for row in (own, other, rough)]  # noqa: E731
    assert kinds(None, PASSED) == ["exact", "exact", "approximate"]
    assert kinds(Finding("", ("x",)), PASSED) == ["contradicted", "exact", "approximate"]
    assert kinds(None, FAILED) == ["unproven", "unproven", "approximate"]


def compared(lab, site) -> tuple:
    """Return a visitor whose request was put to other methods, before any proof."""
    visitor = lab.enter()
    forget(site, visitor, 1, 7)
    merged(site.compare.run(visitor.token, ["SISA", "gradient ascent"]))
    return visitor, visitor.requests[-1]


def file(html: str, name: str) -> str:
    return base64.b64decode(re.search(rf'download="{name}" href="[^,]+,([^"]+)"', html)[1]).decode()


def plain(html: str) -> str:
    return unescape(re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", html, flags=re.S))


def everywhere(lab, site, visitor) -> dict:
    """Return what every place says of the visitor's last request, rendered now."""
    shown = shown_everywhere(site, visitor)
    api = Api(site)
    return shown | {
        "api": api.result(visitor.token)[-1],
        "json": json.loads(file(shown["result"], "lmeraser-result.json")),
        "csv": file(shown["result"], "lmeraser-result.csv"),
        "card": site.request.card.show(visitor)["card"],
        "report": plain(report(tuple(visitor.requests), lab, lambda r: lab.verdict(visitor, r.number))),
        "chart": shown["compare_chart"]["value"],
    }


def check_contradicted(said: dict, problem: str) -> None:
    """Every place says that the proof failed, and none of them calls the request exact."""
    assert "lm-failed" in said["status"] and "did not forget exactly" in said["status"]
    for place in ("result", "card"):
        assert "lm-said-different" in said[place] and "Not forgotten exactly" in said[place]
    assert problem in said["result"] and "something of them may be left" in said["result"]
    assert "lm-different" in said["proof"] and problem in said["proof"]
    assert "lm-said-different" in said["ledger"] and texts.VERDICTS_SHORT["different"] in said["ledger"]
    own = re.search(r'<tr class="lm-own">.*?</tr>', said["compare_table"])[0]
    assert "proof failed" in own and ">exact<" not in own
    assert said["chart"].data[0].marker.symbol[0] == "diamond-open"
    for record in (said["api"], said["json"]):
        assert record["proof"]["verdict"] == "different" and problem in record["proof"]["problems"][0]
    lines = [line[1:4] for line in csv.reader(io.StringIO(said["csv"]))]
    assert ["proof", "", "different"] in lines
    assert any(name == "proof problem" and problem in value for name, _, value in lines)
    assert "not forgotten exactly" in said["report"] and problem in said["report"] and "Not equal" in said["report"]
    for place in ("result", "proof", "report", "ledger"):
        assert texts.VERDICTS["equal"][0] not in said[place]


def test_without_a_failed_check_nothing_is_in_doubt(lab, site):
    visitor, _ = compared(lab, site)
    said = everywhere(lab, site, visitor)
    assert "lm-ready" in said["status"] and "lm-said-unchecked" in said["result"] and "lm-unchecked" in said["proof"]
    assert said["json"]["full"] is None and said["json"]["proof"]["verdict"] == "unchecked"
    merged(site.proof.full(visitor.token))
    said = everywhere(lab, site, visitor)
    assert "lm-ready" in said["status"] and "2 images forgotten" in said["result"]
    assert "lm-equal" in said["proof"] and "Equal, bit for bit" in said["report"]
    assert said["api"]["full"]["equal"] is True and said["api"]["proof"]["verdict"] == "equal"
    assert ",proof,,equal," in said["csv"] and texts.VERDICTS_SHORT["equal"] in said["ledger"]
    assert said["compare_table"].count(">exact<") == 2


def test_a_failed_proof_is_seen_everywhere(lab, site):
    visitor, _ = compared(lab, site)
    lab.engine.broken = BROKEN
    updates = merged(site.proof.full(visitor.token))
    assert {"status", "result", "proof_body", "ledger_body", "compare_body"} <= set(updates)  # at once, or hidden until opened
    assert "did not forget exactly" in updates["status"]
    check_contradicted(everywhere(lab, site, visitor), BROKEN)
    assert everywhere(lab, site, visitor)["json"]["full"]["equal"] is False


def test_a_failed_replay_marks_the_request_and_is_seen_everywhere(lab, site, monkeypatch):
    visitor, _ = compared(lab, site)
    report = {"request": 1, "ran": True, "clean_room": "b" * 64, "seconds": {"train": 0.6}, "problems": [BROKEN]}
    monkeypatch.setattr(visitor.model, "replay", lambda *args: report)
    updates = merged(site.ledger.replay(visitor.token))
    assert "Request 1 replayed: not equal" in updates["checked"] and BROKEN in updates["checked"]
    check_contradicted(everywhere(lab, site, visitor), BROKEN)
    assert "a proof failed" in merged(site.ledger.check(visitor.token))["checked"]


def test_a_proof_that_passes_later_does_not_hide_one_that_failed(lab, site):
    visitor, _ = compared(lab, site)
    lab.engine.broken = BROKEN
    merged(site.proof.full(visitor.token))
    lab.engine.broken = ""
    merged(site.proof.full(visitor.token))
    check_contradicted(everywhere(lab, site, visitor), BROKEN)


def test_an_earlier_failed_proof_stays_on_the_status_line_and_in_the_ledger(lab, site):
    visitor, _ = compared(lab, site)
    lab.engine.broken = BROKEN
    merged(site.proof.full(visitor.token))
    updates = forget(site, visitor, 2)
    assert "Request 1 did not forget exactly" in updates["status"]
    assert "lm-said-unchecked" in updates["result"]
    assert updates["ledger"].count("lm-said-different") == 1
    assert "lm-ready" in site.request.start_over(visitor.token)["status"]


def test_untouched_clusters_that_changed_are_a_failed_check(lab, site, monkeypatch):
    visitor = lab.enter()
    forgets = visitor.model.forget

    def spoiled(plan, **kwargs):
        receipt = forgets(plan, **kwargs)
        monkeypatch.setattr(visitor.model, "digests", lambda keys: dict.fromkeys(keys, "0"))
        return receipt

    monkeypatch.setattr(visitor.model, "forget", spoiled)
    forget(site, visitor, 1, 7)
    assert lab.verdict(visitor, 1).kind == "different"
    assert "changed. This must not happen" in site.proof.proof(visitor)


@pytest.fixture
def doubtful(tmp_path):
    """A lab on a machine whose self-test fails."""
    samples = fake_samples()
    lab = Lab(FakeEngine(samples, tested=FAILED), samples, tmp_path)
    lab.start().join()
    yield lab
    lab.close()


def test_where_the_self_test_fails_nothing_is_called_exact(doubtful):
    site = Page(doubtful, Jobs())
    visitor, _ = compared(doubtful, site)
    merged(site.proof.full(visitor.token))
    said = everywhere(doubtful, site, visitor)
    for place in ("status", "result", "card", "proof", "basis", "report"):
        assert "No proof on this device" in said[place], place
    assert "3 of 60 rows differ" in said["basis"] and "3 of 60 rows differ" in said["report"]
    assert said["compare_table"].count("no proof here") == 2 and ">exact<" not in said["compare_table"]
    assert set(said["chart"].data[0].marker.symbol) == {"diamond-open"}
    assert texts.VERDICTS_SHORT["unprovable"] in said["ledger"]
    for record in (said["api"], said["json"]):
        assert record["proof"]["verdict"] == "unprovable" and record["full"]["equal"] is None
    assert ",proof,,unprovable," in said["csv"]
    assert "no proof on this device" in merged(site.ledger.replay(visitor.token))["checked"]
    shown = json.dumps({k: v for k, v in said.items() if isinstance(v, str)})
    assert "bit for bit" not in shown.replace("stay as they are, bit for bit", "")


def test_the_proof_tab_says_quietly_what_the_proof_rests_on(lab, site):
    said = site.proof.basis()
    assert texts.basis(lab.selftest) in said and "kernel" in said and "Fake" in said
    lab.selftest = None
    assert texts.BASIS_WAITS in site.proof.basis()

    async def journey(tab):
        visitor = lab.enter()
        visitor.open_tab = tab
        return [set(updates) async for updates in site.proof.examined(visitor.token)]

    lab.examined()
    assert asyncio.run(journey("proof")) == [{"basis"}]
    assert asyncio.run(journey("result")) == [{"proof_body"}]


def test_a_proof_waits_for_the_self_test(lab, site):
    visitor, _ = compared(lab, site)
    lab.selftest, lab.engine.tested = None, FAILED
    merged(site.proof.full(visitor.token))
    assert lab.verdict(visitor, 1).kind == "unprovable"


def test_the_proof_is_given_the_labs_own_data_and_every_id_that_was_asked_for(lab, site):
    visitor = lab.enter()
    forget(site, visitor, 1, 7)
    forget(site, visitor, 2)
    merged(site.proof.full(visitor.token))
    assert lab.engine.proved == [(lab.samples.ids, tuple(lab.samples.ids[r] for r in (1, 7, 2)))]
    assert visitor.requests[-1].full_seconds(None) == pytest.approx(0.6)  # the clean room's fit is the measured full retraining


def test_a_model_that_forgot_the_next_image_is_not_equal(lab, site, monkeypatch):
    visitor = lab.enter()
    plan = type(visitor.model).plan
    ids = lab.samples.ids
    monkeypatch.setattr(type(visitor.model), "plan", lambda self, asked: plan(self, [ids[ids.index(i) + 6] for i in asked]))
    forget(site, visitor, 1)
    merged(site.proof.full(visitor.token))
    assert lab.verdict(visitor, 1).kind == "different"


@pytest.mark.parametrize(("rows", "many"), [(range(2, 60, 3), False), ([r for r in range(60) if r % 3 != 1], True)])
def test_a_class_without_images_stays_an_answer_and_the_page_says_so(lab, site, rows, many):
    visitor = lab.enter()
    updates = forget(site, visitor, *[r for r in rows if r != 59], *([59] if many else []))
    words = "No image of classes a, c is left, but their names stay" if many else "No image of class c is left, but its name stays"
    for place in ("result", "proof"):
        assert words in updates[place]
    later = forget(site, visitor, 1)
    assert words in later["proof"]  # and after the next request as well
    assert words in plain(report(tuple(visitor.requests), lab, lambda r: lab.verdict(visitor, r.number)))


def test_the_table_of_breaks_leaves_none_unnoticed():
    assert all(len(row) == 4 and any(row) for row in texts.BREAKS.values())


# --- a real engine ----------------------------------------------------------------------------------------------------


class Inline(InlineExecutor):
    def warm_up(self, *modules):
        pass


@pytest.fixture
def real(tmp_path, monkeypatch, digits):
    """A lab on the real engine: 60 digits, a tiny model, a self-test that passes."""
    monkeypatch.setitem(presets.PRESETS, "fast", tiny_config())
    monkeypatch.setattr("core.backbone.model.load_backbone", lambda name, device=None: load_backbone(TINY))
    monkeypatch.setattr("demo.session.engine.kept_selftest", lambda folder: PASSED)
    data = Dataset("digits", digits.train.take(np.arange(60)), digits.test.take(np.arange(30)))
    monkeypatch.setattr(CoreEngine, "layout", lambda self, folder, compute: np.zeros((60, 2), np.float32))
    lab = Lab(CoreEngine(data, "fast", tmp_path / "states", Inline()), data.train, tmp_path)
    lab.start().join()
    assert lab.fit.state == "ready", lab.fit.error
    yield lab
    lab.close()


@pytest.mark.slow
def test_another_process_proves_the_real_model(real):
    site = Page(real, Jobs())
    visitor = real.enter()
    forget(site, visitor, 3, 17)
    forget(site, visitor, 4)
    site.opened("proof", visitor.token)
    updates = merged(site.proof.full(visitor.token))
    assert "lm-equal" in updates["proof"], visitor.findings


@pytest.mark.slow
def test_a_real_model_whose_head_keeps_the_images_is_contradicted_everywhere(real, monkeypatch):
    site = Page(real, Jobs())
    visitor = real.enter()
    monkeypatch.setattr(LMEraser, "_moved_head", lambda self, old, samples: old.head)
    forget(site, visitor, 3, 17)
    visitor.amend(visitor.requests[-1], compared=tuple(
        {"method": m, "exact": True, "seconds": {"total": s}, "sample_passes": 9, "accuracy": {"test": 0.9, "retained": 0.9,
         "forgotten": None}, "attack": {"auc": None}, "times_lmeraser": 1.0} for m, s in (("LMEraser", 0.1), ("SISA", 0.5))))  # fmt: skip
    merged(site.proof.full(visitor.token))
    said = everywhere(real, site, visitor)
    check_contradicted(said, "trained from scratch, the model has root")

"""What the membership audit notices of code that forgets wrongly: on digits at the model's real shape, and on a small model."""

from dataclasses import replace

import numpy as np
import pytest

from core.audit import membership as audit
from core.audit.membership import CANARY, AuditSettings
from core.audit.planted_breaks import BREAKS, DAMAGES
from core.backbone.model import load_backbone
from core.benchmarks.equivalence import DISTINGUISHABLE
from core.config import preset
from core.data.samples import Samples
from core.data.selection import select
from core.lmeraser.eraser import LMEraser
from core.runtime.executors import LocalExecutor
from tests.conftest import TINY, tiny_config


@pytest.fixture
def broken_code(monkeypatch):
    """Let every later `forget` make the mistake that a planted break names."""

    def plant(name: str) -> None:
        forget = LMEraser.forget

        def forget_wrongly(self, ids, *rest):
            before = self.fork()
            outcome = forget(self, ids, *rest)
            self.model_ = DAMAGES[name](before, self, ids).model_
            return outcome

        monkeypatch.setattr(LMEraser, "forget", forget_wrongly)

    return plant


@pytest.fixture(scope="module")
def noisy(digits):
    """160 members and 200 non-members whose labels are drawn at random."""
    drawn = Samples.build(digits.train.images[:360], np.random.default_rng(0).integers(0, 10, 360), digits.train.classes)
    return drawn.take(np.arange(160)), drawn.take(np.arange(160, 360))


def memorizing(samples: Samples, **serve) -> LMEraser:
    """Return a small model that knows its samples' labels by heart."""
    config = tiny_config(clusters=4)
    config = replace(config, train=replace(config.train, steps=60), serve=replace(config.serve, **serve))
    return LMEraser(config, load_backbone(TINY)).fit(samples)


def verdict(eraser: LMEraser, ids, held_out: Samples) -> str:
    return audit.audit(eraser, ids, held_out, AuditSettings(shadows=4, controls=3, breaks=()))["verdict"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "head not subtracted", "all touched clusters stale"])
def test_broken_code_is_noticed_where_samples_are_memorized(noisy, broken_code, name):
    eraser, ids = memorizing(noisy[0]), noisy[0].ids[:60]
    if name:
        broken_code(name)
    assert (verdict(eraser, ids, noisy[1]) == DISTINGUISHABLE) == bool(name)


@pytest.mark.slow
def test_a_record_says_of_every_break_whether_it_was_noticed(noisy):
    ids = noisy[0].ids[:120:2]  # the next row of each is another that nobody asked for
    record = audit.audit(memorizing(noisy[0]), ids, noisy[1], AuditSettings(shadows=4, controls=3, breaks=tuple(BREAKS)))
    found = audit.noticed(record)
    assert set(found) == set(BREAKS)
    seen = {"wrong row deleted", "head not subtracted", "all touched clusters stale", "stale answer cache"}
    assert {name for name, told in found.items() if told} >= seen
    assert not found["mixing changed"]  # it tells nothing of any sample: the root notices it


@pytest.mark.slow
def test_one_stale_cluster_is_noticed_when_the_request_lies_in_it(noisy, broken_code):
    eraser = memorizing(noisy[0], mix=1, global_weight=0.0)
    partition = eraser.partition_
    rows = partition.members(int(np.bincount(partition.assignment).argmax()))
    ids = noisy[0].take(rows[~np.isin(rows, partition.anchors)][:40]).ids
    assert verdict(eraser, ids, noisy[1]) != DISTINGUISHABLE
    broken_code("one touched cluster stale")
    assert verdict(eraser, ids, noisy[1]) == DISTINGUISHABLE


@pytest.fixture(scope="module")
def fitted(digits):
    executor = LocalExecutor(2)
    yield LMEraser("fast", executor=executor).fit(digits.train)
    executor.close()


@pytest.fixture(scope="module")
def hundred(digits):
    return select(digits.train, count=100, seed=0)


@pytest.mark.long
def test_the_audit_of_digits_shows_its_power_and_spares_the_exact_model(digits, fitted, hundred):
    record = audit.audit(fitted, hundred, digits.test, AuditSettings(shadows=2, controls=4))
    assert record["verdict"] != DISTINGUISHABLE
    assert record["sensitive"][CANARY]
    assert record["planted"]["head not subtracted"][CANARY] == DISTINGUISHABLE
    assert record["planted"]["all touched clusters stale"][CANARY] == DISTINGUISHABLE
    assert len(record["results"]) == 3 * 7


@pytest.mark.slow
def test_a_head_that_is_not_subtracted_for_100_digits_is_noticed(digits, hundred, broken_code):
    """Few steps a cluster: the head is the same, and a shadow or control takes seconds."""
    config = preset("fast")
    brief = LMEraser(replace(config, train=replace(config.train, steps=4))).fit(digits.train)
    settings = AuditSettings(shadows=2, controls=2, breaks=())
    assert audit.audit(brief, hundred, digits.test, settings)["verdict"] != DISTINGUISHABLE
    broken_code("head not subtracted")
    assert audit.audit(brief, hundred, digits.test, settings)["verdict"] == DISTINGUISHABLE

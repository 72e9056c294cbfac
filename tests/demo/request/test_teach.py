"""Teaching a picture and forgetting it again, without a browser: on a fake engine, and on the real one."""

import asyncio
import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from core.backbone.model import load_backbone
from core.data.datasets import load_dataset
from core.errors import DataError, InputError
from core.lmeraser.eraser import LMEraser
from demo import texts
from demo.api import Api
from demo.request.drawing import decode_picture
from demo.selection.rows import SPARE
from demo.session.engine import CoreModel
from demo.session.jobs import Jobs
from demo.session.lab import Lab
from demo.tabs.page import Page
from tests.conftest import TINY, tiny_config
from tests.demo.fake import FakeEngine, fake_samples


def png(seed: int = 1) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8), np.uint8)).save(out, "PNG")
    return out.getvalue()


def merged(generator) -> dict:
    async def main():
        return {name: value async for updates in generator for name, value in updates.items()}

    return asyncio.run(asyncio.wait_for(main(), 60))


def taught(lab, site, seed: int = 1, label: int = 2):
    visitor = lab.enter()
    return visitor, merged(site.request.teach.teach(visitor.token, png(seed), label))


def test_teaching_selects_the_picture_and_the_card_says_what_forgetting_it_did(lab, site):
    visitor = lab.enter()
    root = visitor.model.root
    site.request.way(visitor.token, SimpleNamespace(_data={"way": "teach"}))
    updates = merged(site.request.teach.teach(visitor.token, png(), 2))
    row = len(lab.samples)
    assert visitor.selection == (row,) and visitor.model.root != root and len(visitor.model.samples) == len(lab.samples) + 1
    assert 'data-at="taught"' in updates["at"] and updates["forget"]["interactive"]
    assert json.loads(updates["map"]["own"]) == [[row, *visitor.taught[row].place]]
    assert json.loads(updates["sheet"]["seen"])["row"] == row
    updates = merged(site.request.forget(visitor.token))
    assert visitor.model.root == root and visitor.taught == {} and visitor.forgotten == (row,)
    assert 'data-at="result"' in updates["at"]
    for words in (texts.SAID_UNTAUGHT, texts.SAID_TAUGHT, texts.SAYS_NOW, texts.SAME_AGAIN, 'data-testid="result"', f'data-taught="{row}"'):
        assert words in updates["card"]
    assert updates["card"].count(f"<code>{root[:7]}</code>") == 2
    assert json.loads(updates["map"]["own"]) == []
    assert "data:image" not in updates["card"], "the server has no copy of a taught picture that was forgotten"


def test_a_taught_picture_among_many_others_is_the_one_that_the_card_is_about(lab, site):
    visitor, _ = taught(lab, site)
    row = len(lab.samples)
    site.request.select(visitor.token, [*range(20), row])
    updates = merged(site.request.forget(visitor.token))
    assert "21 images forgotten" in updates["card"] and texts.NOT_THE_SAME in updates["card"]
    assert f'data-taught="{row}"' in updates["card"]
    assert visitor.last.probabilities.rows == (row, *range(11))


def test_the_ledger_tells_what_was_learned(lab, site):
    visitor, _ = taught(lab, site)
    shown = site.opened("ledger", visitor.token)["ledger"]
    assert texts.learned(1) in shown and visitor.model.root in shown


def test_the_proof_of_a_taught_picture_starts_from_data_without_it(lab, site):
    visitor, _ = taught(lab, site)
    merged(site.request.forget(visitor.token))
    merged(site.request.card.prove(visitor.token))
    assert lab.engine.proved == [(lab.samples.ids, ())]
    assert lab.verdict(visitor, 1).kind == "equal"


def test_a_picture_that_stays_is_part_of_the_proof_of_another_request(lab, site):
    visitor, _ = taught(lab, site)
    stays = visitor.taught[len(lab.samples)].id
    site.request.select(visitor.token, [3])
    merged(site.request.forget(visitor.token))
    merged(site.request.card.prove(visitor.token))
    assert lab.engine.proved == [((*lab.samples.ids, stays), (lab.samples.ids[3],))]
    assert lab.verdict(visitor, 1).kind == "equal"


def test_asking_stores_nothing(lab, site):
    visitor = lab.enter()
    root = visitor.model.root
    updates = site.request.teach.ask(visitor.token, png())
    assert "lm-saying" in updates["said"] and json.loads(updates["sheet"]["seen"])["row"] is None
    assert (visitor.model.root, visitor.taught) == (root, {})


@pytest.mark.parametrize(
    ("picture", "label", "error", "words"),
    [
        (None, 1, InputError, texts.NO_PICTURE),
        (b"GIF89a", 1, DataError, "not an image|cannot be read"),
        (png(), None, InputError, texts.NO_LABEL),
        (png(), 3, InputError, "label is 3; give a whole number from 0 to 2"),
        (png(), "1", InputError, "label is '1'"),
        (png(), True, InputError, "label is True"),
    ],
)
def test_what_cannot_be_taught_is_refused_in_words(lab, site, picture, label, error, words):
    visitor = lab.enter()
    with pytest.raises(error, match=words.replace("(", r"\(")):
        merged(site.request.teach.teach(visitor.token, picture, label))
    assert visitor.taught == {} and visitor.job is None and len(visitor.model.samples) == len(lab.samples)


def test_the_same_picture_is_taught_once_under_one_name_and_a_visit_has_a_limit(lab, site):
    visitor, _ = taught(lab, site)
    with pytest.raises(InputError, match="already has exactly this picture"):
        merged(site.request.teach.teach(visitor.token, png(), 2))
    merged(site.request.teach.teach(visitor.token, png(), 1))
    assert len(visitor.taught) == 2
    visitor.taught_so_far = SPARE
    with pytest.raises(InputError, match=f"You have taught {SPARE} pictures"):
        merged(site.request.teach.teach(visitor.token, png(5), 1))
    site.request.start_over(visitor.token)
    assert (visitor.taught, visitor.taught_so_far, len(visitor.model.samples)) == ({}, 0, len(lab.samples))
    merged(site.request.teach.teach(visitor.token, png(5), 1))


def test_a_taught_picture_is_this_visitors_alone(lab, site):
    visitor, _ = taught(lab, site)
    other = lab.enter()
    row = len(lab.samples)
    assert site.map.thumbnail({"token": visitor.token, "row": row})["title"] == texts.picture("c", True)
    assert site.map.thumbnail({"token": other.token, "row": row}) is None
    with pytest.raises(Exception, match="not"):
        other.model.plan([visitor.taught[row].id])


def test_comparing_a_request_for_a_taught_picture_says_that_it_is_gone(lab, site):
    visitor, _ = taught(lab, site)
    merged(site.request.forget(visitor.token))
    with pytest.raises(InputError, match="is deleted"):
        lab.before(visitor, visitor.requests[-1], lambda _: None, None)
    site.request.select(visitor.token, [1])
    merged(site.request.forget(visitor.token))
    assert lab.before(visitor, visitor.requests[-1], lambda _: None, None).root == visitor.requests[-1].outcome.root_before


@pytest.mark.parametrize("payload", [5, ["x"], {"bits": ""}, "data:image/png;base64,!!!", "é", "x" * 9_000_000])
def test_what_is_no_picture_is_refused_before_anything_is_decoded(payload):
    with pytest.raises(ValueError, match="picture"):
        decode_picture(payload)


def test_a_picture_arrives_as_base64_alone_or_as_a_data_uri():
    text = base64.b64encode(png()).decode()
    assert decode_picture(text) == decode_picture(f"data:image/png;base64,{text}") == png()
    assert decode_picture(None) is decode_picture("") is None


def test_the_whole_claim_can_be_scripted(lab, site):
    api = Api(site)
    session = api.open()["session"]
    learned = asyncio.run(api.learn(session, base64.b64encode(png()).decode(), 1))
    assert learned["row"] == len(lab.samples) and learned["root"]["before"] != learned["root"]["after"]
    result = asyncio.run(api.forget(session, [learned["row"]]))
    assert result["root"]["after"] == learned["root"]["before"]
    assert api.proof(session)["proof"]["verdict"] == "unchecked"
    assert asyncio.run(api.retrain(session))["proof"]["verdict"] == "equal" == api.proof(session)["proof"]["verdict"]
    asyncio.run(api.forget(session, [4]))
    assert asyncio.run(api.audit(session))["verdict"]
    with pytest.raises(InputError, match="rows contains"):
        asyncio.run(api.forget(session, [len(lab.samples) + 5]))


class RealEngine(FakeEngine):
    """The real eraser on a tiny backbone."""

    def fitted(self, progress):
        return CoreModel(LMEraser(tiny_config(), load_backbone(TINY)).fit(self.samples), load_dataset("digits", limit=60).test, "digits")


def test_with_the_real_model_root_and_every_probability_return(tmp_path):
    samples = load_dataset("digits", limit=60).train
    lab = Lab(RealEngine(samples, name="digits · fast"), samples, tmp_path)
    lab.start().join()
    site = Page(lab, Jobs())
    visitor = lab.enter()
    root, before = visitor.model.root, visitor.model.probabilities(samples)
    merged(site.request.teach.teach(visitor.token, png(3), 8))
    assert visitor.model.root != root
    merged(site.request.forget(visitor.token))
    assert visitor.model.root == root
    assert (visitor.model.probabilities(samples) == before).all()
    request = visitor.requests[-1]
    assert request.taught.root == request.outcome.root_after == root
    assert (request.taught.answers == request.probabilities.after[0]).all()
    assert visitor.model.verify()["equal"]
    merged(site.request.card.prove(visitor.token))
    assert lab.verdict(visitor, 1).kind == "equal", lab.verdict(visitor, 1)
    lab.close()


def test_a_shared_model_learns_nothing_of_a_visitors_own(tmp_path):
    samples = fake_samples()
    lab = Lab(FakeEngine(samples), samples, tmp_path, shared="w")
    lab.start().join()
    site = Page(lab, Jobs())
    visitor = lab.enter()
    assert 'data-way="teach"' not in site.request.ways.show(visitor)["ways"]
    with pytest.raises(InputError, match="learns no pictures"):
        asyncio.run(Api(site).learn(visitor.token, "", 1))

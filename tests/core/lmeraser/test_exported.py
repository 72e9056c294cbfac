"""A model to take home answers as the one it came from, to the last bit, and a file in which a byte differs is refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load, save

from core.cli.main import main
from core.config import preset
from core.errors import BackboneError, NotFittedError, StoreError
from core.lmeraser.eraser import LMEraser
from core.lmeraser.exported.model import CONFIG, WEIGHTS, ExportedModel
from tests.conftest import tiny_config

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = {
    "tokens": tiny_config(),
    "frame": replace(tiny_config(prompt="padding"), serve=replace(preset("paper").serve)),
    "instant": preset("instant"),
    "shards": tiny_config("random"),
}


@pytest.fixture(scope="module")
def fitted(backbone, digits):
    samples = digits.train.take(np.arange(120))
    return {name: LMEraser(config, backbone).fit(samples) for name, config in CONFIGS.items()}


@pytest.mark.exactness
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("place", ["model", "model.zip"])
def test_an_export_answers_as_its_model(fitted, digits, tmp_path, name, place):
    model, images = fitted[name], digits.test.images[:40]
    path = model.export(tmp_path / place, "digits")
    loaded = LMEraser.load(path)
    assert loaded.root_ == model.root_ and loaded.class_names_ == model.samples_.classes
    assert np.array_equal(loaded.predict_proba(images), model.predict_proba(images))
    assert not len(loaded.samples_)


def test_no_private_image_or_id_is_in_it(fitted, tmp_path):
    model = fitted["tokens"]
    path = model.export(tmp_path / "model", "digits")
    content = b"".join(file.read_bytes() for file in path.iterdir())
    assert sorted(file.name for file in path.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    for image, digest in zip(model.samples_.images, model.samples_.digests, strict=True):
        assert image.tobytes() not in content and digest.encode() not in content
    assert model.keys_[0].encode() in content  # so that the search finds what is there


def test_a_fresh_process_without_the_data_predicts_the_same(fitted, digits, tmp_path):
    model = fitted["tokens"]
    path, images = model.export(tmp_path / "model"), digits.test.images[:5]
    np.save(tmp_path / "images.npy", images)
    code = (
        "import sys, numpy as np\nfrom core import LMEraser\n"
        "model = LMEraser.load(sys.argv[1])\nprint(model.predict_proba(np.load(sys.argv[2])).tobytes().hex())"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "images.npy")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == model.predict_proba(images).tobytes().hex()


def altered(tensors: dict) -> list[dict]:
    """Return copies of the tensors, each with one number of one of them changed a little."""
    found = []
    for name in tensors:
        copy = {key: array.copy() for key, array in tensors.items()}
        flat = copy[name].reshape(-1).view(np.uint8)
        flat[0] ^= 1
        found.append(copy)
    return found


def test_every_altered_tensor_is_noticed(fitted, tmp_path):
    path = fitted["tokens"].export(tmp_path / "model")
    tensors = load((path / WEIGHTS).read_bytes())
    for copy in altered(tensors):
        (path / WEIGHTS).write_bytes(save(copy))
        with pytest.raises(StoreError, match="a byte was altered"):
            LMEraser.load(path)
    (path / WEIGHTS).write_bytes(save(tensors))
    LMEraser.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts["classes"].reverse(), "a byte was altered"),
        (lambda facts: facts["config"]["serve"].update(mix=1), "a byte was altered"),
        (lambda facts: facts.update(root="0" * 64), "a byte was altered"),
        (lambda facts: facts["keys"].reverse(), "a byte was altered"),
        (lambda facts: facts["backbone"].update(fingerprint="0" * 64), "another version of backbone"),
        (lambda facts: facts.update(schema=99), "schema"),
        (lambda facts: facts.pop("keys"), "not an exported model"),
        (lambda facts: facts["config"].update(serve={"mix": 1, "more": 2}), "not an exported model"),
    ],
)
def test_an_altered_configuration_is_noticed(fitted, tmp_path, change, message):
    path = fitted["tokens"].export(tmp_path / "model")
    facts = json.loads((path / CONFIG).read_text("utf-8"))
    change(facts)
    (path / CONFIG).write_text(json.dumps(facts), "utf-8")
    with pytest.raises(StoreError, match=message):
        LMEraser.load(path)


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04", b"\x00" * 100])
def test_what_is_no_export_is_refused_in_words(tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    (tmp_path / "config.json").write_bytes(content)
    for path in (tmp_path, tmp_path / "x.zip", tmp_path / "nothing"):
        with pytest.raises(StoreError, match="not an exported model"):
            LMEraser.load(path)


def test_an_unknown_backbone_is_refused(fitted, tmp_path):
    path = fitted["tokens"].export(tmp_path / "model")
    facts = json.loads((path / CONFIG).read_text("utf-8"))
    facts["backbone"].update(name="no_such_model", random=None)
    (path / CONFIG).write_text(json.dumps(facts), "utf-8")
    with pytest.raises(BackboneError, match="no_such_model"):
        LMEraser.load(path)


def test_nothing_is_overwritten(fitted, tmp_path):
    model = fitted["instant"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "a.zip").write_bytes(b"mine")
    for place in ("full", "a.zip", "full/mine.txt/x"):
        with pytest.raises(StoreError, match="Choose a new"):
            model.export(tmp_path / place)
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["mine.txt"] and (tmp_path / "a.zip").read_bytes() == b"mine"


def test_an_unfitted_model_has_nothing_to_export(tmp_path, backbone):
    with pytest.raises(NotFittedError):
        LMEraser("instant", backbone).export(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_hubs_own_methods_write_and_read_it(fitted, digits, tmp_path):
    model = fitted["tokens"]
    ExportedModel.read(model.export(tmp_path / "first")).save_pretrained(tmp_path / "second")
    again = ExportedModel.from_pretrained(str(tmp_path / "second"))
    assert again.root_ == model.root_
    for name in (WEIGHTS, CONFIG, "README.md"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_the_card_names_what_it_should_and_no_markup_of_others(fitted, tmp_path):
    path = fitted["tokens"].export(tmp_path / "model", "evil | <b>set</b>\n# title", 7)
    card = (path / "README.md").read_text("utf-8")
    assert fitted["tokens"].root_ in card and "| Requests to forget so far | 7 |" in card and "120, stored at 8 x 8 px" in card
    assert "<b>" not in card and "evil |" not in card and card.count("\n# ") == 1


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.mark.slow
def test_export_and_predict_on_the_command_line(tmp_path, digits, capsys):
    workspace, out = tmp_path / "workspace", tmp_path / "out.zip"
    data = ["--dataset", "digits", "--limit", "60", "--preset", "instant"]
    assert main(["fit", *data, "--workspace", str(workspace), "--json"]) == 0
    assert main(["forget", "--workspace", str(workspace), "--count", "2", "--json"]) == 0
    capsys.readouterr()
    assert main(["export", "--workspace", str(workspace), "--out", str(out), "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert written["requests"] == 1 and written["bytes"] == out.stat().st_size
    with zipfile.ZipFile(out) as archive:
        assert {Path(name).name for name in archive.namelist()} == {"README.md", CONFIG, WEIGHTS}
    images = tmp_path / "images"
    images.mkdir()
    for row in range(3):
        (images / f"{row}.png").write_bytes(png(digits.test.images[row]))
    (images / "broken.png").write_bytes(b"x")
    assert main(["predict", "--model", str(out), str(images), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    model = LMEraser.load(out)
    assert answer["root"] == written["root"] == model.root_
    assert [row["label"] for row in answer["rows"]] == [model.class_names_[i] for i in model.predict(digits.test.images[:3])]
    assert [(Path(s["image"]).name, s["reason"]) for s in answer["skipped"]] == [
        ("broken.png", "not an image of a format that is read here")
    ]
    assert main(["predict", "--model", str(out), str(tmp_path / "nowhere.png")]) == 2
    assert "nowhere.png is not there" in capsys.readouterr().err

"""The routes behind one's own images, called as the page calls them: limits, strangers, reports, the end of the data."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet
from starlette.testclient import TestClient

from core.data.datasets import load_dataset
from demo.own import image_set, site, words
from demo.session.requests import Fit, Measurement

HEADERS = {"x-lmeraser": "1"}


def png(seed: int, side: int = 12) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def send(client, token: str, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        answer = client.put(f"/own/{token}/file", params={"path": path}, content=data)
        assert answer.status_code == 200, answer.text


def checked(client, token: str, **how: str) -> dict:
    assert client.post(f"/own/{token}/check", json=how).status_code == 200
    return waited(client, token)


def waited(client, token: str) -> dict:
    for _ in range(400):
        state = client.get(f"/own/{token}/state").json()
        if state["stage"] in ("read", "failed"):
            return state
        time.sleep(0.02)
    pytest.fail("the images were never read")


PETS = {f"{kind}/{i}.png": png(10 * i + (kind == "dogs")) for kind in ("cats", "dogs") for i in range(6)}


def test_the_page_says_the_limits_and_is_found(client):
    page = client.get("/own").text
    assert words.TITLE in page and words.limits(300, 10_000) in page
    assert client.get("/own/", follow_redirects=False).headers["location"] == "../own"
    assert client.get("/other").json() == {"caught": "other"}


def test_a_folder_is_read_as_the_library_reads_it(client, token, tmp_path_factory):
    files = PETS | {"README.md": b"hello", "cats/broken.png": b"nothing"}
    send(client, token, files)
    state = checked(client, token)
    folder = tmp_path_factory.mktemp("pets")
    for path, data in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(data)
    told = load_dataset(str(folder)).report
    assert state["report"]["classes"] == {"cats": 6, "dogs": 6} == told.classes
    assert state["report"]["splits"] == told.splits and state["report"]["read"] == 12
    assert {(s["reason"], *s["names"]) for s in state["report"]["skipped"]} == {(r, *n) for r, n in told.reasons.items()}
    assert [card["name"] for card in state["gallery"]] == ["cats", "dogs"]
    assert all(picture.startswith("data:image/webp;base64,") for card in state["gallery"] for picture in card["pictures"])


def test_a_zip_is_read_and_another_label_or_fit_can_be_tried(client, token):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(8):
            archive.writestr(f"{i}.png", png(i, 12 + i))
    send(client, token, {"mine.zip": out.getvalue()})
    state = checked(client, token)
    assert state["stage"] == "failed" and "label" in state["error"]
    state = checked(client, token, label="pet", fit="pad")
    assert state["report"]["classes"] == {"pet": 8} and state["report"]["size"] == [48, 48]


def test_a_table_whose_columns_are_not_plain_asks_for_them_by_the_names_of_the_page(client, token):
    out = io.BytesIO()
    table = {
        "a": [{"bytes": png(i), "path": None} for i in range(12)],
        "mood": [i % 2 for i in range(12)],
        "shade": [i % 3 for i in range(12)],
    }
    parquet.write_table(pa.table(table | {"whose": [f"p{i // 4}" for i in range(12)]}), out)
    send(client, token, {"mine.parquet": out.getvalue()})
    state = checked(client, token)
    assert state["stage"] == "failed"
    assert words.COLUMNS["label"] in state["error"] and "--" not in state["error"] and "mood" in state["error"]
    state = checked(client, token, label_column="mood", subject_column="whose", image_column="a")
    assert state["report"]["classes"] == {"0": 6, "1": 6} and state["report"]["subjects"] == 3
    assert "'mud', but the columns are" in checked(client, token, label_column="mud")["error"]


def test_how_long_the_lab_takes_is_said_once_it_was_measured(own, client, token):
    send(client, token, PETS)
    assert checked(client, token)["ready"] == ""
    assert "ready in" not in client.get("/own").text
    own._home = SimpleNamespace(measured=Measurement(10.0, "today", 1000), base=SimpleNamespace(model=SimpleNamespace(pace=2.0)))
    assert client.get(f"/own/{token}/state").json()["ready"] == words.ready(12 * site.FIRST_FIT * 0.02) == "in about 10 s here"
    assert words.READY_SET.format("in about 14 min here") in client.get("/own").text
    own._sets[token].lab = SimpleNamespace(fit=Fit("ready", seconds=24.0), samples=range(12), visited=False, close=lambda: None)
    assert client.get(f"/own/{token}/state").json()["ready"] == "in about 20 s here"


@pytest.mark.parametrize("path", ["../../up.png", "/etc/passwd", "C:/x.png", "a/../../b.png", "", "\\\\host\\x.png"])
def test_no_path_leads_out_of_the_set(client, token, path, tmp_path):
    answer = client.put(f"/own/{token}/file", params={"path": path}, content=png(0))
    assert answer.status_code == 400 and len(answer.json()["error"]) > 10
    assert not [p for p in tmp_path.rglob("*") if p.suffix == ".png" or p.name == "passwd"]


def test_bytes_beyond_the_limit_are_refused_and_not_kept(client, token, monkeypatch, tmp_path):
    monkeypatch.setattr(image_set, "MOST_BYTES", 1000)
    answer = client.put(f"/own/{token}/file", params={"path": "big.png"}, content=bytes(2000))
    assert answer.status_code == 400 and "--dataset FOLDER" in answer.json()["error"]
    assert not list(tmp_path.rglob("big.png"))


def test_a_stranger_can_neither_read_nor_change_anything(client, token):
    send(client, token, PETS)
    for method, path in (("GET", "state"), ("POST", "check"), ("POST", "open"), ("PUT", "file?path=x.png"), ("DELETE", "")):
        answer = client.request(method, f"/own/{'x' * 24}/{path}".rstrip("/"))
        assert (answer.status_code, answer.json()["error"]) == (404, words.UNKNOWN)
    bare = TestClient(client.app)
    for method, path in (("POST", f"{token}/check"), ("DELETE", token), ("PUT", f"{token}/file?path=x.png"), ("POST", "new")):
        assert bare.request(method, f"/own/{path}").status_code == 403
    assert checked(client, token)["report"]["read"] == 12


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b"x" * 20_000])
def test_odd_words_of_a_page_are_refused(client, token, body):
    send(client, token, PETS)
    answer = client.post(f"/own/{token}/check", content=body)
    assert answer.status_code == 400 and len(answer.json()["error"]) > 10


def test_order_matters_and_is_said(client, token):
    assert client.post(f"/own/{token}/check", json={}).json()["error"] == words.TOO_FEW
    assert client.post(f"/own/{token}/open").json()["error"] == words.NOT_CHECKED
    send(client, token, {"a": b"x"})
    assert client.put(f"/own/{token}/file", params={"path": "a/b.png"}, content=b"x").status_code == 400


def test_a_public_set_is_offered_where_it_is_at_hand_and_read_like_ones_own(own, client, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    for split in ("train", "test"):
        table = {
            "image": [{"bytes": png(i + 50 * (split == "test")), "path": None} for i in range(12)],
            "label": [i % 2 for i in range(12)],
        }
        (folder / "gtsrb").mkdir(exist_ok=True)
        parquet.write_table(pa.table(table), folder / "gtsrb" / f"{split}.parquet")
    own._data_dir = folder
    page = client.get("/own").text
    assert 'data-set="gtsrb"' in page and 'data-set="madbase"' not in page  # it is neither here nor on the Hub
    assert [page.count(f"<i>{words.FETCHED.format(size)}</i>") for size in (144, 142, 183)] == [1, 1, 1]
    assert page.count(words.AT_HAND) == 1
    token = client.post("/own/new", json={"name": "gtsrb"}).json()["token"]
    state = checked(client, token)
    assert state["report"]["splits"] == {"train": 12, "test": 12} and state["report"]["classes"] == {"0": 12, "1": 12}
    assert client.post(f"/own/{token}/open").status_code == 200
    answer = client.post("/own/new", json={"name": "../../secret"})
    assert answer.status_code == 400 and "choose one of cifar10" in answer.json()["error"]


def test_only_so_many_sets_at_once_and_idle_ones_go(client, own, monkeypatch):
    tokens = [client.post("/own/new").json()["token"] for _ in range(site.MOST_SETS)]
    answer = client.post("/own/new")
    assert answer.status_code == 400 and answer.json()["error"] == words.FULL.format(site.MOST_SETS)
    own._sets[tokens[0]].seen -= site.KEPT + 1
    assert client.post("/own/new").status_code == 200
    assert client.get(f"/own/{tokens[0]}/state").status_code == 404
    assert client.get(f"/own/{tokens[1]}/state").status_code == 200


def test_deleting_before_a_lab_leaves_nothing(client, token, tmp_path):
    send(client, token, PETS)
    checked(client, token)
    assert list(tmp_path.rglob("*.png"))
    answer = client.delete(f"/own/{token}").json()
    assert answer == {"text": words.DELETED_BEFORE, "clean": True}
    assert not list(tmp_path.rglob("*.png"))


def test_a_set_that_something_still_holds_is_not_called_deleted(client, own, token, monkeypatch):
    monkeypatch.setattr(image_set, "ENDING", 1)
    send(client, token, PETS)
    checked(client, token)
    held = own._sets[token].data
    answer = client.delete(f"/own/{token}").json()
    assert held is not None and not answer["clean"] and answer["text"].startswith("Deleted, but")


def test_opening_mounts_a_site_once_and_deletes_what_was_sent(client, own, token, tmp_path):
    send(client, token, PETS)
    checked(client, token)
    address = client.post(f"/own/{token}/open").json()["address"]
    assert address == f"own/{token}/lab/"
    assert client.post(f"/own/{token}/open").json()["address"] == address
    assert not list(tmp_path.rglob("*.png"))
    assert client.get(f"/{address}config").status_code == 200
    assert client.put(f"/own/{token}/file", params={"path": "x.png"}, content=png(0)).status_code == 400
    assert client.get(f"/own/{token}/state").json()["opened"]
    assert client.delete(f"/own/{token}").json() == {"text": words.DELETED_BEFORE, "clean": True}
    assert client.get(f"/{address}config").status_code == 404
    assert not [p for p in Path(tmp_path).rglob("*") if p.is_file() and p.name != "lock"]

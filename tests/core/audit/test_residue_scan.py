import gzip
import io
import os
import sqlite3
import sys
import tempfile
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from core.audit import file_contents
from core.audit.memory_walk import module_caches, queue_leftovers, registries_of
from core.audit.residue_scan import TEMPORARY, scan
from core.audit.signatures import Signature, SignatureIndex, Signatures
from core.backbone.feature_cache import Derived
from core.backbone.model import load_backbone
from core.data.samples import Samples
from core.errors import InputError
from core.lmeraser import prediction as serve
from core.lmeraser.eraser import LMEraser
from core.runtime.executors import LocalExecutor
from core.workspace.workspace import Workspace
from tests.conftest import TINY, tiny_config
from tests.core.audit.encodings import data_uri, npy, parquet, png, safetensors, zipped

IDS = slice(3, 6)  # the samples that every test forgets

SALT = bytes(range(130, 146))  # unlike any text, so that a program's own sources cannot hold it


@pytest.fixture(scope="module", autouse=True)
def own_temporary_folder(tmp_path_factory):
    """Other programs' temporary folders must not matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("temporary")))
        yield


@pytest.fixture(scope="module")
def eraser(samples):
    return LMEraser(tiny_config(), load_backbone(TINY)).fit(samples)


@pytest.fixture(scope="module")
def places(samples):
    return np.random.default_rng(0).random((len(samples), 2), np.float32)


@pytest.fixture(scope="module")
def signatures(eraser, samples, places):
    return Signatures.of(eraser, samples.ids[IDS], places)


@pytest.fixture(scope="module")
def gone(samples):
    return samples.take(np.arange(120)[IDS])


def kinds(report) -> set[str]:
    return {f.kind for f in report.found}


def derived(eraser, gone) -> tuple[np.ndarray, np.ndarray]:
    inputs = eraser.prepare(gone.images)
    return inputs.features, inputs.values


FILES = {
    "pixels": lambda g, e, p: ("pixels", b"head" + g.images[1].tobytes() + b"tail"),
    "grey pixels": lambda g, e, p: ("pixels", g.images[0, ..., 0].tobytes()),
    "planar pixels": lambda g, e, p: ("pixels", g.images.transpose(0, 3, 1, 2).tobytes()),
    "float pixels": lambda g, e, p: ("pixels", npy(e.backbone_.pixels(g.images).permute(0, 2, 3, 1).numpy())),
    "npy": lambda g, e, p: ("pixels", npy(g.images)),
    "safetensors": lambda g, e, p: ("pixels", safetensors(g.images)),
    "PNG": lambda g, e, p: ("encoded image", b"x" * 99 + png(g.images[2]) + b"y" * 99),
    "half a PNG": lambda g, e, p: ("encoded image", png(g.images[2])[-60:]),
    "PNG packed otherwise": lambda g, e, p: ("encoded image", png(g.images[2], compress_level=0)),
    "enlarged": lambda g, e, p: ("encoded image", png(g.images[2], scale=6)),
    "atlas": lambda g, e, p: ("encoded image", png(np.concatenate([255 - g.images[0], g.images[1]], 1))),
    "WebP": lambda g, e, p: ("encoded image", webp(g.images[0])),
    "thumbnail": lambda g, e, p: ("thumbnail", data_uri(g.images[0])),
    "thumbnail packed otherwise": lambda g, e, p: ("thumbnail", data_uri(g.images[0]).replace(b"png", b"x-png")),
    "id, hex": lambda g, e, p: ("id", f'{{"ids": ["{g.ids[0]}"]}}'.encode()),
    "id, part of its hex": lambda g, e, p: ("id", b"sample " + g.ids[0][:16].encode() + b"..."),
    "id, raw": lambda g, e, p: ("id", bytes.fromhex(g.digests[2])),
    "feature": lambda g, e, p: ("feature", derived(e, g)[0][1].tobytes()),
    "activations": lambda g, e, p: ("activations", derived(e, g)[1][1].tobytes()),
    "coordinates": lambda g, e, p: ("coordinates", b"." + p[IDS].tobytes()),
    "coordinates, float64": lambda g, e, p: ("coordinates", p[IDS].astype(np.float64).tobytes()),
    "zip": lambda g, e, p: ("pixels", zipped(g.images[0].tobytes())),
    "zip in a zip": lambda g, e, p: ("pixels", zipped(zipped(npy(g.images)))),
    "name in a zip": lambda g, e, p: ("id", zipped(b"", g.digests[0])),
    "npz": lambda g, e, p: ("feature", zipped(npy(derived(e, g)[0]))),
    "gzip": lambda g, e, p: ("id", gzip.compress(g.ids[0].encode())),
    "parquet, images": lambda g, e, p: ("encoded image", parquet(image=[png(i) for i in g.images], label=[1, 2, 3])),
    "parquet, ids": lambda g, e, p: ("id", parquet(id=list(g.ids) * 50)),
    "parquet, features": lambda g, e, p: ("feature", parquet(x=derived(e, g)[0].ravel())),
}


def webp(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


@pytest.mark.parametrize("name", FILES)
def test_residue_of_each_kind_in_a_file_is_found(name, tmp_path, gone, eraser, places, signatures):
    kind, data = FILES[name](gone, eraser, places)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "leftover.bin").write_bytes(data)
    report = scan(signatures, [tmp_path])
    assert kind in kinds(report)
    assert not report.clean
    assert all("leftover.bin" in f.place for f in report.found)


def test_what_belongs_to_samples_that_stay_is_no_residue(tmp_path, samples, eraser, places, signatures):
    staying = samples.take([i not in range(3, 6) for i in range(120)])
    inputs = eraser.prepare(staying.images)
    (tmp_path / "samples.npy").write_bytes(npy(staying.images) + inputs.features.tobytes() + inputs.values.tobytes())
    (tmp_path / "ids").write_text("".join(staying.ids))
    (tmp_path / "points").write_bytes(np.delete(places, np.arange(120)[IDS], 0).tobytes())
    for n, image in enumerate(staying.images[:20]):
        (tmp_path / f"{n}.png").write_bytes(png(image))
        (tmp_path / f"{n}.html").write_bytes(data_uri(image))
    report = scan(signatures, [tmp_path])
    assert report.clean, report.text()
    assert report.searched[0].items == 43


def test_names_of_files_are_searched(tmp_path, gone, signatures):
    (tmp_path / f"{gone.digests[0]}.png").write_bytes(b"")
    assert kinds(scan(signatures, [tmp_path])) == {"id"}


def test_a_free_page_of_sqlite_is_searched(tmp_path, gone, signatures):
    connection = sqlite3.connect(tmp_path / "x.sqlite")
    connection.execute("CREATE TABLE t (ids TEXT, image BLOB)")
    connection.execute("INSERT INTO t VALUES (?, ?)", ("x" * 5000 + gone.ids[0], gone.images[0].tobytes()))
    connection.commit()
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("DELETE FROM t")
    connection.commit()
    assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 0
    connection.close()
    assert "id" in kinds(scan(signatures, [tmp_path]))


def test_the_write_ahead_log_of_sqlite_is_searched(tmp_path, gone, signatures):
    connection = sqlite3.connect(tmp_path / "x.sqlite")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (image BLOB)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("INSERT INTO t VALUES (?)", (gone.images[0].tobytes(),))
    connection.commit()
    report = scan(signatures, [tmp_path])
    assert [(f.kind, f.place.endswith("x.sqlite-wal")) for f in report.found] == [("pixels", True)]
    connection.close()


def test_temporary_folders_of_the_project_are_searched(gone, signatures):
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
        with open(os.path.join(folder, "upload"), "wb") as file:
            file.write(gone.images[0].tobytes())
        report = scan(signatures)
    assert kinds(report) == {"pixels"}
    assert scan(signatures).clean


def test_a_module_that_keeps_something_is_found(gone, signatures, monkeypatch):
    monkeypatch.setattr(serve, "_LAST", {"answers": [gone.images]}, raising=False)
    report = scan(signatures, registries=registries_of(None))
    assert [(f.kind, f.place) for f in report.found] == [("pixels", "modules.core.lmeraser.prediction._LAST[][]")]


@pytest.mark.parametrize(("packages", "residue"), [(("core",), set()), (("core", "elsewhere"), {"pixels"})])
def test_objects_of_the_named_packages_are_looked_into(packages, residue, gone, signatures, monkeypatch):
    class Holder:
        def __init__(self):
            self.images = gone.images

    Holder.__module__ = "elsewhere.part"
    assert kinds(scan(signatures, registries={"x": [Holder()]}, packages=packages)) == residue
    module = ModuleType("elsewhere.part")
    module.cache = gone.images
    monkeypatch.setitem(sys.modules, "elsewhere.part", module)
    assert kinds(scan(signatures, registries={"modules": module_caches(packages)}, packages=packages)) == residue


def test_a_function_cache_that_keeps_something_is_found(gone, eraser, signatures, monkeypatch):
    import functools

    cached = functools.lru_cache(maxsize=4)(lambda name: SimpleNamespace(rows=derived(eraser, gone)[0]))
    monkeypatch.setattr(serve, "_cached", cached, raising=False)
    assert scan(signatures, registries=registries_of(None)).clean
    cached("x")
    assert kinds(scan(signatures, registries=registries_of(None))) == {"feature"}


def planted(gone, eraser) -> dict:
    features, trunks = derived(eraser, gone)
    table = Derived(eraser.backbone_, 1, None)
    table.entries["?"] = SimpleNamespace(trunk=torch.from_numpy(trunks)[1])
    hidden = np.concatenate([np.zeros((5, *gone.images.shape[1:]), np.uint8), gone.images])
    late = lambda: features  # noqa: E731
    late.__module__ = "core.lmeraser.prediction"
    return {
        "pixels": hidden[:5],  # a view keeps all of the array that it was cut from alive
        "feature": late,
        "activations": table,
        "id": {"log": [("forgot", gone.ids[0])]},
    }


@pytest.mark.parametrize("kind", ["pixels", "feature", "activations", "id"])
def test_a_registry_that_keeps_something_is_found(kind, gone, eraser, signatures):
    assert kinds(scan(signatures, registries={"x": planted(gone, eraser)[kind]})) == {kind}


def test_the_model_is_full_before_and_clean_after(eraser, samples, places, digits):
    fork = eraser.fork()
    fork.predict(fork.prepare_members())
    assert fork._answers._known
    wanted = Signatures.of(fork, samples.ids[10:30], places)
    before = scan(wanted, registries=registries_of(fork))
    assert {"id", "pixels", "feature", "activations", "state"} <= kinds(before)
    fork.forget(samples.ids[10:30])
    after = scan(wanted, registries=registries_of(fork))
    assert after.clean, after.text()
    assert not scan(wanted, registries=registries_of(eraser)).clean  # the parent is another owner, and still holds them
    searched = {s.place: s for s in after.searched}
    assert searched["model"].items > 450
    assert searched["modules"].items > 50


def test_without_prompts_the_old_sums_are_found(samples, backbone):
    fork = LMEraser(tiny_config(prompt="none"), backbone).fit(samples)
    old, wanted = dict(fork.states_), Signatures.of(fork, samples.ids[10:30])
    assert "state" in kinds(scan(wanted, registries=registries_of(fork)))
    fork.forget(samples.ids[10:30])
    assert scan(wanted, registries=registries_of(fork)).clean
    stale = [state for key, state in old.items() if key not in fork.states_]
    assert kinds(scan(wanted, registries={"states": stale})) == {"state"}
    assert scan(wanted, registries={"states": [state for key, state in old.items() if key in fork.states_]}).clean


def test_the_plan_cache_goes_with_the_samples(eraser, samples, signatures):
    fork = eraser.fork()
    fork.prepare_plans()
    cache = fork.model_.plan_cache
    fork.forget(samples.ids[IDS])
    assert scan(signatures, (), registries_of(fork)).clean
    fork.model_ = replace(fork.model_, plan_cache=cache)
    assert kinds(scan(signatures, (), registries_of(fork))) == {"feature"}


@pytest.mark.slow
def test_worker_queues_keep_no_samples(samples, digits):
    executor = LocalExecutor(2)
    try:
        eraser = LMEraser(tiny_config(), load_backbone(TINY), executor=executor).fit(samples)
        every = Signatures.of(eraser, samples.ids)
        assert queue_leftovers()
        assert kinds(scan(every, registries={"queues": queue_leftovers()})) == set()
        executor._push_out = lambda wait: None
        list(executor.map(len, [samples.images[:1].tobytes()] * 4))
        assert kinds(scan(every, registries={"queues": queue_leftovers()})) == {"pixels"}
    finally:
        executor.close()


def test_nothing_is_left_in_a_workspace(tmp_path, samples, backbone, places):
    with Workspace.create(tmp_path / "w", samples, LMEraser(tiny_config(), backbone)) as workspace:
        wanted = Signatures.of(workspace.eraser, samples.ids[:9], places).plus("salt", SALT)
        full = scan(wanted, [tmp_path / "w"], registries_of(workspace.eraser))
        assert {"id", "pixels", "feature", "state"} <= kinds(scan(wanted, [tmp_path / "w"]))
        workspace.forget(samples.ids[:9], salt=SALT)
        report = scan(wanted, [tmp_path / "w"], registries_of(workspace.eraser))
        assert not full.clean
        assert report.clean, report.text()
    assert scan(wanted, [tmp_path / "w"]).clean


def test_while_a_request_is_pending_its_ids_and_salt_are_found(tmp_path, samples, backbone):
    with Workspace.create(tmp_path / "w", samples, LMEraser(tiny_config(), backbone)) as workspace:
        wanted = Signatures.of(workspace.eraser, samples.ids[:2]).plus("salt", SALT)
        workspace.ledger.accept(samples.ids[:2], SALT)
        report = scan(wanted, [tmp_path / "w"])
        assert {"id", "salt"} <= {f.kind for f in report.found if "ledger" in f.place}


def test_samples_from_elsewhere_give_the_same_needles(eraser, samples, places, signatures):
    fork = eraser.fork()
    fork.forget(samples.ids[IDS])
    staying = fork.samples_
    points = places[IDS], np.delete(places, np.arange(120)[IDS], 0)
    late = Signatures.of_samples(fork, samples.take(np.arange(120)[IDS]), staying, points)
    assert set(late.entries) == {p for p in signatures.entries if p.kind != "state"}


def test_copies_and_twins_that_stay_are_not_sought(digits, backbone):
    images, labels = digits.train.images[:40], digits.train.labels[:40]
    labels = np.append(labels, [labels[0], (labels[1] + 1) % 10])
    doubled = Samples.build(np.concatenate([images, images[:2]]), labels, digits.train.classes)
    eraser = LMEraser(tiny_config(clusters=2), backbone).fit(doubled)
    wanted = Signatures.of(eraser, doubled.ids[:3])
    assert wanted.spared == 1  # its exact copy stays
    assert {p.sample for p in wanted.entries if p.kind == "id"} == {1, 2}
    assert {p.sample for p in wanted.entries if p.kind == "pixels"} == {2}  # the second has a twin with another label


def test_plain_images_are_said_to_be_too_plain(digits, backbone):
    images = digits.train.images[:30].copy()
    images[0] = 0
    eraser = LMEraser(tiny_config(clusters=2), backbone).fit(images, digits.train.labels[:30])
    wanted = Signatures.of(eraser, eraser.samples_.ids[:2])
    assert dict(wanted.plain) == {"pixels": 1}
    assert "1 samples by pixels" in scan(wanted).text()


def test_what_cannot_be_read_is_said(tmp_path, signatures):
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 nothing of a zip")
    (tmp_path / "link").symlink_to("/etc/hostname")
    report = scan(signatures, [tmp_path, tmp_path / "missing"])
    assert report.found == ()
    assert not report.clean
    assert len(report.unread) == 3
    assert report.text().count("not read:") == 3


def test_a_report_holds_no_content(tmp_path, gone, signatures):
    (tmp_path / "x").write_text(gone.ids[0])
    report = scan(signatures, [tmp_path])
    assert gone.ids[0][:12] not in str(report.to_json()) + report.text()
    assert report.to_json()["found"] == [{"kind": "id", "place": f"{tmp_path.name}/x", "samples": 1}]
    assert "found: id of 1 samples" in report.text()


def test_the_index_finds_what_plain_search_finds():
    rng = np.random.default_rng(0)
    hay = rng.integers(0, 4, 40_000, np.uint8).tobytes()
    spans = [(int(a), int(n)) for a, n in zip(rng.integers(0, 39_000, 200), rng.integers(8, 300, 200), strict=True)]
    pieces = [Signature("x", i, hay[a : a + n]) for i, (a, n) in enumerate(spans)]
    pieces += [Signature("absent", i, p.data[:-1] + bytes([p.data[-1] ^ 8])) for i, p in enumerate(pieces)]
    found = SignatureIndex(pieces).find(hay)
    assert found == {p for p in pieces if p.data in hay}
    assert len(found) == 200
    assert SignatureIndex(pieces).find(b"short") == SignatureIndex([]).find(hay) == set()


def test_a_large_file_is_read_in_blocks_that_overlap(tmp_path, gone, signatures, monkeypatch):
    monkeypatch.setattr(file_contents, "BLOCK", 1000)
    monkeypatch.setattr(file_contents, "OVERLAP", 300)
    (tmp_path / "x").write_bytes(b"\0" * 900 + gone.images[0].tobytes() + b"\0" * 5000)
    assert kinds(scan(signatures, [tmp_path])) == {"pixels"}


def test_requests_that_no_model_holds_are_refused(eraser):
    with pytest.raises(InputError):
        Signatures.of(eraser, ["nothing"])

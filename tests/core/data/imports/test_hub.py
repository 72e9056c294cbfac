"""Repositories of the Hugging Face Hub: snapshots, clones, the cache's own folders, and fetching by name. No test asks the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants

from core.data.datasets import load_dataset
from core.data.images import InputLimits
from core.data.imports.files import LINK, SYSTEM
from core.data.imports.options import ImportOptions
from core.errors import DataError
from tests.core.data.makers import class_of, load, members, names, png, why, write_files, write_parquet, write_zip

ROOT = Path(__file__).parents[4]


def cached(root: Path, files: dict[str, bytes]) -> Path:
    """Write a repository as the Hub's cache keeps it: blobs, and a snapshot of links to them. Return the repository's folder."""
    snapshot = root / "snapshots" / "abc"
    for number, (name, data) in enumerate(files.items()):
        blob = write_files(root, {f"blobs/{number}": data}) / f"blobs/{number}"
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(*[".."] * (name.count("/") + 2), "blobs", blob.name))
    write_files(root, {"refs/main": "abc"})
    return root


def test_links_into_the_snapshots_own_blobs_are_followed_and_no_others(tmp_path):
    root = cached(tmp_path / "datasets--me--pets", {**members(names("cat", "dog")), "README.md": b"x"})
    write_files(tmp_path, {"secret.png": png(80), "folder/x.png": png(81)})
    (root / "snapshots/abc/cat/out.png").symlink_to(tmp_path / "secret.png")
    (root / "snapshots/abc/dog/gone.png").symlink_to("../../blobs/99")
    (root / "snapshots/abc/owl").symlink_to(tmp_path / "folder")
    for path in (root, root / "snapshots" / "abc", root / "snapshots/abc/."):
        data = load(path)
        assert data.report.read == 10 and class_of(data, 80) is None
        assert why(data) == {"cat/out.png": LINK, "dog/gone.png": LINK, "owl": LINK, "README.md": "not an image"}


def test_links_in_a_folder_of_ones_own_are_left_out(tmp_path):
    root = write_files(tmp_path / "x", members(names("cat", "dog")))
    (root / "cat/link.png").symlink_to(root / "cat/0.png")
    (root / "owl").symlink_to(root / "cat")
    assert why(load(root)) == {"cat/link.png": LINK, "owl": LINK}


def test_tables_and_archives_behind_links_are_read(tmp_path):
    table = write_parquet(tmp_path / "t.parquet", [0, 1] * 4).read_bytes()
    assert load(cached(tmp_path / "a", {"data/train-00000-of-00001.parquet": table, "README.md": b"x"})).report.read == 8
    packed = write_zip(tmp_path / "p.zip", members(names("cat", "dog"))).read_bytes()
    assert load(cached(tmp_path / "b", {"images.zip": packed, "README.md": b"x"})).report.read == 10


def test_a_cloned_repository(tmp_path):
    files = {"README.md": "x", ".gitattributes": "x", ".git/config": "x", "LICENSE": "x"}
    data = load(write_files(tmp_path, {**members(names("cat", "dog", prefix="data/train/")), **files}))
    assert data.report.splits == {"train": 8, "test": 2}
    assert why(data) == {".git": SYSTEM, ".gitattributes": SYSTEM, "README.md": "not an image", "LICENSE": "not an image"}


def test_a_ref_that_climbs_is_not_followed(tmp_path):
    root = cached(tmp_path / "x", members(names("cat", "dog")))
    write_files(root, {"refs/main": "../../y"})
    write_files(tmp_path, {f"y/{name}": data for name, data in members(names("owl", "elk"), 50).items()})
    with pytest.raises(DataError, match="0 images among|None of|Splits found|lie in"):
        load(root)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hub that has one repository; `calls` lists what was asked of it."""
    made = SimpleNamespace(files={}, calls=[], sizes={}, error=None)

    def info(self, repo, **options):
        if made.error:
            raise made.error
        made.calls.append(("info", repo, options["timeout"]))
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=n, size=made.sizes.get(n, len(b))) for n, b in made.files.items()])

    def fetch(repo, repo_type, allow_patterns):
        from huggingface_hub.utils import filter_repo_objects

        wanted = list(filter_repo_objects(made.files, allow_patterns=allow_patterns))
        made.calls.append(("fetch", repo, repo_type, wanted))
        return str(cached(tmp_path / "hub", {name: made.files[name] for name in wanted}) / "snapshots" / "abc")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    monkeypatch.chdir(tmp_path)
    return made


def test_a_repositorys_parquet_files_are_preferred(hub, tmp_path):
    table = write_parquet(tmp_path / "t.parquet", [0, 1] * 4).read_bytes()
    hub.files = {"data/train-00000-of-00001.parquet": table, "images.zip": b"x" * 9999, "README.md": b"x", "cat/0.png": png(0)}
    data = load_dataset("me/pets")
    assert data.name == "pets" and data.report.read == 8 and not data.report.skipped
    assert hub.calls == [("info", "me/pets", 10), ("fetch", "me/pets", "dataset", ["data/train-00000-of-00001.parquet"])]


def test_without_parquet_everything_that_is_data_is_fetched(hub):
    files = members(["Train/cat/0.JPG", "Train/cat/1.png", "Train/dog/2.PNG", "Train/dog/3.webp", "test/cat/4.Png", "test/cat/5.png"])
    hub.files = {
        **files,
        "train.py": b"x",
        "README.md": b"x",
        "model.bin": b"x",
        "metadata.csv": b"file_name,subject\nTrain/cat/0.JPG,Ada\n",
    }
    data = load_dataset("me/pets")
    assert {"train.py", "README.md", "model.bin"}.isdisjoint(hub.calls[1][3]) and "metadata.csv" in hub.calls[1][3]
    assert data.report.read == 6 and class_of(data, 0) == "cat" and class_of(data, 4) == "cat" and "Ada" in data.train.subjects


def test_a_size_over_the_limit_is_refused_before_download(hub):
    hub.files, hub.sizes = {"train.parquet": b""}, {"train.parquet": 5000}
    with pytest.raises(DataError, match="bytes of 'me/pets' on the Hub: 5,000 is over the limit of 4,999; choose a smaller set"):
        load_dataset("me/pets", options=ImportOptions(limits=InputLimits(set_bytes=4999)))
    assert [call[0] for call in hub.calls] == ["info"]


def test_no_network_and_unknown_names_say_so_in_words(hub, tmp_path):
    hub.error = ConnectionError("no route to host")
    with pytest.raises(
        DataError, match=r"'me/pets' is not a path here, and cannot be loaded from the Hub \(ConnectionError: 'no route.*offline"
    ):
        load_dataset("me/pets")
    with pytest.raises(DataError, match="svhn does not hold .*ufldl-stanford/svhn cannot be loaded.*no route.*offline: digits"):
        load_dataset("svhn", tmp_path)


def test_a_named_set_fetches_only_its_tables(hub, tmp_path):
    table = write_parquet(tmp_path / "t.parquet", [0, 1, 1, 0], "img", "fine_label").read_bytes()
    files = {f"cifar100/{split}-00000-of-00001.parquet": table for split in ("train", "test")}
    hub.files = {**files, "other/train-00000-of-00001.parquet": b"x", "README.md": b"x"}
    data = load_dataset("cifar100", tmp_path)
    assert data.name == "cifar100" and data.report.splits == {"train": 4, "test": 4} and data.train.labels.tolist() == [0, 1, 1, 0]
    assert hub.calls[-1] == ("fetch", "uoft-cs/cifar100", "dataset", list(files))


def test_a_mistyped_path_is_not_sent_to_the_hub(hub, tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(
        DataError, match="'photos/pets' is not a data set or a path here; use digits, cifar10, .* user/name of the Hub, or a folder"
    ):
        load_dataset("photos/pets")
    assert hub.calls == []


def test_a_fresh_process_finds_what_it_needs_of_the_hubs_library():
    code = "from core.data.datasets import load_dataset\ntry: load_dataset('me/no-such-set')\nexcept Exception as error: print(repr(error))"
    env = {"HF_HUB_OFFLINE": "1", "HF_HOME": "/nonexistent", "PATH": "/usr/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd="/", env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("DataError") and "AttributeError" not in done.stdout and "LocalEntryNotFound" in done.stdout

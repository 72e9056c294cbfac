import os
import stat

import numpy as np
import pytest

from core.errors import StoreError
from core.lmeraser.records import ClusterState
from core.lmeraser.state_store import DirectoryStore, MemoryStore, OverlayStore
from core.runtime.atomic_files import write_atomically

KEY, OTHER = "a" * 64, "b" * 64


def state(value=1.0):
    return ClusterState({"prompt": np.full((2, 3), value, np.float32), "head.bias": np.zeros(2, np.float32)}, (0.5, 0.25), 1.5, 40)


@pytest.mark.parametrize("make", [MemoryStore, None, lambda: OverlayStore(MemoryStore())])
def test_stores_keep_and_delete(make, tmp_path):
    store = make() if make else DirectoryStore(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, state())
    found = store.get(KEY)
    assert found.digest == state().digest
    assert (found.losses, found.seconds, found.sample_passes) == ((0.5, 0.25), 1.5, 40)
    assert list(store.keys()) == [KEY]
    store.delete(KEY)
    store.delete(KEY)
    assert store.get(KEY) is None
    assert not list(store.keys())


def test_an_overlay_never_touches_its_base():
    base = MemoryStore()
    base.put(KEY, state())
    layer = OverlayStore(base)
    layer.delete(KEY)
    layer.put(OTHER, state(2))
    assert layer.get(KEY) is None
    assert set(layer.keys()) == {OTHER}
    assert set(base.keys()) == {KEY}
    layer.put(KEY, state(3))
    assert layer.get(KEY).digest == state(3).digest


def test_digest_covers_names_types_shapes_and_values():
    a = np.zeros(4, np.float32)
    states = [{"x": a}, {"y": a}, {"x": a.reshape(2, 2)}, {"x": a.astype(np.float64)}, {"x": a + 1}]
    assert len({ClusterState(s).digest for s in states}) == 5


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_damaged_files_are_noticed(tmp_path, damage):
    store = DirectoryStore(tmp_path)
    store.put(KEY, state())
    path = next(tmp_path.glob("*/*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes({"truncate": bytes(data[:-8]), "flip": bytes(data), "empty": b""}[damage])
    with pytest.raises(StoreError, match="Delete it"):
        store.get(KEY)


def test_keys_cannot_leave_the_folder(tmp_path):
    with pytest.raises(StoreError):
        DirectoryStore(tmp_path).get("../../etc/passwd")


def test_a_failed_write_leaves_nothing_and_keeps_the_old(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StoreError):
        DirectoryStore(tmp_path / "states")

import numpy as np
import pytest

from core import projection
from core.errors import DataError
from core.projection import compute_layout, layout_name, load_layout, read_layout, write_layout


def test_shipped_digits_layout_covers_every_private_image(digits):
    points = load_layout("digits", digits.train)
    assert points.shape == (1437, 2)
    assert points.min() >= 0
    assert points.max() <= 1
    assert len(np.unique(points, axis=0)) > 1400


def test_layouts_follow_their_samples_not_their_order(samples, tmp_path):
    points = np.random.default_rng(0).random((120, 2)).astype(np.float32)
    write_layout(tmp_path / "a.safetensors", samples, points)
    assert np.array_equal(read_layout(tmp_path / "a.safetensors", samples.take([5, 3])), points[[5, 3]])


def test_missing_damaged_or_foreign_layouts_count_as_none(samples, digits, tmp_path):
    path = tmp_path / "a.safetensors"
    assert read_layout(path, samples) is None
    path.write_bytes(b"{}")
    assert read_layout(path, samples) is None
    write_layout(path, samples.take([0]), np.zeros((1, 2), np.float32))
    assert read_layout(path, samples) is None


def test_computed_once_then_kept(samples, backbone, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="without a backbone"):
        load_layout("mine", samples)
    calls = []
    monkeypatch.setattr(projection, "compute_layout", lambda f, seed=0: calls.append(1) or np.zeros((len(f), 2), np.float32))
    for _ in range(2):
        load_layout("mine", samples, tmp_path, backbone)
    assert len(calls) == 1


@pytest.mark.parametrize("n", [0, 1, 4])
def test_a_few_points_are_put_on_a_circle(n):
    points = compute_layout(np.zeros((n, 3), np.float32))
    assert points.shape == (n, 2)
    assert len(np.unique(points, axis=0)) == n


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_umap_fills_the_unit_square():
    points = compute_layout(np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32))
    assert points.min() == 0
    assert points.max() == 1


def test_names_cannot_leave_the_folder():
    assert layout_name("../../Etc/x y") == "layout-------etc-x-y.safetensors"

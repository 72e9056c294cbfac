import os
import subprocess
import sys

import numpy as np
import pytest

from core.backbone import map_layout as projection
from core.backbone.map_layout import compute_layout, layout_name, load_layout, read_layout, write_layout
from core.errors import DataError
from tests.conftest import ROOT


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
    with pytest.raises(DataError, match="needs a backbone"):
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


UMAP = """
import numpy as np
from core.backbone.map_layout import compute_layout
points = compute_layout(np.random.default_rng(0).standard_normal((12, 5)).astype(np.float32))
print(points.shape, points.min(), points.max())
"""


@pytest.mark.slow
def test_umap_fills_the_unit_square():
    """In a process that interprets UMAP's code: for twelve points, compiling it takes ten times as long as running it."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "ignore", "-c", UMAP]
    printed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "(12, 2) 0.0 1.0"


def test_names_cannot_leave_the_folder():
    assert layout_name("../../Etc/x y") == "layout-------etc-x-y.safetensors"

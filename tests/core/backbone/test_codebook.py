"""The tree of public codewords, and what deletions change in the cells that it cuts private data into."""

import numpy as np
import pytest

from core.backbone.codebook import Codebook
from core.backbone.model import load_backbone
from core.backbone.pretrain.public_codebook import SIDES, small_character
from core.data.datasets import load_dataset
from core.lmeraser.nearest_prototypes import Ranking


@pytest.fixture(scope="module")
def codebook():
    rng = np.random.default_rng(0)
    return Codebook.built(rng.standard_normal((40, 8)).astype(np.float32))


@pytest.fixture(scope="module")
def nearest(codebook):
    """Two nearest codewords of 3,000 images, crowded in places."""
    rng = np.random.default_rng(1)
    centers = rng.standard_normal((5, 8)) * 2
    features = centers[rng.integers(0, 5, 3000)] + rng.standard_normal((3000, 8))
    return Ranking.measured(features.astype(np.float32), codebook.words).names


@pytest.fixture(scope="module")
def digits():
    """Two nearest codewords of digits, in the shipped codebook."""
    data, backbone = load_dataset("digits").train, load_backbone("embedded")
    return backbone.codebook, Ranking.measured(backbone.derive(data.images, None)[0], backbone.codebook.words).names


def numbered(cells):
    return np.unique(cells, axis=0, return_inverse=True)[1]


def changed(codebook, nearest, gone):
    """Return how many images held clusters had and how many are in clusters that did not exist before."""
    before, keep = numbered(codebook.cells(nearest)), np.delete(np.arange(len(nearest)), gone)
    after = numbered(codebook.cells(nearest[keep]))
    known = {tuple(np.flatnonzero(before == c)) for c in range(before.max() + 1)}
    new = [rows for c in range(after.max() + 1) if tuple(rows := keep[after == c]) not in known]
    return int(np.isin(before, before[gone]).sum()), sum(map(len, new))


def test_the_order_of_images_does_not_matter(codebook, nearest):
    order = np.random.default_rng(2).permutation(len(nearest))
    assert np.array_equal(codebook.cells(nearest)[order], codebook.cells(nearest[order]))


@pytest.mark.parametrize("clusters", [None, 10, 200])
def test_no_node_with_parts_holds_more_than_its_limit(codebook, nearest, clusters):
    sizes = np.bincount(numbered(codebook.cells(nearest, clusters)))
    parts = np.unique(nearest, axis=0, return_counts=True)[1]
    most = 1.25**0.5 * (len(nearest) ** 0.5 if clusters is None else 1.5 * len(nearest) / clusters)
    assert sizes.max() <= max(most, parts.max())
    assert sizes.sum() == len(nearest)


def test_more_clusters_are_made_when_more_are_asked_for(codebook, nearest):
    few, many = (len(np.unique(codebook.cells(nearest, k), axis=0)) for k in (8, 64))
    assert 4 <= few < 2 * 8 < many <= 3 * 64


def test_a_deletion_changes_its_own_cluster_and_seldom_another(codebook, nearest):
    rows = np.random.default_rng(3).choice(len(nearest), 300, replace=False)
    pairs = np.array([changed(codebook, nearest, [r]) for r in rows])
    assert pairs[:, 1].mean() <= 1.2 * pairs[:, 0].mean()
    assert pairs[:, 1].max() <= 3 * np.bincount(numbered(codebook.cells(nearest))).max()


@pytest.mark.parametrize("n", [66, 1024, 1026, 2048, 32768])
def test_no_power_of_two_is_a_cliff(codebook, nearest, n):
    nearest = nearest[np.random.default_rng(4).integers(0, len(nearest), n + 4)] if n > len(nearest) else nearest
    largest = np.bincount(numbered(codebook.cells(nearest[:n]))).max()
    worst = max(changed(codebook, nearest[:m], [m - 1])[1] for m in range(n - 3, n + 4))
    assert worst <= 3 * largest


def test_similar_images_of_digits_retrain_what_held_them(digits):
    codebook, nearest = digits
    sizes = np.bincount(numbered(codebook.cells(nearest)))
    assert 40 <= len(sizes) <= 200
    groups = [np.flatnonzero(nearest[:, 0] == word)[:20] for word in np.unique(nearest[:, 0])]
    pairs = np.array([changed(codebook, nearest, group) for group in groups])
    assert pairs[:, 1].sum() <= 1.3 * pairs[:, 0].sum()
    singles = np.array([changed(codebook, nearest, [row]) for row in range(0, len(nearest), 7)])
    assert singles[:, 1].sum() <= 1.2 * singles[:, 0].sum()


def test_a_file_keeps_the_tree_and_the_directions(codebook, tmp_path):
    codebook.save(tmp_path / "codebook.safetensors")
    read = Codebook.load(tmp_path / "codebook.safetensors")
    assert np.array_equal(read.children, codebook.children)
    assert ((read.words * codebook.words).sum(1) > 0.999).all()


def test_a_prototype_lies_between_its_codewords(codebook):
    root = 2 * len(codebook.words) - 2
    centers = codebook.centers(np.array([[0, root], [0, 1], [root, root]]))
    assert np.allclose(centers[0], codebook.words[0], atol=1e-3)
    middle = codebook.words[0] + codebook.words[1]
    assert np.allclose(centers[1], middle / np.linalg.norm(middle), atol=1e-3)
    assert np.allclose(np.linalg.norm(centers, axis=1), 1, atol=1e-3)


def test_small_characters_are_drawn_from_their_number():
    pictures = [small_character(i) for i in range(60)]
    assert [p.shape for p in pictures[: len(SIDES)]] == [(3, side, side) for side in SIDES]
    assert all(np.array_equal(p, small_character(i)) for i, p in enumerate(pictures[:5]))
    assert all(p.max() > 150 and p.min() < 100 for p in pictures)  # each shows something
    assert len({p.tobytes() for p in pictures}) == 60
    assert np.mean([p.mean() < 128 for p in pictures]) > 0.7

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from core.backbone.codebook import Codebook
from core.config import PartitionConfig
from core.errors import InputError
from core.lmeraser.nearest_prototypes import squared_distances, with_lengths
from core.lmeraser.partition import Previous, anchor_distances, anchor_rows, anchor_share, cluster_count, make_partition, without
from core.runtime.fixed_point import unit


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((200, 6)).astype(np.float32)
    digests = tuple(hashlib.sha256(bytes([i])).hexdigest() for i in range(200))
    return digests, features


def run(digests, features, config, **kwargs):
    return make_partition(digests, lambda rows: features[rows], config, **kwargs)


def public_of(method):
    """What a backbone ships for a method: six directions, or 24 of them with a tree."""
    words = np.concatenate([np.eye(6), -np.eye(6), np.ones((6, 6)) - 3 * np.eye(6), 3 * np.eye(6) - 1]).astype(np.float32)
    return Codebook.built(words) if method == "stable" else words[:6]


def earlier(partition, features, rows):
    anchors = unit(features)[partition.anchors]
    return Previous(partition, np.asarray(rows), lambda: with_lengths(features), lambda: anchor_distances(anchors))


def assert_knows_no_more(reused, fresh):
    """What was carried over is true, beside a ranking of which everything was measured."""
    assert np.allclose(reused.distances[:, 0], fresh.distances[:, 0], atol=1e-5)
    assert (reused.distances[:, 1:] <= fresh.distances[:, 1:] + 1e-5).all()
    named = reused.names[:, 1] >= 0
    assert np.allclose(reused.distances[named, 1], fresh.distances[named, 1], atol=1e-5)


def groups(digests, partition):
    return {frozenset(digests[r] for r in partition.members(c)) for c in range(partition.clusters)}


@pytest.mark.parametrize("method", ["hierarchical", "stable", "public", "random"])
def test_does_not_depend_on_the_order_of_samples(points, method):
    digests, features = points
    public = public_of(method)
    config = PartitionConfig(method, clusters=6)
    there = run(digests, features, config, public=public)
    back = run(digests[::-1], features[::-1], config, public=public)
    assert groups(digests, there) == groups(digests[::-1], back)
    assert np.array_equal(there.prototypes, back.prototypes)
    assert sorted(np.concatenate([there.members(c) for c in range(there.clusters)])) == list(range(200))


def test_removing_a_non_anchor_leaves_everyone_else_where_they_were(points):
    digests, features = points
    config = PartitionConfig("hierarchical", anchor_share=0.2, clusters=8)
    before = run(digests, features, config)
    gone = next(r for r in range(200) if r not in set(before.anchors))
    keep = np.delete(np.arange(200), gone)
    rest = tuple(digests[r] for r in keep)
    after = run(rest, features[keep], config)
    changed = groups(digests, before) - groups(rest, after)
    assert changed == {g for g in groups(digests, before) if digests[gone] in g}


@pytest.mark.parametrize("cap", [None, 30])
@pytest.mark.parametrize("gone", ["others", "an anchor", "half"])
def test_what_is_reused_is_what_would_be_computed_anew(points, cap, gone):
    digests, features = points
    config = PartitionConfig("hierarchical", anchor_share=0.2, clusters=8, cap=cap)
    before = run(digests, features, config)
    leaving = {
        "others": [r for r in range(200) if r not in set(before.anchors)][:20],
        "an anchor": before.anchors[:1],
        "half": range(100),
    }[gone]
    keep = np.delete(np.arange(200), leaving)
    rest = tuple(digests[r] for r in keep)
    fresh = run(rest, features[keep], config)
    reused = run(rest, features[keep], config, previous=earlier(before, features, keep))
    assert np.array_equal(fresh.assignment, reused.assignment)
    assert np.array_equal(fresh.prototypes, reused.prototypes)


@pytest.mark.parametrize("seed", range(12))
def test_long_chains_of_changes_end_where_a_fresh_start_does(seed):
    """Overlapping clusters, exact copies, features of zeros, anchors among those that leave, and samples that come back."""
    rng = np.random.default_rng(seed)
    features = (rng.standard_normal((9, 24))[rng.integers(0, 9, 500)] + rng.standard_normal((500, 24))).astype(np.float32)
    digests = [hashlib.sha256(rng.bytes(8)).hexdigest() for _ in range(500)]
    for copy in range(0, 60, 2):
        features[copy + 1], digests[copy + 1] = features[copy], digests[copy]
    features[60:63] = 0
    config = PartitionConfig("hierarchical", anchor_share=0.3, clusters=int(rng.integers(1, 40)) if seed else 1, cap=[None, 25][seed % 2])
    here = np.arange(500)
    partition = run(tuple(digests), features, config)
    for _ in range(6):
        left = rng.permutation(here)[int(rng.integers(1, 40)) :]
        back = np.setdiff1d(np.arange(500), here)[: int(rng.integers(0, 9))]
        now = np.concatenate([left, back])
        place = np.full(500, -1)
        place[here] = np.arange(len(here))
        names = tuple(digests[r] for r in now)
        reused = run(names, features[now], config, previous=earlier(partition, features[here], place[now]))
        fresh = run(names, features[now], config)
        assert np.array_equal(reused.assignment, fresh.assignment)
        assert np.array_equal(reused.buckets, fresh.buckets)
        assert np.array_equal(reused.prototypes, fresh.prototypes)
        assert_knows_no_more(reused.ranking, fresh.ranking)
        here, partition = now, reused


def test_most_samples_are_not_measured_again_when_an_anchor_leaves(points, monkeypatch):
    digests, features = points
    config = PartitionConfig("hierarchical", anchor_share=0.5, clusters=20)
    before = run(digests, features, config)
    keep = np.delete(np.arange(200), before.anchors[0])
    rest, measured = tuple(digests[r] for r in keep), []
    real = squared_distances
    monkeypatch.setattr("core.lmeraser.nearest_prototypes.squared_distances", lambda x, p: (measured.append(len(x)), real(x, p))[1])
    after = run(rest, features[keep], config, previous=earlier(before, features, keep))
    assert not np.array_equal(before.prototypes, after.prototypes)
    assert sum(measured) < 100


def test_distances_do_not_depend_on_company(points):
    """Between anchors and to prototypes: what plans keep of an earlier model must be what a fit without it computes."""
    anchors = unit(np.random.default_rng(1).standard_normal((301, 768)).astype(np.float32))
    gone = np.array([0, 5, 6, 100, 300])
    keep = np.delete(np.arange(301), gone)
    assert np.array_equal(without(anchor_distances(anchors), 301, gone), anchor_distances(anchors[keep]))
    assert np.array_equal(unit(anchors * 3)[keep], unit(anchors[keep] * 3))
    assert np.array_equal(squared_distances(anchors, anchors[:9])[keep], squared_distances(anchors[keep], anchors[:9]))


def test_unchanged_anchors_are_not_clustered_again(points, monkeypatch):
    digests, features = points
    config = PartitionConfig("hierarchical", anchor_share=0.2, clusters=8)
    before = run(digests, features, config)
    monkeypatch.setattr("core.lmeraser.partition.hierarchical_prototypes", None)
    gone = next(r for r in range(200) if r not in set(before.anchors))
    keep = np.delete(np.arange(200), gone)
    after = run(tuple(digests[r] for r in keep), features[keep], config, previous=earlier(before, features, keep))
    assert np.array_equal(after.prototypes, before.prototypes)


@pytest.mark.parametrize("cap", [1, 5, 20])
@pytest.mark.parametrize("method", ["hierarchical", "stable", "public"])
def test_no_cluster_exceeds_the_cap(points, method, cap):
    partition = run(*points, PartitionConfig(method, clusters=4, cap=cap), public=public_of(method))
    assert np.bincount(partition.assignment).max() <= cap


def test_exact_copies_share_a_cluster_even_over_the_cap():
    digests = ("a" * 64,) * 5 + ("b" * 64,)
    features = np.array([[1, 0]] * 5 + [[0, 1]], np.float32)
    partition = run(digests, features, PartitionConfig("hierarchical", cap=2))
    assert len(set(partition.assignment[:5])) == 1


def test_sizes_seldom_change_when_single_samples_go():
    config = PartitionConfig("hierarchical")
    assert anchor_share(config, 1437) == anchor_share(config, 1025) == 1 / 6
    assert anchor_share(config, 50_000) == anchor_share(config, 40_000) == 1 / 32
    assert anchor_share(config, 10) == 1
    assert [cluster_count(config, n) for n in (1, 100, 1437, 50_000)] == [1, 4, 64, 256]


def test_a_deleted_anchor_is_not_replaced(points):
    digests, _ = points
    anchors = [digests[r] for r in anchor_rows(digests, 0.2)]
    rest = tuple(d for d in digests if d != anchors[0])
    assert [rest[r] for r in anchor_rows(rest, 0.2)] == anchors[1:]
    assert len(anchor_rows(digests[:3], 1e-9)) == 1


def test_crowded_cells_are_cut_by_digest_and_each_part_for_itself(points):
    """When one image leaves, no part changes but its own, or two parts join."""
    digests, features = points
    config, book = PartitionConfig("stable", clusters=16), Codebook.built(np.eye(2, features.shape[1], dtype=np.float32))
    run_stable = lambda rows: run(tuple(digests[r] for r in rows), features[rows], config, public=book)  # noqa: E731
    everyone = np.arange(200)
    before = groups(digests, run_stable(everyone))
    assert len(before) > 4  # two codewords alone can tell four cells apart at most
    for gone in range(0, 200, 10):
        rest = np.delete(everyone, gone)
        after = groups(tuple(digests[r] for r in rest), run_stable(rest))
        changed = {group - {digests[gone]} for group in before} - after - {frozenset()}
        new = after - before
        assert len(new) <= 1, gone
        assert len(changed) <= 2, gone


@pytest.mark.parametrize("bad", [{"method": "kmeans"}, {"clusters": 0}, {"anchor_share": 0.0}, {"anchor_share": 1.5}, {"cap": 0}])
def test_impossible_settings_are_refused(points, bad):
    with pytest.raises(InputError):
        run(*points, replace(PartitionConfig(), **bad))


@pytest.mark.parametrize("method", ["public", "stable"])
def test_public_without_prototypes_is_refused(points, method):
    with pytest.raises(InputError, match="ships none"):
        run(*points, PartitionConfig(method))


@pytest.mark.parametrize("method", ["hierarchical", "stable", "public", "random"])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_tiny_sets(points, method, n):
    digests, features = points
    partition = run(digests[:n], features[:n], PartitionConfig(method), public=public_of(method))
    assert len(partition.assignment) == n
    assert (partition.clusters > 0) == (n > 0)

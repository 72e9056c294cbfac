import numpy as np
import pytest
from sklearn.covariance import OAS

from core.data.samples import Samples
from core.lmeraser.global_head import SCALE, GlobalHead, class_sums, expand, shrinkage


def data(n=300, d=5, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    return (rng.standard_normal((n, d)) + 2 * np.eye(classes, d)[labels]).astype(np.float32), labels


def head(x, y, classes=3):
    return GlobalHead.empty(classes, x.shape[1]).changed(x, y, 1)


def test_subtraction_is_exact_and_order_does_not_matter():
    x, y = data()
    all_but = head(x[7:], y[7:])
    subtracted = head(x, y).changed(x[:7], y[:7], -1)
    order = np.random.default_rng(1).permutation(293)
    assert subtracted.digest == all_but.digest == head(x[7:][order], y[7:][order]).digest != head(x, y).digest


@pytest.mark.parametrize("gone", [3, 200, 300])
def test_moving_touches_whichever_side_is_smaller(gone):
    x, y = data()
    before = Samples.build((np.arange(300 * 64) % 251).astype(np.uint8).reshape(300, 8, 8), y)
    after, asked = before.take(np.arange(gone, 300)), []

    def features(some):
        asked.append(len(some))
        return x[before.rows(some.ids)]

    assert head(x, y).moved(before, after, features).digest == head(x[gone:], y[gone:]).digest
    assert sum(asked) == min(gone, 300 - gone)


def test_it_classifies_and_ignores_absent_classes():
    x, y = data()
    model = head(x, y, classes=4)
    solved = model.solve()
    weight, bias = solved.weight, solved.bias
    assert ((expand(x) / SCALE @ weight.T + bias).argmax(1) == y).mean() > 0.85
    assert bias[3] == -np.inf


def test_extreme_features_are_clipped_not_overflown():
    x = np.full((4, 5), 1e9, np.float32)
    assert np.isfinite(head(x, np.array([0, 1, 2, 0])).solve().weight).all()


def test_one_sample_and_none():
    x, y = data(1)
    assert np.isfinite(head(x, y).solve().weight).all()
    assert not np.isfinite(GlobalHead.empty(3, 5).solve().bias).any()


def test_a_cluster_without_a_prompt_answers_from_its_own_class_means():
    x, y = data(200)
    solved = head(x, y, classes=4).solve()
    own, labels = x[:40][y[:40] < 2], y[:40][y[:40] < 2]
    weight, bias = solved.local(class_sums(own, labels), 5.0)
    for c, n in enumerate([(labels == 0).sum(), (labels == 1).sum(), 0]):
        mean = (expand(own[labels == c]).sum(0) / SCALE + 5 * solved.means[c]) / (n + 5)
        share = (n + 5 * (y == c).mean()) / (len(labels) + 5)
        assert np.allclose(weight[c], np.linalg.solve(solved.covariance, mean), atol=1e-4)
        assert bias[c] == pytest.approx(np.log(share) - 0.5 * weight[c] @ mean, abs=1e-3)
    assert bias[3] == -np.inf
    weight, bias = solved.local(class_sums(own, labels), 1e12)
    assert np.allclose(weight, solved.weight, atol=1e-6) and np.allclose(bias[:3], solved.bias[:3], atol=1e-6)


@pytest.mark.parametrize("n", [50, 200, 20000])
def test_shrinkage_is_the_oracle_approximating_one(n):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 100)) * np.linspace(0.5, 2, 100)
    covariance = x.T @ x / n
    ours = shrinkage(covariance, n)
    assert ours == pytest.approx(OAS(assume_centered=True).fit(x).shrinkage_, rel=0.02)  # scikit-learn leaves out the terms in 2 / d
    truth = np.diag(np.linspace(0.5, 2, 100) ** 2)
    moved = lambda share: np.square((1 - share) * covariance + share * np.trace(covariance) / 100 * np.eye(100) - truth).sum()  # noqa: E731
    assert moved(ours) < 1.05 * min(moved(share) for share in np.linspace(0, 1, 201))


def test_shrinkage_of_a_multiple_of_the_identity_and_of_nothing():
    assert shrinkage(2 * np.eye(5), 10) == shrinkage(np.zeros((5, 5)), 1) == 1.0


def test_as_many_samples_as_numbers_are_classified_well():
    """With 912 samples of 912 numbers a covariance that is hardly shrunk is useless: its smallest directions are noise."""
    rng = np.random.default_rng(3)
    means, labels = rng.standard_normal((3, 400)) * 0.15, rng.integers(0, 3, 2912)
    x = (means[labels] + rng.standard_normal((2912, 400))).astype(np.float32)
    fitted, unseen = slice(912), slice(912, None)
    solved = head(x[fitted], labels[fitted]).solve()
    weight, bias = solved.weight, solved.bias
    accuracy = ((expand(x[unseen]) / SCALE @ weight.T + bias).argmax(1) == labels[unseen]).mean()
    centers = np.stack([x[fitted][labels[fitted] == c].mean(0) for c in range(3)])
    best = (np.square(x[unseen, None] - centers).sum(2).argmin(1) == labels[unseen]).mean()  # the covariance is the identity
    assert accuracy > best - 0.05


@pytest.mark.parametrize(("n", "classes"), [(300, 3), (40, 4), (5, 3), (2, 2), (1, 3)])
def test_leave_one_out_equals_subtracting_each_sample_and_solving_again(n, classes):
    x, y = data(n, classes=classes)
    y[-1] = classes - 1
    if n == 40:
        y[:-1] %= classes - 1  # the last sample is alone in its class
    full = head(x, y, classes)
    expected = []
    for i in range(n):
        rest = full.changed(x[i : i + 1], y[i : i + 1], -1)
        expected.append(rest.solve().proba(x[i : i + 1])[0] if n > 1 else np.full(classes, 1 / classes))
    found = full.leave_one_out(x, y)
    assert np.abs(found - expected).max() < 1e-5  # `solve` rounds its weights
    assert np.allclose(found.sum(1), 1)
    assert n != 40 or found[-1, -1] == 0
    assert n != 300 or np.abs(found - full.solve().proba(x)).max() > 0.1


def test_leave_one_out_does_not_depend_on_the_batch():
    x, y = data(5000, d=3)
    full = head(x, y)
    assert np.allclose(full.leave_one_out(x, y)[4090:4100], full.leave_one_out(x[4090:4100], y[4090:4100]), atol=1e-9)
    assert full.leave_one_out(x[:0], y[:0]).shape == (0, 3)

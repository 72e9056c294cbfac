import numpy as np

from core.lmeraser.global_head import GlobalHead


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


def test_it_classifies_and_ignores_absent_classes():
    x, y = data()
    model = head(x, y, classes=4)
    weight, bias = model.solve()
    from core.lmeraser.global_head import SCALE, expand

    assert ((expand(x) / SCALE @ weight.T + bias).argmax(1) == y).mean() > 0.85
    assert bias[3] == -np.inf


def test_extreme_features_are_clipped_not_overflown():
    x = np.full((4, 5), 1e9, np.float32)
    assert np.isfinite(head(x, np.array([0, 1, 2, 0])).solve()[0]).all()


def test_one_sample_and_none():
    x, y = data(1)
    assert np.isfinite(head(x, y).solve()[0]).all()
    assert not np.isfinite(GlobalHead.empty(3, 5).solve()[1]).any()

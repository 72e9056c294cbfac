import numpy as np
import pytest

from core.data.samples import Samples, sample_digest
from core.errors import InputError, UnknownSampleError


def make(n=4, **kwargs):
    images = np.arange(n * 12, dtype=np.uint8).reshape(n, 2, 2, 3)
    return Samples.build(images, np.zeros(n, int), ("a", "b"), **kwargs)


def test_copies_are_numbered_and_found():
    images = np.zeros((3, 2, 2), np.uint8)
    samples = Samples.build(images, [0, 1, 0], ("a", "b"))
    assert samples.ids[0].endswith("-0")
    assert samples.ids[2] == samples.ids[0][:-1] + "1"
    assert samples.digests[0] == samples.digests[2] != samples.digests[1]
    assert samples.copies_of([samples.ids[0]]) == (samples.ids[2],)


def test_ids_outlive_the_removal_of_a_copy():
    samples = Samples.build(np.zeros((2, 2, 2), np.uint8), [0, 0], ("a",))
    assert samples.without([samples.ids[0]]).ids == (samples.ids[1],)


def test_digest_covers_pixels_shape_and_label():
    image = np.zeros((2, 3, 3), np.uint8)
    digests = {sample_digest(image, 0), sample_digest(image, 1), sample_digest(image.reshape(3, 2, 3), 0), sample_digest(image + 1, 0)}
    assert len(digests) == 4


def test_extended_numbers_new_copies_on():
    samples = make()
    union = samples.extended(samples)
    assert len(set(union.ids)) == 8
    assert union.digests[:4] == union.digests[4:]


def test_unknown_ids_are_named():
    with pytest.raises(UnknownSampleError, match="1 of 2 ids are not in the model"):
        make().rows([make().ids[0], "f" * 64 + "-0"])


@pytest.mark.parametrize(
    ("images", "labels", "classes"),
    [
        (np.zeros((2, 2, 2), np.float32), [0, 0], ("a",)),
        (np.zeros((2, 2, 2, 4), np.uint8), [0, 0], ("a",)),
        (np.zeros((2, 2, 2), np.uint8), [0], ("a",)),
        (np.zeros((2, 2, 2), np.uint8), [0.5, 0], ("a",)),
        (np.zeros((2, 2, 2), np.uint8), [0, 1], ("a",)),
        (np.zeros((2, 2, 2), np.uint8), [0, -1], ("a",)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, labels, classes):
    with pytest.raises(InputError):
        Samples.build(images, labels, classes)


def test_subjects_follow_their_samples():
    samples = make(subjects=["s", "t", "s", "u"])
    assert samples.without([samples.ids[1]]).subjects == ("s", "s", "u")

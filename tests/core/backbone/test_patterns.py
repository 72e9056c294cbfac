"""Tests the images from which a backbone without a codebook of its own makes one."""

import numpy as np

from core.backbone.patterns import KINDS, pattern_images


def test_an_image_depends_on_its_number_alone():
    many = pattern_images(12, 32)
    assert many.shape == (12, 32, 32, 3) and many.dtype == np.uint8
    assert (pattern_images(5, 32) == many[:5]).all()


def test_images_differ_in_more_than_brightness():
    images = pattern_images(8 * KINDS, 48).reshape(8 * KINDS, -1).astype(float)
    correlation = np.corrcoef(images) - np.eye(len(images))
    assert correlation.max() < 0.98  # two copies would have 1
    assert images.std(1).min() > 5  # no image is one plain color

"""A picture from outside becomes one of the data set's kind, or is refused in words."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.data.pictures import LIMITS, PictureFrame
from core.data.samples import Samples
from core.errors import DataError


def png(image) -> bytes:
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, "PNG")
    return out.getvalue()


def drawing(ink, ground, size=(280, 280)) -> Image.Image:
    picture = Image.new("RGB", size, ground)
    ImageDraw.Draw(picture).line([(60, 40), (200, 40), (110, 240)], fill=ink, width=24)
    return picture


@pytest.fixture(scope="module")
def digits_frame(digits):
    return PictureFrame.of(digits.train)


def test_a_picture_of_the_data_set_stays_as_it_is(digits, digits_frame):
    assert digits_frame.strokes and digits_frame.size == (8, 8)
    image = digits.test.images[3]
    assert (digits_frame.fitted(png(image)) == image).all()


@pytest.mark.parametrize(("ink", "ground"), [("white", "black"), ("black", "white"), ("#204080", "#e8e0d0")])
def test_a_drawing_becomes_light_strokes_on_black_however_it_was_drawn(digits_frame, ink, ground):
    image = digits_frame.fitted(png(drawing(ink, ground)))
    assert image.shape == (8, 8, 3) and image.dtype == np.uint8 and not np.ptp(image, axis=2).any()
    assert image.max() == 255 and np.median(image) < 32
    assert (image[..., 0].max(1) > 64).all()  # as high as the digits: from the first row to the last


def test_a_drawing_is_read_as_what_it_shows(digits, digits_frame):
    from sklearn.neighbors import KNeighborsClassifier

    likes = KNeighborsClassifier(5).fit(digits.train.images[..., 0].reshape(len(digits.train), -1), digits.train.labels)
    seven = digits_frame.fitted(png(drawing("white", "black")))
    assert likes.predict(seven[..., 0].reshape(1, -1))[0] == 7


def test_a_photo_is_cut_in_the_middle_and_never_squeezed():
    colors = Samples.build(np.random.default_rng(0).integers(0, 255, (20, 32, 32, 3), np.uint8), np.zeros(20, int), ("a",))
    frame = PictureFrame.of(colors)
    assert not frame.strokes and not frame.gray
    photo = np.zeros((100, 300, 3), np.uint8)
    photo[:, 100:200] = (200, 10, 10)
    assert (np.abs(frame.fitted(png(photo)).astype(int) - (200, 10, 10)).max()) <= 1
    same = colors.images[0]
    assert (frame.fitted(png(same)) == same).all()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty; give a complete PNG"),
        (b"\x89PNG", "cannot be read|not an image"),
        (png(np.zeros((280, 280, 3), np.uint8)), "empty"),
        (png(np.full((280, 280, 3), 250, np.uint8)), "empty"),
        (png(np.zeros((8, 8, 3), np.uint8)), "empty"),
        (bytes(LIMITS.image_bytes + 1), "over the limit"),
        (png(Image.new("L", (4100, 4100))), "over the limit"),
    ],
)
def test_what_shows_nothing_is_refused_in_words(digits_frame, data, words):
    with pytest.raises(DataError, match=words):
        digits_frame.fitted(data)


def test_odd_shapes_fit(digits_frame):
    for size in ((1, 1), (1, 500), (500, 1), (3, 7), (281, 93)):
        noise = np.random.default_rng(1).integers(0, 255, (*size, 3), np.uint8)
        try:
            assert digits_frame.fitted(png(noise)).shape == (8, 8, 3)
        except DataError as error:
            assert "empty" in str(error)

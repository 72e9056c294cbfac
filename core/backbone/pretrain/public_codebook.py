"""Makes the codebook of the `stable` partition from public images: photographs, drawings, and small white characters on black."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from core.backbone.codebook import Codebook
from core.backbone.model import ASSETS, Backbone, enter_in_manifest
from core.backbone.pretrain.config import PretrainConfig
from core.backbone.pretrain.images import load_images
from core.backbone.pretrain.procedural import CHARACTERS, draw_images, drawn_font, sized_font
from core.backbone.pretrain.views import recolor
from core.runtime.fixed_point import unit

NAME = "codebook.safetensors"
DRAWN, SMALL = 20000, 16000  # images drawn
WORDS = {"photos": 1536, "drawn": 640, "small": 2432}  # k-means centers of each kind
SIDES = (8, 8, 12, 16, 28)  # of small characters, in pixels
DIGITS = "0123456789٠١٢٣٤٥٦٧٨٩"
LARGE = 112  # side at which a small character is drawn
SEED = 0


def ship_codebook(data: Path, backbone: Backbone) -> dict[str, int]:
    """Write the backbone's codebook into assets/ and enter it in the manifest; return how many codewords are of which kind.

    `data` is the folder of public images that holds valid.parquet. Raises DataError.
    """
    from sklearn.cluster import MiniBatchKMeans

    centers = []
    for name, features in public_features(data, backbone).items():
        kmeans = MiniBatchKMeans(min(WORDS[name], len(features)), random_state=SEED, n_init=1, batch_size=4096, max_iter=20)
        centers.append(kmeans.fit(unit(features)).cluster_centers_)
    Codebook.built(np.concatenate(centers)).save(ASSETS / NAME)
    enter_in_manifest(NAME)
    return WORDS


def public_features(data: Path, backbone: Backbone) -> dict[str, np.ndarray]:
    """Return features (n, d) of photographs (each also recolored), of drawings, and of small characters."""
    photos, _ = load_images([data / "valid.parquet"], backbone.size)
    tensors = torch.from_numpy(photos).float() / 255
    recolored = recolor(tensors, PretrainConfig(invert=0.3, grey=0.4, edges=0.3), torch.Generator().manual_seed(SEED))
    drawn, _ = draw_images(DRAWN, backbone.size, SEED)
    derive = lambda images: backbone.derive(np.ascontiguousarray(images.transpose(0, 2, 3, 1)), None)[0]  # noqa: E731
    small = [small_character(i) for i in range(SMALL)]
    by_side = [np.stack([image for image in small if image.shape[1] == side]) for side in sorted(set(SIDES))]
    return {
        "photos": np.concatenate([derive(photos), derive((recolored * 255).round().byte().numpy())]),
        "drawn": derive(drawn),
        "small": np.concatenate([derive(images) for images in by_side]),
    }


def small_character(i: int) -> np.ndarray:
    """Return a character (3, s, s) uint8, bent as if written by hand: mostly white on black, mostly a digit; it depends on i alone."""
    rng = np.random.default_rng([SEED, i])
    character = str(rng.choice(list(DIGITS if rng.random() < 0.75 else CHARACTERS)))
    picture, middle = Image.new("L", (LARGE, LARGE)), np.array([LARGE / 2, LARGE / 2])
    font, stroke = sized_font(drawn_font(character, rng), 72), int(rng.integers(0, 6))
    ImageDraw.Draw(picture).text(tuple(middle), character, font=font, fill=255, anchor="mm", stroke_width=stroke)
    angle, (wide, high), slant = np.radians(rng.uniform(-15, 15)), rng.uniform(0.75, 1.3, 2), rng.uniform(-0.35, 0.35)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.array([[wide, slant], [0, high]])
    shift = middle - turn @ middle
    affine = (turn[0, 0], turn[0, 1], shift[0], turn[1, 0], turn[1, 1], shift[1])
    picture = picture.transform((LARGE, LARGE), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)
    if rng.random() < 0.6:
        picture = _waved(picture, rng)
    picture = picture.crop(picture.getbbox() or (0, 0, LARGE, LARGE))
    side, margin = SIDES[i % len(SIDES)], float(rng.choice([0, 0.07, 0.14, 0.2]))
    if side > 8 or rng.random() < 0.7:  # else stretched to a square
        square = int(max(picture.size) * (1 + 2 * margin))
        framed = Image.new("L", (square, square))
        framed.paste(picture, ((square - picture.width) // 2, (square - picture.height) // 2))
        picture = framed
    grey = np.asarray(picture.resize((side, side), Image.Resampling.BOX))
    return np.repeat((255 - grey if rng.random() < 0.1 else grey)[None], 3, 0)


def _waved(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return a picture whose rows and columns are shifted along sines."""
    y, x = np.mgrid[:LARGE, :LARGE]
    phase, pitch, reach = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.03, 0.09, 2), rng.uniform(0, 6, 2)
    rows = (y + reach[0] * np.sin(pitch[0] * x + phase[0])).astype(int).clip(0, LARGE - 1)
    columns = (x + reach[1] * np.sin(pitch[1] * y + phase[1])).astype(int).clip(0, LARGE - 1)
    return Image.fromarray(np.asarray(picture)[rows, columns])

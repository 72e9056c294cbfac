"""Draws public images from a seed: printed characters, signs and textures, so that strokes and signs are at home in the features.

Fonts are matplotlib's own where it is installed, else Pillow's built-in one.
"""

from __future__ import annotations

import importlib.util
import itertools
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from core.backbone.pretrain.images import in_processes

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz٠١٢٣٤٥٦٧٨٩?!&#@+=<>→←↑↓↗↘"
FONTS = ("DejaVuSans*", "DejaVuSerif*", "STIXGeneral*", "cmr10*", "cmss10*", "cmtt10*", "cmti10*")
SIDES = (0, 3, -3, 4, 8, -4)  # a circle, triangles, a diamond, an octagon, a square
SCHEMES = ("rim", "filled", "warning", "dark")
SYMBOLS = ("number", "arrow", "bar", "dot", "cross")
TEXTURES = ("stripes", "checks", "dots", "clouds", "noise", "blobs", "scribble", "gradient")
SIGNS = tuple(itertools.product(SIDES, SCHEMES, SYMBOLS))
CLASSES = len(CHARACTERS) + len(SIGNS) + len(TEXTURES)
SCALE = 2  # images are drawn larger and reduced


def draw_images(n: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n images (n, 3, size, size) uint8 and their classes (n,) int64, 0 to CLASSES - 1, in turn; image i depends on seed and i."""
    jobs = [(range(start, min(start + 1000, n)), size, seed) for start in range(0, n, 1000)]
    images = np.concatenate(in_processes(_draw_some, jobs)) if jobs else np.zeros((0, 3, size, size), np.uint8)
    return images, np.arange(n, dtype=np.int64) % CLASSES


def _draw_some(job: tuple[range, int, int]) -> np.ndarray:
    rows, size, seed = job
    return np.stack([draw_image(i % CLASSES, size, np.random.default_rng([seed, i])) for i in rows])


def draw_image(label: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return one image (3, size, size) uint8 of a class."""
    large = size * SCALE
    texture = label - len(CHARACTERS) - len(SIGNS)
    if texture >= 0:
        picture = _texture(TEXTURES[texture], large, rng)
    else:
        picture = _background(large, rng)
        if label < len(CHARACTERS):
            _character(picture, CHARACTERS[label], rng)
        else:
            _sign(picture, *SIGNS[label - len(CHARACTERS)], rng)
        picture = _tilt(picture, rng)
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.5)))
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX)).transpose(2, 0, 1)


@lru_cache(maxsize=512)
def sized_font(path: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font in a file at a size in px; an empty path means Pillow's own."""
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)


@lru_cache(maxsize=512)
def fonts_for(character: str) -> tuple[str, ...]:
    """Return the fonts that have a character; "" is Pillow's own. Where none has it, Pillow's placeholder stands for it."""
    places = spec.submodule_search_locations if (spec := importlib.util.find_spec("matplotlib")) else None
    folder = Path(places[0]) / "mpl-data/fonts/ttf" if places else Path("nowhere")
    paths = sorted(str(path) for pattern in FONTS for path in folder.glob(pattern + ".ttf"))
    missing = lambda font: bytes(font.getmask("\uffff")) == bytes(font.getmask(character))  # noqa: E731
    return tuple(path for path in paths if not missing(sized_font(path, 24))) or ("",)


def drawn_font(character: str, rng: np.random.Generator) -> str:
    """Return one of the fonts that have a character."""
    return str(rng.choice(fonts_for(character)))


def _color(rng: np.random.Generator, low: int = 0, high: int = 255) -> tuple[int, ...]:
    grey = rng.random() < 0.3
    return tuple(int(v) for v in (np.full(3, rng.integers(low, high + 1)) if grey else rng.integers(low, high + 1, 3)))


def _background(large: int, rng: np.random.Generator) -> Image.Image:
    kind = rng.random()
    if kind < 0.4:
        return Image.new("RGB", (large, large), _color(rng, *((0, 60) if rng.random() < 0.5 else (180, 255))))
    return _texture("clouds" if kind < 0.8 else "gradient", large, rng)


def _contrast(picture: Image.Image, rng: np.random.Generator) -> tuple[int, ...]:
    dark = np.asarray(picture.resize((1, 1))).mean() > 127
    return _color(rng, 0, 70) if dark else _color(rng, 185, 255)


def _character(picture: Image.Image, character: str, rng: np.random.Generator) -> None:
    large = picture.width
    font = sized_font(drawn_font(character, rng), int(large * rng.uniform(0.5, 0.95)))
    x, y = large * (0.5 + rng.uniform(-0.1, 0.1, 2))
    fill, stroke = _contrast(picture, rng), int(rng.integers(0, large // 20))
    ImageDraw.Draw(picture).text((x, y), character, font=font, fill=fill, anchor="mm", stroke_width=stroke)


def _outline(sides: int, center: np.ndarray, radius: float) -> list[tuple[float, float]]:
    count = abs(sides) or 24
    turn = {-3: np.pi / 2, 8: np.pi / 8, -4: np.pi / 4}.get(sides, -np.pi / 2)
    angles = turn + 2 * np.pi * np.arange(count) / count
    return [tuple(center + radius * np.array([np.cos(a), np.sin(a)])) for a in angles]


def _sign(picture: Image.Image, sides: int, scheme: str, symbol: str, rng: np.random.Generator) -> None:
    large, draw = picture.width, ImageDraw.Draw(picture)
    center, radius = large * (0.5 + rng.uniform(-0.06, 0.06, 2)), large * rng.uniform(0.32, 0.48)
    light, red, blue, yellow, black = (235, 235, 235), (200, 30, 40), (30, 80, 190), (240, 190, 40), (25, 25, 25)
    rim, face, ink = {"rim": (red, light, black), "filled": (light, blue, light), "warning": (black, yellow, black)}.get(
        scheme, (light, black, light)
    )
    shade = rng.uniform(0.4, 1.1)
    tint = lambda color: tuple(int(np.clip(v * shade + rng.normal(0, 8), 0, 255)) for v in color)  # noqa: E731
    draw.polygon(_outline(sides, center, radius), fill=tint(rim))
    draw.polygon(_outline(sides, center, radius * rng.uniform(0.72, 0.86)), fill=tint(face))
    _symbol(draw, symbol, center, radius * rng.uniform(0.3, 0.45), tint(ink), rng)


def _symbol(draw: ImageDraw.ImageDraw, symbol: str, center: np.ndarray, reach: float, ink, rng: np.random.Generator) -> None:
    width = max(2, int(reach * rng.uniform(0.3, 0.5)))
    x, y = center
    if symbol == "number":
        draw.text((x, y), str(rng.integers(1, 13) * 10), fill=ink, anchor="mm", font=sized_font(drawn_font("0", rng), int(reach * 1.7)))
    elif symbol == "arrow":
        tip, side = np.array([(0, -1), (1, 0), (-1, 0), (0.7, -0.7)])[rng.integers(4)] * reach, width * 1.6
        normal = np.array([-tip[1], tip[0]]) / reach * side
        draw.line([tuple(center - tip), tuple(center + tip * 0.4)], fill=ink, width=width)
        draw.polygon([tuple(center + tip), tuple(center + normal), tuple(center - normal)], fill=ink)
    elif symbol == "bar":
        draw.rectangle([x - reach, y - width / 2, x + reach, y + width / 2], fill=ink)
    elif symbol == "dot":
        draw.ellipse([x - reach * 0.6, y - reach * 0.6, x + reach * 0.6, y + reach * 0.6], fill=ink)
    else:
        draw.line([x - reach, y - reach, x + reach, y + reach], fill=ink, width=width)
        draw.line([x - reach, y + reach, x + reach, y - reach], fill=ink, width=width)


def _tilt(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Look at the picture from a slightly other corner."""
    large = picture.width
    corners = np.array([(0, 0), (0, large), (large, large), (large, 0)]) + rng.uniform(-0.1, 0.1, (4, 2)) * large
    fill = tuple(int(v) for v in np.asarray(picture)[0, 0])
    return picture.transform((large, large), Image.Transform.QUAD, tuple(corners.ravel()), Image.Resampling.BILINEAR, fillcolor=fill)


def _texture(kind: str, large: int, rng: np.random.Generator) -> Image.Image:
    first, second = np.array(_color(rng)), np.array(_color(rng))
    weight = _pattern(kind, large, rng)[..., None]
    return Image.fromarray((first * (1 - weight) + second * weight).clip(0, 255).astype(np.uint8))


def _pattern(kind: str, large: int, rng: np.random.Generator) -> np.ndarray:
    """Return (large, large) weights in 0..1."""
    y, x = np.mgrid[:large, :large] / large - 0.5
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(8, 50)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    if kind in ("clouds", "noise", "blobs"):
        cells = {"clouds": 5, "noise": 40, "blobs": 9}[kind]
        small = Image.fromarray((rng.random((cells, cells)) * 255).astype(np.uint8))
        smooth = np.asarray(small.resize((large, large), Image.Resampling.BICUBIC)) / 255
        return (smooth > 0.5).astype(float) if kind == "blobs" else smooth
    if kind == "scribble":
        page = Image.new("L", (large, large))
        walk = large / 2 + np.cumsum(rng.normal(0, large * 0.1, (12, 2)), 0)
        ImageDraw.Draw(page).line([tuple(p) for p in walk], fill=255, width=int(rng.integers(2, large // 10)), joint="curve")
        return np.asarray(page) / 255
    waves = {"stripes": np.sin(frequency * u), "checks": np.sin(frequency * u) * np.sin(frequency * v)}
    waves["dots"] = np.cos(frequency * u) + np.cos(frequency * v) - 0.8
    return u + 0.5 if kind == "gradient" else (waves[kind] > 0).astype(float)

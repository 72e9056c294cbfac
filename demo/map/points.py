"""The file of the map's places, which the browser fetches once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def publish_points(layout: np.ndarray, folder: Path) -> Path:
    """Write places (n, 2) under a new name that browsers may fetch, delete what is a week old, and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"points-{len(layout)}-{secrets.token_hex(4)}.f32"
    for old in folder.glob("points-*.f32"):
        if time.time() - old.stat().st_mtime > 7 * 86_400:
            old.unlink(missing_ok=True)
    path.write_bytes(np.ascontiguousarray(layout, "<f4").tobytes())
    return path


def blur_points(path: Path, rows: Iterable[int]) -> None:
    """Move forgotten images to the middle of the map's file; where they lay told what they looked like."""
    places = np.fromfile(path, "<f4").reshape(-1, 2)
    places[list(rows)] = 0.5
    part = path.with_suffix(".part")
    part.write_bytes(places.tobytes())
    part.replace(path)

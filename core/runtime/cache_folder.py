"""The folder where fitted states are kept between runs, for the command line and the page."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the user's cache folder for this program: `$XDG_CACHE_HOME/lmeraser-lab`, or `~/.cache/lmeraser-lab`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmeraser-lab"

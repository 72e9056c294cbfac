"""The folder where fitted states are kept between runs, for the command line and the page."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
from pathlib import Path

from core.errors import StoreError
from core.runtime.temporary import Scratch


@functools.lru_cache(maxsize=1)
def cache_folder() -> Path:
    """Return the user's cache folder for this program: `$XDG_CACHE_HOME/lmeraser-lab`, or `~/.cache/lmeraser-lab`.

    Where it cannot be written it is a temporary folder, which vanishes with the process; standard error then says so.
    """
    try:
        return usable(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmeraser-lab")
    except (RuntimeError, StoreError) as error:  # RuntimeError: there is no home
        print(f"{error} What is fitted now will be fitted again at the next start.", file=sys.stderr)
        return _scratch.folder()


def usable(folder: Path) -> Path:
    """Return a folder, made if need be; raises StoreError when it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StoreError(f"The cache folder {folder} cannot be written ({error.strerror}). Name another with --cache.") from error


_scratch = Scratch()

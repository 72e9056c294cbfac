"""What commands show while they run, and the files they write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import StoreError
from core.runtime.progress import Progress

if TYPE_CHECKING:
    from tqdm import tqdm


class ProgressBar:
    """Progress callback that draws one tqdm bar for each stage on standard error."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._stage: str | None = None

    def __call__(self, progress: Progress) -> None:
        if self._bar is None or progress.stage != self._stage:
            self.close()
            self._bar, self._stage = _new_bar(progress), progress.stage
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        """End the current bar, if there is one."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, None


def _new_bar(progress: Progress) -> tqdm:
    from tqdm import tqdm

    return tqdm(total=progress.total, desc=progress.stage, leave=False, file=sys.stderr)


def write_text(path: Path, text: str) -> None:
    """Write a result into a file; raises StoreError when it cannot be written."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}). Choose another folder, or make this one writable.") from error

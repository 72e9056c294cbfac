"""What a person may say about an import: columns, a label for all, how images are fitted to one size, and limits."""

from __future__ import annotations

from dataclasses import dataclass

from core.data.images import InputLimits
from core.errors import InputError

FITS = ("crop", "pad", "stretch")


@dataclass(frozen=True)
class ImportOptions:
    """How a data set is read.

    size: side in px of the square that images of different or large sizes become; the backbone's input size. fit: `crop` keeps the
    middle, `pad` adds black, `stretch` changes the shape. label: of images that have none. strict: refuse the set where a file of it
    would be left out. Raises InputError for other values.
    """

    size: int = 48
    fit: str = "crop"
    label: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    subject_column: str | None = None
    strict: bool = False
    limits: InputLimits = InputLimits()

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise InputError(f"fit is {self.fit!r}; use one of {', '.join(FITS)}.")
        if not 8 <= self.size <= 1024:
            raise InputError(f"size is {self.size} px; use 8 to 1,024.")

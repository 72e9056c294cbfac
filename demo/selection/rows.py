"""What the rows of a visitor's map are: the private images of the data set, then the pictures that this visitor has taught the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.data.samples import Samples
from core.errors import UnknownSampleError

SPARE = 24  # rows for pictures of one's own: the most that can be taught in one visit


@dataclass(frozen=True, eq=False)
class Taught:
    """A picture that a visitor has taught the model, until it is forgotten.

    sample: the picture alone, under the id that it has in the model. place: (x, y) on the map, in 0..1. root and answers (classes,): of the
    model before it learned the picture. requests: how many had been carried out by then.
    """

    sample: Samples
    place: tuple[float, float]
    root: str
    answers: np.ndarray
    requests: int

    @property
    def id(self) -> str:
        return self.sample.ids[0]


class Rows:
    """One visitor's rows: 0 to n - 1 are the data set's, the `spare` ones after them hold what the visitor has taught, or nothing."""

    def __init__(self, samples: Samples, row_of: Mapping[str, int], taught: Mapping[int, Taught], spare: int):
        self.data, self.taught, self._row_of, self._spare = samples, taught, row_of, spare

    def __len__(self) -> int:
        return len(self.data) + self._spare

    def __contains__(self, row: object) -> bool:
        return row in self.taught or isinstance(row, int) and 0 <= row < len(self.data)

    def ids(self, rows: Iterable[int]) -> list[str]:
        """Return the sample ids at these rows."""
        return [self.taught[row].id if row in self.taught else self.data.ids[row] for row in rows]

    def of(self, ids: Iterable[str]) -> list[int]:
        """Return the row of each id, in the ids' order; raises UnknownSampleError."""
        own = {t.id: row for row, t in self.taught.items()}
        rows = [own[i] if i in own else self._row_of.get(i) for i in ids]
        if None in rows:
            raise UnknownSampleError(f"{tuple(ids)[rows.index(None)]!r:.24} is not a sample of this data set.")
        return [row for row in rows if row is not None]

    def images(self, rows: Sequence[int]) -> np.ndarray:
        """Return the images (k, h, w, 3) at these rows."""
        found = [self.taught[row].sample.images[0] if row in self.taught else self.data.images[row] for row in rows]
        return np.stack(found) if found else self.data.images[:0]

    def labels(self) -> np.ndarray:
        """Return the class (rows,) of each row; -1 where there is no picture."""
        labels = np.full(len(self), -1, np.int64)
        labels[: len(self.data)] = self.data.labels
        for row, taught in self.taught.items():
            labels[row] = taught.sample.labels[0]
        return labels

    def label(self, row: int) -> int:
        """Return the class of the picture at a row."""
        return int(self.taught[row].sample.labels[0] if row in self.taught else self.data.labels[row])

    def scattered(self, values: np.ndarray, rows: Sequence[int]) -> np.ndarray:
        """Return one value per row from one for each of these rows; -1 elsewhere."""
        out = np.full(len(self), -1, np.int64)
        out[list(rows)] = values
        return out

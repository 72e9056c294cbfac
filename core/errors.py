"""Every exception the engine raises on purpose.

LMEraserError
├── InputError             a value from outside is wrong (also a ValueError)
│   ├── DataError          an image, a file or a data set cannot be used
│   │   └── UnusableImage  one image cannot be used; an import leaves it out and goes on
│   └── UnknownSampleError an id is not in the model (never was, or already forgotten)
├── BackboneError          weights are missing, altered or of another architecture
├── StoreError             the store cannot be written, or a state in it is damaged
│   └── RepairNeeded       a workspace is of an older version or differs from its ledger; it must be repaired first
├── NotFittedError         predict, plan or forget before fit (also a ValueError and an AttributeError)
├── StalePlanError         a plan that was made for another state of the model
└── CancelledError         the caller asked to stop; the model is as it was

A message holds the offending value, the limit and the remedy.
"""

from __future__ import annotations


class LMEraserError(Exception):
    """Root of the engine's own errors."""


class InputError(LMEraserError, ValueError):
    """A value from outside is wrong."""


class DataError(InputError):
    """An image, a file or a data set cannot be used."""


class UnusableImage(DataError):  # noqa: N818
    """One image cannot be used; an import leaves it out and goes on. `reason` names neither the image nor the remedy."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnknownSampleError(InputError):
    """A sample id is not in the model."""


class BackboneError(LMEraserError):
    """Backbone weights are missing, altered or of another architecture."""


class StoreError(LMEraserError):
    """The store cannot be written, or holds a damaged state."""


class RepairNeeded(StoreError):  # noqa: N818
    """A workspace is of an older version or differs from its ledger; it must be repaired first. `reason` leaves the remedy out."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotFittedError(LMEraserError, ValueError, AttributeError):
    """The model was used before `fit`. Like scikit-learn's error of this name, so that `hasattr(model, "classes_")` is False then."""


class StalePlanError(LMEraserError):
    """A plan was made for a model that has changed since."""


class CancelledError(LMEraserError):
    """The caller cancelled; the model is as it was before the call."""

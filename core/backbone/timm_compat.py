"""Imports timm even if the installed torch and torchvision are builds that do not match.

A CPU-only torch next to the registry's torchvision (built for CUDA) cannot load torchvision's compiled operators, and
`import timm` then fails with `operator torchvision::nms does not exist`: torchvision registers shape functions for operators
that were never declared. This module declares the missing ones, without an implementation, before timm is imported. timm's
vision transformers never call them. Where torchvision loads as it should, nothing is declared.
"""

from __future__ import annotations

import importlib.util
import re

import torch

# The one operator whose shape function torchvision registers without looking whether its compiled library was loaded.
_NMS = "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_library: torch.library.Library | None = None


def import_timm():
    """Return the timm module, declaring torchvision's missing operators first if they are what stops its import.

    Raises ImportError as timm or torchvision raised it when the cause is another one.
    """
    _declare_missing()
    import timm

    return timm


def _declare_missing() -> None:
    global _library
    if _library is not None or importlib.util.find_spec("torchvision") is None:
        return
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if not re.search(r"operator torchvision::\w+ does not exist", str(error)):
            raise
        _library = torch.library.Library("torchvision", "DEF")
        _library.define(_NMS)

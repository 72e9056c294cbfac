"""LMEraser Lab's engine: exact machine unlearning by one visual prompt per cluster on a frozen public backbone (arXiv 2404.11056).

Its public names are loaded on first use, so `import core` is fast:

    from core import LMEraser, load_dataset

    data = load_dataset("digits")
    model = LMEraser("fast").fit(data.train)
    model.forget(data.train.ids[:3])
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.audit.selftest import selftest
    from core.backbone.model import load_backbone
    from core.config import EraserConfig, preset
    from core.data.datasets import Dataset, load_dataset
    from core.data.samples import Samples
    from core.data.selection import select
    from core.errors import LMEraserError
    from core.lmeraser.eraser import LMEraser
    from core.lmeraser.state_store import DirectoryStore
    from core.runtime.executors import InlineExecutor, LocalExecutor
    from core.workspace.proof import prove
    from core.workspace.verify import verify_workspace
    from core.workspace.workspace import Workspace

__all__ = [
    "Dataset",
    "DirectoryStore",
    "EraserConfig",
    "InlineExecutor",
    "LMEraser",
    "LMEraserError",
    "LocalExecutor",
    "Samples",
    "Workspace",
    "load_backbone",
    "load_dataset",
    "preset",
    "prove",
    "select",
    "selftest",
    "verify_workspace",
]

_MODULES = {
    "Dataset": "core.data.datasets",
    "DirectoryStore": "core.lmeraser.state_store",
    "EraserConfig": "core.config",
    "InlineExecutor": "core.runtime.executors",
    "LMEraser": "core.lmeraser.eraser",
    "LMEraserError": "core.errors",
    "LocalExecutor": "core.runtime.executors",
    "Samples": "core.data.samples",
    "Workspace": "core.workspace.workspace",
    "load_backbone": "core.backbone.model",
    "load_dataset": "core.data.datasets",
    "preset": "core.config",
    "prove": "core.workspace.proof",
    "select": "core.data.selection",
    "selftest": "core.audit.selftest",
    "verify_workspace": "core.workspace.verify",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module that defines it."""
    if name not in _MODULES:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""The self-test of this machine (`core.audit.selftest`), run once per environment and kept in a cache folder. Loads PyTorch when called."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

_one = threading.Lock()  # labs of one process ask at the same time


def kept_selftest(folder: Path) -> Any:
    """Return the core.audit.selftest.SelfTest of this environment, from the folder if it has passed here before, else run now."""
    from core.runtime.determinism import default_device, environment

    facts = environment(default_device())
    path = folder / f"selftest-{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]}.json"
    with _one:
        return _read(path) or _run(path)


def _run(path: Path) -> Any:
    from core.audit.selftest import selftest

    found = selftest()
    if found.passed:  # a failure is looked at again at the next start
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(found.to_json()), encoding="utf-8")
        part.replace(path)
    return found


def _read(path: Path) -> Any:
    """Return what the file holds; None where it is missing, damaged, or says that a check failed."""
    from core.audit.selftest import SelfTest

    try:
        found = SelfTest.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if found.passed else None

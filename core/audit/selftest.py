"""`python -m core selftest`: does exactness hold on this machine? It repeats a few seconds of the model's own work and compares.

The proof needs numbers that do not depend on an image's place in a batch, on the images beside it, or on the process. Sums and distances
are exact by construction (`core.runtime.fixed_point`). What PyTorch computes is tested here, at the model's real shape and with the
kernels that this processor, these libraries and these environment variables select. Where a check fails, models are not exact.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

LONGEST = 120  # seconds that the other process may take


@dataclass(frozen=True)
class Check:
    """One check: what it compares, whether it holds, and what was found."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class SelfTest:
    """The checks made, the environment they hold in, and the time they took."""

    checks: tuple[Check, ...]
    environment: dict[str, str]
    seconds: float

    @functools.cached_property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict:
        """Return plain values."""
        return {"passed": self.passed, **asdict(self), "checks": [asdict(check) for check in self.checks]}

    @classmethod
    def from_json(cls, value: dict) -> SelfTest:
        """Read what `to_json` returned."""
        return cls(tuple(Check(**check) for check in value["checks"]), value["environment"], value["seconds"])

    def text(self) -> str:
        """Return lines for people."""
        lines = [f"{'ok   ' if check.passed else 'FAILS'} {check.name}: {check.detail}" for check in self.checks]
        facts = [f"      {name}: {value}" for name, value in self.environment.items() if value]
        verdict = "Exact here: the proof can be relied on." if self.passed else "Not exact here: no proof on this device."
        return "\n".join([*lines, "What the proof rests on here:", *facts, f"{verdict} ({self.seconds:.1f} s)"])


def selftest(device: str | None = None) -> SelfTest:
    """Run all checks on a device, by default the best there is; raises BackboneError for a device that is not here."""
    began = time.perf_counter()
    root = str(Path(__file__).resolve().parents[2])
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    command = [sys.executable, "-m", "core.audit.selftest_checks", str(device or "")]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other:  # it starts at once
        try:
            from core.audit.selftest_checks import checks, environment_of

            made = tuple(checks(device, lambda: _answer(other)))
        finally:
            other.kill()
    return SelfTest(made, environment_of(device), time.perf_counter() - began)


def _answer(other: subprocess.Popen) -> str:
    """Return what the other process printed, or the last line of its error output."""
    try:
        out, errors = other.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return f"no answer within {LONGEST} s"
    return out.strip() or (errors.strip().splitlines() or ["no answer"])[-1]

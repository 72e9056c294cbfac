"""The one place that decides what may be said of a request's proof.

Status line, headline, Compare, Proof, Ledger, report, exports and the API all ask `judge`; none of them looks at roots itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo import texts


@dataclass(frozen=True)
class Finding:
    """What the checks of one request have found so far."""

    root: str = ""  # of the model that a clean room trained last; empty while none has
    problems: tuple[str, ...] = ()  # of every check that failed; a later check that passes does not take them back

    def joined(self, other: Finding) -> Finding:
        """Return this finding with what a later check has found."""
        return Finding(other.root or self.root, tuple(dict.fromkeys((*self.problems, *other.problems))))


@dataclass(frozen=True)
class Verdict:
    """What may be said of a request. kind: unchecked, running, equal, different (a check failed) or unprovable (no proof here)."""

    kind: str
    title: str
    info: str
    problems: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        return self.kind == "different"

    @property
    def unprovable(self) -> bool:
        return self.kind == "unprovable"


def judge(finding: Finding | None, selftest: Any, running: bool = False) -> Verdict:
    """Return the verdict from what checks found, this machine's core.audit.selftest.SelfTest (None: not run yet), and whether one runs."""
    finding = finding or Finding()
    kind = _kind(finding, selftest, running)
    problems = finding.problems if kind == "different" else texts.failed_checks(selftest) if kind == "unprovable" else ()
    return Verdict(kind, *texts.VERDICTS[kind], tuple(problems))


def _kind(finding: Finding, selftest: Any, running: bool) -> str:
    if finding.problems:
        return "different"
    if selftest is not None and not selftest.passed:
        return "unprovable"
    return "running" if running else "equal" if finding.root else "unchecked"


def of_proof(proof: Any) -> Finding:
    """Return the finding of a core.workspace.proof.Proof."""
    return Finding(proof.clean_root, () if proof.equal else tuple(proof.problems) or (texts.PROOF_UNEXPLAINED,))


def of_replay(report: Mapping[str, Any]) -> Finding:
    """Return the finding of a replay's report (`core.workspace.verify.replay_request`)."""
    return Finding(report["clean_room"], tuple(report["problems"]))


def first_failed(findings: Mapping[int, Finding]) -> int | None:
    """Return the number of the first request that a check has contradicted."""
    return min((number for number, found in findings.items() if found.problems), default=None)


def method_kind(row: Mapping[str, Any], verdict: Verdict) -> str:
    """Return what a row of the comparison's table may be called: exact, approximate, contradicted or unproven."""
    if not row["exact"]:
        return "approximate"
    if verdict.failed and row["method"] == "LMEraser":
        return "contradicted"
    return "unproven" if verdict.unprovable else "exact"

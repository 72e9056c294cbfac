"""What comparisons and audits share: work about a visitor's last request that leaves the visitor's model alone.

A study has a slot of its own, so that images can be selected meanwhile; the next request ends it. Knows no figures and no words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from core.errors import InputError
from demo import texts
from demo.jobs import Jobs, Work
from demo.session import Lab, Request, Visitor


def begin(lab: Lab, token: str | None) -> tuple[Visitor, Request]:
    """Return the visitor and the request that a study can begin on; raises NotFittedError, InputError saying why none can."""
    visitor = lab.free(token)
    if visitor.study:
        raise InputError(texts.STUDY_BUSY)
    if not visitor.requests:
        raise InputError(texts.NOTHING_FORGOTTEN)
    return visitor, visitor.requests[-1]


async def study(jobs: Jobs, visitor: Visitor, work: Work, among_requests: bool = False) -> AsyncIterator[Any]:
    """Run work in the visitor's slot for studies; yield its events; raises what it raises.

    It waits for other studies and for no request, unless `among_requests`: for work that reads the visitor's own model.
    """
    visitor.study = job = jobs.submit(work, study=not among_requests)
    try:
        async for event in jobs.follow(job):
            yield event
    finally:
        if visitor.study is job:
            visitor.study = None


def stop(lab: Lab, token: str | None) -> None:
    """Ask the visitor's study to end."""
    visitor = lab.find(token)
    if visitor is not None and visitor.study:
        visitor.study.stop()

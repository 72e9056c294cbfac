"""Twenty-five visitors at once on all of digits with the real engine: nobody sees another's request, and memory comes back.

Run with -s to see the figures.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import multiprocessing
import os
import time
import weakref
from pathlib import Path

import pytest

from demo.launch import open_labs
from demo.session.jobs import Jobs, QueueFullError
from demo.tabs.page import Page

pytestmark = pytest.mark.slow

VISITORS, QUEUE = 25, 20
MOST_EACH, MOST_LEFT = 50.0, 100.0  # MB


@pytest.fixture(scope="module")
def lab(cache):
    [lab] = open_labs(["digits"], ["fast"], cache)
    lab.start().join()
    assert lab.fit.state == "ready", lab.fit.error
    yield lab
    lab.close()


def resident() -> float:
    """Return the resident memory of this process and its workers in MB, with what was freed handed back."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    except OSError:
        pytest.skip("resident memory is read from /proc, with glibc")
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def request(site: Page, token: str) -> str:
    """Carry a visitor's request to its end; return how it ended."""
    try:
        async for _ in site.request.forget(token):
            pass
    except QueueFullError:
        return "queue full"
    return "done"


async def all_at_once(site: Page, visitors) -> list[str]:
    return await asyncio.gather(*(request(site, v.token) for v in visitors))


def arrive(lab, site: Page, first: int) -> list:
    visitors = [lab.enter() for _ in range(VISITORS)]
    for row, visitor in enumerate(visitors, first):
        site.request.select(visitor.token, [row])
    return visitors


def check_private(lab, visitors, ended, first: int) -> None:
    """Each finished request is its visitor's alone, and whoever was refused has the model as it was."""
    for row, (visitor, end) in enumerate(zip(visitors, ended, strict=True), first):
        gone = (row,) if end == "done" else ()
        assert visitor.forgotten == gone
        assert set(lab.samples.ids) - set(visitor.model.samples.ids) == {lab.samples.ids[r] for r in gone}
        assert len(visitor.model.receipts() if visitor.model else ()) == len(gone)
    done = [v for v, end in zip(visitors, ended, strict=True) if end == "done"]
    assert len({v.model.root for v in done}) == len(done)
    assert len({v.folder for v in done}) == len(done)


def test_many_visitors_at_once_are_private_and_leave_nothing(lab, capsys):
    site = Page(lab, Jobs(QUEUE))
    base_root = lab.base.model.root
    warm = arrive(lab, site, 0)[:2]  # what the first request loads for good is nobody's growth
    asyncio.run(all_at_once(site, warm))
    for token in list(lab._visitors):
        lab.leave(token)
    before = resident()

    began = time.perf_counter()
    visitors = arrive(lab, site, 100)
    ended = asyncio.run(all_at_once(site, visitors))
    seconds, during = time.perf_counter() - began, resident()
    assert ended.count("done") >= QUEUE
    assert set(ended) <= {"done", "queue full"}
    check_private(lab, visitors, ended, 100)
    assert lab.base.model.root == base_root

    models, folders = [weakref.ref(v.model) for v in visitors], [v.folder for v in visitors if v.folder]
    for visitor in visitors:
        lab.leave(visitor.token)
    del visitor, visitors
    after = resident()
    assert not any(folder.exists() for folder in folders)
    assert not any(model() for model in models)

    each = (during - before) / ended.count("done")
    with capsys.disabled():
        print(
            f"\n{VISITORS} visitors at once: {ended.count('done')} requests done, {ended.count('queue full')} refused (queue full) "
            f"in {seconds:.1f} s; {each:.1f} MB a visitor; {after - before:+.1f} MB after they left ({before:.0f} MB before)"
        )
    assert each < MOST_EACH
    assert after - before < MOST_LEFT

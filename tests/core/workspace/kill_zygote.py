"""A warmed process that forks a child for every job and kills it on the way: a restart costs a fork, not four seconds of imports.

A job is a JSON line: root, ids (or none: only open), salt, and `after` (seconds until SIGKILL) or `at` (the child kills itself before
its so many-th change of a file or statement of SQLite). The answer: whether it was killed, seconds, and operations counted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback

import numpy as np
import torch

from core.backbone.model import load_backbone
from core.data.datasets import load_dataset
from core.lmeraser.eraser import LMEraser
from core.workspace import ledger
from core.workspace.workspace import Workspace
from tests.conftest import TINY, tiny_config

CHANGES = {"os.rename", "os.remove", "os.mkdir", "open", "os.truncate"}


class Counter:
    """Counts what the child does to files, and ends it without warning before operation `at`."""

    def __init__(self, root: str, at: int | None):
        self.root, self.at, self.count = root, at, 0
        sys.addaudithook(self.audit)
        connect = ledger.sqlite3.connect

        def traced(*arguments, **named):
            connection = connect(*arguments, **named)
            connection.set_trace_callback(lambda statement: self.step())
            return connection

        ledger.sqlite3.connect = traced

    def audit(self, event: str, arguments: tuple) -> None:
        if event in CHANGES and arguments and str(arguments[0]).startswith(self.root):
            self.step()

    def step(self) -> None:
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def work(job: dict) -> int:
    counter = Counter(job["root"], job.get("at"))
    with Workspace.open(job["root"]) as workspace:
        if job.get("ids") and set(job["ids"]) <= set(workspace.eraser.samples_.ids):
            workspace.forget(job["ids"], salt=bytes.fromhex(job["salt"]))
    return counter.count


def child(job: dict, pipe: int) -> None:
    code = 1
    try:
        os.write(pipe, str(work(job)).encode())
        code = 0
    except BaseException:  # the parent must not go on in this process, whatever happened
        traceback.print_exc()
    finally:
        os._exit(code)


def run(job: dict) -> dict:
    reader, writer = os.pipe()
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        child(job, writer)
    os.close(writer)
    if "after" in job:
        time.sleep(job["after"])
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    operations = os.read(reader, 20)
    os.close(reader)
    killed = os.WIFSIGNALED(status)
    return {
        "killed": killed,
        "failed": not killed and os.WEXITSTATUS(status) != 0,
        "seconds": time.perf_counter() - began,
        "operations": int(operations or 0),
    }


def main() -> None:
    torch.set_num_threads(1)  # no pool of threads, which would not survive a fork
    LMEraser(tiny_config(), load_backbone(TINY)).fit(load_dataset("digits").train.take(np.arange(12)))
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

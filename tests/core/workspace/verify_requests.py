"""Forgets requests of every size on all of digits, proves each against a clean room in another process; run under the kernels to test.

`python -m tests.core.workspace.verify_requests [partition]` prints a JSON object of the problems that were found, by request.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np

from core.config import PartitionConfig, preset
from core.data.datasets import load_dataset
from core.data.samples import Samples
from core.lmeraser.eraser import LMEraser
from core.runtime.determinism import environment
from core.workspace.clean_room import CleanRoomJob, CleanRoomResult, train_from_scratch
from core.workspace.proof import compare

STEPS = 4  # of each cluster's training: enough to depend on every member


def main(partition: str = "stable") -> dict:
    """Return the problems of each request, an empty list where it is exact, and the environment."""
    data, fast = load_dataset("digits").train, preset("fast")
    config = replace(fast, partition=PartitionConfig(partition), train=replace(fast.train, steps=STEPS))
    base = LMEraser(config).fit(data)
    rng = np.random.default_rng(7)
    draw = lambda n: [data.ids[r] for r in rng.choice(len(data), n, replace=False)]  # noqa: E731
    requests = {f"{n} images": [draw(n)] for n in (1, 5, 20, 100)}
    requests["one class"] = [[i for i, y in zip(data.ids, data.labels, strict=True) if y == 9]]
    requests["ten in sequence"] = [[i] for i in draw(10)]
    with ProcessPoolExecutor(1, get_context("spawn")) as other_process:
        jobs = {
            name: CleanRoomJob(data, sum(map(tuple, sequence), ()), config, base.backbone_.spec, "cpu", 1)
            for name, sequence in requests.items()
        }
        controls = {name: other_process.submit(train_from_scratch, job) for name, job in jobs.items()}
        found = {name: problems(base.fork(), data, sequence, controls[name]) for name, sequence in requests.items()}
    return {"found": found, "environment": environment("cpu")}


def problems(eraser: LMEraser, before: Samples, sequence: list[list[str]], control: Future[CleanRoomResult]) -> list[str]:
    """Forget one request after another and compare with the clean room's result."""
    for ids in sequence:
        eraser.forget(ids)
    return list(compare(eraser, before, control.result()).problems)


if __name__ == "__main__":
    result = main(*sys.argv[1:])
    print(json.dumps(result))
    sys.exit(1 if any(result["found"].values()) else 0)

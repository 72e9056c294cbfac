"""Forgets requests of every size on all of digits and proves each against a clean room; run as a program, under the kernels to test.

`python -m tests.core.workspace.verify_requests [partition]` prints a JSON object of the problems that were found, by request.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np

from core.config import PartitionConfig, preset
from core.data.datasets import load_dataset
from core.lmeraser.eraser import LMEraser
from core.runtime.determinism import environment
from core.runtime.executors import LocalExecutor
from core.workspace.proof import prove

STEPS = 4  # of each cluster's training: enough to depend on every member


def main(partition: str = "hierarchical") -> dict:
    """Return the problems of each request, an empty list where it is exact, and the environment."""
    data, executor, found = load_dataset("digits").train, LocalExecutor(2), {}
    fast = preset("fast")
    config = replace(fast, partition=PartitionConfig(partition), train=replace(fast.train, steps=STEPS))
    base = LMEraser(config, executor=executor).fit(data)
    rng = np.random.default_rng(7)
    draw = lambda n: [data.ids[r] for r in rng.choice(len(data), n, replace=False)]  # noqa: E731
    requests = {f"{n} images": [draw(n)] for n in (1, 5, 20, 100)}
    requests["one class"] = [[i for i, y in zip(data.ids, data.labels, strict=True) if y == 9]]
    requests["ten in sequence"] = [[i] for i in draw(10)]
    for name, sequence in requests.items():
        eraser = base.fork()
        for ids in sequence:
            eraser.forget(ids)
        found[name] = list(prove(eraser, data, [i for ids in sequence for i in ids], workers=1).problems)
    executor.close()
    return {"found": found, "environment": environment("cpu")}


if __name__ == "__main__":
    result = main(*sys.argv[1:])
    print(json.dumps(result))
    sys.exit(1 if any(result["found"].values()) else 0)

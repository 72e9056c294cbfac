"""Requests of every size are exact against a clean room, on all of digits, under the kernels that most users' processors have."""

import json

import pytest

from tests.kernels import run, runnable


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Haswell", "SkylakeX"])
def test_every_size_of_request_is_exact(name):
    if not runnable(name):
        pytest.skip(f"this processor lacks the instructions of the {name} kernels")
    done = run(name, "-m", "tests.core.workspace.verify_requests")
    assert done.stdout, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1])["found"] == {
        request: [] for request in ("1 images", "5 images", "20 images", "100 images", "one class", "ten in sequence")
    }
    assert done.returncode == 0


@pytest.mark.slow
def test_two_kernels_give_equal_roots_or_say_that_they_differ():
    """Never the same environment with another root."""
    seen = {}
    script = (
        "import json, numpy as np; from core.data.datasets import load_dataset; from core.lmeraser.eraser import LMEraser;"
        "from core.runtime.determinism import environment; d = load_dataset('digits').train.take(np.arange(60));"
        "e = LMEraser('fast').fit(d); print(json.dumps([environment('cpu'), e.root_, e.model_.head.digest]))"
    )
    for name in ("Haswell", "Nehalem, one thread"):
        done = run(name, "-c", script)
        seen[name] = json.loads(done.stdout)
    (here, root, head), (there, other, other_head) = seen.values()
    assert here["blas"] != there["blas"]
    assert here["torch_kernels"] != there["torch_kernels"]
    assert root != other  # the environment is part of every key
    assert head == other_head or here != there

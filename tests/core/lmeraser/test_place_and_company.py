"""What enters a root does not depend on an image's place or company: at the model's real shape, under every kernel that runs here."""

import json

import pytest

from tests.kernels import SETS, run, runnable


def found(name, *arguments):
    if not runnable(name):
        pytest.skip(f"this processor lacks the instructions of the {name} kernels")
    done = run(name, *arguments)
    assert done.stdout, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1]), done.returncode


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.long) if "Nehalem" in n else n for n in SETS])  # before 2011
def test_nothing_depends_on_place_or_company(name):
    result, status = found(name, "-m", "tests.place_and_company")
    assert not any(result["found"].values()), result["found"]
    assert status == 0
    asked = SETS[name].get("OPENBLAS_CORETYPE")
    if asked:  # the kernels really ran, and the key says so; OpenBLAS calls Zen's kernels Haswell
        assert asked.replace("Zen", "Haswell") in result["environment"]["blas"]
        assert f"OPENBLAS_CORETYPE={asked}" in result["environment"]["steering"]


FLOAT_PRODUCT = """
import sys, numpy as np
from core.lmeraser import global_head
from tests import place_and_company

def expand(features):  # products in float32, rounded afterwards
    matrix = (global_head._matrix(features.shape[1]) / global_head.MATRIX).astype(np.float32)
    parts = []
    for i in range(0, len(features), 256):
        part = np.zeros((256, features.shape[1]), np.float32)
        part[: len(features[i : i + 256])] = features[i : i + 256]
        both = np.concatenate([part, np.maximum(part @ matrix, 0) * 2], 1)[: len(features[i : i + 256])]
        parts.append(np.rint(np.clip(both, -8, 8) * 64).astype(np.float64))
    return np.concatenate(parts)

global_head.expand = place_and_company.expand = expand
place = place_and_company.Place(place_and_company.default_device())
place.head()
import json
print(json.dumps({"found": place.found}))
"""


@pytest.mark.slow
def test_the_test_notices_products_that_depend_on_place():
    result, _ = found("Haswell", "-c", FLOAT_PRODUCT)
    assert result["found"]["global head"] + result["found"]["random features"] > 0

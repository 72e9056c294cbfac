"""A small workspace on disk, copied for each test."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from core.lmeraser.eraser import LMEraser
from core.workspace.workspace import Workspace
from tests.conftest import tiny_config


@pytest.fixture(scope="module")
def few(digits):
    """60 digits with subjects."""
    return replace(digits.train.take(np.arange(60)), subjects=tuple(f"person-{n % 7}" for n in range(60)))


@pytest.fixture(scope="module")
def template(tmp_path_factory, few, backbone):
    root = tmp_path_factory.mktemp("template") / "w"
    Workspace.create(root, few, LMEraser(tiny_config(), backbone), name="digits").close()
    return root


@pytest.fixture
def root(template, tmp_path):
    return shutil.copytree(template, tmp_path / "w")


@pytest.fixture
def workspace(root):
    with Workspace.open(root) as workspace:
        yield workspace

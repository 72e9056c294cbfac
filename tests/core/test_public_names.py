import subprocess
import sys

import pytest

import core

PUBLIC = [
    "Dataset",
    "DirectoryStore",
    "EraserConfig",
    "InlineExecutor",
    "LMEraser",
    "LMEraserError",
    "LocalExecutor",
    "Samples",
    "Workspace",
    "load_backbone",
    "load_dataset",
    "preset",
    "prove",
    "select",
    "selftest",
    "verify_workspace",
]


def test_the_public_names_are_these():
    assert core.__all__ == PUBLIC
    assert set(PUBLIC) <= set(dir(core))


@pytest.mark.parametrize("name", PUBLIC)
def test_each_is_loaded_from_where_it_is_defined(name):
    value = getattr(core, name)
    assert value.__module__.startswith("core.")
    assert value.__name__ == name


def test_other_names_are_missing():
    with pytest.raises(AttributeError, match="no attribute 'Eraser'"):
        core.Eraser  # noqa: B018


def test_importing_core_loads_nothing_else():
    code = "import sys, core; print([m for m in sys.modules if m.startswith(('core.', 'torch', 'numpy'))])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"

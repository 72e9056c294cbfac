"""What may import what, and the timm guard."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("gradio", "plotly", "umap", "datasets", "ray")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
def test_the_engine_loads_nothing_heavy():
    modules = sorted(p.stem for p in (ROOT / "core").glob("*.py") if not p.stem.startswith("__") and p.stem != "executors_ray")
    names = ", ".join(f"core.{m}" for m in modules)
    loaded = run(f"import core, {names}, sys; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert loaded == "[]"


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted((ROOT / "core").glob("*.py")), ids=lambda p: p.name)
def test_the_engine_never_imports_the_page(path):
    assert not imported(path) & {"gradio", "plotly", "demo", "app"}
    assert path.name == "executors_ray.py" or "ray" not in imported(path)


SOURCES = [ROOT / "app.py", *sorted((ROOT / "core").rglob("*.py")), *sorted((ROOT / "demo").rglob("*.py"))]
UNPICKLERS = ("torch.load(", "allow_pickle", "weights_only", "read_pickle", "Unpickler", "pickle.load", "joblib.load", "hickle")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_nothing_reads_pickle(path):
    """NumPy refuses pickles unless told otherwise, and safetensors, JSON and SQLite hold none."""
    assert not imported(path) & {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    text = path.read_text("utf-8")
    assert not [word for word in UNPICKLERS if word in text]


MISMATCH = """
import importlib.abc, importlib.machinery, sys, types
class Broken(importlib.abc.Loader):
    def create_module(self, spec): return None
    def exec_module(self, module):
        import torch
        try:
            torch._C._dispatch_find_schema_or_throw("torchvision::nms", "")
        except RuntimeError:
            raise RuntimeError("operator torchvision::nms does not exist")
        module.loaded = True
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, Broken()) if name == "torchvision" else None
sys.meta_path.insert(0, Finder())
sys.modules["timm"] = types.ModuleType("timm")
"""


def test_missing_torchvision_operators_are_declared():
    """A torchvision that behaves as a mismatched build does: it raises while the operator is not declared."""
    out = run(MISMATCH + "from core.timm_guard import import_timm; import_timm(); import torchvision; print(torchvision.loaded)")
    assert out == "True"


def test_other_torchvision_errors_surface():
    code = MISMATCH.replace("torchvision::nms does not exist", "something else").replace('"torchvision::nms", ""', '"torchvision::x", ""')
    with pytest.raises(subprocess.CalledProcessError):
        run(code + "from core.timm_guard import import_timm; import_timm()")


def test_with_matching_builds_timm_is_simply_imported():
    guard = importlib.import_module("core.timm_guard")
    assert guard.import_timm().__name__ == "timm"

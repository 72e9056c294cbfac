"""What may import what, and the timm guard."""

import ast
import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("gradio", "plotly", "umap", "datasets", "ray")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


CORE = ("errors", "config", "runtime", "data", "backbone", "lmeraser", "workspace", "benchmarks", "audit", "cli")  # from the ground up
DEMO = ("texts", "map", "selection", "session", "view", "reports", "panels", "request", "tabs", "api", "build", "own")
APART = {"workspace": {"benchmarks", "audit"}, "benchmarks": {"workspace"}, "audit": {"workspace"}}  # side by side: neither knows the other


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it; `from core import x` counts as core.x."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{a.name}" for a in node.names} if node.module in ("core", "demo") else {node.module}
    return names


def imported(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


@pytest.mark.slow
def test_the_engine_loads_nothing_heavy():
    names = ", ".join(name_of(p) for p in sources("core") if p.stem not in ("__main__", "executors_ray"))
    loaded = run(f"import {names}, sys; print([m for m in {HEAVY!r} if m in sys.modules])")
    assert loaded == "[]"


@pytest.mark.parametrize("path", sources("core"), ids=name_of)
def test_the_engine_never_imports_the_page(path):
    assert not imported(path) & {"gradio", "plotly", "demo", "app"}
    assert path.name == "executors_ray.py" or "ray" not in imported(path)


def upward(path: Path, order: tuple[str, ...]) -> set[str]:
    """What a file imports from a package of the same tree that stands above its own, or beside it."""
    tree, _, rest = name_of(path).partition(".")
    own = rest.split(".")[0]
    if own not in order:
        return set()
    others = {name.split(".")[1] for name in imports(path) if name.startswith(f"{tree}.")} - {own}
    return {o for o in others if o not in order or order.index(o) > order.index(own) or o in APART.get(own, ())}


@pytest.mark.parametrize("path", [*sources("core"), *sources("demo")], ids=name_of)
def test_imports_point_downward(path):
    assert not upward(path, CORE if name_of(path).startswith("core") else DEMO)


def test_the_test_of_directions_notices_an_upward_import(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    for place, line in (
        ("core/data/x.py", "from core.lmeraser.eraser import LMEraser"),
        ("core/audit/deep/y.py", "import core.workspace.ledger"),
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(line)
        assert upward(tmp_path / place, CORE)


def test_folders_and_files_stay_small():
    folders = Counter(path.parent for path in [*sources("core"), *sources("demo")])
    assert not {name_of(f): n for f, n in folders.items() if n > 14}
    files = [*sources("core"), *sources("demo"), *sources("tests")]
    assert not {name_of(p): n for p in files if (n := len(p.read_text("utf-8").splitlines())) > 400}


def test_every_folder_says_what_lives_there():
    for folder in {p.parent for p in [*sources("core"), *sources("demo")]}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))), folder


SOURCES = [ROOT / "app.py", *sources("core"), *sources("demo")]
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


@pytest.mark.slow
def test_missing_torchvision_operators_are_declared():
    """A torchvision that behaves as a mismatched build does: it raises while the operator is not declared."""
    out = run(MISMATCH + "from core.backbone.timm_compat import import_timm; import_timm(); import torchvision; print(torchvision.loaded)")
    assert out == "True"


@pytest.mark.slow
def test_other_torchvision_errors_surface():
    code = MISMATCH.replace("torchvision::nms does not exist", "something else").replace('"torchvision::nms", ""', '"torchvision::x", ""')
    with pytest.raises(subprocess.CalledProcessError):
        run(code + "from core.backbone.timm_compat import import_timm; import_timm()")


def test_with_matching_builds_timm_is_simply_imported():
    guard = importlib.import_module("core.backbone.timm_compat")
    assert guard.import_timm().__name__ == "timm"

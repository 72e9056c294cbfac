"""README and docs: the file tree is complete, paths and links exist, the Python example runs, the table of planted breaks is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo import texts

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "assets" / "README.md"]
COLUMNS = 4  # root, clean room, membership test, search for residue


def code_block(path: Path, language: str, containing: str) -> str:
    """Return the first code block of a document in this language that holds these words."""
    blocks = re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), re.S)
    return next(block for block in blocks if containing in block)


def folders_in(tree: str) -> set[str]:
    """Return the paths of the folders that an indented tree names, one a line, each ending in a slash."""
    found, parent = set(), ""
    for line in tree.splitlines():
        if match := re.match(r"( *)([\w/.]+)/ ", line):
            indent, name = match.groups()
            parent = parent if indent else name
            found.add(f"{parent}/{name}" if indent else name)
    return found


def folders_below(root: Path, top: str) -> set[str]:
    folders = (path.parent for path in (root / top).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(folder.relative_to(root)) for folder in folders}


def test_the_tree_of_the_readme_names_every_folder():
    named = folders_in(code_block(ROOT / "README.md", "", "app.py  "))
    assert named >= folders_below(ROOT, "core") | folders_below(ROOT, "demo")
    assert not {folder for folder in named if not (ROOT / folder).is_dir()}


def test_a_folder_that_the_tree_lacks_is_noticed(tmp_path):
    (tmp_path / "core" / "forgotten").mkdir(parents=True)
    (tmp_path / "core" / "forgotten" / "x.py").touch()
    assert folders_in("core/   the engine\n  data/   samples\n") == {"core", "core/data"}
    assert folders_below(tmp_path, "core") == {"core/forgotten"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_named_files_exist(path):
    text = path.read_text("utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    named = re.findall(r"`((?:core|demo|tests|docs|assets)/[\w/]+(?:\.\w+|/))`", text)
    assert not [link for link in links if not (path.parent / link).exists()]
    assert not [name for name in named if not (ROOT / name).exists()]


def test_the_table_of_planted_breaks_is_that_of_the_page():
    row = r"^\| ([^|]+) \| " + r" \| ".join(["(noticed|–)"] * COLUMNS) + r" \|$"
    rows = re.findall(row, (ROOT / "docs" / "proof.md").read_text("utf-8"), re.M)
    assert {name: tuple(cell == "noticed" for cell in cells) for name, *cells in rows} == {n: tuple(b) for n, b in texts.BREAKS.items()}


@pytest.mark.slow
def test_the_example_of_the_readme_runs(capsys):
    names: dict = {}
    exec(compile(code_block(ROOT / "README.md", "python", "LMEraser"), "README.md", "exec"), names)
    assert names["control"].root_ == names["model"].root_
    assert set(names["plan"].ids).isdisjoint(names["model"].samples_.ids)
    assert "retrain" in capsys.readouterr().out

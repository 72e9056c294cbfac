import json

import pytest
from PIL import Image

from core import config as presets
from core.backbone.model import load_backbone
from core.cli.main import main
from tests.conftest import TINY, tiny_config
from tests.core.workspace.old_workspace import make_old


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command on a workspace of 60 digits with the tiny backbone; return its exit status, its output and its errors."""
    monkeypatch.setitem(presets.PRESETS, "fast", tiny_config())
    monkeypatch.setattr("core.backbone.model.load_backbone", lambda name, device: load_backbone(TINY, device))
    folder = str(tmp_path / "w")

    def call(command, *words):
        options = [] if command == "ledger" else ["--workers", "1"]
        options += ["--limit", "60"] if command in ("fit", "audit") else []
        options += ["--device", "cpu"] if command == "fit" else []
        status = main([command, *options, "--workspace", folder, "--json", *words])
        out, err = capsys.readouterr()
        return status, (json.loads(out) if out else None), err

    return call


def test_a_workspace_from_fit_to_verify(run):
    status, made, _ = run("fit")
    assert (status, made["n"]) == (0, 60)
    status, first, _ = run("forget", "--count", "3", "--seed", "1")
    assert status == 0
    assert first["receipt"]["root_before"] == made["root"]
    second = run("forget", "--label", "7")[1]
    assert second["receipt"]["previous"] == first["receipt"]["hash"]
    status, report, _ = run("verify")
    assert (status, report["problems"], report["root"]) == (0, [], second["receipt"]["root_after"])
    ledger = run("ledger")[1]
    assert [(r["request"], r["state"]) for r in ledger["requests"]] == [(1, "committed"), (2, "committed")]
    assert run("ledger", "--receipt", "2")[1] == second["receipt"]


def test_an_older_workspace_is_repaired(run, tmp_path):
    made = run("fit")[1]
    run("forget", "--count", "3")
    status, report, _ = run("ledger", "--repair")
    assert (status, report["repaired"], report["problems"], report["samples"]) == (0, False, [], 57)
    make_old(tmp_path / "w")
    assert "--repair" in run("forget", "--count", "1")[2]
    assert run("verify")[0] == 1
    assert len(run("ledger")[1]["requests"]) == 1
    status, report, _ = run("ledger", "--repair")
    assert (status, report["repaired"], report["problems"], report["samples"]) == (0, True, [], 57)
    assert report["root"] != made["root"]
    assert report["completed"] is None
    assert run("forget", "--count", "1")[1]["receipt"]["request"] == 2
    assert run("verify")[0] == 0


def test_errors_are_said_in_a_sentence(run, tmp_path):
    assert "is not a workspace" in run("verify")[2]
    assert run("fit")[0] == 0
    assert "workspace already" in run("fit")[2]
    assert "There is no receipt 4" in run("ledger", "--receipt", "4")[2]
    for words, given in (("Nothing says what to forget", ()), ("count is 0", ("--count", "0")), ("0 ids", ("--ids", ""))):
        status, _, said = run("forget", *given)
        assert status == 2
        assert words in said
    assert "Request 3 is not in the ledger" in run("verify", "--replay", "3")[2]
    part = next((tmp_path / "w" / "samples").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    status, report, _ = run("verify")
    assert status == 1
    assert "damaged" in report["problems"][0]


def test_a_replay_needs_a_workspace(capsys):
    assert main(["verify", "--replay", "1"]) == 2
    assert "--workspace" in capsys.readouterr().err


def test_a_workspace_is_searched_for_what_requests_left(run, tmp_path):
    run("fit")
    assert "holds all 60 samples" in run("audit", "--residue")[2]
    status, result, _ = run("audit", "--residue", "--count", "3", "--seed", "1")
    assert (status, result["request"], result["clean"], result["samples"]) == (0, 1, True, 3)
    status, result, _ = run("audit", "--residue")  # samples of the data set that the workspace no longer holds
    assert (status, result["request"], result["clean"], result["samples"]) == (0, None, True, 3)
    assert {"id", "pixels", "feature", "coordinates"} <= set(result["sought"])
    assert run("audit")[0] == 2


def test_another_data_set_tells_nothing_of_a_workspace(run, tmp_path):
    run("fit")
    run("forget", "--count", "2")
    for place in ("train/a/0.png", "train/b/1.png", "test/a/2.png"):
        path = tmp_path / "others" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(path)
    status, _, said = run("audit", "--residue", "--dataset", str(tmp_path / "others"))
    assert status == 2
    assert "made of digits, not of others" in said


def test_a_leftover_in_a_workspace_is_found(run, tmp_path):
    run("fit")
    part = next((tmp_path / "w" / "samples").iterdir())
    old = part.read_bytes()
    run("forget", "--count", "2")
    (tmp_path / "w" / "samples" / "backup").write_bytes(old)
    status, result, _ = run("audit", "--residue")
    assert (status, result["clean"]) == (1, False)
    assert {f["place"] for f in result["found"]} == {"w/samples/backup"}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["forget", "--count", "1", "--preset", "paper", "--steps", "5"], "--preset, --steps"),
        (["verify", "--dataset", "cifar10"], "--dataset"),
        (["audit", "--residue", "--count", "1", "--cap", "9"], "--cap"),
    ],
)
def test_what_a_workspace_has_decided_is_refused(run, words, named):
    root = run("fit")[1]["root"]
    status, _, err = run(*words)
    assert status == 2
    assert err.splitlines()[-1] == f"error: {named}: a workspace keeps its own data and model, so this would change nothing. Leave it out."
    assert run("ledger")[1]["root"] == root

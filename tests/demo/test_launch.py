"""The app's command line: what is offered, and unknown names answered with what exists."""

import os
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

import app
from core.__main__ import main
from core.errors import DataError, InputError, RepairNeeded, StoreError
from demo import texts
from demo.launch import open_labs
from tests.conftest import ROOT


def test_names_are_lists_with_commas_each_once():
    args = app.options().parse_args(["--dataset", "digits, cifar10,,digits", "--preset", "paper"])
    assert (args.dataset, args.preset) == (["digits", "cifar10"], ["paper"])
    args = app.options().parse_args([])
    assert (args.dataset, args.preset, args.data_dir) == (None, None, None)


def test_a_lab_for_each_pair_shares_data_and_worker_processes(tmp_path):
    fast, paper = open_labs(["digits"], ["fast", "paper"], tmp_path)
    assert (fast.engine.pair, paper.engine.pair) == (("digits", "fast"), ("digits", "paper"))
    assert fast.samples is paper.samples
    assert fast.engine.executor is paper.engine.executor
    assert fast.points.exists()


def test_unknown_names_are_refused_saying_what_exists(tmp_path):
    with pytest.raises(DataError, match="use digits, cifar10"):
        open_labs(["mnist"], ["fast"], tmp_path)
    with pytest.raises(InputError, match="'turbo' is not one of fast, paper"):
        open_labs(["digits"], ["fast", "turbo"], tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dataset", "mnist"], "use digits, cifar10"),
        (["--preset", "turbo"], "not one of fast, paper"),
        (["--preset", ","], "Name at least one"),
        (["--dataset", "gtsrb", "--data-dir", "EMPTY"], "does not hold train.parquet and test.parquet"),
    ],
)
def test_the_app_ends_with_a_clear_message(options, words, tmp_path, monkeypatch, capsys):
    options = [str(tmp_path) if word == "EMPTY" else word for word in options]
    monkeypatch.setattr(sys, "argv", ["app.py", "--cache", str(tmp_path), *options])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_repair_needs_a_workspace(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["app.py", "--repair"])
    with pytest.raises(SystemExit):
        app.main()
    assert "Name its folder with --workspace" in capsys.readouterr().err


def test_a_workspace_that_must_be_put_right_is_said_with_the_remedy(monkeypatch, capsys):
    def needed(args):
        raise RepairNeeded("The workspace w has schema 1.", "has schema 1")

    monkeypatch.setattr(app, "opened", needed)
    monkeypatch.setattr(sys, "argv", ["app.py", "--workspace", "w"])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    assert f"The workspace w has schema 1. {texts.REPAIR}" in capsys.readouterr().err


def test_a_first_model_that_cannot_be_made_is_said_in_the_terminal_as_well(capsys):
    fit = threading.Thread(target=lambda: None)
    fit.start()
    for state in ("ready", "failed"):
        app.told(SimpleNamespace(fit=SimpleNamespace(state=state, error="it holds another letter")), fit)
    assert capsys.readouterr().err == "error: it holds another letter\n"


@pytest.mark.slow
def test_a_port_in_use_and_a_cache_that_cannot_be_written_are_said_in_words(tmp_path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port)]
        environment = os.environ | {"XDG_CACHE_HOME": "/dev/null", "TMPDIR": str(tmp_path)}
        ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert f"cannot listen on port {port}" in ended.stderr and "--port" in ended.stderr
    assert "/dev/null/lmeraser-lab cannot be written" in ended.stderr and "--cache" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name != "gradio"] == []  # that one is empty, and Gradio's


def test_a_named_cache_folder_that_cannot_be_written_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="--cache"):
        open_labs(["digits"], ["fast"], tmp_path / "file" / "cache")
    assert main(["fit", "--limit", "20", "--cache", str(tmp_path / "file" / "cache")]) == 2
    assert "--cache" in capsys.readouterr().err

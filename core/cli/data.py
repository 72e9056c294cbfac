"""The command data: what an import would make of a folder, archive, table or Hub repository, before anything is fitted."""

from __future__ import annotations

import argparse
from pathlib import Path

from core.cli.options import Commands, Result, add_command, add_import_options, add_json_option, import_options
from core.cli.output import ProgressBar
from core.runtime.progress import Progress


def add_commands(commands: Commands) -> None:
    """Add data."""
    command = add_command(commands, "data", run_check, "data check PATH: what of a data set can be used, what is left out, and why")
    command.add_argument("what", choices=("check",))
    command.add_argument("path", metavar="PATH", help="a folder, archive or table of your own, a name, or user/name of the Hub")
    command.add_argument("--data-dir", type=Path, help="folder of local parquet data sets")
    add_import_options(command)
    command.add_argument("--backbone", default="embedded", help="whose input size the images get: embedded, or the name of a timm model")
    command.add_argument("--names", action="store_true", help="name every file that is left out, not five for each reason")
    add_json_option(command)


def run_check(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Read a data set and return its import report."""
    from core.backbone.model import input_size
    from core.data.datasets import load_dataset

    options = import_options(args, input_size(args.backbone))
    data = load_dataset(args.path, args.data_dir, options=options, tell=lambda done, total: bar(Progress("images", done, total)))
    bar.close()
    if data.report is None:  # digits, which comes with scikit-learn
        return {"name": data.name, "read": len(data.train) + len(data.test), "skipped": [], "warnings": []}
    return {**data.report.to_json(), "text": data.report.text(args.names)}

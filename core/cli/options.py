"""Options that several commands share: data and model, workspace, and the samples to forget."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from core.cli.output import ProgressBar
from core.errors import InputError

if TYPE_CHECKING:
    from core.data.imports.options import ImportOptions

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Result: TypeAlias = dict[str, Any]  # what a command prints as JSON
Run: TypeAlias = Callable[[argparse.Namespace, ProgressBar], Result]

IMPORT_OPTIONS = ("fit", "label_all", "image_column", "label_column", "subject_column", "strict")
DATA_OPTIONS = ("dataset", "data_dir", "limit", *IMPORT_OPTIONS)
MODEL_OPTIONS = ("preset", "partition", "prompt", "clusters", "cap", "steps", "backbone", "device")


def add_command(commands: Commands, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a command that calls `run`, and return its parser, to which its options are added."""
    command = commands.add_parser(name, help=text)
    command.set_defaults(func=run)
    return command


def add_json_option(command: argparse.ArgumentParser) -> None:
    """Add --json."""
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_device_option(command: argparse.ArgumentParser) -> None:
    """Add --device."""
    command.add_argument("--device", help="cpu, cuda or mps (default: the fastest one available)")


def add_import_options(command: argparse.ArgumentParser) -> None:
    """Add what may be said of a data set of one's own; the page takes the same."""
    text = "images of different shapes: crop keeps the middle, pad adds black, stretch changes the shape (crop)"
    command.add_argument("--fit", default="crop", metavar="HOW", help=text)
    command.add_argument("--label-all", metavar="LABEL", help="label of images that have none")
    command.add_argument("--image-column", metavar="NAME", help="column of a table that holds or names the images")
    command.add_argument("--label-column", metavar="NAME", help="column that holds the label")
    command.add_argument("--subject-column", metavar="NAME", help="column that says whose images they are")
    command.add_argument("--strict", action="store_true", help="refuse a data set of which anything would be left out")


def import_options(args: argparse.Namespace, size: int) -> ImportOptions:
    """Return them for a backbone of an input size in px; raises InputError for an unknown way to fit images."""
    from core.data.imports.options import ImportOptions

    columns = (args.image_column, args.label_column, args.subject_column)
    return ImportOptions(size, args.fit, args.label_all, *columns, strict=args.strict)


def add_model_options(command: argparse.ArgumentParser) -> None:
    """Add the options that decide the data set and the model."""
    command.add_argument("--dataset", default="digits", help="a name, your own folder, archive or table, or user/name of the Hub (digits)")
    add_import_options(command)
    command.add_argument("--data-dir", type=Path, help="folder of local parquet data sets")
    command.add_argument("--limit", type=int, help="use at most this many samples")
    command.add_argument("--preset", default="fast", help="fast, paper or instant")
    command.add_argument("--partition", help="stable, hierarchical, public or random")
    command.add_argument("--prompt", help="padding, patch, tokens or none")
    command.add_argument("--clusters", type=int, help="number of clusters, before the cap")
    command.add_argument("--cap", type=int, help="most samples in one cluster")
    command.add_argument("--steps", type=int, help="training steps for each cluster")
    command.add_argument(
        "--backbone", default="embedded", help="embedded, a timm model, local-dir:FOLDER, or ARCHITECTURE:FILE.safetensors"
    )
    add_device_option(command)
    command.add_argument("--workers", type=int, help="worker processes (default: one per core)")
    command.add_argument("--cache", type=Path, help="folder for fitted states (default: the user's cache)")
    add_json_option(command)


def refuse_options(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Raise InputError when options are set that a workspace has already decided, so that nobody thinks they had an effect."""
    defaults = argparse.ArgumentParser(add_help=False)
    add_model_options(defaults)
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) != defaults.get_default(name)]
    if given:
        raise InputError(f"{', '.join(given)}: a workspace keeps its own data and model, so this would change nothing. Leave it out.")


def add_workspace_options(command: argparse.ArgumentParser, required: bool = False) -> None:
    """Add --workspace, and how long to wait until it is free."""
    text = "folder of data, states and ledger: fit makes it; forget and verify use its data and model, and take no options for them"
    command.add_argument("--workspace", type=Path, required=required, metavar="DIR", help=text)
    command.add_argument("--wait", type=float, default=0.0, metavar="S", help="seconds to wait while another process uses the workspace")


def add_request_options(command: argparse.ArgumentParser) -> None:
    """Add the options that choose the samples to forget."""
    command.add_argument("--count", type=int, help="forget this many samples, drawn at random")
    command.add_argument("--seed", type=int, default=0, help="seed of that draw")
    command.add_argument("--ids", help="comma-separated ids, or unique beginnings of ids")
    command.add_argument("--subject", help="forget the samples of this subject")
    command.add_argument("--label", help="forget the samples of this class")


def names(text: str | None) -> list[str]:
    """Return the parts of a comma-separated list."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]

"""Reads the command line, runs one command and prints its result.

With --json exactly one object goes to standard output; progress goes to standard error.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys

from core.cli import assets, audit, backbone, bench, data, fit_forget_verify, ledger, take_home
from core.cli.output import ProgressBar
from core.errors import LMEraserError

GROUPS = (fit_forget_verify, ledger, audit, bench, data, backbone, take_home, assets)
CHECKS = ("equal", "clean", "passed")  # entries of a result that decide the exit status


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; each sets `func`, which takes the arguments and a progress bar and returns plain values."""
    parser = argparse.ArgumentParser(prog="python -m core", description="Exact machine unlearning with LMEraser.")
    commands = parser.add_subparsers(dest="command", required=True)
    for group in GROUPS:
        group.add_commands(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one command; return 0, 1 when a check fails or residue is found, or 2 for an error, which is printed on standard error."""
    args = build_parser().parse_args(argv)
    args.command_line = shlex.join(["python", "-m", "core", *(sys.argv[1:] if argv is None else argv)])
    bar = ProgressBar()
    try:
        result = args.func(args, bar)
    except LMEraserError as error:
        bar.close()
        print(f"error: {error}", file=sys.stderr)
        return 2
    bar.close()
    text = result.pop("text", None)  # for people, where a command has one
    as_json = getattr(args, "json", False)
    print(text if text and not as_json else json.dumps(result, indent=None if as_json else 2, allow_nan=False))
    return 0 if all(result.get(name, True) for name in CHECKS) else 1


if __name__ == "__main__":
    sys.exit(main())

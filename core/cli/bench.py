"""The command bench: measurements of features, requests, accuracy, serving settings and unlearning methods."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli.models import fitted, load_data, unfitted
from core.cli.options import Commands, Result, add_command, add_model_options, names
from core.cli.output import ProgressBar, write_text
from core.errors import InputError

if TYPE_CHECKING:
    from core.audit.selftest import SelfTest
    from core.data.datasets import Dataset
    from core.lmeraser.eraser import LMEraser


def add_commands(commands: Commands) -> None:
    """Add bench."""
    bench = add_command(commands, "bench", run_bench, "measurements: features, forget, requests, capacity, accuracy, settings, unlearn")
    bench.add_argument("what", choices=("features", "forget", "requests", "capacity", "accuracy", "settings", "unlearn"))
    add_model_options(bench)
    text = "bench forget: how many requests of one random sample (20); other ones: comma-separated names (all)"
    bench.add_argument("--requests", help=text)
    bench.add_argument("--methods", help="bench unlearn: comma-separated names (default: all)")
    bench.add_argument("--repeats", type=int, default=1, help="bench unlearn: repeats of each request, each with other samples")
    bench.add_argument("--trials", type=int, default=20, help="bench requests: how often each kind of request is made (20)")
    bench.add_argument("--plan-only", action="store_true", help="bench requests: say what would retrain, and train nothing again")
    bench.add_argument("--most", type=int, default=2000, help="bench capacity: most requests of one kind (2000)")
    bench.add_argument("--seeds", type=int, default=1, help="bench accuracy: mean over models trained with so many seeds")
    bench.add_argument("--table", type=Path, help="bench unlearn, requests, capacity: also write a Markdown table into this file")
    text = "bench unlearn: also write the result as JSON into this file; python -m demo.reports.bench_report FILE.json FILE.html draws it"
    bench.add_argument("--report", type=Path, metavar="FILE.json", help=text)
    bench.add_argument("--features", default="embedded,random,pixels", help="bench features: comma-separated kinds of features")
    bench.add_argument("--datasets", default="digits,cifar10,gtsrb,madbase", help="bench features: comma-separated")


def run_bench(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Run one of the measurements."""
    from core.benchmarks import measure

    if args.what == "features":
        return measure.bench_features(args.datasets.split(","), args.features.split(","), args.data_dir, args.limit)
    _check_report(args.report)
    requests = _number_of_requests(args.requests) if args.what == "forget" else 0
    if args.seeds < 1:
        raise InputError(f"--seeds is {args.seeds}; give a whole number of at least 1.")
    data = load_data(args, bar)
    if args.what == "requests":
        return _bench_requests(args, data, bar)
    if args.what == "capacity":
        return _bench_capacity(args, data, bar)
    if args.what == "settings":
        return measure.bench_settings(data, unfitted(args), bar)
    eraser = fitted(args, data, bar)
    if args.what == "unlearn":
        result = _bench_unlearn(args, data, eraser, bar)
    elif args.what == "forget":
        result = measure.bench_forget(data, eraser, requests, bar)
    else:
        result = measure.bench_accuracy(data, eraser, args.seeds, bar)
    bar.close()
    return result


def _check_report(path: Path | None) -> None:
    """Raise InputError for a report that is to be a page, before anything is measured."""
    if path is not None and path.suffix.lower() in (".html", ".htm"):
        source = path.with_suffix(".json")
        raise InputError(
            f"--report writes JSON, and {path} names HTML. Use --report {source}, "
            f"then draw it with `python -m demo.reports.bench_report {source} {path}`."
        )


def _number_of_requests(text: str | None) -> int:
    """Return how many requests `bench forget` makes; raises InputError unless the text is a whole number of at least 1."""
    if text is not None and (not text.isdecimal() or int(text) < 1):
        raise InputError(f"--requests is {text!r}; bench forget takes a whole number of at least 1.")
    return int(text or 20)


def _bench_requests(args: argparse.Namespace, data: Dataset, bar: ProgressBar) -> Result:
    """Measure requests under each of the partitions that --partition names."""
    from core.benchmarks.requests import KINDS, bench_requests
    from core.benchmarks.tables import requests_table

    partitions = tuple(names(args.partition)) or ("stable", "hierarchical", "random")
    result = bench_requests(data, unfitted(args), partitions, args.trials, tuple(names(args.requests)) or KINDS, args.plan_only, bar)
    bar.close()
    if args.table:
        write_text(args.table, requests_table(result))
    return result


def _bench_capacity(args: argparse.Namespace, data: Dataset, bar: ProgressBar) -> Result:
    """Measure how many deletions cost as much as training from scratch."""
    from core.benchmarks.capacity import REQUESTS, bench_capacity
    from core.benchmarks.tables import capacity_table

    partitions = tuple(names(args.partition)) or ("stable", "hierarchical")
    result = bench_capacity(data, unfitted(args), partitions, tuple(names(args.requests)) or tuple(REQUESTS), args.most, bar)
    bar.close()
    if args.table:
        write_text(args.table, capacity_table(result))
    return result


def _bench_unlearn(args: argparse.Namespace, data: Dataset, eraser: LMEraser, bar: ProgressBar) -> Result:
    """Compare the methods, and write the table and the report file if they were asked for."""
    from core.audit.selftest import selftest
    from core.benchmarks.baselines import METHODS
    from core.benchmarks.compare_methods import REQUESTS, bench_unlearn, markdown_table

    methods = names(args.methods) or METHODS
    result = bench_unlearn(data, eraser, methods, names(args.requests) or REQUESTS, args.repeats, progress=bar)
    _say_if_exact(result, selftest(str(eraser.backbone_.device)))
    result["commands"] = [args.command_line]
    if args.table:
        write_text(args.table, markdown_table(result))
    if args.report:
        write_text(args.report, json.dumps(result, allow_nan=False))
    return result


def _say_if_exact(result: Result, tested: SelfTest) -> None:
    """Add this machine's self-test to a result; where it failed, no method's rows are called exact."""
    result["selftest"] = tested.to_json()
    for row in result["rows"]:
        row["exact"] = row["exact"] and tested.passed

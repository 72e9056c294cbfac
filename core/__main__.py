"""The command line: `python -m core fit | forget | verify | ledger | audit | bench | layout | pretrain`.

Parses, calls the engine, prints. With --json exactly one object goes to standard output; progress goes to standard error.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from core.errors import InputError, LMEraserError, StoreError
from core.types import EraserConfig, Progress


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="python -m core", description="Exact machine unlearning with LMEraser.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("fit", "fit a model and keep its cluster states in the cache"),
        ("forget", "forget samples and report accuracy and time"),
        ("verify", "forget samples, train from scratch in another process, and compare bit for bit"),
    ):
        command = commands.add_parser(name, help=text)
        add_model_options(command)
        add_workspace_options(command)
        if name != "fit":
            add_request_options(command)
    text = "with --workspace: train request N's result anew in another process"
    commands.choices["verify"].add_argument("--replay", type=int, metavar="N", help=text)
    ledger = commands.add_parser("ledger", help="a workspace's requests, or one receipt")
    add_workspace_options(ledger, required=True)
    ledger.add_argument("--receipt", type=int, metavar="N", help="print this receipt")
    ledger.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    commands.choices["forget"].add_argument("--full", action="store_true", help="also measure full retraining")
    add_audit_options(commands.add_parser("audit", help="membership inference on a request, or a search for what it left (--residue)"))
    bench = commands.add_parser("bench", help="measurements: features, forget, accuracy, settings, unlearn")
    bench.add_argument("what", choices=("features", "forget", "accuracy", "settings", "unlearn"))
    add_model_options(bench)
    bench.add_argument("--requests", help="bench forget: how many of one random sample (20); bench unlearn: comma-separated names (all)")
    bench.add_argument("--methods", help="bench unlearn: comma-separated names (default: all)")
    bench.add_argument("--repeats", type=int, default=1, help="bench unlearn: how often each request, with other samples")
    bench.add_argument("--table", type=Path, help="bench unlearn: also write the rows as a Markdown table into this file")
    bench.add_argument("--report", type=Path, help="bench unlearn: also draw the results into this stand-alone HTML file")
    bench.add_argument("--features", default="embedded,random,pixels", help="bench features: which features")
    bench.add_argument("--datasets", default="digits,cifar10,gtsrb,madbase", help="bench features: comma-separated")
    layout = commands.add_parser("layout", help="compute a data set's map layout into assets/")
    add_model_options(layout)
    add_pretrain_options(commands.add_parser("pretrain", help="train the embedded backbone on public images"))
    return parser


def add_model_options(command: argparse.ArgumentParser) -> None:
    """Add what decides the data set and the model."""
    command.add_argument("--dataset", default="digits", help="a name, or a folder, zip or parquet file of your own (default: digits)")
    command.add_argument("--data-dir", type=Path, help="folder of local parquet data sets")
    command.add_argument("--limit", type=int, help="use only so many samples")
    command.add_argument("--preset", default="fast", help="fast or paper")
    command.add_argument("--partition", help="hierarchical, public or random")
    command.add_argument("--prompt", help="padding, patch or tokens")
    command.add_argument("--clusters", type=int)
    command.add_argument("--cap", type=int, help="most samples in one cluster")
    command.add_argument("--steps", type=int, help="training steps for each cluster")
    command.add_argument("--backbone", default="embedded", help="embedded, or a timm model's name")
    command.add_argument("--device", help="cpu, cuda or mps (default: the best there is)")
    command.add_argument("--workers", type=int, help="processes (default: one a core)")
    command.add_argument("--cache", type=Path, default=default_cache(), help="where fitted states are kept")
    command.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


DATA_OPTIONS = ("dataset", "data_dir", "limit")
MODEL_OPTIONS = ("preset", "partition", "prompt", "clusters", "cap", "steps", "backbone", "device")


def refuse(args: argparse.Namespace, names: Sequence[str]) -> None:
    """Raise InputError when options are set that a workspace has decided for good, so that nobody thinks they had an effect."""
    defaults = argparse.ArgumentParser(add_help=False)
    add_model_options(defaults)
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) != defaults.get_default(name)]
    if given:
        raise InputError(f"{', '.join(given)}: a workspace keeps its own data and model, so this would change nothing. Leave it out.")


def add_workspace_options(command: argparse.ArgumentParser, required: bool = False) -> None:
    """Add what names a workspace, and how long to wait for it."""
    text = "folder of data, states and ledger: fit makes it; forget and verify take what it holds, and no data or model options"
    command.add_argument("--workspace", type=Path, required=required, metavar="DIR", help=text)
    command.add_argument("--wait", type=float, default=0.0, metavar="S", help="wait so long while another process uses the workspace")


def add_request_options(command: argparse.ArgumentParser) -> None:
    """Add what says which samples are to be forgotten."""
    command.add_argument("--count", type=int, help="forget so many samples, drawn at random")
    command.add_argument("--seed", type=int, default=0, help="of that draw")
    command.add_argument("--ids", help="comma-separated ids, or unique beginnings of ids")
    command.add_argument("--subject")
    command.add_argument("--label", help="a class name")


def add_audit_options(command: argparse.ArgumentParser) -> None:
    """Add what the membership attacks and the residue scan take."""
    add_model_options(command)
    add_workspace_options(command)
    add_request_options(command)
    command.add_argument("--shadows", type=int, default=16, help="shadow states for each touched cluster, 2 to 64 (default: 16)")
    command.add_argument("--approximate", action="store_true", help="also attack fine-tuning on retained, gradient ascent, random labels")
    command.add_argument("--table", type=Path, help="also write the results as a Markdown table into this file")
    text = "search for what a request leaves; with --workspace it is carried out for good, or, if none is given, earlier ones are sought"
    command.add_argument("--residue", action="store_true", help=text)
    command.add_argument("--folder", type=Path, action="append", default=[], metavar="DIR", help="--residue: search this folder, too")


def add_pretrain_options(command: argparse.ArgumentParser) -> None:
    """Add where pretraining reads and writes, and a flag for every number of its configuration."""
    from core.pretrain import PretrainConfig

    command.add_argument("--data", type=Path, required=True, help="folder with train-*.parquet and valid.parquet")
    command.add_argument("--out", type=Path, default=Path("runs/pretrain"), help="checkpoints and log")
    command.add_argument("--device")
    command.add_argument("--threads", type=int, default=os.cpu_count())
    command.add_argument("--config", type=Path, help="JSON file of settings")
    command.add_argument("--init", type=Path, help="start from another run's checkpoint.safetensors")
    command.add_argument("--stop-after", type=int, metavar="N", help="end after N epochs of the schedule")
    command.add_argument("--export", type=Path, help="afterwards write weights and manifest into this folder")
    for name, value in asdict(PretrainConfig()).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            command.add_argument(f"--{name.replace('_', '-')}", type=type(value))


def default_cache() -> Path:
    """Return the folder for fitted states, by the platform's custom."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lmeraser-lab"


def configuration(args: argparse.Namespace) -> EraserConfig:
    """Return the preset with the command line's changes."""
    from core.presets import preset, prompt_of_kind

    config = preset(args.preset)
    changes = {k: v for k, v in (("method", args.partition), ("clusters", args.clusters), ("cap", args.cap)) if v is not None}
    config = replace(config, partition=replace(config.partition, **changes))
    if args.prompt is not None and args.prompt != config.prompt.kind:
        config = replace(config, prompt=prompt_of_kind(args.prompt))
    if args.steps is not None:
        config = replace(config, train=replace(config.train, steps=args.steps))
    return config


class Bar:
    """Progress callback that draws a tqdm bar per stage on standard error."""

    def __init__(self):
        self._bar, self._stage = None, None

    def __call__(self, progress: Progress) -> None:
        from tqdm import tqdm

        if progress.stage != self._stage:
            self.close()
            self._bar, self._stage = tqdm(total=progress.total, desc=progress.stage, leave=False, file=sys.stderr), progress.stage
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        """End the line of the bar that is drawn, if any."""
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, None


def load_data(args: argparse.Namespace):
    """Return the data set that the options name."""
    from core.datasets import load_dataset

    return load_dataset(args.dataset, data_dir=args.data_dir, limit=args.limit)


def unfitted(args: argparse.Namespace):
    """Return the eraser that the options describe, its states to be kept in the cache."""
    from core.backbone import load_backbone
    from core.environment import default_device
    from core.eraser import LMEraser
    from core.executors import LocalExecutor
    from core.store import DirectoryStore

    backbone = load_backbone(args.backbone, args.device or str(default_device()))
    return LMEraser(configuration(args), backbone, DirectoryStore(args.cache / "states"), LocalExecutor(args.workers))


def fitted(args: argparse.Namespace, data, bar: Bar):
    """Return an eraser fitted on the data, its states and features taken from the cache where they are there."""
    from core.derived import features_file

    eraser = unfitted(args)
    features = features_file(args.cache, data.train)
    known = eraser.load_features(features)
    eraser.fit(data.train, progress=bar)
    if not known:
        eraser.save_features(features)
    bar.close()
    return eraser


def run_fit(args: argparse.Namespace, bar: Bar) -> dict:
    """Fit a model, in a workspace or with its states kept in the cache."""
    from core.metrics import evaluate

    data = load_data(args)
    if args.workspace:
        from core.workspace_commands import fit_workspace

        return fit_workspace(args, data.name, data.train, configuration(args), bar)
    eraser = fitted(args, data, bar)
    outcome, report = eraser.outcome_, evaluate(eraser, data.test)
    return {
        "dataset": data.name,
        "n": len(data.train),
        "clusters": eraser.partition_.clusters,
        "trained": len(outcome.trained),
        "from_cache": len(outcome.reused),
        "seconds": seconds_json(outcome.seconds, report.seconds),
        "sample_passes": outcome.sample_passes,
        "accuracy": report.accuracies(),
        "root": eraser.root_,
    }


def seconds_json(seconds, evaluate: float) -> dict:
    """Return wall time by part, with what evaluation took; the total leaves evaluation out."""
    return {**asdict(seconds), "evaluate": evaluate, "total": seconds.total}


def request(args: argparse.Namespace, bar: Bar):
    """Return (data set, private copy of the fitted model, ids asked for)."""
    from core.selection import select

    data = load_data(args)
    named = (args.ids, args.subject, args.label, args.count)
    count = 1 if all(value is None for value in named) else args.count
    ids = select(data.train, args.ids, args.subject, args.label, count, args.seed)
    return data, fitted(args, data, bar).fork(), ids


def run_forget(args: argparse.Namespace, bar: Bar) -> dict:
    """Carry out one request, in a workspace or on a private copy of the cached fit, and report its cost and accuracy."""
    from core.baselines import eraser_flops
    from core.metrics import evaluate
    from core.workspace_commands import forget_in_workspace

    if args.workspace:
        refuse(args, DATA_OPTIONS + MODEL_OPTIONS)
        return forget_in_workspace(args, bar)

    data, eraser, ids = request(args, bar)
    gone = data.train.take(data.train.rows(ids))
    before = evaluate(eraser, data.test, gone)
    plan = eraser.plan(ids)
    images = eraser.derived_images_
    outcome = eraser.forget(plan, progress=bar)
    flops = eraser_flops(eraser, outcome.trained, eraser.derived_images_ - images)
    after = evaluate(eraser, data.test, gone)
    bar.close()
    result = {
        "dataset": data.name,
        "n": len(ids),
        "plan": plan.summary(),
        "seconds": seconds_json(outcome.seconds, after.seconds),
        "sample_passes": {"request": outcome.sample_passes, "full": full_passes(eraser)},
        "flops": {"request": flops, "full": eraser_flops(eraser, eraser.keys_, len(set(eraser.samples_.digests)))},
        "accuracy": {"before": before.accuracies(), "after": after.accuracies()},
        "root": {"before": outcome.root_before, "after": outcome.root_after},
    }
    if args.full:
        _, full = eraser.full_retraining(progress=bar)
        result["full"] = {"seconds": seconds_json(full.seconds, 0.0), "root": full.root_after}
        result["speedup"] = full.seconds.total / outcome.seconds.total
    return result


def full_passes(eraser) -> int:
    """Sample passes that training every cluster of the model takes."""
    return sum(s.sample_passes for s in eraser.states_.values())


def run_verify(args: argparse.Namespace, bar: Bar) -> dict:
    """Check a workspace, or forget in a private copy and compare it with a model trained from scratch in another process."""
    from core.cleanroom import clean_room, untouched_equal
    from core.workspace_commands import check_workspace

    if args.workspace:
        refuse(args, DATA_OPTIONS + MODEL_OPTIONS)
        return check_workspace(args, bar)
    if args.replay is not None:
        raise InputError(f"Request {args.replay} can be replayed only in the workspace that holds it. Name it with --workspace.")
    data, eraser, ids = request(args, bar)
    plan = eraser.plan(ids)
    eraser.forget(plan, progress=bar)
    bar.close()
    control = clean_room(eraser, eraser.executor.workers)
    untouched = untouched_equal(eraser, plan.untouched, control)
    return {
        "dataset": data.name,
        "n": len(ids),
        "plan": plan.summary(),
        "root": {"before": plan.root, "after": eraser.root_, "clean_room": control.root},
        "equal": eraser.root_ == control.root,
        "untouched": len(plan.untouched),
        "untouched_equal": untouched,
    }


def run_ledger(args: argparse.Namespace, bar: Bar) -> dict:
    """Return a workspace's requests, or one receipt."""
    from core.workspace_commands import show_ledger

    return show_ledger(args)


def run_audit(args: argparse.Namespace, bar: Bar) -> dict:
    """Attack a request's models, or scan for what the request left."""
    from core.audit import audit
    from core.audit_report import audit_approximate, markdown_table
    from core.workspace_commands import scan_workspace

    if args.residue and args.workspace:
        refuse(args, MODEL_OPTIONS)
        return scan_workspace(args, bar)
    if args.residue:
        return run_residue(args, bar)
    if args.workspace:
        raise InputError("audit attacks models of a data set, not of a workspace. Leave --workspace out, or add --residue.")
    data, eraser, ids = request(args, bar)
    record = {"dataset": data.name, "samples": len(data.train), **audit(eraser, ids, data.test, args.shadows, args.seed, bar)}
    if args.approximate:
        record["approximate"] = audit_approximate(eraser, ids, data.test, args.shadows, args.seed, bar)
    bar.close()
    if args.table:
        args.table.write_text(markdown_table(record), "utf-8")
    if not args.json:
        del record["scores"]  # one number a line for every sample
    return record


def run_residue(args: argparse.Namespace, bar: Bar) -> dict:
    """Forget in a private copy of the cached fit and search this process, temporary folders and --folder; the cache is the fit's own."""
    from core.needles import Needles
    from core.residue import registries_of, scan
    from core.workspace_commands import places_of

    data, eraser, ids = request(args, bar)
    needles = Needles.of(eraser, ids, places_of(data.name, data.train))
    eraser.forget(ids, progress=bar)
    bar.close()
    report = scan(needles, args.folder, registries_of(eraser))
    return {"dataset": data.name, **report.to_json(), "text": report.text()}


def run_bench(args: argparse.Namespace, bar: Bar) -> dict:
    """Run one of the measurements."""
    from core import bench

    if args.what == "features":
        return bench.bench_features(args.datasets.split(","), args.features.split(","), args.data_dir, args.limit)
    data = load_data(args)
    if args.what == "settings":
        return bench.bench_settings(data, unfitted(args), bar)
    eraser = fitted(args, data, bar)
    if args.what == "unlearn":
        result = run_bench_unlearn(args, data, eraser, bar)
    elif args.what == "forget":
        result = bench.bench_forget(data, eraser, number_of_requests(args.requests), bar)
    else:
        result = bench.bench_accuracy(data, eraser, bar)
    bar.close()
    return result


def number_of_requests(text: str | None) -> int:
    """Return how many requests `bench forget` makes; raises InputError for what is no number of at least 1."""
    if text is not None and (not text.isdecimal() or int(text) < 1):
        raise InputError(f"--requests is {text!r}; bench forget takes a whole number of at least 1.")
    return int(text or 20)


def run_bench_unlearn(args: argparse.Namespace, data, eraser, bar: Bar) -> dict:
    """Compare the methods, and write the table and the report that are asked for."""
    from core.baselines import METHODS
    from core.bench_unlearn import REQUESTS, bench_unlearn, markdown_table

    methods = names(args.methods) or METHODS
    if args.report and importlib.util.find_spec("plotly") is None:
        raise InputError("--report draws with plotly, which is not installed. Run `pip install plotly`, or leave --report out.")
    result = bench_unlearn(data, eraser, methods, names(args.requests) or REQUESTS, args.repeats, progress=bar)
    result["commands"] = [args.line]
    if args.table:
        args.table.write_text(markdown_table(result), "utf-8")
    if args.report:
        write_report(result, args.report)
    return result


def write_report(result: dict, path: Path) -> None:
    """Let the page's code draw a result, in another process, as the engine draws nothing; raises StoreError when it cannot."""
    root = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory(prefix="lmeraser-") as folder:
        source = Path(folder) / "result.json"
        source.write_text(json.dumps(result, allow_nan=False), "utf-8")
        command = [sys.executable, "-m", "demo.report", str(source), str(path.resolve())]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StoreError(f"{path} was not drawn: {(done.stderr.strip() or 'no reason was given').splitlines()[-1][:300]}")


def names(text: str | None) -> list[str]:
    """Return the parts of a comma-separated list."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def run_layout(args: argparse.Namespace, bar: Bar) -> dict:
    """Compute a data set's map layout into assets/."""
    from core.backbone import load_backbone
    from core.projection import layout_name, ship_layout

    data = load_data(args)
    ship_layout(data.name, data.train, load_backbone(args.backbone))
    return {"dataset": data.name, "n": len(data.train), "file": layout_name(data.name)}


def run_pretrain(args: argparse.Namespace, bar: Bar) -> dict:
    """Train the embedded backbone on public images, and export it if asked to."""
    import torch

    from core.environment import default_device
    from core.pretrain import PretrainConfig, export, pretrain

    settings = json.loads(args.config.read_text()) if args.config else {}
    flags = {k: v for k, v in vars(args).items() if v is not None and k in asdict(PretrainConfig())}
    torch.set_num_threads(args.threads)
    config = PretrainConfig(**{**settings, **flags})
    device = torch.device(args.device) if args.device else default_device()
    say = lambda text: print(text, file=sys.stderr)  # noqa: E731
    metrics = pretrain(args.data, args.out, config, device, say=say, init=args.init, stop_after=args.stop_after)
    if args.export:
        metrics = {**metrics, "sha256": export(args.out / "checkpoint.safetensors", args.data, args.export)["sha256"]}
    return metrics


def main(argv: list[str] | None = None) -> int:
    """Run one command; return 0, 1 when a check fails or residue is found, or 2 for an error, which is printed on standard error."""
    args = build_parser().parse_args(argv)
    args.line = shlex.join(["python", "-m", "core", *(sys.argv[1:] if argv is None else argv)])
    bar = Bar()
    try:
        result = globals()[f"run_{args.command}"](args, bar)
    except LMEraserError as error:
        bar.close()
        print(f"error: {error}", file=sys.stderr)
        return 2
    bar.close()
    text = result.pop("text", None)  # for people, where a command has one
    as_json = getattr(args, "json", False)
    print(text if text and not as_json else json.dumps(result, indent=None if as_json else 2, allow_nan=False))
    return 0 if all(result.get(name, True) for name in ("equal", "untouched_equal", "clean")) else 1


if __name__ == "__main__":
    sys.exit(main())

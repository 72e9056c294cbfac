"""The commands fit, forget and verify, in a workspace (--workspace) or on a private copy of a cached model."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from core.cli.models import configuration, fitted, frozen_backbone, load_data, request_on_private_copy, seconds_json, selected
from core.cli.options import (
    DATA_OPTIONS,
    MODEL_OPTIONS,
    Commands,
    Result,
    add_command,
    add_model_options,
    add_request_options,
    add_workspace_options,
    refuse_options,
)
from core.cli.output import ProgressBar
from core.errors import InputError

if TYPE_CHECKING:
    from core.data.datasets import Dataset
    from core.lmeraser.eraser import LMEraser


def add_commands(commands: Commands) -> None:
    """Add fit, forget and verify."""
    fit = add_command(commands, "fit", run_fit, "fit a model and keep its cluster states in the cache")
    forget = add_command(commands, "forget", run_forget, "forget samples and report accuracy and time")
    text = "forget samples, train from scratch in another process, and compare bit for bit"
    verify = add_command(commands, "verify", run_verify, text)
    for command in (fit, forget, verify):
        add_model_options(command)
        add_workspace_options(command)
    for command in (forget, verify):
        add_request_options(command)
    forget.add_argument("--full", action="store_true", help="also measure full retraining")
    text = "with --workspace: retrain the result of request N in another process"
    verify.add_argument("--replay", type=int, metavar="N", help=text)


def run_fit(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Fit a model, in a workspace or with its states in the cache."""
    from core.benchmarks.metrics import evaluate

    data = load_data(args, bar)
    if args.workspace:
        return _fit_workspace(args, data, bar)
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


def _fit_workspace(args: argparse.Namespace, data: Dataset, bar: ProgressBar) -> Result:
    """Make a workspace and fit its model."""
    from core.lmeraser.eraser import LMEraser
    from core.runtime.executors import LocalExecutor
    from core.workspace.workspace import Workspace

    samples = data.train
    eraser = LMEraser(configuration(args), frozen_backbone(args), executor=LocalExecutor(args.workers))
    made = Workspace.create(args.workspace, samples, eraser, data.name, progress=bar)
    with made as workspace:
        eraser = workspace.eraser
        return {
            "workspace": str(args.workspace),
            "dataset": data.name,
            "n": len(samples),
            "clusters": eraser.partition_.clusters,
            "seconds": {**asdict(eraser.outcome_.seconds), "total": eraser.outcome_.seconds.total},
            "root": eraser.root_,
        }


def run_forget(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Carry out one request and report it: its receipt in a workspace, else its cost and accuracy on a private copy."""
    if args.workspace:
        refuse_options(args, DATA_OPTIONS + MODEL_OPTIONS)
        return _forget_in_workspace(args, bar)
    return _forget_in_copy(args, bar)


def _forget_in_workspace(args: argparse.Namespace, bar: ProgressBar) -> Result:
    from core.runtime.executors import LocalExecutor
    from core.workspace.workspace import Workspace

    with Workspace.open(args.workspace, LocalExecutor(args.workers), args.wait, bar) as workspace:
        ids = selected(args, workspace.eraser.samples_)
        plan = workspace.eraser.plan(ids)
        receipt = workspace.forget(plan, bar)
        return {"workspace": str(args.workspace), "n": len(ids), "plan": plan.summary(), "receipt": receipt.to_json()}


def _forget_in_copy(args: argparse.Namespace, bar: ProgressBar) -> Result:
    from core.benchmarks.baselines import eraser_flops
    from core.benchmarks.metrics import evaluate

    data, eraser, ids = request_on_private_copy(args, bar)
    forget_set = data.train.take(data.train.rows(ids))
    before = evaluate(eraser, data.test, forget_set)
    plan = eraser.plan(ids)
    images = eraser.derived_images_
    outcome = eraser.forget(plan, progress=bar)
    flops = eraser_flops(eraser, outcome.trained, eraser.derived_images_ - images)
    after = evaluate(eraser, data.test, forget_set)
    bar.close()
    result = {
        "dataset": data.name,
        "n": len(ids),
        "plan": plan.summary(),
        "seconds": seconds_json(outcome.seconds, after.seconds),
        "sample_passes": {"request": outcome.sample_passes, "full": _full_passes(eraser)},
        "flops": {"request": flops, "full": eraser_flops(eraser, eraser.keys_, len(set(eraser.samples_.digests)))},
        "accuracy": {"before": before.accuracies(), "after": after.accuracies()},
        "root": {"before": outcome.root_before, "after": outcome.root_after},
    }
    if args.full:
        _, full = eraser.full_retraining(progress=bar)
        result["full"] = {"seconds": seconds_json(full.seconds, 0.0), "root": full.root_after}
        result["speedup"] = full.seconds.total / outcome.seconds.total
    return result


def _full_passes(eraser: LMEraser) -> int:
    """Return the sample passes of training every cluster of the model."""
    return sum(s.sample_passes for s in eraser.states_.values())


def run_verify(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Check a workspace, or forget in a private copy and compare it with a model trained from scratch in another process.

    The other process gets the whole data and the requested ids, and derives the retained samples itself.
    """
    if args.workspace:
        refuse_options(args, DATA_OPTIONS + MODEL_OPTIONS)
        return _verify_workspace(args, bar)
    if args.replay is not None:
        raise InputError(f"Request {args.replay} can be replayed only in the workspace that holds it. Name it with --workspace.")
    return _verify_copy(args, bar)


def _verify_workspace(args: argparse.Namespace, bar: ProgressBar) -> Result:
    from core.runtime.executors import LocalExecutor
    from core.workspace.verify import verify_workspace

    return verify_workspace(args.workspace, args.replay, LocalExecutor(args.workers), args.wait, bar)


def _verify_copy(args: argparse.Namespace, bar: ProgressBar) -> Result:
    from core.workspace.proof import prove

    data, eraser, ids = request_on_private_copy(args, bar)
    plan = eraser.plan(ids)
    eraser.forget(plan, progress=bar)
    bar.close()
    workers = eraser.executor.workers if eraser.executor else 1
    proof = prove(eraser, data.train, ids, workers, untouched=plan.untouched)
    return {
        "dataset": data.name,
        "n": len(ids),
        "plan": plan.summary(),
        "root": {"before": plan.root, "after": proof.root, "clean_room": proof.clean_root},
        "retained": {"samples": proof.samples, "root": proof.retained, "clean_room": proof.clean_retained},
        "equal": proof.equal,
        "problems": list(proof.problems),
        "untouched": proof.untouched,
        "answers": proof.answers,
    }

"""The commands layout, codebook and pretrain, which make what assets/ holds: map layouts, public codewords, the embedded backbone."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from core.cli.models import load_data
from core.cli.options import Commands, Result, add_command, add_model_options
from core.cli.output import ProgressBar


def add_commands(commands: Commands) -> None:
    """Add layout, codebook and pretrain."""
    add_model_options(add_command(commands, "layout", run_layout, "compute a data set's map layout into assets/"))
    codebook = add_command(commands, "codebook", run_codebook, "make the stable partition's public codewords into assets/")
    codebook.add_argument("--data", type=Path, required=True, help="folder of public images with valid.parquet")
    add_pretrain_options(add_command(commands, "pretrain", run_pretrain, "train the embedded backbone on public images"))


def add_pretrain_options(command: argparse.ArgumentParser) -> None:
    """Add where pretraining reads and writes, and a flag for every number of its configuration."""
    from core.backbone.pretrain.config import PretrainConfig

    command.add_argument("--data", type=Path, required=True, help="folder with train-*.parquet and valid.parquet")
    command.add_argument("--out", type=Path, default=Path("runs/pretrain"), help="folder for checkpoints and log")
    command.add_argument("--device")
    command.add_argument("--threads", type=int, default=os.cpu_count())
    command.add_argument("--config", type=Path, help="JSON file of settings")
    command.add_argument("--init", type=Path, help="start from another run's checkpoint.safetensors")
    text = "weights of timm's tf_efficientnet_lite0 (safetensors); without them the student learns from labels alone"
    command.add_argument("--teacher", type=Path, help=text)
    command.add_argument("--publish", type=Path, help="folder for log, weights and adapted teacher (default: --out)")
    command.add_argument("--limit", type=int, help="use only the first images of each file, for trials")
    command.add_argument("--export", type=Path, help="afterwards write weights and manifest into this folder")
    for name, value in asdict(PretrainConfig()).items():
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            command.add_argument(flag, action=argparse.BooleanOptionalAction)
        elif isinstance(value, (int, float)):
            command.add_argument(flag, type=type(value))


def run_layout(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Compute a data set's map layout into assets/."""
    from core.backbone.map_layout import layout_name, ship_layout
    from core.backbone.model import load_backbone

    data = load_data(args, bar)
    ship_layout(data.name, data.train, load_backbone(args.backbone))
    return {"dataset": data.name, "n": len(data.train), "file": layout_name(data.name)}


def run_codebook(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Make the codewords of the stable partition from public images into assets/."""
    from core.backbone.model import load_backbone
    from core.backbone.pretrain.public_codebook import NAME, ship_codebook

    return {"words": ship_codebook(args.data, load_backbone("embedded")), "file": NAME}


def run_pretrain(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Train the embedded backbone on public images, and export it if asked to."""
    import torch

    from core.backbone.pretrain.config import PretrainConfig, PretrainFiles
    from core.backbone.pretrain.export import export
    from core.backbone.pretrain.run import pretrain
    from core.runtime.determinism import default_device

    settings = json.loads(args.config.read_text("utf-8")) if args.config else {}
    flags = {k: v for k, v in vars(args).items() if v is not None and k in asdict(PretrainConfig())}
    torch.set_num_threads(args.threads)
    config = PretrainConfig(**{**settings, **flags})
    device = torch.device(args.device) if args.device else default_device()
    files = PretrainFiles(args.data, args.out, args.init, args.teacher, args.publish)
    metrics = pretrain(files, config, device, args.limit, _say)
    if args.export:
        metrics = {**metrics, "sha256": export(args.out / "checkpoint.safetensors", args.data, args.export)["sha256"]}
    return metrics


def _say(text: str) -> None:
    print(text, file=sys.stderr)

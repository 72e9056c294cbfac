"""The command backbone: what a frozen backbone is and costs, before it is used."""

from __future__ import annotations

import argparse
import time

from core.cli.options import Commands, Result, add_command, add_device_option, add_json_option
from core.cli.output import ProgressBar

TIMED = 3  # chunks of images that are timed


def add_commands(commands: Commands) -> None:
    """Add backbone."""
    command = add_command(commands, "backbone", run_backbone, "license, size and speed of a backbone on this machine")
    command.add_argument("name", help="embedded, a timm model's name, local-dir:FOLDER, or ARCHITECTURE:FILE.safetensors")
    add_device_option(command)
    add_json_option(command)


def run_backbone(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Load a backbone, time it on empty images, and say what it is."""
    import numpy as np

    from core.backbone.model import CHUNK, load_backbone
    from core.backbone.timm_models import timm_model
    from core.errors import InputError
    from core.runtime.determinism import default_device

    backbone = load_backbone(args.name, args.device or str(default_device()))
    images = np.zeros((CHUNK, backbone.size, backbone.size, 3), np.uint8)
    backbone.derive(images, None)
    began = time.perf_counter()
    for _ in range(TIMED):
        backbone.derive(images, None)
    seconds = (time.perf_counter() - began) / (TIMED * CHUNK)
    weights = sum(p.numel() for p in backbone.model.parameters())
    try:
        prompt = list(backbone.prompt_shape(4)) if backbone.has_tokens or backbone.last_stage else []
    except InputError:
        prompt = []
    return {
        "name": args.name,
        "license": "MIT" if args.name == "embedded" else timm_model(args.name).license,
        "input_px": backbone.size,
        "weights": weights,
        "megabytes": round(4 * weights / 1e6, 1),
        "features": backbone.feature_dim,
        "late_prompt": prompt,
        "milliseconds_per_image": round(1000 * seconds, 2),
        "device": str(backbone.device),
        "fingerprint": backbone.fingerprint,
    }

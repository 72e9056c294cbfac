"""The commands export and predict: a model without its private images, and what it says of other images."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli.models import fitted, load_data
from core.cli.options import (
    DATA_OPTIONS,
    MODEL_OPTIONS,
    Commands,
    Result,
    add_command,
    add_json_option,
    add_model_options,
    add_workspace_options,
    refuse_options,
)
from core.cli.output import ProgressBar

if TYPE_CHECKING:
    from core.data.imports.files import File


def add_commands(commands: Commands) -> None:
    """Add export and predict."""
    export = add_command(commands, "export", run_export, "write a model to take home, without its private images")
    add_model_options(export)
    add_workspace_options(export)
    export.add_argument("--out", type=Path, required=True, metavar="PATH", help="a new folder, or a new .zip")
    predict = add_command(commands, "predict", run_predict, "classify images with an exported model")
    predict.add_argument("--model", type=Path, required=True, metavar="PATH", help="folder or .zip that export wrote")
    predict.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="image files, or folders of them")
    predict.add_argument("--device", default="cpu", help="cpu, cuda or mps (cpu)")
    add_json_option(predict)


def run_export(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Write the model of a workspace, or the one that the options describe, into a new folder or .zip."""
    from core.runtime.executors import LocalExecutor
    from core.workspace.workspace import Workspace

    if args.workspace:
        refuse_options(args, DATA_OPTIONS + MODEL_OPTIONS)
        with Workspace.open(args.workspace, LocalExecutor(args.workers), args.wait, bar) as workspace:
            eraser, name, requests = workspace.eraser, workspace.about.name, len(workspace.receipts())
            path = eraser.export(args.out, name, requests)
    else:
        data = load_data(args, bar)
        eraser, requests = fitted(args, data, bar), 0
        path = eraser.export(args.out, data.name, requests)
    size = sum(file.stat().st_size for file in (path.iterdir() if path.is_dir() else (path,)))
    return {"path": str(path), "bytes": size, "root": eraser.root_, "classes": len(eraser.classes_), "requests": requests}


def run_predict(args: argparse.Namespace, bar: ProgressBar) -> Result:
    """Classify images; those that cannot be read are named with the reason."""
    from core.errors import DataError
    from core.lmeraser.eraser import LMEraser

    model, rows, skipped = LMEraser.load(args.model, args.device), [], []
    for file in _files(args.images):
        try:
            image = model.fitted_images([file.read()], [file.path])
        except DataError as error:
            skipped.append({"image": file.path, "reason": getattr(error, "reason", str(error))})
            continue
        probabilities = model.predict_proba(image)[0]
        best = int(probabilities.argmax())
        named = dict(zip(model.class_names_, probabilities.tolist(), strict=True))
        rows.append({"image": file.path, "label": model.class_names_[best], "probability": named[model.class_names_[best]], "all": named})
    text = [f"{row['image']}: {row['label']} ({row['probability']:.1%})" for row in rows]
    text += [f"{row['image']}: left out, {row['reason']}" for row in skipped]
    return {"root": model.root_, "rows": rows, "skipped": skipped, "text": "\n".join(text)}


def _files(paths: list[Path]) -> list[File]:
    """Return the image files that paths name, those in folders by name; raises DataError when there is none."""
    from core.data.images import SUFFIXES, InputLimits
    from core.data.imports.files import File, files_of, read_bytes
    from core.data.imports.report import ImportReport
    from core.errors import DataError

    limits, files = InputLimits(), []
    for path in paths:
        if path.is_dir():
            inside = files_of(path, limits, ImportReport())
            files += [File(str(path / f.path), f.read) for f in inside if f.path.lower().endswith(SUFFIXES)]
        elif path.is_file():
            files.append(File(str(path), partial(read_bytes, path, limits.image_bytes)))
        else:
            raise DataError(f"{path} is not there; give image files, or folders of them.")
    if not files:
        raise DataError(f"There are 0 images in {', '.join(map(str, paths))}; give image files, or folders of them.")
    return files

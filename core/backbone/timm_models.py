"""Loads models through timm: of the Hub, of a local folder that the Hub's format has, or a timm architecture with a checkpoint file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.backbone.timm_compat import import_timm
from core.errors import BackboneError

LOCAL = "local-dir:"
NAMES = "a timm model's name, local-dir:FOLDER, or ARCHITECTURE:FILE.safetensors"


@dataclass(frozen=True, eq=False)
class TimmModel:
    """A model without its classifier, the side of its images in px, how pixels are normalized, and what timm knows of its license."""

    model: Any
    size: int
    mean: list[float]
    std: list[float]
    license: str


def timm_input_size(name: str) -> int:
    """Return the side in px of a model's images, without loading its weights; raises BackboneError for an unknown name."""
    return int(_settings(name)["input_size"][-1])


def timm_model(name: str) -> TimmModel:
    """Load a model with its weights; raises BackboneError for an unknown name, a missing or unfitting file, or without a network."""
    settings, timm = _settings(name), import_timm()
    architecture, _, file = name.partition(":")
    try:
        if name.startswith(LOCAL):  # not through timm, which would also unpickle
            model = _local(Path(name.removeprefix(LOCAL)))
        elif file:
            model = timm.create_model(architecture, pretrained=False, num_classes=0)
            _fill(model, Path(file))
        else:
            model = timm.create_model(name, pretrained=True, num_classes=0)
    except BackboneError:
        raise
    except Exception as error:  # Hub, network and file errors share no base class
        raise BackboneError(
            f"The weights of {name!r} are neither in the local cache nor available from the Hugging Face Hub "
            f"({type(error).__name__}: {str(error)[:120]}). Connect once to cache them; 'embedded' works offline."
        ) from error
    known = {**model.pretrained_cfg, **{key: settings[key] for key in ("input_size", "mean", "std", "license") if settings.get(key)}}
    return TimmModel(model, int(known["input_size"][-1]), list(known["mean"]), list(known["std"]), str(known.get("license") or "unknown"))


def _settings(name: str) -> dict[str, Any]:
    """Return what is known of a model's input; raises BackboneError for a name that is none, or a folder without a description."""
    timm = import_timm()
    if name.startswith(LOCAL):
        path = Path(name.removeprefix(LOCAL)) / "config.json"
        try:
            return json.loads(path.read_text("utf-8"))["pretrained_cfg"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackboneError(f"{path} describes no timm model ({type(error).__name__}). Give a folder that timm saved.") from error
    architecture = name.partition(":")[0]
    config = timm.get_pretrained_cfg(architecture) if timm.is_model(architecture.split(".")[0]) else None
    if config is None:
        raise BackboneError(
            f"timm has no model {architecture!r}. List the names with timm.list_models(); give {NAMES}; 'embedded' works without a network."
        )
    return config.to_dict()


def _local(folder: Path) -> Any:
    """Return the model of a folder as timm saves it, from its config.json and model.safetensors; raises BackboneError."""
    described = json.loads((folder / "config.json").read_text("utf-8"))
    arguments = {key: value for key, value in (described.get("model_args") or {}).items() if key not in ("num_classes", "pretrained")}
    try:
        model = import_timm().create_model(str(described["architecture"]), pretrained=False, num_classes=0, **arguments)
    except (KeyError, TypeError, RuntimeError) as error:
        raise BackboneError(f"{folder / 'config.json'} names no architecture that timm can make ({str(error)[:120]}).") from error
    _fill(model, folder / "model.safetensors")
    return model


def _fill(model: Any, file: Path) -> None:
    """Load a safetensors file into a model; weights of its classifier, which is not used, may be in it. Raises BackboneError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if file.suffix != ".safetensors":
        raise BackboneError(f"{file.name} is not a .safetensors file. Convert it first: no other kind of weights is read.")
    try:
        weights = load_file(file)
        unused = {name for name in weights if name not in model.state_dict()}
        head = str(model.pretrained_cfg.get("classifier") or "head")
        foreign = sorted(name for name in unused if not name.startswith(head))
        if foreign:
            raise BackboneError(f"{file} has weights that this architecture lacks, first {foreign[0]!r}. Name its own architecture.")
        model.load_state_dict({name: tensor for name, tensor in weights.items() if name not in unused})
    except (OSError, SafetensorError) as error:
        raise BackboneError(f"{file} cannot be read ({type(error).__name__}: {str(error)[:120]}). Give a safetensors file.") from error
    except RuntimeError as error:
        raise BackboneError(f"{file} does not fit the architecture ({str(error).splitlines()[-1].strip()[:200]}).") from error

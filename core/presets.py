"""Named configurations. `paper`: pixel frame, hard routing, as published. `fast`: late tokens, mixed routing, global head."""

from __future__ import annotations

from core.errors import InputError
from core.types import EraserConfig, PromptConfig, ServeConfig, TrainConfig

_PROMPTS = {"padding": PromptConfig("padding", size=6), "patch": PromptConfig("patch", size=16), "tokens": PromptConfig("tokens")}


def prompt_of_kind(kind: str) -> PromptConfig:
    """Return a prompt kind's usual configuration; raises InputError for an unknown one."""
    if kind not in _PROMPTS:
        raise InputError(f"prompt {kind!r} is not one of {', '.join(_PROMPTS)}.")
    return _PROMPTS[kind]


PRESETS = {
    "fast": EraserConfig(),
    "paper": EraserConfig(
        prompt=prompt_of_kind("padding"),
        train=TrainConfig(steps=30, prompt_lr=1e-2, use_features=False),
        serve=ServeConfig(mix=1, global_weight=0.0),
    ),
}


def preset(name: str) -> EraserConfig:
    """Return a preset's configuration; raises InputError for an unknown name."""
    if name not in PRESETS:
        raise InputError(f"preset {name!r} is not one of {', '.join(PRESETS)}.")
    return PRESETS[name]

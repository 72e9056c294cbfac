"""The settings and files of one pretraining run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.backbone.vit_config import ViTConfig


@dataclass(frozen=True)
class PretrainConfig:
    """A pretraining run; with `steps` the same config, data, device and thread count repeat it, with `seconds` alone they do not."""

    seconds: float = 420.0  # wall time of the whole run, loading and teacher included
    steps: int = 0  # length of the student's schedule instead of wall time, when positive
    batch_size: int = 1024
    muon_lr: float = 3e-3  # scaled to AdamW's update size (arXiv 2502.16982)
    adamw_lr: float = 2e-3
    weight_decay: float = 0.1
    warmup: float = 0.03  # share of the schedule
    cooldown: float = 0.02  # share of the schedule at its end, at the lowest rate
    label_smoothing: float = 0.1
    min_area: float = 0.35  # smallest crop, as a share of the image
    degrees: float = 12.0  # largest rotation
    invert: float = 0.08  # probabilities, drawn per image
    grey: float = 0.15
    edges: float = 0.05
    cutmix: float = 0.5
    ema: float = 0.999
    procedural: int = 20000  # drawn images in addition to the photographs
    views: int = 400_000  # augmented views kept with the teacher's answers
    reuse: int = 4  # times a view is trained on, on average
    teacher_seconds: float = 80.0  # adapting the teacher to small images
    teacher_steps: int = 0  # instead of seconds when positive
    teacher_size: int = 96  # px, views are enlarged to it
    teacher_batch: int = 512
    teacher_lr: float = 1e-3
    anchor_size: int = 160  # px at which the unadapted teacher answers
    label_weight: float = 0.3  # of the losses, see student.py
    answer_weight: float = 0.7
    anchor_weight: float = 0.4
    pooled_weight: float = 1.0
    token_weight: float = 1.0
    temperature: float = 2.0
    evaluate_every: float = 60.0  # seconds between evaluations and checkpoints
    seed: int = 0
    bf16: bool = True
    compile: bool = False
    model: ViTConfig = field(default_factory=lambda: ViTConfig(stem_residuals=1))

    def to_json(self) -> dict:
        return {**asdict(self), "model": self.model.to_json()}


@dataclass(frozen=True)
class PretrainFiles:
    """Where a run reads and writes."""

    data: Path  # folder of public images
    out: Path  # checkpoint and adapted teacher; a run that finds its checkpoint here is resumed
    init: Path | None = None  # another run's weights to start from
    teacher: Path | None = None  # the teacher's weights; None: train on labels alone
    publish: Path | None = None  # log, weights and adapted teacher go here as well; None: to `out`

    @property
    def published(self) -> Path:
        return self.publish or self.out


def model_from_json(settings: dict) -> ViTConfig:
    """Return the shape without stochastic depth from a manifest's or a checkpoint's "model" entry."""
    return ViTConfig(**{**settings, "stem_widths": tuple(settings["stem_widths"]), "drop_path": 0.0})

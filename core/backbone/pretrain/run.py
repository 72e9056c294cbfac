"""One resumable pretraining run: load, adapt the teacher, train the student until its steps or its time are over.

Short-schedule recipe for a small ViT: Muon on the matrices and AdamW on the rest, random affine crops and recoloring, cutmix,
a teacher (teacher.py), and an exponential moving average of the weights. All images live on the device.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from core.backbone.pretrain.config import PretrainConfig, PretrainFiles
from core.backbone.pretrain.images import load_images
from core.backbone.pretrain.optim import make_optimizers, rate_factor, set_rate, update_average
from core.backbone.pretrain.procedural import CLASSES, draw_images
from core.backbone.pretrain.student import Student, Views, student_loss
from core.backbone.pretrain.teacher import Teacher, adapt, enlarge, load_teacher, save_teacher
from core.backbone.pretrain.views import normalize
from core.backbone.vit import VisionTransformer
from core.errors import DataError

RESERVE = 8.0  # seconds reserved for the last evaluation and checkpoint
FIRST_REFILLS = 8  # batches of views made before the first step


@dataclass
class PublicData:
    """Images (n, 3, s, s) uint8 and labels (n,) on the device; drawn images have the labels after the photographs'."""

    images: torch.Tensor
    labels: torch.Tensor
    valid_images: torch.Tensor
    valid_labels: torch.Tensor
    photo_classes: int
    classes: int


def load_public(data: Path, config: PretrainConfig, device: torch.device, limit: int | None = None) -> PublicData:
    """Read `data`/train-*.parquet and valid.parquet and draw the procedural images; raises DataError for missing files.

    Without a valid.parquet the last 5,000 training images of the last file are held out.
    """
    size = config.model.image_size
    files = sorted(data.glob("train-*.parquet")) or [data / "train-*.parquet"]
    images, labels = load_images(files, size, limit=limit)
    if (data / "valid.parquet").is_file():
        valid = load_images([data / "valid.parquet"], size, limit=limit)
    else:
        held = min(5000, len(images) // 10)
        images, labels, valid = images[:-held], labels[:-held], (images[-held:], labels[-held:])
    drawn, kinds = draw_images(config.procedural, size, config.seed)
    photo_classes = int(max(labels.max(), valid[1].max())) + 1
    put = lambda array: torch.from_numpy(array).to(device)  # noqa: E731
    merged = torch.cat([put(images), put(drawn)]), torch.cat([put(labels), put(kinds + photo_classes)])
    return PublicData(*merged, put(valid[0]), put(valid[1]), photo_classes, photo_classes + CLASSES)


class Pretrainer:
    """The student's part of a run: model, optimizers, averaged weights, position in the schedule.

    The classifier over the public classes is part of the run and dropped on export.
    """

    def __init__(self, config: PretrainConfig, num_classes: int, device: torch.device):
        torch.manual_seed(config.seed)
        self.config, self.device, self.num_classes = config, device, num_classes
        self.student = Student(config, num_classes).to(device).to(memory_format=torch.channels_last)
        self.average = VisionTransformer(config.model, num_classes).to(device).to(memory_format=torch.channels_last).eval()
        self.average.load_state_dict(self.student.vit.state_dict())
        self.optimizers = make_optimizers(self.student, config)
        self.loss = torch.compile(student_loss) if config.compile else student_loss
        self.step_number, self.seconds = 0, 0.0
        self.earlier: list[dict] = []  # the runs whose weights this one started from

    def step(self, views: Views, done: float) -> torch.Tensor:
        """Train on one batch at position `done` (0..1) of the schedule; return the losses (5,).

        The random stream depends on seed and step alone; `views` start empty after a resumption.
        """
        config = self.config
        seed = config.seed * 1_000_003 + self.step_number
        rng = torch.Generator(self.device).manual_seed(seed)
        torch.manual_seed(seed)  # stochastic depth draws from the global generator
        for _ in range(int(self.step_number % config.reuse == 0) if views.filled else FIRST_REFILLS):
            views.refill(rng)
        x, targets = views.draw(rng)
        set_rate(self.optimizers, rate_factor(done, config.warmup, config.cooldown))
        losses = self.loss(self.student, x, targets, config)
        losses[0].backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        update_average(self.average, self.student.vit, config.ema, self.step_number)
        self.step_number += 1
        return losses.detach()

    def train(self, views: Views, deadline: float, report: Callable[[dict], None]) -> None:
        """Train until `steps` or until `deadline` (of time.perf_counter); `report` gets figures every `evaluate_every` seconds."""
        self.student.train()
        self.step(views, self._done(deadline))  # compiles
        began = reported = time.perf_counter()
        before, first = self.seconds, self.step_number
        total, count = torch.zeros(5, device=self.device), 0
        while (done := self._done(deadline)) < 1:
            total += self.step(views, done)
            count += 1
            if self.step_number % 10 == 0:
                float(total[0])  # waits for the device, so that the clock is true
            now = time.perf_counter()
            self.seconds = before + now - began
            if now - reported > self.config.evaluate_every:
                report(self._figures(total / count, (self.step_number - first) / (now - began)))
                total, count, reported = total * 0, 0, time.perf_counter()
        if count:
            report(self._figures(total / count, (self.step_number - first) / (time.perf_counter() - began)))

    def _done(self, deadline: float) -> float:
        if self.config.steps:
            return self.step_number / self.config.steps
        left = deadline - time.perf_counter()
        return self.seconds / max(self.seconds + left, 1e-9) if left > 0 else 1.0

    def _figures(self, losses: torch.Tensor, rate: float) -> dict:
        names = ("loss", "labels", "answers", "anchors", "features")
        parts = dict(zip(names, (round(v, 4) for v in losses.tolist()), strict=True))
        return {
            "step": self.step_number,
            **parts,
            "images_per_second": round(rate * self.config.batch_size),
            "seconds": round(self.seconds, 1),
        }

    @torch.no_grad()
    def accuracy(self, images: torch.Tensor, labels: torch.Tensor, classes: int) -> float:
        """Top-1 accuracy of the averaged weights among the first `classes` labels, for images (n, 3, s, s) uint8, fp32."""
        hits = 0
        for i in range(0, len(images), 500):
            logits = self.average(normalize(images[i : i + 500].float() / 255))[:, :classes]
            hits += int((logits.argmax(1) == labels[i : i + 500]).sum())
        return hits / len(images)

    def _meta(self) -> dict[str, str]:
        meta = {"config": self.config.to_json(), "step": self.step_number, "seconds": self.seconds, "earlier": self.earlier}
        return {k: json.dumps(v) for k, v in meta.items()}

    def save_weights(self, path: Path) -> None:
        """Write the averaged weights alone, all that an export needs."""
        _write({f"average.{k}": v for k, v in self.average.state_dict().items()}, path, self._meta())

    def save(self, path: Path) -> None:
        """Write everything that resuming needs."""
        tensors = {f"student.{k}": v for k, v in self.student.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for i, optimizer in enumerate(self.optimizers):
            for j, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer{i}.{j}.{k}": torch.as_tensor(v) for k, v in state.items()}
        _write(tensors, path, self._meta())

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same config; raises DataError for another one."""
        meta = read_meta(path)
        if meta["config"] != json.loads(json.dumps(self.config.to_json())):
            raise DataError(f"{path} was written with other settings: {meta['config']}. Use another --out, or the same settings.")
        tensors = load_file(path)
        self.student.load_state_dict(pick(tensors, "student."))
        self.average.load_state_dict(pick(tensors, "average."))
        for i, optimizer in enumerate(self.optimizers):
            state: dict[int, dict] = {}
            for name, value in pick(tensors, f"optimizer{i}.").items():
                index, key = name.split(".", 1)
                state.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        self.step_number, self.seconds, self.earlier = meta["step"], meta["seconds"], meta["earlier"]

    def start_from(self, path: Path) -> None:
        """Begin with the averaged weights of another run's checkpoint, with fresh optimizers and a schedule of its own (a warm restart)."""
        meta, weights = read_meta(path), pick(load_file(path), "average.")
        for model in (self.student.vit, self.average):
            model.load_state_dict(weights)
        run = {**meta["config"], "steps_done": meta["step"], "seconds": meta["seconds"]}
        self.earlier = [*meta["earlier"], run]


def pick(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with a prefix, without it."""
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def read_meta(path: Path) -> dict:
    """Return a checkpoint's settings, step, seconds and earlier runs."""
    with safe_open(path, "pt") as file:
        return {k: json.loads(v) for k, v in file.metadata().items()}


def _write(tensors: dict[str, torch.Tensor], path: Path, meta: dict[str, str]) -> None:
    temporary = path.with_suffix(".partial")
    save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata=meta)
    temporary.replace(path)


def pretrain(
    files: PretrainFiles, config: PretrainConfig, device: torch.device, limit: int | None = None, say: Callable[[str], None] = print
) -> dict:
    """Train or resume a run and return its last figures; raises DataError. `limit` uses only the first images of each file, for trials.

    The run's folder holds checkpoint.safetensors and teacher.safetensors; log.jsonl and weights.safetensors are published.
    """
    deadline = time.perf_counter() + config.seconds - RESERVE
    checkpoint = files.out / "checkpoint.safetensors"
    for folder in (files.out, files.published):
        folder.mkdir(parents=True, exist_ok=True)
    log = _Log(files.published / "log.jsonl", say)
    public = load_public(files.data, config, device, limit)
    log({"phase": "data", "images": len(public.images), "classes": public.classes, "device": _device_name(device)})
    guide = _adapted_teacher(files.teacher, files, public, config, log) if files.teacher else None
    run = Pretrainer(config, public.classes, device)
    _begin(run, checkpoint, files.init, say)
    views = Views(public.images, public.labels, guide, public.classes, config)
    figures: dict = {}

    def report(values: dict) -> None:
        figures.update(values, valid=run.accuracy(public.valid_images, public.valid_labels, public.photo_classes))
        run.save(checkpoint)
        run.save_weights(files.published / "weights.safetensors")
        log({"phase": "student", **figures})

    run.train(views, deadline, report)
    return figures


class _Log:
    """Appends figures to a file, says them, and stamps them with the seconds since it was made."""

    def __init__(self, path: Path, say: Callable[[str], None]):
        self.path, self.say, self.began = path, say, time.perf_counter()

    def __call__(self, figures: dict) -> None:
        line = json.dumps({**figures, "at": round(time.perf_counter() - self.began, 1)})
        with self.path.open("a") as file:
            file.write(line + "\n")
        self.say(line)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _begin(run: Pretrainer, checkpoint: Path, init: Path | None, say: Callable[[str], None]) -> None:
    if checkpoint.is_file():
        run.resume(checkpoint)
        say(f"Resumed after step {run.step_number}.")
    elif init is not None:
        if not init.is_file():
            raise DataError(f"No such checkpoint: {init}. Give another run's checkpoint.safetensors with --init.")
        run.start_from(init)


def _adapted_teacher(path: Path, files: PretrainFiles, public: PublicData, config: PretrainConfig, log: _Log) -> Teacher:
    """Return the teacher adapted to the public images: an earlier start's if there is one, else made from its weights at `path`."""
    done, device = files.out / "teacher.safetensors", public.images.device
    if done.is_file():
        return load_teacher(done, public.classes, device)
    teacher = adapt(load_teacher(path, public.classes, device), public.images, public.labels, config, log)
    for folder in {files.out, files.published}:
        save_teacher(teacher, folder / done.name)
    valid = teacher_accuracy(teacher, public, config)
    log({"phase": "teacher", "valid": valid})
    return teacher


@torch.no_grad()
def teacher_accuracy(teacher: torch.nn.Module, public: PublicData, config: PretrainConfig) -> float:
    """Top-1 accuracy on the held-out photographs, enlarged to the teacher's size."""
    hits = 0
    for i in range(0, len(public.valid_images), 500):
        x = enlarge(public.valid_images[i : i + 500].float() / 255, config.teacher_size)
        hits += int((teacher(x)["labels"][:, : public.photo_classes].argmax(1) == public.valid_labels[i : i + 500]).sum())
    return hits / len(public.valid_images)

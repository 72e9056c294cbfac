"""The embedded backbone's architecture: timm's VisionTransformer with a small convolutional stem.

Knows shapes only: no weights, no files, no data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torch import nn

from core.timm_guard import import_timm


@dataclass(frozen=True)
class ViTConfig:
    """Shape of the embedded ViT; 48 px and a patch of 8 make 36 tokens."""

    image_size: int = 48
    patch_size: int = 8  # a power of two: the stem halves the side once per convolution
    dim: int = 192
    depth: int = 6
    heads: int = 3
    stem_widths: tuple[int, ...] = (48, 96, 192)
    drop_path: float = 0.0  # stochastic depth, pretraining only

    def to_json(self) -> dict:
        return {**asdict(self), "stem_widths": list(self.stem_widths)}


def conv_stem(widths: tuple[int, ...], dim: int) -> nn.Sequential:
    """Return 3x3 stride-2 convolutions of the given widths and a 1x1 projection to `dim`.

    Early convolutions make small ViTs train faster (Xiao et al., arXiv 2106.14881).
    """
    layers: list[nn.Module] = []
    channels = 3
    for width in widths:
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.Conv2d(channels, dim, 1))


def build_vit(config: ViTConfig, num_classes: int = 0) -> nn.Module:
    """Return an untrained timm VisionTransformer without class token, its patch projection replaced by the stem."""
    import_timm()
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.dim,
        depth=config.depth,
        num_heads=config.heads,
        num_classes=num_classes,
        class_token=False,
        global_pool="avg",
        drop_path_rate=config.drop_path,
        dynamic_img_size=True,
    )
    model.patch_embed.proj = conv_stem(config.stem_widths, config.dim)
    return model

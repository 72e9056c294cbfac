"""The embedded backbone's architecture: a vision transformer with a small convolutional stem, without class token.

You need this to change the shape of the network; weights are loaded in `core.backbone.model` and trained in `core.backbone.pretrain`.
Parameters and methods have the names of timm's VisionTransformer, and the numbers are equal bit for bit: the backbone reads models of
both kinds. It is written here because importing timm takes every process that trains a cluster some seconds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from core.backbone.vit_config import ViTConfig

EPS = 1e-6  # of layer norms
MLP_RATIO = 4


class ResidualConv(nn.Module):
    """A 3x3 convolution added to its input, (b, width, h, w) -> (b, width, h, w)."""

    def __init__(self, width: int):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + F.relu(self.norm(self.conv(x)))


def conv_stem(widths: tuple[int, ...], dim: int, residuals: int = 0) -> nn.Sequential:
    """Return 3x3 stride-2 convolutions of the given widths, residual ones before the last, and a 1x1 projection to `dim`.

    Early convolutions make small ViTs train faster (Xiao et al., arXiv 2106.14881).
    """
    layers: list[nn.Module] = []
    channels = 3
    for i, width in enumerate(widths):
        if i == len(widths) - 1:
            layers += [ResidualConv(channels) for _ in range(residuals)]
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers, nn.Conv2d(channels, dim, 1))


class PatchEmbed(nn.Module):
    """The stem, and its map of (b, dim, h, w) as tokens (b, h * w, dim)."""

    def __init__(self, config: ViTConfig):
        super().__init__()
        side = config.image_size // config.patch_size
        self.grid_size = (side, side)
        self.proj = conv_stem(config.stem_widths, config.dim, config.stem_residuals)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention, (b, t, dim) -> (b, t, dim). The identities stand where some of timm's models normalize."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.num_heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.q_norm, self.k_norm, self.norm = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, dim = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.num_heads, dim // self.num_heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, dim))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, dim: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, MLP_RATIO * dim), nn.Linear(MLP_RATIO * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Pre-norm transformer block; in training, each image leaves a branch out with probability `drop_path`."""

    def __init__(self, dim: int, heads: int, drop_path: float = 0.0):
        super().__init__()
        self.drop_path = drop_path
        self.norm1, self.attn, self.ls1 = nn.LayerNorm(dim, EPS), Attention(dim, heads), nn.Identity()
        self.norm2, self.mlp, self.ls2 = nn.LayerNorm(dim, EPS), Mlp(dim), nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self._dropped(self.attn(self.norm1(x)))
        return x + self._dropped(self.mlp(self.norm2(x)))

    def _dropped(self, branch: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.drop_path:
            return branch
        kept = 1 - self.drop_path
        return branch * branch.new_empty((len(branch), 1, 1)).bernoulli_(kept).div_(kept)


class VisionTransformer(nn.Module):
    """Stem, position embedding, blocks, the mean of all tokens, a norm, and a classifier where there are classes."""

    num_prefix_tokens = 0

    def __init__(self, config: ViTConfig, num_classes: int = 0):
        super().__init__()
        dim, depth = config.dim, config.depth
        self.num_features = dim
        self.patch_embed = PatchEmbed(config)
        rows, columns = self.patch_embed.grid_size
        self.pos_embed = nn.Parameter(torch.empty(1, rows * columns, dim))
        self.patch_drop, self.norm_pre, self.norm = nn.Identity(), nn.Identity(), nn.Identity()
        rates = [config.drop_path * i / max(1, depth - 1) for i in range(depth)]
        self.blocks = nn.Sequential(*(Block(dim, config.heads, rate) for rate in rates))
        self.fc_norm = nn.LayerNorm(dim, EPS)
        self.head = nn.Linear(dim, num_classes) if num_classes else nn.Identity()
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def _pos_embed(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens + self.pos_embed

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last block's tokens (b, t, dim) of normalized pixels (b, 3, s, s)."""
        return self.blocks(self._pos_embed(self.patch_embed(x)))

    def forward_head(self, tokens: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Return logits (b, classes) of the last block's tokens, or with `pre_logits` the pooled output (b, dim)."""
        pooled = self.fc_norm(tokens.mean(1))
        return pooled if pre_logits else self.head(pooled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(x))

"""The shape of the embedded backbone, apart from the model itself, so that settings can be read without PyTorch."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class ViTConfig:
    """Shape of the embedded ViT; 48 px and a patch of 8 make 36 tokens."""

    image_size: int = 48
    patch_size: int = 8  # a power of two: the stem halves the side once per convolution
    dim: int = 192
    depth: int = 6
    heads: int = 3
    stem_widths: tuple[int, ...] = (48, 96, 192)
    stem_residuals: int = 0  # 3x3 residual convolutions before the stem's last stride
    drop_path: float = 0.0  # stochastic depth, pretraining only

    def to_json(self) -> dict:
        return {**asdict(self), "stem_widths": list(self.stem_widths)}

"""The frozen public backbone behind one small interface: features, trunk activations, and forward passes with prompts.

Weights are embedded (`assets/`), random from a seed (for tests and as a reference), or loaded from the Hub through timm. None of
them is ever trained on private data. Batches are padded to one fixed size, so a sample's numbers do not depend on the others.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from core.backbone import vit
from core.backbone.codebook import Codebook
from core.backbone.last_stage import LastStage
from core.backbone.patterns import pattern_images
from core.backbone.timm_models import timm_input_size, timm_model
from core.backbone.vit_config import ViTConfig
from core.errors import BackboneError, InputError
from core.runtime.determinism import reproducible

ASSETS = Path(__file__).resolve().parents[2] / "assets"
CHUNK = 64  # images per batch, always
CODEWORDS = 256  # of a backbone that ships none


@dataclass(frozen=True)
class BackboneSpec:
    """Enough to load a backbone in another process: `embedded`, `random` (with shape and seed), or a name for timm.

    Such names: of a model on the Hub, `local-dir:FOLDER`, or `ARCHITECTURE:FILE.safetensors`.
    """

    name: str = "embedded"
    random: ViTConfig | None = None
    seed: int = 0

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> BackboneSpec:
        """Return a specification that was written as plain values; raises KeyError, TypeError when something is missing or unknown."""
        shape = written["random"]
        if shape is not None:
            shape = ViTConfig(**{**shape, "stem_widths": tuple(shape["stem_widths"])})
        return cls(written["name"], shape, written["seed"])


class Backbone(nn.Module):
    """A frozen model in evaluation mode: `core.backbone.vit`'s or one of timm's.

    The feature is read after `feature_blocks`: of each, the mean token of the image's four quarters and the tokens' standard
    deviation, (5 * dim) numbers; then centered and projected by public statistics. Without feature blocks it is the model's own
    pooled output. Keeping quarters apart serves sets far from photographs (digits, signs) far better than one mean.
    `statistics`: center (r,), projection (r, d), gain (d,), fitted on public images. `mean` and `std` normalize pixels.
    """

    model: Any  # timm has no type for what its families share
    mean: torch.Tensor
    std: torch.Tensor
    center: torch.Tensor | None
    projection: torch.Tensor | None

    def __init__(
        self,
        spec: BackboneSpec,
        model: nn.Module,
        size: int,
        mean: list[float],
        std: list[float],
        feature_blocks: tuple[int, ...] = (),
        statistics: dict[str, torch.Tensor] | None = None,
    ):
        super().__init__()
        self.spec, self.size, self.feature_blocks = spec, size, feature_blocks
        self.model = model.eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
        self.register_buffer("center", statistics["center"].float() if statistics else None)
        self.register_buffer("projection", statistics["projection"].float() * statistics["gain"].float() if statistics else None)
        self.has_tokens = isinstance(getattr(model, "blocks", None), nn.Sequential) and hasattr(model, "_pos_embed")
        self.dim = int(self.model.num_features)
        self.depth = len(self.model.blocks) if self.has_tokens else 0
        self.prefix = int(getattr(model, "num_prefix_tokens", 0))
        self.feature_dim = self.dim * (5 * len(feature_blocks) or 1) if self.projection is None else int(self.projection.shape[1])
        self.fingerprint = _fingerprint(self)

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def public_prototypes(self) -> np.ndarray | None:
        """Return unit prototypes (p, feature_dim) made of public data alone, or None where the backbone ships none."""
        if self.spec.random is not None:
            prototypes = np.random.default_rng(self.spec.seed).standard_normal((16, self.feature_dim)).astype(np.float32)
        elif self.spec.name == "embedded":
            from safetensors.numpy import load_file

            prototypes = load_file(verified_asset("prototypes.safetensors"))["prototypes"].astype(np.float32)
        else:
            return None
        return prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)

    @functools.cached_property
    def codebook(self) -> Codebook:
        """The codewords of public images, and the tree over them, for the `stable` partition.

        The embedded backbone ships its own. Any other one sees drawn patterns and crops of photographs once in a process.
        """
        if self.spec.name == "embedded" and self.spec.random is None:
            return Codebook.load(verified_asset("codebook.safetensors"))
        return Codebook.built(self.derive(pattern_images(CODEWORDS, self.size), None)[0])

    def resolve_block(self, block: int) -> int:
        """Return the block index for a possibly negative one, 0 for the last stage of a model without blocks.

        Raises InputError where a late prompt cannot enter.
        """
        if not self.has_tokens:
            if block not in (-1, 0):
                raise InputError(f"block {block} does not exist: a late prompt of {self.spec.name} enters its last stage. Use -1.")
            return 0 if self.last_stage else -1
        index = block + self.depth if block < 0 else block
        if not 0 <= index < self.depth:
            raise InputError(
                f"block {block} does not exist: {self.spec.name} has {self.depth} blocks, 0 to {self.depth - 1} or -{self.depth} to -1."
            )
        return index

    @functools.cached_property
    def last_stage(self) -> LastStage:
        """Where a late prompt enters a model without a plain token sequence; raises InputError where it cannot."""
        with reproducible(), torch.inference_mode(False):  # its tensors take part in training
            return LastStage(self.model, self.normalized(torch.full((1, 3, self.size, self.size), 0.5, device=self.device)))

    def prompt_shape(self, tokens: int) -> tuple[int, int]:
        """Return the shape of a late prompt: so many tokens, or one offset for each position of the last stage's border."""
        return (tokens, self.dim) if self.has_tokens else (len(self.last_stage.positions), self.last_stage.shape[-1])

    def pixels(self, images: np.ndarray) -> torch.Tensor:
        """Return images (n, h, w, 3) uint8 as float32 (n, 3, s, s) in 0..1 on the device, resized bicubically."""
        x = torch.from_numpy(np.ascontiguousarray(images)).to(self.device).permute(0, 3, 1, 2).float() / 255
        if x.shape[-2:] != (self.size, self.size):
            x = F.interpolate(x, (self.size, self.size), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        return x.contiguous(memory_format=torch.channels_last)

    def normalized(self, pixels: torch.Tensor) -> torch.Tensor:
        return (pixels - self.mean) / self.std

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the token sequence (n, t, dim) that enters block 0, from normalized pixels."""
        return self.model.norm_pre(self.model.patch_drop(self.model._pos_embed(self.model.patch_embed(x))))

    def pool(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the model's own pooled output (n, dim) of the last block's tokens."""
        return self.model.forward_head(self.model.norm(tokens), pre_logits=True)

    def forward_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return the pooled output (n, dim) of (prompted) pixels in 0..1; gradients flow back to them."""
        return self.model.forward_head(self.model.forward_features(self.normalized(pixels)), pre_logits=True)

    def _features_and_trunk(self, pixels: torch.Tensor, block: int | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        if not self.feature_blocks and block is None:
            return self.forward_pixels(pixels), None
        if not self.has_tokens:
            return self.last_stage.features(self.normalized(pixels))
        x, trunk, pooled = self.embed(self.normalized(pixels)), None, []
        for i, layer in enumerate(self.model.blocks):
            trunk = x if i == block else trunk
            x = layer(x)
            if i in self.feature_blocks:
                pooled += self._quarters(x)
        features = torch.cat(pooled, 1) if pooled else self.pool(x)
        if self.projection is not None and self.center is not None:
            features = (features - self.center) @ self.projection
        return features, trunk

    def _quarters(self, tokens: torch.Tensor) -> list[torch.Tensor]:
        """Return the mean token of each quarter of the image and the standard deviation over all its tokens, five (n, dim)."""
        patches = tokens[:, self.prefix :]
        rows, columns = self.model.patch_embed.grid_size
        grid = patches.unflatten(1, (rows, columns))
        halves = lambda size: (slice(0, size // 2), slice(size // 2, size))  # noqa: E731
        means = [grid[:, r, c].mean((1, 2)) for r in halves(rows) for c in halves(columns)]
        return [*means, patches.std(1)]

    def derive(self, images: np.ndarray, block: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return features (n, feature_dim) float32 and, for a block, trunk activations (n, t, dim) float16.

        Each image's rows are the same whatever else is in `images`: batches are padded to `CHUNK`.
        """
        features, trunks = [], []
        with reproducible(), torch.inference_mode():
            for i in range(0, len(images), CHUNK):
                part = images[i : i + CHUNK]
                padded = np.concatenate([part, np.zeros((CHUNK - len(part), *part.shape[1:]), np.uint8)])
                feature, trunk = self._features_and_trunk(self.pixels(padded), block)
                features.append(feature[: len(part)].cpu().numpy())
                if trunk is not None:
                    trunks.append(trunk[: len(part)].half().cpu().numpy())
        width = np.zeros((0, self.feature_dim), np.float32)
        return np.concatenate([width, *features]), (np.concatenate(trunks) if trunks else None)

    def late(self, trunk: torch.Tensor, block: int, readout: str) -> Callable:
        """Return (prompt, rows) -> pooled outputs (len(rows), dim); what no prompt changes is computed in advance.

        The prompt is one for all rows (p, dim), or one for each (len(rows), p, dim). `trunk` (n, t, dim) are activations before
        `block`. Tokens join after the prefix; `readout` pools their outputs (`prompts`, VPT's prompt pooling, arXiv 2203.12119) or the
        model's own (`patches`). In a model without blocks the prompt is added to the border of its last stage's map instead.
        """
        if not self.has_tokens:
            return self.last_stage.late(trunk)
        if readout == "prompts" and block == self.depth - 1 and self._plain_last_block():
            return self._late_last(trunk)
        return lambda prompt, rows: self._late_full(trunk[rows], block, readout, prompt)

    def _plain_last_block(self) -> bool:
        layer = self.model.blocks[-1]
        if type(layer) is vit.Block:
            return True
        from timm.models.vision_transformer import Block

        return type(layer) is Block and getattr(layer.attn, "gate", None) is None

    def _late_full(self, trunk: torch.Tensor, block: int, readout: str, prompt: torch.Tensor) -> torch.Tensor:
        p, prefix = prompt.shape[-2], self.prefix
        x = torch.cat([trunk[:, :prefix], prompt.expand(len(trunk), -1, -1), trunk[:, prefix:]], 1)
        for layer in self.model.blocks[block:]:
            x = layer(x)
        if readout == "prompts":
            return F.layer_norm(x[:, prefix : prefix + p], (self.dim,)).mean(1)
        return self.pool(torch.cat([x[:, :prefix], x[:, prefix + p :]], 1))

    def _late_last(self, trunk: torch.Tensor) -> Callable:
        """In the last block only the prompts' rows are read, so keys and values of the image's tokens are constants."""
        layer = self.model.blocks[-1]
        attention = layer.attn

        def project(tokens: torch.Tensor) -> torch.Tensor:  # (n, t, dim) -> (3, n, heads, t, dim / heads)
            n, t, _ = tokens.shape
            return attention.qkv(layer.norm1(tokens)).reshape(n, t, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)

        with torch.no_grad():
            _, keys, values = project(trunk)
            keys = attention.k_norm(keys)

        def forward(prompt: torch.Tensor, rows) -> torch.Tensor:
            known_k, known_v = keys[rows], values[rows]
            n, p = len(known_k), prompt.shape[-2]
            q, k, v = (a.expand(n, -1, -1, -1) for a in project(prompt if prompt.ndim == 3 else prompt[None]))
            k, v = torch.cat([known_k, attention.k_norm(k)], 2), torch.cat([known_v, v], 2)
            mixed = F.scaled_dot_product_attention(attention.q_norm(q), k, v)
            mixed = attention.proj(attention.norm(mixed.transpose(1, 2).reshape(n, p, -1)))
            x = prompt + layer.ls1(mixed)
            x = x + layer.ls2(layer.mlp(layer.norm2(x)))
            return F.layer_norm(x, (self.dim,)).mean(1)

        return forward


def _fingerprint(backbone: Backbone) -> str:
    """SHA-256 over weights, buffers, input size and feature blocks: what a cluster key says of the backbone."""
    sha = hashlib.sha256(json.dumps([backbone.size, list(backbone.feature_blocks)]).encode())
    for name, tensor in sorted(backbone.state_dict().items()):
        sha.update(name.encode() + str(tuple(tensor.shape)).encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def load_backbone(spec: BackboneSpec | str = "embedded", device: torch.device | str = "cpu") -> Backbone:
    """Load and freeze a backbone; loading one of the four used last again in a process returns the same object.

    The same backbone is the same one however it is spelled: by name or `BackboneSpec`, "cpu" or `torch.device("cpu")`, "cuda" or the
    current device's "cuda:0". Raises BackboneError when weights are missing or altered, a timm name is unknown or cannot be
    downloaded, or the device is not available.
    """
    return _loaded(BackboneSpec(spec) if isinstance(spec, str) else spec, _device(device))


def _device(device: torch.device | str) -> torch.device:
    """Return a device in its one canonical spelling: "cpu" without an index, an accelerator with one."""
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise _unusable(device, error) from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.index is not None:
        return device
    return torch.device(device.type, torch.cuda.current_device() if device.type == "cuda" and torch.cuda.is_available() else 0)


def _unusable(device: torch.device | str, error: Exception) -> BackboneError:
    reason = str(error).strip().splitlines()[0][:200]
    return BackboneError(f"device {str(device)!r} cannot be used here ({reason}). Use 'cpu', or leave the device out.")


@lru_cache(maxsize=4)
def _loaded(spec: BackboneSpec, device: torch.device) -> Backbone:
    if spec.random is not None:
        backbone = _random(spec, spec.random)
    elif spec.name == "embedded":
        backbone = _embedded(spec)
    else:
        backbone = _by_timm(spec)
    try:
        return backbone.to(device).to(memory_format=torch.channels_last)
    except (RuntimeError, AssertionError) as error:  # no such device, no driver, or a build of PyTorch without it
        raise _unusable(device, error) from error


def _random(spec: BackboneSpec, shape: ViTConfig) -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        model = vit.VisionTransformer(shape)
    blocks = tuple(range(shape.depth // 2, shape.depth))
    return Backbone(replace(spec, name="random"), model, shape.image_size, [0.5] * 3, [0.25] * 3, blocks)


def read_manifest(folder: Path = ASSETS) -> dict:
    """Return assets/manifest.json; raises BackboneError when it is missing."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise BackboneError(f"{path} is missing. Restore the assets folder, or train a backbone with `python -m core pretrain`.")
    return json.loads(path.read_text())


def enter_in_manifest(name: str, folder: Path = ASSETS) -> None:
    """Make a new file in assets/ readable to all, and write its SHA-256 into the manifest."""
    from core.runtime.atomic_files import file_digest

    (folder / name).chmod(0o644)
    manifest = read_manifest(folder)
    manifest["sha256"][name] = file_digest(folder / name)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def verified_asset(name: str, folder: Path = ASSETS) -> Path:
    """Return the path of a file in assets/ after checking its SHA-256 against the manifest; raises BackboneError."""
    expected = read_manifest(folder)["sha256"].get(name)
    path = folder / name
    if expected is None or not path.is_file():
        raise BackboneError(f"{name} is not among the assets in {folder}. Restore the folder from the repository.")
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != expected:
        raise BackboneError(f"{name} has SHA-256 {actual}, but the manifest says {expected}. Restore the file from the repository.")
    return path


def _embedded(spec: BackboneSpec, folder: Path = ASSETS) -> Backbone:
    from safetensors.torch import load_file

    manifest = read_manifest(folder)
    shape = ViTConfig(**{**manifest["model"], "stem_widths": tuple(manifest["model"]["stem_widths"]), "drop_path": 0.0})
    with torch.device("meta"):  # no random weights first
        model = vit.VisionTransformer(shape)
    weights = load_file(verified_asset("backbone.safetensors", folder))
    statistics = {k: weights.pop(f"feature.{k}") for k in ("center", "projection", "gain")}
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()}, assign=True)
    return Backbone(spec, model, shape.image_size, [0.5] * 3, [0.25] * 3, tuple(manifest["feature_blocks"]), statistics)


def input_size(name: str) -> int:
    """Return the side in px of the images that a backbone takes, without loading it; raises BackboneError for an unknown name."""
    return int(read_manifest()["model"]["image_size"]) if name == "embedded" else timm_input_size(name)


def _by_timm(spec: BackboneSpec) -> Backbone:
    found = timm_model(spec.name)
    return Backbone(spec, found.model, found.size, found.mean, found.std)

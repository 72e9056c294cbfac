"""The model that an export holds: everything that decides its answers, and nothing that could train it further."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import ModelHubMixin, hf_hub_download
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.backbone.feature_cache import Derived
from core.backbone.model import BackboneSpec, load_backbone
from core.config import EraserConfig
from core.data.images import InputLimits, shown, within
from core.data.pictures import PictureFrame
from core.data.samples import Samples
from core.errors import LMEraserError, StoreError
from core.lmeraser.exported.card import model_card
from core.lmeraser.fitted_model import FittedModel, Model
from core.lmeraser.global_head import GlobalHead
from core.lmeraser.prediction import ClusterCache
from core.lmeraser.prompts import trunk_block
from core.lmeraser.records import ClusterState, Partition
from core.runtime.determinism import environment
from core.runtime.executors import InlineExecutor

SCHEMA = 1
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
MOST_BYTES = 4 * 2**30  # of one file of an export


@dataclass(frozen=True)
class Origin:
    """What an export says of where it comes from: data set, images in the model, requests so far, preset ('' for settings of one's own)."""

    dataset: str = ""
    images: int = 0
    requests: int = 0
    preset: str = ""


class ExportedModel(FittedModel, ModelHubMixin, library_name="lmeraser-lab", tags=["machine-unlearning", "image-classification"]):
    """A fitted model without its private images: it predicts, but can neither forget nor learn.

    Made by `LMEraser.export` and read by `LMEraser.load`. `save_pretrained`, `push_to_hub` and `from_pretrained` are
    `huggingface_hub`'s.
    """

    def __init__(
        self, model: Model, config: EraserConfig, backbone: BackboneSpec, frame: PictureFrame, origin: Origin, device: str = "cpu"
    ):
        self._config, self._backbone, self.frame, self.origin = config, load_backbone(backbone, device), frame, origin
        self._derived = Derived(self._backbone, trunk_block(config.prompt, self._backbone), InlineExecutor())
        self._public, self._answers, self._solution = self._derived.fresh(), ClusterCache(), None
        self.model_ = model

    @classmethod
    def of(cls, fitted: FittedModel, origin: Origin) -> ExportedModel:
        """Return what of a fitted model is exported; raises NotFittedError."""
        model = fitted._fitted()
        samples = model.samples
        nothing = samples.take(np.empty(0, np.int64))
        empty = np.empty(0, np.int64)
        partition = Partition(model.partition.prototypes, model.partition.buckets, empty, empty)
        bare = Model(nothing, partition, model.keys, {key: model.states[key] for key in model.keys}, model.head, model.root)
        frame = PictureFrame.of(samples)
        device = str(fitted.backbone_.device)
        return cls(bare, fitted.config_, fitted.backbone_.spec, frame, origin, device)

    @property
    def class_names_(self) -> tuple[str, ...]:
        """The names of the classes that `predict` returns the indices of."""
        return self._fitted().samples.classes

    def fitted_images(self, encoded: Sequence[bytes], names: Sequence[str] = ()) -> np.ndarray:
        """Return encoded images (n, h, w, 3) uint8 as the model takes them: made like those it learned (`PictureFrame`).

        An image of their size and kind stays as it is. Raises DataError for what is no image, or shows nothing.
        """
        images = np.empty((len(encoded), *self.frame.size, 3), np.uint8)
        for row, data in enumerate(encoded):
            images[row] = self.frame.fitted(data, names[row] if names else "image", InputLimits())
        return images

    def files(self) -> dict[str, bytes]:
        """Return the files of the export by name: weights, configuration and model card."""
        model = self._fitted()
        tensors = {"prototypes": model.partition.prototypes, "buckets": model.partition.buckets}
        if model.head is not None:
            tensors |= {"head.counts": model.head.counts, "head.sums": model.head.sums, "head.gram": model.head.gram}
        for number, key in enumerate(model.keys):
            tensors |= {f"cluster.{number}.{name}": array for name, array in model.states[key].tensors.items()}
        facts = {
            "model_type": "lmeraser",
            "schema": SCHEMA,
            "root": model.root,
            "keys": list(model.keys),
            "classes": list(self.class_names_),
            "frame": asdict(self.frame),
            "config": self._config.to_json(),
            "backbone": {**asdict(self._backbone.spec), "fingerprint": self._backbone.fingerprint},
            "environment": environment(self._backbone.device),
            "origin": asdict(self.origin),
        }
        return {
            WEIGHTS: save({name: np.ascontiguousarray(array) for name, array in tensors.items()}),
            CONFIG: (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode(),
            CARD: model_card(facts, len(model.keys)).encode(),
        }

    def write(self, path: Path | str) -> Path:
        """Write the export into a new or empty folder, or a new .zip; return its path. Raises StoreError; nothing is overwritten."""
        path = Path(path)
        try:
            if path.suffix.lower() == ".zip":
                with zipfile.ZipFile(path, "x", zipfile.ZIP_DEFLATED) as archive:
                    for name, data in self.files().items():
                        archive.writestr(f"{path.stem}/{name}", data)
                return path
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise StoreError(f"{path} is not empty. Choose a new folder, so that no file of another model stays in it.")
            self._save_pretrained(path)
        except OSError as error:
            raise StoreError(
                f"{path} cannot be written ({error.strerror}). Choose a new name in a folder that you may write to."
            ) from error
        return path

    @classmethod
    def read(cls, path: Path | str, device: str = "cpu") -> ExportedModel:
        """Read an export from its folder or .zip; raises StoreError when it is none or damaged, BackboneError for another backbone.

        The root is computed again from every byte that decides an answer, and must be the one that is written.
        """
        path = Path(path)
        try:
            return cls._from_files(_reader(path), device)
        except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile, SafetensorError) as error:
            if isinstance(error, LMEraserError):
                raise
            reason = f"{type(error).__name__}: {shown(error)}"
            raise StoreError(f"{path} is not an exported model, or is damaged ({reason}). Export it again.") from error

    @classmethod
    def _from_files(cls, get: Callable[[str], bytes], device: str) -> ExportedModel:
        facts, tensors = json.loads(get(CONFIG)), load(get(WEIGHTS))
        if facts["schema"] != SCHEMA:
            raise StoreError(
                f"The export has schema {shown(facts['schema'])}, and this version reads {SCHEMA}. Use the version that wrote it."
            )
        config, spec = EraserConfig.from_json(facts["config"]), dict(facts["backbone"])
        fingerprint = spec.pop("fingerprint")
        frame = PictureFrame(**{**facts["frame"], "size": tuple(facts["frame"]["size"])})
        keys, empty = tuple(facts["keys"]), np.empty(0, np.int64)
        states = {key: ClusterState(_of_cluster(tensors, number)) for number, key in enumerate(keys)}
        head = GlobalHead(tensors["head.counts"], tensors["head.sums"], tensors["head.gram"]) if "head.sums" in tensors else None
        samples = Samples.build(np.zeros((0, *frame.size, 3), np.uint8), empty, tuple(facts["classes"]))
        partition = Partition(tensors["prototypes"], tensors["buckets"], empty, empty)
        origin = Origin(**facts["origin"])
        model = Model(samples, partition, keys, states, head, facts["root"])
        exported = cls(model, config, BackboneSpec.from_json(spec), frame, origin, device)
        if exported._backbone.fingerprint != fingerprint:
            raise StoreError(f"The model was made with another version of backbone {shown(spec['name'])}. Load that one, or export again.")
        if (root := exported.recomputed_root()) != model.root:
            raise StoreError(f"The export has root {root[:12]}, but says {shown(model.root[:12])}: a byte was altered. Export it again.")
        return exported

    # What huggingface_hub's mixin calls

    def _save_pretrained(self, save_directory: Path) -> None:
        for name, data in self.files().items():
            (save_directory / name).write_bytes(data)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, revision: str | None = None, device: str = "cpu", **options: Any) -> ExportedModel:
        if Path(model_id).exists():
            return cls.read(model_id, device)
        passed = {k: v for k, v in options.items() if k in ("cache_dir", "force_download", "local_files_only", "token")}
        return cls._from_files(lambda name: Path(hf_hub_download(model_id, name, revision=revision, **passed)).read_bytes(), device)


def _of_cluster(tensors: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
    start = f"cluster.{number}."
    return {name.removeprefix(start): array for name, array in tensors.items() if name.startswith(start)}


def _reader(path: Path) -> Callable[[str], bytes]:
    """Return what reads a file of an export by name, at most `MOST_BYTES` of it."""
    if path.is_dir():
        return lambda name: _bounded((path / name).read_bytes(), name)
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {Path(member.filename).name: member for member in archive.infolist() if not member.is_dir()}

    def unpacked(name: str) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(members[name]) as file:
            return _bounded(file.read(MOST_BYTES + 1), name)

    return unpacked


def _bounded(data: bytes, name: str) -> bytes:
    within(f"{name} in bytes", len(data), MOST_BYTES, "export a smaller model")
    return data

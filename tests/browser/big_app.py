"""Serves the real page on 60,000 made-up images, with a small random backbone: `python tests/browser/big_app.py PORT FOLDER`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.backbone.model import BackboneSpec, load_backbone  # noqa: E402
from core.backbone.vit_config import ViTConfig  # noqa: E402
from core.config import preset  # noqa: E402
from core.data.datasets import Dataset  # noqa: E402
from core.data.samples import Samples  # noqa: E402
from core.lmeraser.eraser import LMEraser  # noqa: E402
from core.runtime.progress import ProgressCallback  # noqa: E402
from demo.build import build_demo, launch_options  # noqa: E402
from demo.session.engine import CoreEngine, CoreModel  # noqa: E402
from demo.session.lab import Lab  # noqa: E402

# One block of width 192 on four tokens: features as long as the embedded backbone's, in a fiftieth of the time.
BACKBONE = BackboneSpec("random", ViTConfig(image_size=16, dim=192, depth=1, heads=3, stem_widths=(8, 16, 32)))


def images(n: int, seed: int, classes: int = 10) -> Samples:
    """Return n noisy 8 x 8 images around one pattern per class."""
    rng = np.random.default_rng(seed)
    patterns, labels = np.random.default_rng(0).integers(0, 255, (classes, 8, 8, 3)), rng.integers(0, classes, n)
    noisy = patterns[labels] + rng.normal(0, 40, (n, 8, 8, 3))
    return Samples.build(np.clip(noisy, 0, 255).astype(np.uint8), labels)


@dataclass(frozen=True)
class BigEngine(CoreEngine):
    """The page's engine with another backbone, a short training and a layout made of random places around one per class."""

    def layout(self, folder: Path, compute: bool) -> np.ndarray:
        rng = np.random.default_rng(0)
        labels = self.dataset.train.labels
        places = rng.random((labels.max() + 1, 2))[labels] + rng.normal(0, 0.08, (len(labels), 2))
        return ((places - places.min(0)) / np.ptp(places, axis=0)).astype(np.float32)

    def fitted(self, progress: ProgressCallback) -> CoreModel:
        config = preset(self.preset)
        config = replace(config, train=replace(config.train, steps=1))
        eraser = LMEraser(config, load_backbone(BACKBONE), executor=self.executor).fit(self.dataset.train, progress=progress)
        return CoreModel(eraser, self.dataset.test, self.dataset.name)


def main(port: int, folder: Path, n: int = 60_000) -> None:
    data = Dataset("made up", images(n, 1), images(500, 2))
    lab = Lab(BigEngine(data, "fast", folder / "states"), data.train, folder)
    lab.start()
    try:
        build_demo(lab).queue(max_size=200).launch(server_port=port, **launch_options())
    finally:
        lab.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

"""Do the numbers behind a root depend on an image's place, or on the images beside it? Run as a program, under the kernels to test.

`python -m tests.place_and_company [device]` works at the real shape: the embedded backbone, 768 features, all of digits' 1,437
training images, chunks of 64. It prints a JSON object of what differed, by check, and exits with 1 when anything did.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import torch

from core.backbone.model import CHUNK, load_backbone
from core.config import PartitionConfig, preset
from core.data.datasets import load_dataset
from core.lmeraser.cluster_training import train_cluster
from core.lmeraser.eraser import LMEraser
from core.lmeraser.global_head import GlobalHead, expand
from core.lmeraser.nearest_prototypes import squared_distances
from core.lmeraser.partition import make_partition
from core.lmeraser.prompts import trunk_block
from core.runtime.determinism import default_device, environment
from core.runtime.fixed_point import unit

PERMUTATIONS, REMOVALS = 20, 20
STEPS = 8  # of a cluster's training: the optimizer's state takes part in every one


def differing(one: np.ndarray, other: np.ndarray) -> int:
    """Rows that are not equal bit for bit."""
    return int((one.view(np.uint8) != other.view(np.uint8)).reshape(len(one), -1).any(1).sum())


class Place:
    """All checks on one device; `found` counts what differed, by check."""

    def __init__(self, device: torch.device):
        self.data = load_dataset("digits").train
        self.backbone, self.config = load_backbone("embedded", device), preset("fast")
        self.block = trunk_block(self.config.prompt, self.backbone)
        self.features, self.trunks = self.backbone.derive(self.data.images, self.block)
        assert self.features.shape == (1437, 768)
        self.rng, self.found = np.random.default_rng(0), {}

    def count(self, name: str, differences: int) -> None:
        self.found[name] = self.found.get(name, 0) + int(differences)

    def orders(self, n: int, times: int):
        """Permutations of n rows, and for every fourth all rows but one."""
        yield from (self.rng.permutation(n) for _ in range(times))
        yield from (np.delete(np.arange(n), self.rng.integers(n)) for _ in range(0, times, 4))

    def derived(self) -> None:
        """Images in other places of a chunk and beside others, over the edge of a chunk, and each of a few images alone."""
        some = CHUNK + CHUNK // 2
        permuted = [self.rng.permutation(some)[:CHUNK] for _ in range(PERMUTATIONS)]
        removed = [np.delete(np.arange(some), self.rng.integers(CHUNK)) for _ in range(PERMUTATIONS // 4)]
        for order in (*permuted, *removed):
            features, trunks = self.backbone.derive(self.data.images[order], self.block)
            self.count("features", differing(self.features[order], features))
            self.count("activations", differing(self.trunks[order], trunks))
        for row in (0, 700, 1436):
            alone = self.backbone.derive(self.data.images[row : row + 1], self.block)
            self.count("features", differing(self.features[row : row + 1], alone[0]))

    def head(self) -> None:
        """The global head's whole numbers, and the sums after a removal beside those of a fit that never saw the sample."""
        expanded, labels = expand(self.features), self.data.labels
        for order in self.orders(len(labels), PERMUTATIONS):
            self.count("random features", differing(expanded[order], expand(self.features[order])))
        empty = GlobalHead.empty(10, self.features.shape[1])
        whole = empty.changed(self.features, labels, 1)
        for row in self.rng.choice(len(labels), REMOVALS, replace=False):
            rest = self.rng.permutation(np.delete(np.arange(len(labels)), row))
            less = whole.changed(self.features[row : row + 1], labels[row : row + 1], -1)
            self.count("global head", less.digest != empty.changed(self.features[rest], labels[rest], 1).digest)

    def distances(self) -> None:
        """Unit features, distances to as many prototypes as there are, and the nearest of them."""
        units, prototypes = unit(self.features), unit(self.features[::20])
        every = squared_distances(self.features, prototypes)
        for order in self.orders(len(units), PERMUTATIONS):
            self.count("unit features", differing(units[order], unit(self.features[order])))
            moved = squared_distances(self.features[order], prototypes)
            self.count("distances", differing(every[order], moved))
            self.count("nearest prototype", (every[order].argmin(1) != moved.argmin(1)).sum())

    def partitions(self) -> None:
        """The same set in another order is cut the same way: prototypes, and which sample belongs to which."""
        digests = self.data.digests
        for method in ("hierarchical", "stable", "public"):
            config = PartitionConfig(method)
            public = self.backbone.codebook if method == "stable" else self.backbone.public_prototypes()
            whole = make_partition(digests, lambda rows: self.features[rows], config, public)
            for order in [self.rng.permutation(len(digests)) for _ in range(5)]:
                moved = make_partition(tuple(digests[r] for r in order), lambda rows, o=order: self.features[o[rows]], config, public)
                self.count(f"{method} prototypes", differing(whole.prototypes, moved.prototypes))
                self.count(f"{method} clusters", (whole.buckets[whole.assignment][order] != moved.buckets[moved.assignment]).sum())

    def cluster(self) -> None:
        """One cluster's training, beside other work's leftovers; its answers alone, together and in other places."""
        config = replace(self.config, partition=PartitionConfig(clusters=4), train=replace(self.config.train, steps=STEPS))
        eraser = LMEraser(config, self.backbone).fit(self.data.take(np.arange(130)))
        job = eraser._job(eraser.samples_, eraser.partition_.members(0), eraser.keys_[0])
        state = train_cluster(job)
        for _ in range(3):
            torch.randn(int(self.rng.integers(1, 4000)), 300).T.contiguous()
            self.count("cluster training", train_cluster(job).digest != state.digest)
        self.answers("served answers", eraser)
        means = replace(preset("instant"), partition=PartitionConfig(clusters=4))
        self.answers("answers from class means", LMEraser(means, self.backbone).fit(self.data.take(np.arange(130))))

    def answers(self, name: str, eraser: LMEraser) -> None:
        """What a model says of a chunk of images, in other orders, without one of them, and of each alone."""
        images = self.data.images[130 : 130 + CHUNK]
        together = eraser.predict_proba(images)
        for order in self.orders(len(images), 3):
            self.count(name, differing(together[order], eraser.predict_proba(images[order])))
        for row in range(0, CHUNK, CHUNK // 4):
            self.count(name, differing(together[row : row + 1], eraser.predict_proba(images[row : row + 1])))


def main(device: str | None = None) -> dict:
    """Run all checks and return what differed."""
    place = Place(torch.device(device) if device else default_device())
    for check in (place.derived, place.head, place.distances, place.partitions, place.cluster):
        check()
    return {"found": place.found, "environment": environment(place.backbone.device), "threads": torch.get_num_threads()}


if __name__ == "__main__":
    result = main(*sys.argv[1:])
    print(json.dumps(result))
    sys.exit(1 if any(result["found"].values()) else 0)

"""The public codebook: a binary tree over feature vectors of public images, by which the `stable` partition cuts private data.

Each private image belongs to its nearest codeword. From the root down, a node is split while it holds many images. Only counts of
private images decide, and only those of the node itself, so a deletion changes its own cluster and seldom another.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.runtime.fixed_point import UNIT, unit

FACTORS = range(6, 11)  # among n images a node is split from sqrt(n * factor / 8) images on; each node has its own factor


@dataclass(frozen=True, eq=False)
class Codebook:
    """Codewords and the tree over them.

    `words` (m, d) float32 are on the grid of `unit`. Node i < m of the tree is codeword i; node m + i has the two nodes
    `children[i]` (m - 1, 2); the last one is the root.
    """

    words: np.ndarray
    children: np.ndarray

    @classmethod
    def built(cls, features: np.ndarray) -> Codebook:
        """Return the codebook of public features (m, d): their tree by Ward's method."""
        from scipy.cluster.hierarchy import linkage  # every process that trains a cluster imports this module

        words = unit(features)
        merges = linkage(words.astype(np.float64), "ward") if len(words) > 1 else np.zeros((0, 4))
        return cls(words, merges[:, :2].astype(np.int64))

    @classmethod
    def load(cls, path: Path) -> Codebook:
        """Read a file that `save` wrote."""
        from safetensors.numpy import load_file

        tensors = load_file(path)
        return cls(unit(tensors["words"].astype(np.float32)), tensors["children"].astype(np.int64))

    def save(self, path: Path) -> None:
        """Write the codewords in 8 bits and the tree to a safetensors file."""
        from safetensors.numpy import save_file

        largest = np.abs(self.words).max(1, keepdims=True)
        save_file({"words": np.rint(self.words / largest * 127).astype(np.int8), "children": self.children.astype(np.int32)}, path)

    def cells(self, nearest: np.ndarray, clusters: int | None = None) -> np.ndarray:
        """Return for each of n images, given its two nearest codewords (n, 2), the two nodes (n, 2) that make up its cluster.

        A node is split when the square of its count reaches n times the node's own constant; with `clusters`, when its count reaches
        about 1.5 times their even share. Where a single codeword holds so many images, they are divided by their second nearest one in
        the same way; elsewhere the second node is the root. Whole numbers throughout: nothing depends on rounding or on order.
        """
        m, n = len(self.words), len(nearest)
        limits = np.array([node_limit(n, factor, clusters) for factor in FACTORS])
        limits = limits[np.arange(2 * m - 1) * 2654435761 // 2**16 % len(FACTORS)]
        nodes = np.full((n, 2), 2 * m - 2)
        nodes[:, 0] = self._cut(nearest[:, 0], limits)
        counts = np.bincount(nearest[:, 0], minlength=m)
        for word in np.flatnonzero(counts > limits[:m]):
            rows = np.flatnonzero(nearest[:, 0] == word)
            nodes[rows, 1] = self._cut(nearest[rows, 1], limits)
        return nodes

    def _cut(self, words: np.ndarray, limits: np.ndarray) -> np.ndarray:
        """Return the highest node above each image's codeword that holds no more of these images than its limit, or the codeword."""
        m = len(self.words)
        order, first, end = self._spans
        place = np.empty(m, np.int64)
        place[order] = np.arange(m)
        before = np.concatenate([[0], np.cumsum(np.bincount(words, minlength=m)[order])])
        split = before[end] - before[first] > limits
        split[:m] = False
        used, images = np.unique(words, return_inverse=True)
        nodes = np.full(len(used), 2 * m - 2)
        while (open_ := split[nodes]).any():
            left, right = self.children[nodes[open_] - m].T
            nodes[open_] = np.where(place[used[open_]] < end[left], left, right)
        return nodes[images]

    @functools.cached_property
    def _spans(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the codewords in the order of the tree (m,), and for each node the first and the end (2m - 1,) of its own among them."""
        m = len(self.words)
        sizes, first = np.ones(2 * m - 1, np.int64), np.zeros(2 * m - 1, np.int64)
        for i, (a, b) in enumerate(self.children.tolist()):
            sizes[m + i] = sizes[a] + sizes[b]
        for i in range(m - 2, -1, -1):
            left, right = self.children[i]
            first[left], first[right] = first[m + i], first[m + i] + sizes[left]
        return np.argsort(first[:m]), first, first + sizes

    def centers(self, nodes: np.ndarray) -> np.ndarray:
        """Return prototypes (k, d), on the grid of `unit`, of cells of two nodes (k, 2): halfway between the means of their codewords.

        A second node that is the root does not count.
        """
        divided = nodes[:, 1] != 2 * len(self.words) - 2
        means = self._means(nodes[:, 0])
        means[divided] += self._means(nodes[divided, 1])
        return unit(means)

    def _means(self, nodes: np.ndarray) -> np.ndarray:
        """Return the mean (k, d) of the codewords below each of some nodes, in whole steps of 2**-14."""
        order, first, end = self._spans
        distinct, places = np.unique(nodes, return_inverse=True)
        means = np.empty((len(distinct), self.words.shape[1]))
        for place, node in enumerate(distinct.tolist()):
            steps = np.rint(self.words[order[first[node] : end[node]]].astype(np.float64) * UNIT)
            means[place] = np.rint(steps.sum(0) / len(steps))
        return means[places]


def node_limit(n: int, factor: int, clusters: int | None) -> int:
    """Return the most images that a node of this factor holds without being split, among n."""
    square = -(-factor * n // 8) if clusters is None else -(-9 * factor * n * n // (32 * clusters * clusters))
    return math.isqrt(max(0, square - 1))

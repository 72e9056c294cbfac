"""The public codebook: a binary tree over feature vectors of public images, by which the `stable` partition cuts private data.

Each private image belongs to its nearest codeword. From the root down, a node is split while it holds many images. Only counts of
private images decide, and only those of the node itself, so a deletion changes its own cluster and seldom another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import linkage

from core.runtime.fixed_point import UNIT, unit

SHARE = 8  # a node is split from about sqrt(n * SHARE / 8) images on
LEAST, SPREAD = 6, 5  # a node's own factor of that square, in eighths: LEAST to LEAST + SPREAD - 1


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
        save_file({"words": np.rint(self.words / largest * 127).astype(np.int8), "children": self.children.astype(np.int16)}, path)

    def cells(self, nearest: np.ndarray, clusters: int | None = None) -> np.ndarray:
        """Return for each of n images, given its two nearest codewords (n, 2), the two nodes (n, 2) that make up its cluster.

        A node is split when the square of its count reaches n times the node's own constant; with `clusters`, when its count reaches
        about 1.5 times their even share. Where a single codeword holds so many images, they are divided by their second nearest one in
        the same way; elsewhere the second node is the root. Whole numbers throughout: nothing depends on rounding or on order.
        """
        m, n = len(self.words), len(nearest)
        limits = np.array([_limit(n, factor, clusters) for factor in range(LEAST, LEAST + SPREAD)])
        limits = limits[np.arange(2 * m - 1) * 2654435761 // 2**16 % SPREAD]
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
        counts = np.zeros(2 * m - 1, np.int64)
        counts[:m] = np.bincount(words, minlength=m)
        for i, (a, b) in enumerate(self.children.tolist()):
            counts[m + i] = counts[a] + counts[b]
        cluster = np.arange(2 * m - 1)
        for i in range(m - 2, -1, -1):
            node = m + i
            if cluster[node] != node or counts[node] <= limits[node]:
                cluster[self.children[i]] = cluster[node]
        return cluster[words]

    def centers(self, nodes: np.ndarray) -> np.ndarray:
        """Return prototypes (k, d), on the grid of `unit`, of cells of two nodes (k, 2): halfway between the means of their codewords.

        A second node that is the root does not count.
        """
        root = 2 * len(self.words) - 2
        means = np.where(nodes[:, 1:] == root, 0, self._means(nodes[:, 1])) + self._means(nodes[:, 0])
        return unit(means)

    def _means(self, nodes: np.ndarray) -> np.ndarray:
        """Return the mean (k, d) of the codewords below each of some nodes, in whole steps of 2**-14."""
        leaves = {i: [i] for i in range(len(self.words))}
        for i, (a, b) in enumerate(self.children.tolist()):
            leaves[len(self.words) + i] = leaves[a] + leaves[b]
        steps = np.rint(self.words.astype(np.float64) * UNIT)
        known = {node: np.rint(steps[leaves[node]].sum(0) / len(leaves[node])) for node in np.unique(nodes).tolist()}
        return np.stack([known[node] for node in nodes.tolist()])


def _limit(n: int, factor: int, clusters: int | None) -> int:
    """Return the most images that a node of this factor holds without being split, among n."""
    square = -(-factor * SHARE * n // 64) if clusters is None else -(-9 * factor * n * n // (32 * clusters * clusters))
    return math.isqrt(max(0, square - 1))

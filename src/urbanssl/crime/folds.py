"""Ways of holding areas out: at random, a region at a time, in spatial blocks, by distance.

Every scheme also says which areas may be learned from when a fold is held out, and which belong
together when folds are made inside the training areas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree
from scipy.stats import wasserstein_distance

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scheme:
    """One way of holding areas out.

    Attributes:
        name: `random`, `region`, `block` or `distance`.
        fold: (n,) the fold in which each area is held out, from 0.
        train: (F, n) the areas that may be learned from for each fold.
        group: (n,) areas of one group are never parted by the folds inside the training areas.
        note: how it was made, for the reader.
    """

    name: str
    fold: Ints
    train: NDArray[np.bool_]
    group: Ints
    note: str

    def inner(self, fold: int, most: int = 4) -> Ints:
        """Return (n,) inner fold of each training area of `fold`, -1 for the others.

        Groups are dealt out by size, the largest first, each to the smallest inner fold.
        """
        inner = np.full(self.fold.shape, -1, dtype=np.int64)
        training = self.train[fold]
        groups, counts = np.unique(self.group[training], return_counts=True)
        filled = np.zeros(min(most, len(groups)), dtype=np.int64)
        for place in np.argsort(-counts, kind="stable"):
            emptiest = int(np.argmin(filled))
            filled[emptiest] += counts[place]
            inner[training & (self.group == groups[place])] = emptiest
        return inner


def _scheme(name: str, fold: Ints, group: Ints, note: str) -> Scheme:
    train = np.arange(fold.max() + 1)[:, None] != fold[None, :]
    return Scheme(name, fold, train, group, note)


def random_folds(areas: int, folds: int, rng: np.random.Generator) -> Scheme:
    """Hold areas out at random: what a study does that forgets that neighbours are alike."""
    fold = rng.permutation(areas) % min(folds, areas)
    note = f"{fold.max() + 1} folds of areas at random; neighbours are on both sides"
    return _scheme("random", fold, np.arange(areas), note)


def region_folds(region: NDArray) -> Scheme:
    """Hold one whole region out at a time."""
    names, fold = np.unique(region, return_inverse=True)
    note = f"each of {len(names)} regions is predicted by a model that never saw it"
    return _scheme("region", fold, fold, note)


def block_labels(plane: Floats, region: NDArray, side: float) -> Ints:
    """Return (n,) number of the square block that each area's centre lies in.

    Args:
        plane: (n, 2) metres within the region, see `place.local_plane`.
        region: (n,); a block never spans two.
        side: of a block, in metres.
    """
    _, number = np.unique(region, return_inverse=True)
    cell = np.floor(plane / side).astype(np.int64)
    keys = np.column_stack([number, cell])
    return np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)


def block_folds(
    blocks: Ints, points: Floats, buffer: float, folds: int, rng: np.random.Generator
) -> Scheme:
    """Hold whole blocks out, and learn from nothing nearer than `buffer` to a held-out area.

    Args:
        blocks: (n,) block of each area.
        points: (n, 2 or 3) positions in metres.
        buffer: metres.
        folds: number of folds.
        rng: deals the blocks out.
    """
    count = int(blocks.max()) + 1
    fold = (rng.permutation(count) % min(folds, count))[blocks]
    train = np.zeros((int(fold.max()) + 1, len(blocks)), bool)
    for number in range(len(train)):
        held = fold == number
        apart, _ = cKDTree(points[held]).query(points)
        train[number] = apart > buffer
        train[number, held] = False
    note = f"{count} blocks in {len(train)} folds, training areas more than {buffer:.0f} m away"
    return Scheme("block", fold, train, blocks, note)


def distance_folds(
    points: Floats, wanted: Floats, folds: int, rng: np.random.Generator, candidates: int = 12
) -> Scheme:
    """Hold areas out so that they are as far from training areas as new places will be.

    Clusters of areas, from as many as there are areas to as few as there are folds, are dealt out
    to folds; the dealing whose distances from held-out to nearest training area are most like
    `wanted` (Wasserstein distance) is taken.

    Args:
        points: (n, 2 or 3) positions in metres.
        wanted: (m,) distances from new places to the nearest known area, in metres.
        folds: number of folds.
        rng: deals clusters out.
        candidates: numbers of clusters tried.

    Source: Linnenbrink et al. (2024), kNNDM CV: k-fold nearest-neighbour distance matching
    cross-validation, Geoscientific Model Development 17, section 2.
    """
    areas = len(points)
    folds = min(folds, areas)
    tree = linkage(points, "ward")
    sizes = np.unique(np.geomspace(folds, areas, candidates).astype(int))
    best: tuple[float, Ints, Ints] | None = None
    for size in sizes:
        cluster = np.unique(fcluster(tree, size, "maxclust"), return_inverse=True)[1]
        fold = _dealt(cluster, folds, rng)
        gap = float(wasserstein_distance(held_out_distances(points, fold), wanted))
        if best is None or gap < best[0]:
            best = (gap, fold, cluster)
    if best is None:
        raise ValueError("no areas to hold out")
    gap, fold, cluster = best
    note = (
        f"{cluster.max() + 1} clusters in {fold.max() + 1} folds; distances to training areas "
        f"differ by {gap:.0f} m on average from those of new places"
    )
    return _scheme("distance", fold, cluster, note)


def _dealt(cluster: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Deal clusters to folds of about equal size; numbers of folds are without gaps."""
    counts = np.bincount(cluster)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order], kind="stable")]
    filled = np.zeros(folds, dtype=np.int64)
    given = np.zeros(len(counts), dtype=np.int64)
    for place in order:
        given[place] = np.argmin(filled)
        filled[given[place]] += counts[place]
    return np.unique(given[cluster], return_inverse=True)[1].reshape(-1)


def held_out_distances(points: Floats, fold: Ints) -> Floats:
    """Return (n,) distance from each area to the nearest one of another fold."""
    apart = np.zeros(len(points))
    for number in np.unique(fold):
        held = fold == number
        apart[held] = cKDTree(points[~held]).query(points[held])[0]
    return apart

"""How good features are, where there are no labels: can they tell where a tile comes from?

Rank of the features: Garrido et al. 2023, "RankMe". Alignment and uniformity: Wang and Isola 2020,
"Understanding Contrastive Representation Learning through Alignment and Uniformity".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from urbanssl.engine.log import say


def rank_me(features: NDArray[np.float64]) -> float:
    """Return the effective rank of `(N, D)`: exp of the entropy of their singular values."""
    values = np.linalg.svd(features - features.mean(0), compute_uv=False)
    shares = values / max(values.sum(), 1e-12) + 1e-7
    return float(np.exp(-(shares * np.log(shares)).sum()))


def alignment(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the mean squared distance of two views' unit features `(N, D)`; small is good."""
    return float(((_unit(first) - _unit(second)) ** 2).sum(1).mean())


def uniformity(features: NDArray[np.float64]) -> float:
    """Return log mean exp(-2 squared distance) of pairs of unit features; low is well spread."""
    unit = _unit(features)
    distances = 2 - 2 * (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    return float(np.log(np.exp(-2 * distances).mean()))


def probe(features: NDArray[np.float64], labels: NDArray[np.int64], seed: int) -> dict[str, float]:
    """Return how well features tell labels apart, on a half that was not learned from.

    Args:
        features: `(N, D)`.
        labels: `(N,)` numbers of classes; those with fewer than four members are left out.
        seed: of the halves.

    Returns:
        `knn` and `linear`: accuracies; `chance`: the share of the commonest class; `rank`;
        `uniformity`. Accuracies are missing where fewer than two classes are left.
    """
    result = {"rank": rank_me(features), "uniformity": uniformity(features)}
    names, counts = np.unique(labels, return_counts=True)
    used = np.isin(labels, names[counts >= 4])
    features, labels = features[used], labels[used]
    if len(np.unique(labels)) < 2:
        return result
    order = np.random.default_rng(seed).permutation(len(labels))
    half = len(order) // 2
    learn, test = order[:half], order[half:]
    result["chance"] = float(np.bincount(labels[test]).max() / len(test))
    neighbours = KNeighborsClassifier(min(10, half), metric="cosine", weights="distance")
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=0.1))
    for name, judge in (("knn", neighbours), ("linear", linear)):
        judge.fit(features[learn], labels[learn])
        result[name] = float(judge.score(features[test], labels[test]))
    return result


def _unit(features: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norms, 1e-12)


@HOOKS.register_module()
class ProbeBlocks(Hook):
    """Probe features before, during and after a training: on which block does a tile lie?

    Neighbouring tiles overlap, so this measures what a network sees of a place, not how well it
    generalises; it tells a network that learns from one that does not.

    Args:
        tiles: at most so many tiles are used.
        side: tiles along the side of a block.
        times: how often, evenly over the training, before and after included.
        size: side in pixels to which tiles are resized first; None leaves them.
    """

    priority = "VERY_LOW"

    def __init__(
        self, tiles: int = 512, side: int = 5, times: int = 3, size: int | None = None
    ) -> None:
        self.tiles, self.side, self.times, self.size = tiles, side, max(2, times), size

    def before_train(self, runner: Any) -> None:
        """Probe the network as it starts; not again after a resume."""
        if runner.iter == 0:
            self._probe(runner, 0)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Probe at the chosen steps and at the end."""
        every = max(1, runner.max_iters // (self.times - 1))
        step = runner.iter + 1
        if step == runner.max_iters or (step % every == 0 and step + every <= runner.max_iters):
            self._probe(runner, step)

    def _probe(self, runner: Any, step: int) -> None:
        if not is_main_process():
            return
        shards = runner.train_dataloader.dataset
        rng = np.random.default_rng(0)
        chosen = np.sort(rng.permutation(len(shards))[: self.tiles])
        labels = _blocks(shards, chosen, self.side)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        features = features_of(model, shards, chosen, self.size)
        result = {"step": step, **probe(features, labels, seed=0)}
        runner.train_loop.probes.append(result)
        say("probe  " + "  ".join(f"{name} {value:.3g}" for name, value in result.items()))


def features_of(
    model: Any, shards: Any, tiles: NDArray[np.int64], size: int | None = None
) -> NDArray[np.float64]:
    """Return the features `(N, D)` of tiles of shards by a model in evaluation mode.

    Args:
        model: has `features` of `(B, S, S, 3)` uint8 tiles.
        shards: the tiles.
        tiles: which of them.
        size: side in pixels to which they are resized first; None leaves them.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.inference_mode():
        parts = [
            model.features(
                _resized(torch.from_numpy(shards.gather(tiles[at : at + 32])), size).to(device)
            )
            for at in range(0, len(tiles), 32)
        ]
    model.train(training)
    return torch.cat(parts).double().cpu().numpy()


def _resized(tiles: torch.Tensor, size: int | None) -> torch.Tensor:
    if size is None or size == tiles.shape[1]:
        return tiles
    images = tiles.permute(0, 3, 1, 2)
    smaller = functional.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
    return smaller.permute(0, 2, 3, 1)


def _blocks(shards: Any, tiles: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Return the number of the block that each tile lies on, by its row and column."""
    where, index = shards.locate(tiles)
    names: list[tuple[int, str, int, int]] = []
    columns = ["image", "row", "col", "x", "y"]
    tables = [pq.read_table(path, columns=columns).to_pandas() for path in shards.tables]
    for shard, place in zip(where, index, strict=True):
        tile = tables[shard].iloc[place]
        grid = ("row", "col") if pd.notna(tile["row"]) else ("y", "x")
        row, column = (int(tile[name]) // side for name in grid)
        names.append((int(shard), str(tile["image"]), row, column))
    order = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([order[name] for name in names], dtype=np.int64)

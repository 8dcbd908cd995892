"""How good features are: can they tell labels apart, or where a tile comes from?

Rank of the features: Garrido et al. 2023, "RankMe". Alignment and uniformity: Wang and Isola 2020,
"Understanding Contrastive Representation Learning through Alignment and Uniformity".
"""

from __future__ import annotations

import warnings
from pathlib import Path
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
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from urbanssl.engine.log import say
from urbanssl.ssl.crops import pixels, random_crops
from urbanssl.ssl.labelled_folder import labelled_images

#: Inverse strengths of the linear probe's penalty, and the folds that choose among them.
PENALTIES = (0.1, 1.0, 10.0)
FOLDS = 3


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


def probe(
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    learn: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Return how well features tell labels apart, on images that were not learned from.

    Args:
        features: `(N, D)`.
        labels: `(N,)` numbers of classes; those with fewer than four members are left out.
        learn: `(N,)` which are learned from; None: a random half. The penalty of the linear
            probe is chosen on these too, by cross-validation.
        seed: of the half.

    Returns:
        `knn` and `linear`: accuracies; `chance`: the share of the commonest class; `rank`;
        `uniformity`. Accuracies are missing where fewer than two classes are left.
    """
    result = {"rank": rank_me(features), "uniformity": uniformity(features)}
    if learn is None:
        learn = np.zeros(len(labels), dtype=bool)
        learn[np.random.default_rng(seed).permutation(len(labels))[::2]] = True
    names, counts = np.unique(labels, return_counts=True)
    used = np.isin(labels, names[counts >= 4])
    train, test = used & learn, used & ~learn
    if len(np.unique(labels[train])) < 2 or not test.any():
        return result
    result["chance"] = float(np.bincount(labels[test]).max() / test.sum())
    neighbours = KNeighborsClassifier(min(10, train.sum()), metric="cosine", weights="distance")
    for name, judge in (("knn", neighbours), ("linear", _linear(labels[train]))):
        with warnings.catch_warnings():  # a class in fewer folds than there are does no harm
            warnings.filterwarnings("ignore", message="The least populated class")
            judge.fit(features[train], labels[train])
        result[name] = float(judge.score(features[test], labels[test]))
    return result


def _linear(labels: NDArray[np.int64]) -> BaseEstimator:
    """Return logistic regression whose penalty is chosen on what it learns from.

    Features of few strong and many weak directions, as pretraining makes them, need a weaker
    penalty than those of an untrained network: one penalty for all would favour one of them.
    It is 1 where fewer than two classes have a member for each fold: nothing to choose on.
    """
    logistic = LogisticRegression(C=1.0, max_iter=1000, tol=1e-3)
    judge = make_pipeline(StandardScaler(), logistic)
    if (np.unique(labels, return_counts=True)[1] >= FOLDS).sum() < 2:
        return judge
    return GridSearchCV(judge, {"logisticregression__C": PENALTIES}, cv=FOLDS)


def _unit(features: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(norms, 1e-12)


@HOOKS.register_module()
class ProbeBlocks(Hook):
    """Probe features before, during and after a training.

    With a folder of labelled images (the job's `probe`): which class is an image of? Without: on
    which block of a scene does a tile lie? Neighbouring tiles overlap, and a place has its colours,
    so the second measures what a network sees of a place, not how well it generalises: a network
    trained to overlook colours may well do worse than an untrained one.

    Args:
        tiles: at most so many images are used.
        side: tiles along the side of a block.
        times: how often, evenly over the training, before and after included.
        size: side in pixels to which images are resized first; None: the tiles' own.
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
        tiles = shards.gather(chosen)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        images, labels, learn, of = tiles, _blocks(shards, chosen, self.side), None, "blocks"
        if folder := runner.cfg.get("probe_folder"):
            known = labelled_images(Path(folder), self.tiles)
            images, labels, learn = known.read(shards.size), known.labels, known.learn
            of = "labels"
        result = probe(features_of(model, images, self.size), labels, learn)
        views = [features_of(model, view) for view in two_views(model, tiles[:_VIEWED])]
        entry = {"step": step, "of": of, **result, "alignment": alignment(*views)}
        runner.train_loop.probes.append(entry)
        values = "  ".join(f"{k} {v:.3g}" for k, v in entry.items() if not isinstance(v, str))
        say(f"probe of {of}  {values}")


#: Tiles whose two views are compared.
_VIEWED = 128


def two_views(model: Any, tiles: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return two random crops of each tile, as the model's training makes them, as uint8."""
    batch = torch.from_numpy(tiles)
    rows = (0, len(batch), len(batch))
    crops = [random_crops(batch, model.view_kind, model.colours, seed, rows) for seed in (0, 1)]
    return [(pixels(crop) * 255).round().byte().numpy() for crop in crops]


def features_of(
    model: Any, images: NDArray[np.uint8], size: int | None = None
) -> NDArray[np.float64]:
    """Return the features `(N, D)` of images by a model in evaluation mode.

    Args:
        model: has `features` of `(B, S, S, 3)` uint8 tiles.
        images: `(N, S, S, 3)`.
        size: side in pixels to which they are resized first; None leaves them.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    with torch.inference_mode():
        parts = [
            model.features(_resized(torch.from_numpy(images[at : at + 32]), size).to(device))
            for at in range(0, len(images), 32)
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

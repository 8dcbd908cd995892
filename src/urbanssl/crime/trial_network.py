"""Learned features for trials: a small masked autoencoder, trained on a region nobody studies."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from urbanssl.engine.job import TrainJob
from urbanssl.engine.launch import launch
from urbanssl.features.extract import in_batches
from urbanssl.features.networks import network_features
from urbanssl.settings_training import Budget

Tiles = NDArray[np.uint8]
Floats = NDArray[np.float32]

#: The network, as in the demo; from the root of the project.
RECIPE = Path("config/models/mae_tiny.py")
#: Training steps and tiles a step.
STEPS, BATCH = 120, 32


def pretrain(tiles: Tiles, seed: int, folder: Path, steps: int = STEPS) -> Path:
    """Train the network and return its weights.

    Args:
        tiles: (A, T, S, S, 3) tiles of areas that no trial studies.
        seed: of the training.
        folder: for tiles, checkpoints and weights.
        steps: of the training.
    """
    areas, each, side = tiles.shape[:3]
    array, table = folder / "tiles.npy", folder / "tiles.parquet"
    np.save(array, tiles.reshape(-1, side, side, 3))
    area, tile = np.divmod(np.arange(areas * each), each)
    names = [f"trained/{a}/{t}_0" for a, t in zip(area, tile, strict=True)]
    rows = {"tile_id": names, "image": area.astype(str), "row": tile, "col": 0}
    pd.DataFrame({**rows, "x": None, "y": None}).to_parquet(table)
    weights = folder / "weights.safetensors"
    launch(
        TrainJob(
            stage="mae",
            recipe=RECIPE,
            arrays=(array,),
            tables=(table,),
            work=folder / "work",
            output_weights=weights,
            output_log=folder / "log.json",
            settings=Budget.model_validate({"steps": steps, "batch_size": BATCH}),
            seed=seed,
        )
    )
    return weights


@lru_cache(maxsize=1)
def _network(weights: Path) -> Callable[[Tiles], Floats]:
    return network_features("mae", RECIPE, weights, 0)


def learned(tiles: Tiles, weights: Path) -> Floats:
    """Return (N, D) features of (N, S, S, 3) tiles; the network is read once a process."""
    return in_batches(tiles, _network(weights))

"""Stage train_tile_network: the predecessor's baseline, a small network trained on raw tiles.

Every tile of a training area carries the area's label; an area's chance is the mean of its tiles'.
The network is trained anew inside each fold, with areas at random and with whole regions held out:
the first is how such results are usually obtained, the second is what they are worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from urbanssl.artifacts import write_table
from urbanssl.crime.held_out import make_target
from urbanssl.crime.study import read_study, schemes_of
from urbanssl.features.pool import Shares, tile_shares
from urbanssl.scenes.scene import Scene
from urbanssl.settings import CrimeSettings

Floats = NDArray[np.float64]

#: Side in pixels to which tiles are made smaller: what a network of three layers can use.
SIDE = 48
#: Tiles of a training step.
BATCH = 32
#: Ways of holding out for which the network is trained.
SCHEMES = ("random", "region")


def train_tile_network(
    table: Path,
    table_report: Path,
    pooled: Path,
    arrays: list[Path],
    tables: list[Path],
    scenes: list[Scene],
    crime: CrimeSettings,
    seed: int,
    output: Path,
    about: dict[str, Any],
) -> None:
    """Predict areas by networks trained on the tiles of other areas.

    Args:
        table: `R/crime/table.parquet`.
        table_report: `R/crime/table.json`.
        pooled: any `R/crime/features_{set}.parquet`: says which areas have enough imagery.
        arrays: `tiles.npy` of the study scenes.
        tables: `tiles.parquet` of the same scenes.
        scenes: the same scenes.
        crime: `network_steps`, `threshold`, `block`.
        seed: as of `judge`, so that the folds are the same.
        output: Parquet: `area_id, scheme, fold, predicted`.
        about: provenance.
    """
    study = read_study(table, table_report, {"coordinates": pooled})
    frames = [pd.read_parquet(path) for path in tables]
    owner = np.concatenate(
        [np.full(len(f), s.area or "", object) for f, s in zip(frames, scenes, strict=True)]
    )
    areas = gpd.read_parquet(table).set_index("area_id", drop=False).loc[study.area_id]
    shares = tile_shares(pd.concat(frames, ignore_index=True), areas, owner)
    tiles = np.concatenate([small_tiles(np.load(path, mmap_mode="r")) for path in arrays])
    parts = []
    enough = len(study.rate) >= crime.min_areas
    for scheme in schemes_of(study, crime.block, np.random.default_rng(seed))[0] if enough else []:
        if scheme.name not in SCHEMES:
            continue
        target = make_target(study.rate, scheme, crime.threshold)
        chance = np.zeros(len(study.rate))
        for fold, train in enumerate(scheme.train):
            network = trained(
                tiles, shares, target.training_labels(fold), train, crime.network_steps, seed + fold
            )
            held = scheme.fold == fold
            chance[held] = area_chance(network, tiles, shares, held)
        parts.append(
            pd.DataFrame(
                {
                    "area_id": study.area_id,
                    "scheme": scheme.name,
                    "fold": scheme.fold,
                    "predicted": chance,
                }
            )
        )
    kinds = {"area_id": str, "scheme": str, "fold": "int64", "predicted": float}
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    write_table(output, pd.concat(parts, ignore_index=True) if parts else empty, about)


def small_tiles(tiles: NDArray[np.uint8], batch: int = 64) -> NDArray[np.uint8]:
    """Return (N, 3, 48, 48) uint8 of (N, S, S, 3) tiles, each pixel the mean of those it covers."""
    made = []
    for start in range(0, len(tiles), batch):
        some = torch.from_numpy(np.array(tiles[start : start + batch])).permute(0, 3, 1, 2).float()
        made.append(F.interpolate(some, size=(SIDE, SIDE), mode="area").round().byte().numpy())
    return np.concatenate(made) if made else np.zeros((0, 3, SIDE, SIDE), np.uint8)


def small_network() -> nn.Sequential:
    """Return a network of three convolutions and a mean over the tile: (B, 3, S, S) to (B, 1)."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 16), (16, 32), (32, 64)):
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride=2, padding=1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1))


def trained(
    tiles: NDArray[np.uint8],
    shares: Shares,
    label: NDArray[np.bool_],
    train: NDArray[np.bool_],
    steps: int,
    seed: int,
) -> nn.Sequential:
    """Return a network trained on the tiles of the training areas, each with its area's label.

    A tile of several areas is drawn for each by its share; with one that is held out it is left
    out, since its pixels will be tested.

    Args:
        tiles: (N, 3, 48, 48) uint8.
        shares: which tiles lie in which areas.
        label: (n,) whether areas are high.
        train: (n,) areas that may be learned from.
        steps: training steps.
        seed: of weights, draws and flips.
    """
    shown = np.zeros(len(tiles), bool)
    shown[shares.tile[~train[shares.area]]] = True
    used = np.flatnonzero(train[shares.area] & (shares.weight > 0) & ~shown[shares.tile])
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = small_network()
    if not len(used):
        return network.eval()
    weight = shares.weight[used] / shares.weight[used].sum()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        drawn = rng.choice(used, BATCH, p=weight)
        answer = network(_pixels(tiles[shares.tile[drawn]], flips=rng.integers(0, 2, (BATCH, 2))))
        wanted = torch.from_numpy(label[shares.area[drawn]].astype(np.float32))
        loss = F.binary_cross_entropy_with_logits(answer[:, 0], wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def area_chance(
    network: nn.Module, tiles: NDArray[np.uint8], shares: Shares, held: NDArray[np.bool_]
) -> Floats:
    """Return the chance of each held-out area: the mean of its tiles', by their share in it."""
    pairs = np.flatnonzero(held[shares.area] & (shares.weight > 0))
    wanted, place = np.unique(shares.tile[pairs], return_inverse=True)
    with torch.inference_mode():
        answers = [torch.sigmoid(network(_pixels(tiles[part]))[:, 0]) for part in _split(wanted)]
    chance = torch.cat(answers).numpy().astype(float)[place] if answers else np.zeros(0)
    areas, weight = shares.area[pairs], shares.weight[pairs]
    total = np.bincount(areas, weight, len(held))
    summed = np.bincount(areas, weight * chance, len(held))
    return np.where(total > 0, summed / np.where(total > 0, total, 1.0), 0.5)[held]


def _split(wanted: NDArray[np.int64], batch: int = 256) -> Sequence[NDArray[np.int64]]:
    return [wanted[start : start + batch] for start in range(0, len(wanted), batch)]


def _pixels(tiles: NDArray[np.uint8], flips: NDArray[np.int64] | None = None) -> torch.Tensor:
    """Return (B, 3, S, S) about zero, each tile turned over as its two numbers say."""
    pixels = torch.from_numpy(tiles.astype(np.float32)) / 127.5 - 1
    if flips is not None:
        for axis in (2, 3):
            turned = torch.from_numpy(flips[:, axis - 2] > 0)[:, None, None, None]
            pixels = torch.where(turned, pixels.flip(axis), pixels)
    return pixels

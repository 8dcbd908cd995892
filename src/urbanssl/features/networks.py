"""Features of trained networks: what they answer with, averaged over the tile.

SwAV: pooled map of the backbone's last stage. MAE: mean of the patch tokens (the class token is not
trained by it). Deformable DETR: mean of the encoder's memory and of the backbone's last map.
ViTDet: mean of the backbone's map.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS, DefaultScope
from numpy.typing import NDArray
from torch import nn

from urbanssl.engine.recipe import read_model
from urbanssl.engine.weights import load_weights
from urbanssl.errors import WeightsError

Tiles = NDArray[np.uint8]
Floats = NDArray[np.float32]


def network_features(
    name: str, recipe: Path, weights: Path, classes: int
) -> Callable[[Tiles], Floats]:
    """Return a function from (B, S, S, 3) uint8 tiles to (B, D) float32 features.

    Args:
        name: `swav`, `mae`, `detr` or `vitdet`.
        recipe: mmengine config of the network.
        weights: trained weights; every tensor of the network must be in them.
        classes: number of classes of a detector.

    Raises:
        WeightsError: weights that do not fit the recipe's network; on a call: answers that are
            not finite.
    """
    detector = name in ("detr", "vitdet")
    config = read_model(recipe, classes if detector else None)
    scope = config.get("default_scope", "mmengine")
    with DefaultScope.overwrite_default_scope(scope):
        model: nn.Module = MODELS.build(config.model)
    load_weights(model, weights, prefixes=getattr(model, "weight_prefixes", None))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device).eval()
    answer = {"detr": _detr, "vitdet": _vitdet}.get(name, _self_supervised)
    side = config.get("input_size") if detector else None

    def features(tiles: Tiles) -> Floats:
        batch = torch.from_numpy(np.ascontiguousarray(tiles)).to(device)
        with torch.inference_mode():
            batch = _resized(batch, side)
            found: Floats = answer(model, batch).float().cpu().numpy()
        if not np.isfinite(found).all():
            raise WeightsError.at(
                weights, "the network's answers are not finite", "train it again, see its log"
            )
        return found

    return features


def _resized(tiles: torch.Tensor, side: int | None) -> torch.Tensor:
    """Return tiles at the side that a detector sees them with, as when it predicts."""
    if side is None or tiles.shape[1] == side:
        return tiles
    images = tiles.permute(0, 3, 1, 2).float()
    scaled = F.interpolate(images, size=(side, side), mode="bilinear", antialias=True)
    return scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def _self_supervised(model: nn.Module, tiles: torch.Tensor) -> torch.Tensor:
    return model.features(tiles)  # type: ignore[operator,no-any-return]


def _prepared(model: nn.Module, tiles: torch.Tensor) -> tuple[torch.Tensor, list]:
    """Return normalised images and mmdet's samples that say their size."""
    from mmdet.structures import DetDataSample

    side = tuple(tiles.shape[1:3])
    meta = {"img_shape": side, "ori_shape": side, "pad_shape": side, "scale_factor": (1.0, 1.0)}
    samples = [DetDataSample(metainfo=meta) for _ in range(len(tiles))]
    images = list(tiles.permute(0, 3, 1, 2))
    data = model.data_preprocessor(  # type: ignore[operator]
        {"inputs": images, "data_samples": samples}, False
    )
    return data["inputs"], data["data_samples"]


def _detr(model: nn.Module, tiles: torch.Tensor) -> torch.Tensor:
    images, samples = _prepared(model, tiles)
    maps = model.backbone(images)  # type: ignore[operator]
    levels = model.neck(maps)  # type: ignore[operator]
    encoder_inputs, _ = model.pre_transformer(levels, samples)  # type: ignore[operator]
    memory = model.forward_encoder(**encoder_inputs)["memory"]  # type: ignore[operator]
    return torch.cat([memory.mean(dim=1), maps[-1].mean(dim=(2, 3))], dim=1)


def _vitdet(model: nn.Module, tiles: torch.Tensor) -> torch.Tensor:
    images, _ = _prepared(model, tiles)
    maps = model.backbone(images)  # type: ignore[operator]
    last = maps[-1] if isinstance(maps, list | tuple) else maps
    return last.mean(dim=(2, 3))

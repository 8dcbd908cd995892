"""Boxes on the tiles of scenes, from a trained detector."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from urbanssl.artifacts import written_whole
from urbanssl.engine.recipe import read_model
from urbanssl.engine.weights import load_weights
from urbanssl.errors import SceneError, WeightsError
from urbanssl.settings import PredictSettings

Boxes = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]

#: Batches predicted between two writes.
_BETWEEN_WRITES = 64
_SCHEMA = pa.schema(
    [
        ("tile_id", pa.dictionary(pa.int32(), pa.string())),
        ("class_name", pa.dictionary(pa.int32(), pa.string())),
        *((key, pa.float32()) for key in ("score", "x1", "y1", "x2", "y2")),
    ]
)


def predict_scenes(
    recipe: Path,
    weights: Path,
    arrays: Sequence[Path],
    tables: Sequence[Path],
    classes: Sequence[str],
    predict: PredictSettings,
    outputs: Sequence[Path],
    about: Mapping[str, Any],
    only: Sequence[Path | None],
) -> None:
    """Write the boxes that a detector finds on the tiles of scenes, memory bounded.

    Args:
        recipe: mmdet config of the detector; `num_classes` is set from `classes`.
        weights: its weights; every tensor must match.
        arrays: `(N, S, S, 3)` uint8 shard of each scene.
        tables: their tile tables.
        classes: names in the order of the labels, from 0.
        predict: `min_score`, `max_per_tile`, `batch_size`.
        outputs: tables to write, `tile_id, class_name, score, x1, y1, x2, y2` (tile pixels), tiles
            in the order of the shard, scores descending within a tile.
        about: provenance.
        only: for each scene, a table of splits: tiles of its val and test splits alone are
            predicted; None: all tiles.

    Raises:
        WeightsError: the weights are not those of this network.
        SceneError: shard and table do not have the same number of tiles.
    """
    config = read_model(recipe, len(classes))
    model = load_detector(config, weights)
    schema = _SCHEMA.with_metadata({b"urbanssl": json.dumps(dict(about)).encode()})
    seen = input_size(config), takes_bgr(config)
    for array, table, output, splits in zip(arrays, tables, outputs, only, strict=True):
        tiles, names, rows = _asked(array, table, splits)
        with written_whole(output) as temporary, pq.ParquetWriter(temporary, schema) as writer:
            waiting: list[Boxes] = []
            for boxes in predict_tiles(model, tiles, rows, predict, *seen):
                waiting.append(boxes)
                if len(waiting) == _BETWEEN_WRITES:
                    writer.write_table(_rows(waiting, names, classes))
                    waiting = []
            if waiting:
                writer.write_table(_rows(waiting, names, classes))


def _asked(
    array: Path, table: Path, splits: Path | None
) -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[np.int64]]:
    """Return the tiles of a scene, their names, and the rows that are to be predicted."""
    tiles = np.load(array, mmap_mode="r")
    names = np.array(pq.read_table(table, columns=["tile_id"])["tile_id"].to_pylist(), dtype=object)
    if len(tiles) != len(names):
        raise SceneError.at(
            array, f"{len(tiles)} tiles, but {table} has {len(names)} rows", "cut the scene again"
        )
    rows = np.arange(len(names))
    if splits is not None:
        rows = rows[np.isin(names, _held_out(splits))]
    return tiles, names, rows


def load_detector(config: Config, weights: Path) -> nn.Module:
    """Build a detector with its weights, ready to predict, on the GPU where there is one.

    Args:
        config: the recipe, its number of classes set.
        weights: file whose tensors are exactly those of the network.

    Raises:
        WeightsError: tensors are missing, misshapen or left over.
    """
    init_default_scope(config.get("default_scope", "mmdet"))
    model: nn.Module = MODELS.build(config.model)
    report = load_weights(model, weights, expected=1.0)
    if report.unexpected:
        raise WeightsError.at(
            weights,
            f"{len(report.unexpected)} tensors have no place in the network: "
            + ", ".join(report.unexpected[:20]),
            "give the weights that this recipe trained",
        )
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def input_size(config: Config) -> int | None:
    """Return the side in pixels at which the network sees a tile; None: the tile's own.

    It is the recipe's `input_size`, or the side to which the `Resize` of its `test_pipeline` brings
    a square image.
    """
    if "input_size" in config:
        return int(config.input_size)
    for step in config.get("test_pipeline", ()):
        if step["type"] == "Resize" and "scale" in step:
            return int(min(step["scale"]))
    return None


def takes_bgr(config: Config) -> bool:
    """Return whether the recipe's `LoadTile` gives tiles as blue, green, red."""
    return any(step.get("channel_order") == "bgr" for step in config.get("test_pipeline", ()))


def predict_tiles(
    model: Any,
    tiles: NDArray[np.uint8],
    rows: NDArray[np.int64],
    predict: PredictSettings,
    size: int | None,
    bgr: bool = False,
) -> Iterator[Boxes]:
    """Yield the boxes of tiles, batch by batch.

    Args:
        model: an mmdet detector.
        tiles: `(N, S, S, 3)` uint8, red, green, blue.
        rows: the tiles to predict.
        predict: `min_score`, `max_per_tile`, `batch_size`.
        size: side in pixels at which the network sees a tile; None: S.
        bgr: the network takes blue, green, red.

    Yields:
        For each box its row of `tiles`, label, score, and x1, y1, x2, y2 in tile pixels.
    """
    for start in range(0, len(rows), predict.batch_size):
        batch = rows[start : start + predict.batch_size]
        with torch.inference_mode():
            shown = tiles[batch][..., :: -1 if bgr else 1]
            results = model.test_step(_batch(np.ascontiguousarray(shown), size))
        found = [result.pred_instances for result in results]
        parts = [_best(boxes, predict) for boxes in found]
        counts = [len(scores) for _, scores, _ in parts]
        yield (
            np.repeat(batch, counts),
            np.concatenate([labels for labels, _, _ in parts]).astype(np.int64),
            np.concatenate([scores for _, scores, _ in parts]),
            np.concatenate([boxes for _, _, boxes in parts]).reshape(-1, 4),
        )


def _batch(tiles: NDArray[np.uint8], size: int | None) -> dict[str, Any]:
    """Return tiles as mmdet's detectors take them, resized as mmdet's `Resize` does (bilinear)."""
    from mmdet.structures import DetDataSample

    images = torch.from_numpy(tiles).permute(0, 3, 1, 2)
    side = images.shape[-1]
    size = size or side
    if size != side:
        resized = functional.interpolate(images.float(), (size, size), mode="bilinear")
        images = resized.round().to(torch.uint8)
    about = {
        "img_shape": (size, size),
        "ori_shape": (side, side),
        "scale_factor": (size / side, size / side),
    }
    samples = [DetDataSample(metainfo=dict(about)) for _ in tiles]
    return {"inputs": list(images), "data_samples": samples}


def _best(
    found: Any, predict: PredictSettings
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Return labels, scores and boxes of one tile, the best first."""
    scores = found.scores.float().cpu().numpy()
    order = np.argsort(-scores, kind="stable")[: predict.max_per_tile]
    order = order[scores[order] >= predict.min_score]
    labels, boxes = found.labels.cpu().numpy(), found.bboxes.float().cpu().numpy()
    return labels[order], scores[order], boxes[order]


def _rows(found: list[Boxes], names: NDArray[Any], classes: Sequence[str]) -> pa.Table:
    tiles, labels, scores, boxes = (np.concatenate(part) for part in zip(*found, strict=True))
    shown, codes = np.unique(tiles, return_inverse=True)
    columns = [
        _coded(codes, list(names[shown])),
        _coded(labels, list(classes)),
        pa.array(scores, pa.float32()),
        *(pa.array(boxes[:, c], pa.float32()) for c in range(4)),
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def _coded(codes: NDArray[np.int64], names: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names, pa.string()))


def _held_out(splits: Path) -> list[str]:
    table = pq.read_table(splits, columns=["tile_id", "split"]).to_pandas()
    return list(table["tile_id"][table["split"].isin(["val", "test"])])

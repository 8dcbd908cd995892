"""Detections scored against the labels of the test split: on tiles, on scenes, in metres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from urbanssl.artifacts import read_json, table_about, write_json, write_table
from urbanssl.detect.bootstrap import Strings, draws, interval
from urbanssl.detect.coco_eval import RECALLS, THRESHOLDS, Evaluation, Found, Truth
from urbanssl.detect.mistakes import best_score, mistakes
from urbanssl.errors import LabelError
from urbanssl.settings import ScoreSettings

_BOX = ["x1", "y1", "x2", "y2"]
#: Ends of small and medium in metres: the side of a square as large as the box.
METRES = (8.0, 32.0)
#: Ranges of areas in square metres: all, small, medium, large.
METRE_RANGES = np.array(
    [[0, 1e10], [0, METRES[0] ** 2], [METRES[0] ** 2, METRES[1] ** 2], [METRES[1] ** 2, 1e10]]
)
#: Thresholds of IoU whose curves are written.
_CURVES = (0, 5)


@dataclass(frozen=True)
class Case:
    """Labels and detections on numbered images (tiles, or images of scenes).

    Attributes:
        truth: labelled boxes.
        found: detections.
        images: number of images.
        blocks: names of the blocks of the test split.
        truth_blocks: `(m,)` block of each labelled box.
        found_blocks: `(n,)` block of each detection.
        gsd: `(images,)` square metres of a pixel, NaN where not known; None: not asked for.
    """

    truth: Truth
    found: Found
    images: int
    blocks: Strings
    truth_blocks: Strings
    found_blocks: Strings
    gsd: NDArray[np.float64] | None = None


def score_run(
    tile_boxes: list[Path],
    merged: list[Path],
    coco: Path,
    scene_boxes: Path,
    classes: Sequence[str],
    score: ScoreSettings,
    seed: int,
    metrics: Path,
    curves: Path,
    about: Mapping[str, Any],
) -> None:
    """Score the detections of one run.

    Args:
        tile_boxes: boxes in tile pixels of the labelled scenes, of `predict_scene`.
        merged: their merged boxes, of `merge_scene`; those seen on no test tile are left out.
        coco: labels of the test tiles; `ignore` or `iscrowd` boxes count neither way.
        scene_boxes: labels of the test split in image pixels.
        classes: the classes, in order.
        score: number of resamples.
        seed: seed of the resamples.
        metrics: JSON to write. `tiles` and `scenes`: `stats` (the 12 COCO statistics),
            `intervals` (95 %, by block), `draws` (AP and AP50 of every resample, the same
            blocks for every run) and `per_class`; `metres`: statistics on scenes with small,
            medium, large by the side in metres; `confusion`, `errors`; `about`. Classes without
            labelled boxes are null and left out of means; so is all of `metres` without a GSD.
        curves: table to write: `on, class_name, iou, recall, precision`, at IoU .5 and .75.
        about: provenance.

    Raises:
        LabelError: the test split has no tile.
    """
    names = tuple(classes)
    labels = read_json(coco)
    if not labels["images"]:
        raise LabelError.at(coco, "no tile in the test split", "raise `splits.test`, or add labels")
    cases = {
        "tiles": tile_case(tile_boxes, labels, names),
        "scenes": scene_case(merged, scene_boxes, labels, names),
    }
    scores = {on: _scores(case, names, score.bootstrap, seed) for on, case in cases.items()}
    content = {on: each.numbers for on, each in scores.items()}
    content["metres"] = in_metres(cases["scenes"], len(names))
    content["confusion"] = {on: each.confusion for on, each in scores.items()}
    content["errors"] = {on: each.errors for on, each in scores.items()}
    write_json(metrics, {**content, "about": dict(about)})
    tables = [each.curves.assign(on=on) for on, each in scores.items()]
    write_table(curves, pd.concat(tables, ignore_index=True), about)


@dataclass(frozen=True)
class _Scores:
    numbers: dict[str, Any]
    confusion: dict[str, Any]
    errors: dict[str, Any]
    curves: pd.DataFrame


def _scores(case: Case, names: Sequence[str], resamples: int, seed: int) -> _Scores:
    matched = Evaluation(case.truth, case.found, case.images, len(names))
    rng = np.random.default_rng(seed)
    drawn = draws(matched, case.blocks, case.truth_blocks, case.found_blocks, resamples, rng)
    numbers = {
        "stats": matched.stats(),
        "intervals": {name: interval(values) for name, values in drawn.items()},
        "draws": drawn,
        "per_class": dict(zip(names, matched.by_class(), strict=True)),
        "images": case.images,
        "blocks": len(np.unique(case.blocks)),
    }
    lowest = best_score(matched)
    counts = mistakes(case.truth, case.found, case.images, len(names), lowest)
    confusion, errors = counts.plain(names)
    return _Scores(numbers, confusion, errors, _curves(matched, names))


def _curves(matched: Evaluation, names: Sequence[str]) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {
                "class_name": name,
                "iou": THRESHOLDS[place],
                "recall": RECALLS,
                "precision": matched.precision[0, place, c],
            }
        )
        for c, name in enumerate(names)
        if matched.positives()[0, c] > 0
        for place in _CURVES
    ]
    columns = {"class_name": str, "iou": float, "recall": float, "precision": float}
    return pd.concat([pd.DataFrame(columns=list(columns)).astype(columns), *parts])


def tile_case(tile_boxes: list[Path], coco: Mapping[str, Any], classes: Sequence[str]) -> Case:
    """Return labels and detections on the tiles of a COCO file.

    Args:
        tile_boxes: boxes in tile pixels; those of other tiles are left out.
        coco: content of the COCO file.
        classes: the classes, in order.
    """
    images = coco["images"]
    number = {image["id"]: place for place, image in enumerate(images)}
    label = {entry["id"]: list(classes).index(entry["name"]) for entry in coco["categories"]}
    marks = coco["annotations"]
    truth = Truth(
        np.array([number[mark["image_id"]] for mark in marks], np.int64),
        np.array([label[mark["category_id"]] for mark in marks], np.int64),
        np.array([mark["bbox"] for mark in marks], float).reshape(-1, 4),
        np.array([mark["area"] for mark in marks], float),
        np.array([bool(mark.get("iscrowd") or mark.get("ignore")) for mark in marks], bool),
    )
    boxes = pd.concat([_read(path) for path in tile_boxes], ignore_index=True)
    place = pd.Index([image["file_name"] for image in images]).get_indexer(boxes["tile_id"])
    blocks = np.array([str(image["block"]) for image in images])
    found = _found(boxes[place >= 0], place[place >= 0], classes)
    return Case(truth, found, len(images), blocks, blocks[truth.images], blocks[found.images])


def scene_case(
    merged: list[Path], scene_boxes: Path, coco: Mapping[str, Any], classes: Sequence[str]
) -> Case:
    """Return labels and merged detections on the images of the scenes, within the test split.

    Args:
        merged: merged boxes; those seen on no test tile are left out.
        scene_boxes: labels in image pixels.
        coco: content of the COCO file, for the tiles of the test split and their blocks.
        classes: the classes, in order.
    """
    block_of = {image["file_name"]: str(image["block"]) for image in coco["images"]}
    boxes = pd.concat([_read(path) for path in merged], ignore_index=True)
    on_tiles = [
        next((block_of[tile] for tile in tiles.split(";") if tile in block_of), "")
        for tiles in boxes["tiles"]
    ]
    boxes = boxes.assign(block=pd.Series(on_tiles, dtype=object))
    boxes = boxes[boxes["block"] != ""]
    labels = _read(scene_boxes)
    number = {key: place for place, key in enumerate(sorted({*_keys(boxes), *_keys(labels)}))}
    corners = labels[_BOX].to_numpy(float).reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    truth = Truth(
        np.array([number[key] for key in _keys(labels)], np.int64),
        _numbers(labels["class_name"], classes),
        np.hstack([corners[:, :2], sides]),
        sides.prod(1),
        labels["ignore"].to_numpy(bool),
    )
    found = _found(boxes, np.array([number[key] for key in _keys(boxes)], np.int64), classes)
    known = {
        (about["scene"], image): size["gsd_x"] * size["gsd_y"]
        for about in map(table_about, merged)
        for image, size in about["images"].items()
        if size["gsd_x"] is not None and size["gsd_y"] is not None
    }
    return Case(
        truth,
        found,
        len(number),
        np.array(sorted(set(block_of.values()))),
        labels["block"].to_numpy(str),
        boxes["block"].to_numpy(str),
        np.array([known.get(key, np.nan) for key in number], float),
    )


def _read(path: Path) -> pd.DataFrame:
    """Read a table without its geometry, which scoring does not need."""
    names = [name for name in pq.read_schema(path).names if name != "geometry"]
    return pq.read_table(path, columns=names).to_pandas(ignore_metadata=True)


def _keys(boxes: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(boxes["scene"].astype(str), boxes["image"].astype(str), strict=True))


def _numbers(names: pd.Series, classes: Sequence[str]) -> NDArray[np.int64]:
    return pd.Index(classes).get_indexer(names.astype(object)).astype(np.int64)


def _found(boxes: pd.DataFrame, images: NDArray[np.int64], classes: Sequence[str]) -> Found:
    corners = boxes[_BOX].to_numpy(float).reshape(-1, 4)
    return Found(
        images.astype(np.int64),
        _numbers(boxes["class_name"], classes),
        np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]),
        boxes["score"].to_numpy(float),
    )


def in_metres(case: Case, classes: int) -> dict[str, Any]:
    """Return the statistics with small, medium and large by size on the ground.

    Args:
        case: a case with `gsd`.
        classes: number of classes.
    """
    ends = {"small_below": METRES[0], "large_from": METRES[1]}
    if case.gsd is None or np.isnan(case.gsd).any():
        return {"stats": None, **ends}
    truth, found = case.truth, case.found
    matched = Evaluation(
        Truth(
            truth.images,
            truth.classes,
            truth.boxes,
            truth.area * case.gsd[truth.images],
            truth.ignore,
        ),
        Found(
            found.images,
            found.classes,
            found.boxes,
            found.scores,
            found.boxes[:, 2:].prod(1) * case.gsd[found.images],
        ),
        case.images,
        classes,
        METRE_RANGES,
    )
    return {"stats": matched.stats(), **ends}

"""Example tiles: the labels beside the predictions, with what was found, missed and false."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from urbanssl.report.drawing import INK, drawing, rendered
from urbanssl.report.gather import Results

#: Chosen to stand out on imagery and from each other for colour-blind readers.
_CORRECT, _WRONG = "#56b4e9", "#ff7f2a"


@dataclass(frozen=True)
class Example:
    """One tile with its labels and predictions.

    Attributes:
        tile_id: name of the tile.
        pixels: the tile, `(S, S, 3)` uint8.
        truth: labelled boxes `x1, y1, x2, y2`, `(M, 4)`, in tile pixels.
        truth_names: their classes.
        found: whether each labelled box was found, `(M,)`.
        predicted: predicted boxes, `(N, 4)`, by falling score.
        predicted_names: their classes.
        correct: whether each prediction has a labelled partner, `(N,)`.
    """

    tile_id: str
    pixels: np.ndarray
    truth: np.ndarray
    truth_names: Sequence[str]
    found: np.ndarray
    predicted: np.ndarray
    predicted_names: Sequence[str]
    correct: np.ndarray

    @property
    def quality(self) -> float:
        """F1 at IoU 0.5, from 0 (nothing right) to 1 (everything right)."""
        return 2 * float(self.found.sum()) / max(1, len(self.truth) + len(self.predicted))


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the intersection over union of boxes `(M, 4)` and `(N, 4)`, as `(M, N)`."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    inside = np.prod(np.clip(bottom_right - top_left, 0, None), axis=2)
    one = np.prod(first[:, 2:] - first[:, :2], axis=1)[:, None]
    other = np.prod(second[:, 2:] - second[:, :2], axis=1)[None, :]
    return np.asarray(inside / np.maximum(one + other - inside, 1e-9))


def match(
    truth: np.ndarray,
    truth_names: Sequence[str],
    predicted: np.ndarray,
    predicted_names: Sequence[str],
    least: float = 0.5,
) -> tuple[np.ndarray, np.ndarray]:
    """Pair predictions, by falling score, with labelled boxes of their class.

    Returns:
        Which labelled boxes were found, `(M,)`, and which predictions are correct, `(N,)`.
    """
    found, correct = np.zeros(len(truth), bool), np.zeros(len(predicted), bool)
    if not len(truth) or not len(predicted):
        return found, correct
    overlap = iou(predicted, truth)
    same = np.array(predicted_names)[:, None] == np.array(truth_names)[None, :]
    for place in range(len(predicted)):
        fitting = np.where(same[place] & ~found, overlap[place], 0.0)
        best = int(fitting.argmax())
        if fitting[best] >= least:
            found[best] = correct[place] = True
    return found, correct


def examples(results: Results, run: str, min_score: float, at_most: int = 60) -> list[Example]:
    """Return test tiles with labelled objects, best first.

    Args:
        results: the results folder.
        run: name of the run whose predictions are shown.
        min_score: predictions below this score are not shown.
        at_most: number of tiles looked at, those with most labels.
    """
    coco = results.coco.get("test")
    if coco is None:
        return []
    names = {entry["id"]: entry["name"] for entry in coco["categories"]}
    labels: dict[int, list[dict]] = {}
    for entry in coco["annotations"]:
        if not entry.get("ignore") and not entry.get("iscrowd"):
            labels.setdefault(entry["image_id"], []).append(entry)
    images = sorted(
        (image for image in coco["images"] if image["id"] in labels),
        key=lambda image: (-len(labels[image["id"]]), image["file_name"]),
    )
    predictions: dict[str, pd.DataFrame] = {}
    shown = []
    for image in images[:at_most]:
        scene = str(image["scene"])
        if scene not in predictions:
            table = results.table("predict", run, f"{scene}.parquet")
            predictions[scene] = table if table is not None else pd.DataFrame()
        if predictions[scene].empty:
            continue
        shown.append(
            _example(results, image, labels[image["id"]], names, predictions[scene], min_score)
        )
    return sorted((e for e in shown if e is not None), key=lambda e: -e.quality)


def _example(
    results: Results,
    image: dict,
    labels: list[dict],
    names: dict[int, str],
    predictions: pd.DataFrame,
    min_score: float,
) -> Example | None:
    array = results.root / "tiles" / str(image["scene"]) / "tiles.npy"
    if not array.is_file():
        return None
    pixels = np.array(np.load(array, mmap_mode="r")[image["shard_index"]])
    truth = np.array([entry["bbox"] for entry in labels], dtype=float)
    truth[:, 2:] += truth[:, :2]
    truth_names = [names[entry["category_id"]] for entry in labels]
    own = predictions[
        (predictions["tile_id"] == image["file_name"]) & (predictions["score"] >= min_score)
    ].sort_values("score", ascending=False, kind="stable")
    boxes = own[["x1", "y1", "x2", "y2"]].to_numpy(dtype=float)
    own_names = own["class_name"].astype(str).tolist()
    found, correct = match(truth, truth_names, boxes, own_names)
    return Example(
        str(image["file_name"]), pixels, truth, truth_names, found, boxes, own_names, correct
    )


def spread(found: Sequence[Example], count: int) -> list[Example]:
    """Return `count` examples spread evenly from the best to the worst."""
    if len(found) <= count:
        return list(found)
    places = np.linspace(0, len(found) - 1, count).round().astype(int)
    return [found[place] for place in places]


def side_by_side(shown: Sequence[Example]) -> np.ndarray:
    """Return a picture of tiles, labels on the left and predictions on the right of each pair."""
    columns = 2 if len(shown) > 1 else 1
    rows = -(-len(shown) // columns)
    with drawing(3.9 * columns, 2.15 * rows) as canvas:
        grid = canvas.subplots(rows, 2 * columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for place, example in enumerate(shown):
            row, column = divmod(place, columns)
            left, right = grid[row, 2 * column], grid[row, 2 * column + 1]
            _draw(left, example.pixels, example.truth, example.truth_names, example.found)
            _draw(
                right, example.pixels, example.predicted, example.predicted_names, example.correct
            )
            left.set_title("labelled", fontsize=7.5, fontweight="normal", color=INK, pad=2)
            right.set_title("predicted", fontsize=7.5, fontweight="normal", color=INK, pad=2)
        canvas.set_layout_engine("constrained", w_pad=0.02, h_pad=0.03, wspace=0.02, hspace=0.03)
        return rendered(canvas)


def _draw(
    axes: Axes, pixels: np.ndarray, boxes: np.ndarray, names: Sequence[str], right: np.ndarray
) -> None:
    side = pixels.shape[0]
    axes.imshow(pixels, interpolation="nearest")
    for (x1, y1, x2, y2), name, good in zip(boxes, names, right, strict=True):
        colour = _CORRECT if good else _WRONG
        style = "-" if good else (0, (3, 1.5))
        axes.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fc="none", ec="black", lw=2.2, alpha=0.5)
        )
        axes.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fc="none", ec=colour, lw=1.1, ls=style)
        )
        if max(x2 - x1, y2 - y1) > 0.12 * side:
            axes.text(
                max(x1, 0) + 0.01 * side,
                max(y1, 0) + 0.012 * side,
                name,
                color="white",
                fontsize=4.6,
                va="top",
                bbox={"fc": "black", "ec": "none", "alpha": 0.55, "pad": 0.8},
                clip_on=True,
            )
    axes.set_xlim(-0.5, side - 0.5)
    axes.set_ylim(side - 0.5, -0.5)

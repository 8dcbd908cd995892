"""Pictures of the best and the worst test tiles: labels beside predictions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from urbanssl.artifacts import read_json, written_whole
from urbanssl.detect.coco_eval import Evaluation
from urbanssl.detect.coco_kernels import HIT, NEITHER, RIGHT, WRONG, box_iou
from urbanssl.detect.mistakes import best_score
from urbanssl.detect.score import Case, tile_case

#: Told apart by colour-blind readers, and from imagery.
GOOD, BAD, CONFUSED, IGNORED = (86, 180, 233), (255, 127, 42), (240, 228, 66), (190, 190, 190)
#: Least side of a panel in pixels, and the gap between panels.
_PANEL, _GAP = 384, 8


def worst_and_best(
    tile_boxes: list[Path], coco: Path, arrays: list[Path], folder: Path, n: int = 8
) -> None:
    """Write pictures of the tiles with the highest and the lowest F1 at IoU .5.

    Left the labels: blue found, orange missed, yellow taken for another class, grey to ignore.
    Right the predictions from the score of the highest F1 on: blue right, orange false, yellow of
    the wrong class, grey counting neither way. Names are `best_01_{tile}.png`,
    `worst_01_{tile}.png`; among equal F1, tiles with more boxes come first.

    Args:
        tile_boxes: boxes in tile pixels, of `predict_scene`.
        coco: labels of the test tiles.
        arrays: shards of the labelled scenes, each in a folder with the scene's name.
        folder: folder to write to, made where it is missing.
        n: pictures of each kind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = read_json(coco)
    names = [entry["name"] for entry in content["categories"]]
    case = tile_case(tile_boxes, content, names)
    matched = Evaluation(case.truth, case.found, case.images, len(names))
    judged = _Judged(case, matched, best_score(matched))
    f1, weight = judged.quality()
    shown = np.flatnonzero(weight > 0)
    best = shown[np.lexsort((-weight[shown], -f1[shown]))][: min(n, (len(shown) + 1) // 2)]
    rest = np.setdiff1d(shown, best)
    worst = rest[np.lexsort((-weight[rest], f1[rest]))][:n]
    shards = {path.parent.name: np.load(path, mmap_mode="r") for path in arrays}
    for kind, chosen in (("best", best), ("worst", worst)):
        for place, image in enumerate(chosen, 1):
            about = content["images"][image]
            tile = shards[about["scene"]][about["shard_index"]]
            plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", about["file_name"])
            with written_whole(folder / f"{kind}_{place:02d}_{plain}.png") as temporary:
                judged.picture(np.asarray(tile), int(image), names).save(temporary)


@dataclass(frozen=True)
class _Judged:
    """Detections of a score or more, each with its state."""

    case: Case
    matched: Evaluation
    least: float

    @property
    def _counting(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.matched.found_scores >= self.least)

    def quality(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return F1 of each image, and its number of boxes that count."""
        rows = self._counting
        state = self.matched.states[0, 0, rows]
        images = self.case.found.images[self.matched.rows[rows]]
        right = np.bincount(images[state == RIGHT], minlength=self.case.images)
        wrong = np.bincount(images[state == WRONG], minlength=self.case.images)
        labelled = np.bincount(
            self.case.truth.images[self.matched.counted[0]], minlength=self.case.images
        )
        total = right + wrong + labelled
        return 2 * right / np.maximum(total, 1), total

    def picture(self, tile: NDArray[np.uint8], image: int, names: list[str]) -> Image.Image:
        """Return labels and predictions on a tile, side by side."""
        case = self.case
        rows = self._counting
        rows = rows[case.found.images[self.matched.rows[rows]] == image]
        state, own = self.matched.states[0, 0, rows], self.matched.rows[rows]
        labels = np.flatnonzero(case.truth.images == image)
        right = own[state == RIGHT]
        wrong = own[state == WRONG]
        truth_colours = [
            IGNORED
            if case.truth.ignore[t]
            else GOOD
            if any(self._meet(t, d, same=True) for d in right)
            else CONFUSED
            if any(self._meet(t, d, same=False) for d in wrong)
            else BAD
            for t in labels
        ]
        found_colours = [
            CONFUSED
            if s == WRONG and any(self._meet(t, d, same=False) for t in labels)
            else {RIGHT: GOOD, WRONG: BAD, NEITHER: IGNORED}[int(s)]
            for s, d in zip(state, own, strict=True)
        ]
        truth_names = [names[case.truth.classes[t]] for t in labels]
        found_names = [f"{names[case.found.classes[d]]} {case.found.scores[d]:.2f}" for d in own]
        scale = max(1, -(-_PANEL // tile.shape[1]))
        panels = [
            _panel(tile, case.truth.boxes[labels], truth_colours, truth_names, scale),
            _panel(tile, case.found.boxes[own], found_colours, found_names, scale),
        ]
        width, height = panels[0].size
        sheet = Image.new("RGB", (2 * width + _GAP, height), "white")
        sheet.paste(panels[0], (0, 0))
        sheet.paste(panels[1], (width + _GAP, 0))
        return sheet

    def _meet(self, label: np.integer, detection: np.integer, same: bool) -> bool:
        """Return whether a detection lies on a labelled box of the same, or of another, class."""
        truth, found = self.case.truth, self.case.found
        alike = found.classes[detection] == truth.classes[label]
        overlap = box_iou(found.boxes[detection], truth.boxes[label], False)
        return bool(alike == same and overlap >= HIT)


def _panel(
    tile: NDArray[np.uint8],
    boxes: NDArray[np.float64],
    colours: list[tuple[int, int, int]],
    names: list[str],
    scale: int,
) -> Image.Image:
    """Return a tile, enlarged, with boxes x, y, width, height and their names."""
    height, width = tile.shape[:2]
    sheet = Image.fromarray(tile).resize((width * scale, height * scale), Image.Resampling.NEAREST)
    pen: Any = ImageDraw.Draw(sheet)
    for box, colour, name in zip(boxes * scale, colours, names, strict=True):
        x, y, wide, high = box.tolist()
        pen.rectangle((x, y, x + wide, y + high), outline=colour, width=2)
        place = (x + 3, y - 12 if y > 12 else y + high + 1)
        pen.text(place, name, fill=colour, stroke_width=2, stroke_fill=(0, 0, 0))
    return sheet

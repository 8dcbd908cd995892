"""Selective Search: ours beside OpenCV's fast mode on real tiles, on one core.

    python benchmarks/proposals.py --data ../shared/data --opencv /elsewhere/bin/python

`--opencv` is an interpreter with opencv-contrib-python-headless and numpy, in an environment of its
own (contrib cannot share one with the OpenCV that mmcv asks for). Tiles of 256 px are cut from the
images of dota8 and tennis; a box counts where 70 % of it shows. Recall: labelled boxes that one of
the first 30 or 100 boxes meets at IoU .5, mean over draws of the random order and the standard
error of that mean; ours also ranked.
Random boxes and a dense grid, the ablations, are beside them. UC Merced, which has no boxes, is
timed alone. Times are milliseconds of processor time a tile, the median over as many rounds as
draws.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
from PIL import Image

from urbanssl.labels.clip import clip_boxes
from urbanssl.opencv import one_opencv_thread
from urbanssl.ssl.box_order import draw_order
from urbanssl.ssl.proposals import grid_boxes, random_boxes
from urbanssl.ssl.selective_search import ranked_order, search

SIZE, SIDE = 256, 128

_OPENCV = """
import sys, time
import cv2, numpy as np
cv2.setNumThreads(1)
stored = np.load(sys.argv[1])
made = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation
boxes, seconds = {}, []
for draw in range(int(sys.argv[3])):
    seconds.append(0.0)
    for n, tile in enumerate(stored["tiles"]):
        start = time.process_time()
        small = cv2.resize(tile, (128, 128))
        finder = made()
        finder.setBaseImage(small)
        finder.switchToSelectiveSearchFast()
        found = finder.process().astype(float)
        seconds[-1] += time.process_time() - start
        found[:, 2:] += found[:, :2]
        boxes[f"{draw}_{n}"] = found * tile.shape[0] / 128
np.savez(sys.argv[2], seconds=np.median(seconds), **boxes)
"""


def yolo_boxes(path, width, height):
    """Upright boxes round the corners of a YOLO-OBB file."""
    rows = [np.array(line.split()[1:9], float) for line in path.read_text().splitlines()]
    corners = np.array(rows).reshape(-1, 4, 2) * [width, height]
    return np.hstack([corners.min(1), corners.max(1)])


def voc_boxes(path):
    """Boxes of a Pascal VOC file."""
    names = ("xmin", "ymin", "xmax", "ymax")
    found = [
        [float(box.findtext(name)) for name in names]
        for box in ElementTree.parse(path).getroot().iter("bndbox")
    ]
    return np.array(found).reshape(-1, 4)


def labelled(folder):
    """Yield pixels and boxes of the images of dota8 or tennis."""
    for path in sorted(folder.glob("images/**/*.*")):
        pixels = np.asarray(Image.open(path).convert("RGB"))
        label = Path(str(path.parent).replace("images", "labels")) / path.stem
        if label.with_suffix(".txt").is_file():
            yield pixels, yolo_boxes(label.with_suffix(".txt"), pixels.shape[1], pixels.shape[0])
        elif label.with_suffix(".xml").is_file():
            yield pixels, voc_boxes(label.with_suffix(".xml"))


def tiles_with_boxes(folder, most):
    """Tiles that hold a labelled box, and their boxes; spread over the images."""
    tiles, boxes = [], []
    for pixels, found in labelled(folder):
        for y in range(0, pixels.shape[0] - SIZE + 1, SIZE):
            for x in range(0, pixels.shape[1] - SIZE + 1, SIZE):
                inside, share = clip_boxes(found - [x, y, x, y], SIZE, SIZE)
                if (share >= 0.7).any():
                    tiles.append(pixels[y : y + SIZE, x : x + SIZE])
                    boxes.append(inside[share >= 0.7])
    chosen = np.linspace(0, len(tiles) - 1, min(most, len(tiles))).astype(int)
    return np.stack([tiles[n] for n in chosen]), [boxes[n] for n in chosen]


def plain_tiles(folder, most):
    """Images of UC Merced, without boxes."""
    paths = sorted(folder.glob("**/*.*"))
    chosen = np.linspace(0, len(paths) - 1, min(most, len(paths))).astype(int)
    images = [Image.open(paths[n]).convert("RGB").resize((SIZE, SIZE)) for n in chosen]
    return np.stack([np.asarray(image) for image in images]), None


def hits(truth, boxes):
    """How many labelled boxes have a counterpart at IoU .5."""
    low = np.maximum(truth[:, None, :2], boxes[None, :, :2])
    high = np.minimum(truth[:, None, 2:], boxes[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    areas = [(each[:, 2:] - each[:, :2]).prod(-1) for each in (truth, boxes)]
    return int(((inter / (areas[0][:, None] + areas[1] - inter)).max(1) >= 0.5).sum())


def recall(truth, ordered):
    """Recall of the first 30, the first 100 and all boxes over tiles."""
    total = sum(map(len, truth))
    return [
        sum(hits(t, b[:top]) for t, b in zip(truth, ordered, strict=True)) / total
        for top in (30, 100, None)
    ]


@one_opencv_thread()
def ours(tiles, rounds):
    """Regions of each tile, and seconds of them all (median of the rounds)."""
    search(tiles[0], SIDE)
    seconds = []
    for _ in rounds:
        start = time.process_time()
        found = [search(tile, SIDE) for tile in tiles]
        seconds.append(time.process_time() - start)
    return found, np.median(seconds)


def shared(found, reference):
    """Share of the reference's boxes that are among ours, to a thousandth of a pixel."""
    same = total = 0
    for regions, boxes in zip(found, reference, strict=True):
        made = {tuple(box) for box in np.round(regions.boxes.astype(float), 3)}
        same += sum(tuple(box) in made for box in np.round(boxes, 3))
        total += len(boxes)
    return f"{same} of {total} boxes of OpenCV are among ours"


def in_random_order(ablation, tile, rng):
    """Boxes of an ablation as training would take them."""
    regions = ablation(tile, rng) if ablation is random_boxes else ablation(tile)
    return regions.boxes[draw_order(regions.levels, rng)]


def by_opencv(interpreter, tiles, draws):
    """Boxes of each draw and tile, and seconds of one draw (the median)."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "tiles.npz", Path(folder) / "boxes.npz"
        np.savez(given, tiles=tiles)
        subprocess.run([interpreter, "-c", _OPENCV, str(given), str(made), str(draws)], check=True)
        with np.load(made) as stored:
            boxes = [[stored[f"{d}_{n}"] for n in range(len(tiles))] for d in range(draws)]
            return boxes, float(stored["seconds"])


def main() -> None:
    """Print one line a data set and order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--opencv", help="interpreter with OpenCV contrib; left out: ours alone")
    parser.add_argument("--tiles", type=int, default=60, help="tiles of each data set")
    parser.add_argument("--draws", type=int, default=20, help="random orders of each tile")
    given = parser.parse_args()
    rounds = range(given.draws)
    rng = np.random.default_rng(0)
    print(f"{'data':10}{'order':18}{'ms a tile':>10}{'boxes':>7}{'@30':>7}{'@100':>7}{'@all':>7}")
    for name in ("dota8", "tennis", "ucmerced"):
        read = plain_tiles if name == "ucmerced" else tiles_with_boxes
        tiles, truth = read(given.data / name, given.tiles)
        found, seconds = ours(tiles, rounds)
        orders = {
            "ours, random": [
                [r.boxes[draw_order(r.levels, rng, r.starts)] for r in found] for _ in rounds
            ],
            "ours, ranked": [[r.boxes[ranked_order(r)] for r in found]],
        }
        times = dict.fromkeys(orders, seconds)
        for ablation in (random_boxes, grid_boxes):
            start = time.process_time()
            drawn = [[in_random_order(ablation, tile, rng) for tile in tiles] for _ in rounds]
            name_of = ablation.__name__.replace("_", " ")
            orders[name_of] = drawn
            times[name_of] = (time.process_time() - start) / given.draws
        if given.opencv:
            orders["OpenCV fast"], times["OpenCV fast"] = by_opencv(
                given.opencv, tiles, given.draws
            )
        for order, draws in orders.items():
            count = np.mean([len(boxes) for boxes in draws[0]])
            line = f"{name:10}{order:18}{1000 * times[order] / len(tiles):10.1f}{count:7.0f}"
            if truth is not None:
                values = np.array([recall(truth, boxes) for boxes in draws])
                line += "".join(f"{value:7.3f}" for value in values.mean(axis=0))
                if len(draws) > 1:
                    errors = values.std(axis=0, ddof=1) / np.sqrt(len(draws))
                    line += "  +- " + " ".join(f"{error:.3f}" for error in errors)
            print(line)
            sys.stdout.flush()
        if given.opencv:
            print(f"{name:10}{shared(found, orders['OpenCV fast'][0])}")


if __name__ == "__main__":
    main()

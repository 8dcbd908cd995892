"""COCO scoring: our evaluation beside pycocotools and faster-coco-eval, in one run.

    python benchmarks/score.py [--images 5000] [--boxes 100]

Every program scores the same made detections (16 classes, 8 labelled boxes an image); the largest
difference of the 12 statistics from pycocotools is printed with the seconds of processor time (so
that a busy machine does not disturb it), reading not counted.
"""

import argparse
import contextlib
import io
import time

import numpy as np
from faster_coco_eval import COCO as FasterCOCO
from faster_coco_eval import COCOeval_faster
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from urbanssl.detect.bootstrap import draws
from urbanssl.detect.coco_eval import NAMES, Evaluation, Found, Truth

CLASSES = 16


def drawn(images: int, boxes: int):
    """Labelled boxes, and detections: half of them near a labelled box, half anywhere."""
    rng = np.random.default_rng(0)
    m, n = 8 * images, boxes * images
    sides = rng.choice([12.0, 50.0, 130.0], (m, 1)) * rng.uniform(0.7, 1.3, (m, 2))
    truth_boxes = np.hstack([rng.uniform(0, 900, (m, 2)), sides])
    truth_images, kinds = np.repeat(np.arange(images), 8), rng.integers(0, CLASSES, m)
    ignore = rng.random(m) < 0.05
    truth = Truth(truth_images, kinds, truth_boxes, sides.prod(1), ignore)
    found_images = np.repeat(np.arange(images), boxes)
    source = found_images * 8 + rng.integers(0, 8, n)
    moved = truth_boxes[source] * rng.uniform(0.9, 1.1, (n, 4))
    stray = rng.random(n) < 0.5
    moved[stray, :2] = rng.uniform(0, 900, (int(stray.sum()), 2))
    labels = np.where(rng.random(n) < 0.8, kinds[source], rng.integers(0, CLASSES, n))
    return truth, Found(found_images, labels, moved, rng.random(n))


def dataset(truth, images):
    """The labelled boxes as a COCO data set."""
    rows = zip(truth.images, truth.classes, truth.boxes, truth.area, truth.ignore, strict=True)
    marks = [
        {"id": k + 1, "image_id": int(i) + 1, "category_id": int(c) + 1, "bbox": b.tolist(),
         "area": float(a), "iscrowd": int(g)}
        for k, (i, c, b, a, g) in enumerate(rows)
    ]  # fmt: skip
    return {
        "info": {},
        "images": [{"id": k + 1, "width": 1024, "height": 1024} for k in range(images)],
        "annotations": marks,
        "categories": [{"id": k + 1, "name": str(k)} for k in range(CLASSES)],
    }


def results(found):
    """The detections as a COCO result list."""
    rows = zip(found.images, found.classes, found.boxes, found.scores, strict=True)
    return [
        {"image_id": int(i) + 1, "category_id": int(c) + 1, "bbox": b.tolist(), "score": float(s)}
        for i, c, b, s in rows
    ]


def library(kind, judge, truth, found, images):
    """Seconds and statistics of a library, from objects in memory on."""
    labels, detections = dataset(truth, images), results(found)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = kind()
        coco.dataset = labels
        coco.createIndex()
        start = time.process_time()
        evaluation = judge(coco, coco.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        seconds = time.process_time() - start
    return seconds, np.array(evaluation.stats[:12], float)


def ours(truth, found, images):
    """Seconds and statistics of ours, compiled beforehand."""
    start = time.process_time()
    stats = Evaluation(truth, found, images, CLASSES).stats()
    seconds = time.process_time() - start
    return seconds, np.array([-1 if stats[name] is None else stats[name] for name in NAMES])


def main() -> None:
    """Print one line a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--boxes", type=int, default=100)
    given = parser.parse_args()
    small = drawn(20, 10)
    ours(*small, 20)
    truth, found = drawn(given.images, given.boxes)
    rows = {"urbanssl": ours(truth, found, given.images)}
    rows["faster-coco-eval"] = library(FasterCOCO, COCOeval_faster, truth, found, given.images)
    rows["pycocotools"] = library(COCO, COCOeval, truth, found, given.images)
    slowest, reference = rows["pycocotools"]
    print(f"{given.images} images x {given.boxes} boxes, {CLASSES} classes")
    for name, (seconds, stats) in rows.items():
        gap = np.abs(stats - reference).max()
        print(f"{name:18} {seconds:8.2f} s  {slowest / seconds:6.1f} x  largest gap {gap:.1e}")
    matched = Evaluation(truth, found, given.images, CLASSES)
    blocks = np.array([f"b{k % 50}" for k in range(given.images)])
    start = time.process_time()
    draws(
        matched, blocks, blocks[truth.images], blocks[found.images], 200, np.random.default_rng(0)
    )
    print(f"intervals of AP from 200 resamples: {time.process_time() - start:.1f} s")


if __name__ == "__main__":
    main()

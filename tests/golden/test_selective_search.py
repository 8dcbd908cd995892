"""Selective Search beside OpenCV's fast mode, segmentation beside scikit-image."""

import re

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from urbanssl.ssl.box_order import draw_order
from urbanssl.ssl.felzenszwalb import segment
from urbanssl.ssl.selective_search import search


@pytest.fixture
def vectors(golden):
    return golden("selective_search.npz")


def images(vectors):
    return sorted(key for key in vectors.data if re.fullmatch(r"img_\w+", key))


def overlaps(a, b):
    """IoU of `(n, 4)` and `(m, 4)` corner boxes."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (a, b)]
    return inter / (areas[0][:, None] + areas[1][None] - inter)


def corners(xywh):
    boxes = xywh.astype(float)
    boxes[:, 2:] += boxes[:, :2]
    return boxes


def recall(objects, boxes):
    best = overlaps(objects.astype(float), boxes).max(1)
    return np.array([best.mean(), (best > 0.5).mean(), (best > 0.7).mean()])


def test_recall_of_the_shapes_is_within_a_tenth(vectors):
    for key in images(vectors):
        name = key.removeprefix("img_")
        boxes = search(vectors[key]).boxes
        ours, reference = recall(vectors[f"objects_{name}"], boxes), vectors[f"recall_{name}"]
        gain = np.minimum(ours, reference)
        vectors.compare(f"recall_{name} (shortfall)", gain, reference, atol=0.1)


def missing(reference, boxes):
    """Share of reference boxes that are not among the boxes, to a thousandth of a pixel."""
    made = {tuple(box) for box in np.round(boxes.astype(float), 3)}
    return np.mean([tuple(box) not in made for box in np.round(reference.astype(float), 3)])


def test_boxes_are_those_of_opencv(vectors):
    for key in images(vectors):
        name = key.removeprefix("img_")
        boxes, reference = search(vectors[key]).boxes, corners(vectors[f"ss_{name}"])
        vectors.compare(f"ss_{name} (share not found)", missing(reference, boxes), 0.0, atol=0.02)
        vectors.compare(f"ss_{name} (share too many)", missing(boxes, reference), 0.0, atol=0.02)


def test_boxes_of_another_shape_are_those_of_opencv(vectors):
    for key in images(vectors):
        name = key.removeprefix("img_")
        if f"crop_{name}" not in vectors:
            continue
        reference = vectors[f"crop_{name}"].astype(float)
        wide, high = reference[:, 2].max(), reference[:, 3].max()
        crop = vectors[key][20 : 20 + round(high), 10 : 10 + round(wide)]
        boxes = search(crop, vectors[key].shape[0]).boxes
        share = missing(reference, boxes)
        vectors.compare(f"crop_{name} (share not found)", share, 0.0, atol=0.02)


def test_the_first_30_boxes_are_small_as_in_the_original(vectors):
    rng = np.random.default_rng(0)
    for key in images(vectors):
        name = key.removeprefix("img_")
        regions = search(vectors[key])
        area = (regions.boxes[:, 2:] - regions.boxes[:, :2]).prod(1)
        orders = [draw_order(regions.levels, rng, regions.starts) for _ in range(50)]
        drawn = [np.median(area[order[:30]]) for order in orders]
        assert np.median(drawn) < np.median(area)
        first = corners(vectors[f"ss_{name}"])[:30]
        reference = np.median((first[:, 2:] - first[:, :2]).prod(1))
        assert 1 / 3 < np.median(drawn) / reference < 3


def test_segmentation_is_that_of_scikit_image(vectors):
    for key in images(vectors):
        name = key.removeprefix("img_")
        for row, (scale, sigma, least) in enumerate(vectors["fz_params"]):
            if f"fz{row}_{name}" not in vectors:
                continue
            ours = segment(vectors[key], scale, sigma, int(least))
            reference = vectors[f"fz{row}_{name}"]
            index = adjusted_rand_score(reference.ravel(), ours.ravel())
            vectors.compare(f"fz{row}_{name} (1 - Rand index)", 1 - index, 0.0, atol=0.02)

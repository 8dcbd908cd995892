"""COCO statistics beside pycocotools."""

import numpy as np

from urbanssl.detect.coco_eval import NAMES, Evaluation, Found, Truth, mean_known


def evaluation(vectors, case):
    """Our evaluation of a set of the file. Its `ignore` column has no effect in pycocotools."""
    gt, dt = vectors[f"{case}_gt"], vectors[f"{case}_dt"]
    images, classes = np.unique(vectors[f"{case}_image_ids"]), vectors[f"{case}_cat_ids"]
    number = {int(name): place for place, name in enumerate(classes)}
    truth = Truth(
        np.searchsorted(images, gt[:, 0]),
        np.array([number[int(name)] for name in gt[:, 1]], int),
        gt[:, 2:6],
        gt[:, 6],
        gt[:, 7] > 0,
    )
    found = Found(
        np.searchsorted(images, dt[:, 0]),
        np.array([number[int(name)] for name in dt[:, 1]], int),
        dt[:, 2:6],
        dt[:, 6],
    )
    return Evaluation(truth, found, len(images), len(classes))


def or_minus_one(value):
    return -1.0 if value is None else value


def test_statistics_are_those_of_pycocotools(golden):
    vectors = golden("coco_map.npz")
    assert vectors.cases("stats")
    for case in vectors.cases("stats"):
        stats = evaluation(vectors, case).stats()
        ours = [or_minus_one(stats[name]) for name in NAMES]
        vectors.compare(f"{case} 12 statistics", ours, vectors[f"{case}_stats"], atol=1e-9)


def test_scores_by_class_and_threshold_are_those_of_pycocotools(golden):
    vectors = golden("coco_map.npz")
    for case in vectors.cases("ap_class"):
        result = evaluation(vectors, case)
        by_class = result.by_class()
        for key, name in (("ap_class", "AP"), ("ar_class", "AR100")):
            ours = [or_minus_one(row[name]) for row in by_class]
            vectors.compare(f"{case} {name} by class", ours, vectors[f"{case}_{key}"], atol=1e-9)
        ours = np.apply_along_axis(lambda v: or_minus_one(mean_known(v)), -1, result.precision[0])
        vectors.compare(
            f"{case} AP by IoU, class", ours, vectors[f"{case}_ap_iou_class"], atol=1e-9
        )

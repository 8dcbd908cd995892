"""What a detector's scores are worth."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit

from urbanssl.artifacts import read_json, write_json
from urbanssl.features.calibrate import Calibration, calibrate_scores, fit_chance

CLASSES = ["plane", "ship"]


def boastful(draws=4000, slope=2.0, offset=(-1.0, -3.0)):
    """Detections whose scores are far above the chance that they are real."""
    rng = np.random.default_rng(0)
    score, kind = rng.uniform(0.05, 0.95, draws), rng.integers(0, 2, draws)
    chance = expit(slope * logit(score) + np.array(offset)[kind])
    return score, kind, rng.uniform(size=draws) < chance


def test_slope_and_offsets_of_the_scores_are_found():
    slope, offset = fit_chance(*boastful(), classes=2)
    assert slope == pytest.approx(2.0, abs=0.3)
    assert offset == pytest.approx([-1.0, -3.0], abs=0.35)


def test_class_without_detections_takes_the_mean_of_the_others():
    score, _, right = boastful()
    _, offset = fit_chance(score, np.zeros(len(score), int), right, classes=3)
    assert offset[1] == offset[2] == pytest.approx(offset[0], abs=1.1)


def test_scores_that_tell_nothing_give_every_detection_the_same_chance():
    rng = np.random.default_rng(1)
    score, right = rng.uniform(0.05, 0.95, 2000), np.arange(2000) % 5 == 0
    slope, offset = fit_chance(score, np.zeros(2000, int), right, classes=1)
    assert slope == pytest.approx(0, abs=0.1)
    assert expit(offset[0]) == pytest.approx(0.2, abs=0.02)


@pytest.fixture
def validation(tmp_path):
    """Write tiles with one ship each, found on every second one, beside false planes."""

    def written(tiles):
        images = [
            {"id": n, "file_name": f"s/i/{n}", "block": f"b{n % 4}", "width": 64, "height": 64}
            for n in range(tiles)
        ]
        marks = [
            {"id": n, "image_id": n, "category_id": 2, "bbox": [5, 5, 20, 10], "area": 200.0}
            for n in range(tiles)
        ]
        names = [{"id": n, "name": name} for n, name in enumerate(CLASSES, 1)]
        coco = {"images": images, "annotations": marks, "categories": names}
        write_json(tmp_path / "val.json", coco)
        box = {"x1": 5.0, "y1": 5.0, "x2": 25.0, "y2": 15.0, "score": 0.9}
        rows = [{"tile_id": f"s/i/{n}", "class_name": "plane", **box} for n in range(tiles)]
        rows += [{"tile_id": f"s/i/{n}", "class_name": "ship", **box} for n in range(0, tiles, 2)]
        rows += [{**row, "score": 0.3} for row in rows]  # each found twice
        rows.append({"tile_id": "elsewhere", "class_name": "ship", **box})
        pd.DataFrame(rows).to_parquet(tmp_path / "boxes.parquet")
        calibrate_scores(
            [tmp_path / "boxes.parquet"], tmp_path / "val.json", CLASSES, tmp_path / "c.json", {}
        )
        return read_json(tmp_path / "c.json"), Calibration.read(tmp_path / "c.json")

    return written


def test_calibrated_scores_add_up_to_the_objects_found(validation):
    content, known = validation(40)
    assert (content["detections"], content["right"]) == (120, 20)
    assert content["before"]["expected"] == pytest.approx(72)
    assert content["after"]["expected"] == pytest.approx(20, abs=4)
    assert content["after"]["brier"] < 0.3 * content["before"]["brier"]
    real, twice, false = known.chance(np.array([0.9, 0.3, 0.9]), ["ship", "ship", "plane"])
    assert real > 0.8
    assert twice < 0.2
    assert false < 0.2


def test_too_few_detections_leave_the_scores_and_say_so(validation):
    content, known = validation(4)
    assert "12 detections" in content["note"]
    assert known.chance(np.array([0.2, 0.7]), ["ship", "unknown"]) == pytest.approx([0.2, 0.7])

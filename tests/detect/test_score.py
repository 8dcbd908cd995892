"""Scoring: against pycocotools, with intervals, mistakes, and on merged scenes."""

import contextlib
import io
import json

import numpy as np
import pandas as pd
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from urbanssl.artifacts import write_table
from urbanssl.detect.bootstrap import block_weights, draws, interval
from urbanssl.detect.coco_eval import NAMES, Evaluation, Found, Truth
from urbanssl.detect.mistakes import best_score, mistakes
from urbanssl.detect.score import score_run
from urbanssl.errors import LabelError
from urbanssl.settings import ScoreSettings

CLASSES = ("plane", "ship", "harbor")


def drawn(seed, images=12, classes=3):
    """Labels and detections with misses, shifts, confusions and duplicates, of all sizes."""
    rng = np.random.default_rng(seed)
    m = 8 * images
    sides = rng.choice([12, 50, 130], (m, 1)) * rng.uniform(0.7, 1.3, (m, 2))
    boxes = np.hstack([rng.uniform(0, 400, (m, 2)), sides])
    at, kind = rng.integers(0, images, m), rng.integers(0, classes - 1, m)
    truth = Truth(at, kind, boxes, boxes[:, 2:].prod(1), rng.random(m) < 0.1)
    copies = np.repeat(np.arange(m), rng.integers(0, 4, m))
    moved = boxes[copies] + rng.normal(0, 0.08, (len(copies), 4)) * boxes[copies][:, [2, 3, 2, 3]]
    moved[:, 2:] = np.maximum(moved[:, 2:], 1)
    label = np.where(
        rng.random(len(copies)) < 0.8, kind[copies], rng.integers(0, classes, len(copies))
    )
    found = Found(at[copies], label, moved, rng.random(len(copies)).round(2))
    return truth, found


def by_pycocotools(truth, found, images, classes):
    """The 12 statistics of pycocotools."""
    gt = [
        {"id": n + 1, "image_id": int(i) + 1, "category_id": int(c) + 1, "bbox": b.tolist(),
         "area": float(a), "iscrowd": int(g)}
        for n, (i, c, b, a, g) in enumerate(
            zip(truth.images, truth.classes, truth.boxes, truth.area, truth.ignore, strict=True)
        )
    ]  # fmt: skip
    dt = [
        {"image_id": int(i) + 1, "category_id": int(c) + 1, "bbox": b.tolist(), "score": float(s)}
        for i, c, b, s in zip(found.images, found.classes, found.boxes, found.scores, strict=True)
    ]
    coco = COCO()
    coco.dataset = {
        "info": {},
        "images": [{"id": n + 1} for n in range(images)],
        "annotations": gt,
        "categories": [{"id": n + 1, "name": str(n)} for n in range(classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(dt), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats


@pytest.mark.parametrize("seed", range(4))
def test_the_12_statistics_are_those_of_pycocotools(seed):
    truth, found = drawn(seed)
    stats = Evaluation(truth, found, 12, 3).stats()
    ours = [-1 if stats[name] is None else stats[name] for name in NAMES]
    np.testing.assert_allclose(ours, by_pycocotools(truth, found, 12, 3), atol=1e-9)


def test_weights_of_one_give_the_score_of_the_full_sample():
    truth, found = drawn(5)
    matched = Evaluation(truth, found, 12, 3)
    ap, ap50 = matched.weighted(np.ones(len(truth.images)), np.ones(len(found.images)))
    assert ap == pytest.approx(matched.stats()["AP"], abs=1e-12)
    assert ap50 == pytest.approx(matched.stats()["AP50"], abs=1e-12)


def test_a_resample_by_weights_is_the_evaluation_of_the_repeated_images():
    truth, found = drawn(6)
    found = Found(
        found.images, found.classes, found.boxes, np.random.default_rng(0).random(len(found.scores))
    )
    weights = np.random.default_rng(1).integers(0, 4, 12)
    copies = np.repeat(np.arange(12), weights)
    rows = [
        [np.flatnonzero(of == image) for image in copies] for of in (truth.images, found.images)
    ]
    t, f = (np.concatenate(part) for part in rows)
    again = [np.repeat(np.arange(len(copies)), [len(each) for each in part]) for part in rows]
    repeated = Evaluation(
        Truth(again[0], truth.classes[t], truth.boxes[t], truth.area[t], truth.ignore[t]),
        Found(again[1], found.classes[f], found.boxes[f], found.scores[f]),
        len(copies), 3,
    )  # fmt: skip
    ap, ap50 = Evaluation(truth, found, 12, 3).weighted(
        weights[truth.images].astype(float), weights[found.images].astype(float)
    )
    assert ap == pytest.approx(repeated.stats()["AP"], abs=1e-12)
    assert ap50 == pytest.approx(repeated.stats()["AP50"], abs=1e-12)


def test_blocks_are_drawn_whole_and_as_many_as_there_are():
    weights = block_weights(7, 100, np.random.default_rng(0))
    assert (weights.sum(1) == 7).all()
    assert weights.std() > 0.5


def test_intervals_hold_the_score_and_need_three_blocks():
    truth, found = drawn(7)
    matched = Evaluation(truth, found, 12, 3)
    blocks = np.array([f"b{n % 6}" for n in range(12)])
    args = blocks[truth.images], blocks[found.images], 200
    values = draws(matched, blocks, *args, np.random.default_rng(0))
    ends = {name: interval(each) for name, each in values.items()}
    assert [len(each) for each in values.values()] == [200, 200]
    assert ends["AP"][0] < matched.stats()["AP"] < ends["AP"][1]
    assert ends["AP50"][0] < matched.stats()["AP50"] < ends["AP50"][1]
    assert values == draws(matched, blocks, *args, np.random.default_rng(0))
    two = np.array(["a", "b"] * 6)
    few = draws(matched, two, two[truth.images], two[found.images], 9, np.random.default_rng(0))
    assert few == {"AP": [], "AP50": []}
    assert interval(few["AP"]) is None


def test_runs_are_scored_on_the_same_resamples_of_blocks():
    truth, found = drawn(7)
    half = np.arange(len(found.images)) % 2 == 0
    fewer = Found(found.images[half], found.classes[half], found.boxes[half], found.scores[half])
    blocks = np.array([f"b{n % 6}" for n in range(12)])
    ours, theirs = (
        draws(
            Evaluation(truth, run, 12, 3),
            blocks,
            blocks[truth.images],
            blocks[run.images],
            100,
            np.random.default_rng(0),
        )["AP"]
        for run in (found, fewer)
    )
    gaps = np.array(ours) - np.array(theirs)
    apart = np.array(ours) - np.random.default_rng(0).permutation(theirs)
    assert gaps.std() < 0.8 * apart.std(), "the draws of the two runs do not go together"


def scene():
    """One image: a plane found, a plane misplaced, a ship taken for a harbour, a ship missed."""
    boxes = np.array(
        [[0, 0, 20, 20], [100, 0, 20, 20], [200, 0, 20, 20], [300, 0, 20, 20], [0, 200, 40, 40]],
        float,
    )
    zeros = np.zeros(5, int)
    truth = Truth(zeros, np.array([0, 0, 1, 1, 0]), boxes, boxes[:, 2:].prod(1), np.arange(5) == 4)
    found = np.array(
        [
            [0, 0, 20, 20],  # right
            [1, 0, 20, 20],  # duplicate
            [110, 0, 20, 20],  # localisation
            [200, 0, 20, 20],  # class
            [0, 100, 20, 20],  # background
            [5, 205, 20, 20],  # on a box to ignore
            [310, 300, 20, 20],  # below the score
        ],
        float,
    )
    label, score = np.array([0, 0, 0, 2, 1, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6, 0.6, 0.5, 0.1])
    return truth, Found(np.zeros(7, int), label, found, score)


def test_every_kind_of_mistake_is_counted_once():
    found = mistakes(*scene(), 1, 3, 0.3)
    assert found.errors == {
        "class": 1, "localisation": 1, "class_and_localisation": 0, "duplicate": 1,
        "background": 1, "missed": 1,
    }  # fmt: skip


def test_rows_of_the_confusion_matrix_add_up_to_the_labelled_boxes():
    confusion = mistakes(*scene(), 1, 3, 0.3).confusion
    assert confusion.tolist() == [[1, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0], [2, 1, 0, 0]]


def test_the_score_of_mistakes_is_where_f1_is_highest():
    truth, found = scene()
    assert best_score(Evaluation(truth, found, 1, 3)) == 0.9


def write_run(folder, blocks=4):
    """Two scenes: 8 tiles of 100 px in a row each, the right half in the test split."""
    rng = np.random.default_rng(3)
    tiles, marks, found, merged, labels = [], [], {}, {}, []
    for scene_name in ("a", "b"):
        rows, whole = [], []
        for t in range(8):
            name = f"{scene_name}/im/0_{t}"
            box = np.array([20.0, 30, 20 + rng.integers(10, 40), 60])
            kind = CLASSES[t % 2]
            rows.append((name, kind, 0.5 + t / 20, *box))
            whole.append(
                (
                    scene_name,
                    "im",
                    kind,
                    0.5 + t / 20,
                    *(box + 100.0 * t * np.array([1, 0, 1, 0])),
                    name,
                )
            )
            if t < 4:
                continue
            block = f"{scene_name}{t % blocks}"
            tiles.append(
                {
                    "id": len(tiles) + 1,
                    "file_name": name,
                    "scene": scene_name,
                    "shard_index": t,
                    "block": block,
                    "width": 100,
                    "height": 100,
                }
            )
            x1, y1, x2, y2 = box.tolist()
            marks.append(
                {
                    "id": len(marks) + 1,
                    "image_id": len(tiles),
                    "iscrowd": 0,
                    "ignore": 0,
                    "category_id": CLASSES.index(kind) + 1,
                    "area": (x2 - x1) * (y2 - y1),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                }
            )
            labels.append((scene_name, "im", kind, *whole[-1][4:8], False, block))
        found[scene_name], merged[scene_name] = rows, whole
    content = {
        "images": tiles,
        "annotations": marks,
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(CLASSES)],
    }
    (folder / "coco.json").write_text(json.dumps(content))
    box = ["x1", "y1", "x2", "y2"]
    pd.DataFrame(
        labels, columns=["scene", "image", "class_name", *box, "ignore", "block"]
    ).to_parquet(folder / "labels.parquet")
    for scene_name in found:
        pd.DataFrame(
            found[scene_name], columns=["tile_id", "class_name", "score", *box]
        ).to_parquet(folder / f"{scene_name}.parquet")
        columns = ["scene", "image", "class_name", "score", *box, "tiles"]
        write_table(
            folder / f"{scene_name}.boxes.parquet",
            pd.DataFrame(merged[scene_name], columns=columns),
            {"scene": scene_name, "images": {"im": {"gsd_x": 0.5, "gsd_y": 0.5}}},
        )  # fmt: skip


def scored(folder):
    score_run(
        [folder / "a.parquet", folder / "b.parquet"],
        [folder / "a.boxes.parquet", folder / "b.boxes.parquet"],
        folder / "coco.json", folder / "labels.parquet", CLASSES, ScoreSettings(bootstrap=50), 0,
        folder / "m.json", folder / "c.parquet", {"seed": 0},
    )  # fmt: skip
    return json.loads((folder / "m.json").read_text()), pd.read_parquet(folder / "c.parquet")


def test_perfect_boxes_score_one_on_tiles_and_scenes_and_training_tiles_do_not_count(tmp_path):
    write_run(tmp_path)
    metrics, curves = scored(tmp_path)
    for on in ("tiles", "scenes"):
        assert metrics[on]["stats"]["AP"] == pytest.approx(1)
        assert metrics[on]["intervals"]["AP"] == pytest.approx([1, 1])
        assert metrics[on]["per_class"]["ship"] == {"AP": 1, "AP50": 1, "AR100": 1, "instances": 4}
        assert metrics[on]["per_class"]["harbor"] == {
            "AP": None,
            "AP50": None,
            "AR100": None,
            "instances": 0,
        }
        assert sum(metrics["errors"][on].values()) == 0
        assert np.trace(metrics["confusion"][on]["counts"]) == 8
    assert metrics["metres"]["stats"]["APl"] is None
    assert metrics["metres"]["stats"]["APm"] == pytest.approx(1)
    assert metrics["about"] == {"seed": 0}
    assert set(curves.columns) == {"on", "class_name", "iou", "recall", "precision"}
    assert set(curves.class_name) == {"plane", "ship"}
    assert (curves.precision == 1).all()


def test_ignored_labels_count_neither_way(tmp_path):
    write_run(tmp_path)
    content = json.loads((tmp_path / "coco.json").read_text())
    for mark in content["annotations"][::2]:
        mark["ignore"] = 1
    (tmp_path / "coco.json").write_text(json.dumps(content))
    metrics, _ = scored(tmp_path)
    assert metrics["tiles"]["stats"]["AP"] == pytest.approx(1)
    assert sum(entry["instances"] for entry in metrics["tiles"]["per_class"].values()) == 4


def test_no_detections_score_zero(tmp_path):
    write_run(tmp_path)
    for name in ("a", "b"):
        table = pd.read_parquet(tmp_path / f"{name}.parquet").iloc[:0]
        table.to_parquet(tmp_path / f"{name}.parquet")
        merged = pd.read_parquet(tmp_path / f"{name}.boxes.parquet").iloc[:0]
        write_table(tmp_path / f"{name}.boxes.parquet", merged, {"scene": name, "images": {}})
    metrics, _ = scored(tmp_path)
    assert metrics["tiles"]["stats"]["AP"] == metrics["scenes"]["stats"]["AP"] == 0
    assert metrics["errors"]["tiles"]["missed"] == 8
    assert metrics["metres"]["stats"] is None


def test_a_test_split_without_tiles_is_refused(tmp_path):
    write_run(tmp_path)
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(LabelError, match=r"splits\.test"):
        scored(tmp_path)

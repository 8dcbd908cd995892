"""A results folder with made-up numbers, in the layout of docs/architecture.md."""

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry import box

from urbanssl.artifacts import read_json, write_json, write_table
from urbanssl.settings import Settings

ABOUT = {"settings_hash": "0" * 12, "urbanssl_version": "0", "seed": 0}
NAMES = ("small-vehicle", "tennis-court", "swimming-pool", "plane")
SIZE = 64


def settings_for(root):
    """Settings of a run below `root`."""
    return Settings.model_validate(
        {"results": str(root), "title": "A made-up run", "tiles": {"overlap": 0}}
    )


def build(root, *parts):
    """Write the named parts of a run."""
    rng = np.random.default_rng(7)
    for part in parts:
        PARTS[part](root, rng)


def _scenes(root, rng):
    rows = [
        {
            "scene": f"city-{i}", "image": f"city-{i}", "path": f"city-{i}.tif",
            "roles": "labelled;unlabelled" if i < 2 else "study", "width": 8 * SIZE,
            "height": 8 * SIZE, "bands": 3, "dtype": "uint8", "crs": f"EPSG:{32610 + i}",
            "gsd_x": 0.3, "gsd_y": 0.3, "nodata_share": 0.01, "georeferenced": True,
            "note": "palette read as RGB" if i == 1 else "",
        }
        for i in range(4)
    ]  # fmt: skip
    write_table(root / "scenes" / "catalogue.parquet", pd.DataFrame(rows), ABOUT)
    for row in rows:
        _tiles(root, rng, row["scene"])


def _tiles(root, rng, scene):
    folder = root / "tiles" / scene
    folder.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(60, 150, (64, SIZE // 8, SIZE // 8, 3)).astype(np.uint8)
    np.save(folder / "tiles.npy", pixels.repeat(8, axis=1).repeat(8, axis=2))
    table = pd.DataFrame(
        [
            {
                "tile_id": f"{scene}/{scene}/{r}_{c}", "scene": scene, "image": scene,
                "x_off": c * SIZE, "y_off": r * SIZE, "width": SIZE, "height": SIZE,
            }
            for r in range(8)
            for c in range(8)
        ]
    )  # fmt: skip
    write_table(folder / "tiles.parquet", table, ABOUT)


def _labels(root, rng):
    blocks = np.array([["train", "train", "none", "test"], ["val", "train", "none", "test"]])
    rows, images, annotations = [], [], []
    for scene in ("city-0", "city-1"):
        for r in range(8):
            for c in range(8):
                split = blocks[r // 4, c // 2]
                tile = f"{scene}/{scene}/{r}_{c}"
                rows.append({"tile_id": tile, "scene": scene, "block": f"{r // 4}", "split": split})
                if split == "test":
                    entry = {"id": len(images), "file_name": tile, "scene": scene}
                    images.append({**entry, "shard_index": r * 8 + c, "width": SIZE})
                    annotations += _annotations(rng, len(images) - 1, len(annotations))
    write_table(root / "splits.parquet", pd.DataFrame(rows), ABOUT)
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES)]
    for split in ("train", "val", "test"):
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_json(root / "labels" / f"coco_{split}.json", content)
    for scene in ("city-0", "city-1"):
        counts = {"read": 420, "kept": 401, "dropped": {"outside its image": 2, "no area": 7}}
        counts["dropped"]["not among labels.classes"] = {"ship": 6, "bridge": 4}
        write_json(root / "labels" / f"{scene}.json", counts)


def _annotations(rng, image, first):
    found = []
    for number in range(rng.integers(1, 5)):
        width, height = rng.uniform(8, 24, 2)
        x, y = rng.uniform(0, SIZE - width), rng.uniform(0, SIZE - height)
        found.append(
            {
                "id": first + number, "image_id": image, "category_id": int(rng.integers(4)),
                "bbox": [x, y, width, height], "area": width * height, "iscrowd": 0, "ignore": 0,
            }
        )  # fmt: skip
    return found


def _pretrain(root, rng):
    steps = np.arange(5, 201, 5)
    for stage, start, end in (("swav", 4.1, 2.6), ("mae", 1.1, 0.55), ("detreg", 6.3, 3.4)):
        of = "blocks" if stage == "mae" else "labels"
        loss = end + (start - end) * np.exp(-steps / 60) + rng.normal(0, 0.03, len(steps))
        log = {
            "curve": [{"step": int(s), "loss": float(v)} for s, v in zip(steps, loss, strict=True)],
            "seconds": 61.0, "images_per_second": 104.9, "steps": 200,
            "probe": [
                {"step": 0, "of": of, "knn": 0.31, "linear": 0.35, "chance": 0.1},
                {"step": 200, "of": of, "knn": 0.44, "linear": 0.52, "chance": 0.1},
            ],
        }  # fmt: skip
        if stage == "swav":
            log["curve"] = [{**point, "ln_k": 4.159} for point in log["curve"]]
        write_json(root / "pretrain" / stage / "log.json", log)


def score(rng, ap50):
    stats = {"AP": ap50 * 0.5, "AP50": ap50, "AP75": ap50 * 0.4, "AR100": ap50 * 0.8, "APl": -1}
    on = {
        "stats": stats,
        "intervals": {
            "AP": [ap50 * 0.5 - 0.03, ap50 * 0.5 + 0.03],
            "AP50": [ap50 - 0.05, ap50 + 0.05],
        },
        "draws": {
            name: (middle + rng.normal(0, 0.02, 50)).tolist()
            for name, middle in (("AP", ap50 * 0.5), ("AP50", ap50))
        },
        "per_class": {
            name: {"AP": ap50 / 2, "AP50": ap50, "instances": 40} for name in NAMES[:3]
        } | {"plane": {"AP": -1, "AP50": -1, "instances": 0}},
    }  # fmt: skip
    counts = rng.integers(0, 6, (5, 5)) + np.diag([40, 22, 18, 0, 0])
    counts[3] = counts[:, 3] = 0
    return {
        "tiles": on,
        "scenes": on,
        "confusion": {"tiles": {
            "names": [*NAMES, "background"], "counts": counts.tolist(), "min_score": 0.4,
        }},
        "errors": {"tiles": {
            "class": 5, "localisation": 12, "duplicate": 1, "background": 6, "missed": 21,
        }},
        "about": ABOUT,
    }  # fmt: skip


def _score(root, rng):
    arms = {"detr-random": 0.34, "detr-detreg": 0.45, "vitdet-random": 0.37, "vitdet-mae": 0.39}
    recall = np.linspace(0, 1, 101)
    for arm, ap50 in arms.items():
        write_json(root / "score" / f"{arm}_f100_s0.json", score(rng, ap50))
        precision = np.clip((1 - recall**2) * (0.6 + ap50), 0, 1) * (recall < ap50 * 1.7)
        table = pd.DataFrame(
            {"on": "tiles", "class_name": "x", "iou": 0.5, "recall": recall, "precision": precision}
        )
        write_table(root / "score" / f"{arm}_f100_s0.curves.parquet", table, ABOUT)


def _predict(root, rng):
    coco = read_json(root / "labels" / "coco_test.json")
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    rows = []
    for entry in coco["annotations"]:
        if rng.uniform() < 0.75:
            x, y, width, height = np.array(entry["bbox"]) + rng.normal(0, 1, 4)
            name = NAMES[entry["category_id"] if rng.uniform() < 0.85 else rng.integers(4)]
            place = {"x1": x, "y1": y, "x2": x + width, "y2": y + height}
            tile = {"tile_id": files[entry["image_id"]], "class_name": name}
            rows.append({**tile, "score": rng.uniform(0.2, 1), **place})
    table = pd.DataFrame(rows)
    for arm in ("detr-detreg", "vitdet-mae"):
        for scene in ("city-0", "city-1"):
            own = table[table["tile_id"].str.startswith(scene)]
            write_table(root / "predict" / f"{arm}_f100_s0" / f"{scene}.parquet", own, ABOUT)
        for scene, score in (("city-2", 0.2), ("city-3", 0.6)):
            merged = pd.DataFrame({"class_name": ["plane", "ship"], "score": [0.1, score]})
            path = root / "predict" / f"{arm}_f100_s0" / f"{scene}.boxes.parquet"
            write_table(path, merged, ABOUT)


def _areas(root, rng):
    rows = []
    for region in ("north", "east", "south", "west"):
        for number in range(16):
            x, y = (number % 4) * 100.0, (number // 4) * 100.0
            population, count = int(rng.integers(400, 4000)), int(rng.integers(5, 90))
            rows.append(
                {
                    "area_id": f"{region}{number:02d}", "region": region, "count": count,
                    "population": population, "rate": 1e5 * count / population,
                    "rate_shrunk": 1e5 * count / population, "reported": number != 3,
                    "geometry": box(x, y, x + 100, y + 100),
                }
            )  # fmt: skip
    areas = gpd.GeoDataFrame(rows, crs="EPSG:32615")
    write_table(root / "crime" / "table.parquet", areas, ABOUT)
    report = {
        "rows_read": 70,
        "repaired": [
            {"what": "leading zeros", "count": 9, "examples": [{"from": "1001", "to": "01001"}]}
        ],
        "flagged": [
            {
                "reason": "0.0 is not a rate",
                "count": 1,
                "areas": [{"area_id": "north03", "name": "North 3"}],
            }
        ],
        "missing": [{"area_id": "east99", "name": None, "why": "no row in the crime table"}],
        "dropped": [{"reason": "no id", "count": 1, "ids": [""]}],
        "outside_study": {"count": 5, "ids": ["a", "b"]},
        "notes": ["no population for every area: rates are not shrunk"],
    }
    write_json(root / "crime" / "table.json", report)
    return areas


def _crime(root, rng):
    areas = _areas(root, rng)
    scores, predictions = [], []
    for features, base in (("mae", 0.71), ("objects", 0.74), ("rcf", 0.66), ("coordinates", 0.48)):
        for scheme, more in (("region", 0.0), ("block", 0.05), ("random", 0.16)):
            auc = base + more
            scores.append(
                {
                    "features": features, "model": "logistic", "scheme": scheme, "auc": auc,
                    "auc_interval": [auc - 0.06, auc + 0.06], "balanced_accuracy": auc - 0.05,
                    "brier": 0.2, "r2": 0.1, "spearman": 0.3,
                }
            )  # fmt: skip
        for area in areas.itertuples():
            row = {"area_id": area.area_id, "features": features, "model": "logistic"}
            values = {"observed": float(rng.integers(2)), "predicted": float(rng.uniform())}
            predictions.append({**row, "scheme": "region", "target": "high", "fold": 0, **values})
    write_table(root / "crime" / "predictions.parquet", pd.DataFrame(predictions), ABOUT)
    write_json(root / "crime" / "metrics.json", {
        "verdict": {
            "claim": True,
            "headline": "Object counts are associated with the recorded rate beyond location.",
            "reasons": ["better than coordinates", "better than random convolutional features"],
            "per_features": {
                "objects": "objects: is associated with crime in unseen regions (AUC 0.74).",
                "mae": "mae: tells high from low, but not better than random features.",
            },
        },
        "headline": {
            "features": "objects", "auc": 0.74, "auc_interval": [0.68, 0.8],
            "leakage_gap": 0.16, "leakage_gap_interval": [0.08, 0.22],
        },
        "areas": 64, "regions": 4, "scores": scores,
        "paired": [
            {"features": "objects", "baseline": "rcf", "scheme": "region", "difference": 0.08,
             "interval": [0.02, 0.14]},
            {"features": "mae", "baseline": "rcf", "scheme": "region", "difference": 0.05,
             "interval": [-0.01, 0.11]},
        ],
        "moran": {
            "target": {"i": 0.42, "expected": 0.0, "p": 0.002},
            "residual": {"i": 0.04, "expected": 0.0, "p": 0.31}, "residual_features": "objects",
        },
        "correlogram": {
            "distance": [120.0, 250.0, 400.0], "correlation": [0.5, 0.2, -0.1],
            "pairs": [100, 90, 80], "spacing": 100.0, "block_side": 310.0,
        },
        "schemes": [
            {"name": "region", "note": "one region at a time", "folds": 4},
            {"name": "random", "note": "5 folds of areas at random", "folds": 5},
        ],
        "permutation": [{"features": "objects", "scheme": "region", "p": 0.002}],
        "areas_total": 66, "left_out": {"no usable crime rate": 2, "too little imagery": 0},
        "errors_by_region": [
            {"group": name, "areas": 16, "high_share": 0.5, "auc": 0.7, "brier": 0.21}
            for name in ("north", "east", "south", "west")
        ],
        "errors_by_population": [],
        "reliability": [
            {"predicted": p, "observed": min(1.0, p + 0.05), "areas": 12}
            for p in (0.1, 0.3, 0.5, 0.7, 0.9)
        ],
        "importance": [
            {"set": "objects", "group": name, "features": 2, "loss": value,
             "interval": [value - 0.02, value + 0.02]}
            for name, value in (("small-vehicle", 0.09), ("swimming-pool", 0.04), ("plane", 0.0))
        ],
        "local_effects": [
            {"feature": f"{name}_mean", "value": [0.0, 1.0, 2.0, 4.0],
             "effect": [-0.1 * n, -0.02, 0.03, 0.08 * n], "areas": [20, 20, 24]}
            for n, name in enumerate(NAMES, 1)
        ],
        "declared": {"strict": False, "study_scenes_seen_in_pretraining": ["city-2", "city-3"]},
        "too_little_imagery": ["west02", "west09"], "about": ABOUT,
    })  # fmt: skip


def _drivers(root, rng):
    rows = [
        {
            "area_id": f"{region}05", "region": region, "probability": 0.81,
            "tile_id": f"city-2/city-2/{r}_{c}", "scene": "city-2", "shard_index": r * 8 + c,
            "share": 1.0, "effect": float(rng.normal()),
        }
        for region in ("north", "east")
        for r in range(3)
        for c in range(3)
    ]  # fmt: skip
    write_table(root / "crime" / "drivers.parquet", pd.DataFrame(rows), ABOUT)
    write_json(root / "predict" / "detr-detreg_f100_s0" / "calibration.json", {
        "detections": 1134, "right": 39, "slope": 3.5, "offset": {},
        "before": {"expected": 105.3, "brier": 0.032}, "after": {"expected": 41.4, "brier": 0.026},
    })  # fmt: skip


def _refused(root, rng):
    _areas(root, rng)
    write_json(root / "crime" / "metrics.json", {
        "verdict": {
            "claim": False,
            "refused": True,
            "headline": "Two areas cannot tell a link from a coincidence, so nothing is claimed.",
            "reasons": ["fewer areas than the minimum"], "per_features": {},
        },
        "headline": {}, "areas": 2, "regions": 2, "scores": [], "paired": [], "about": ABOUT,
    })  # fmt: skip


PARTS = {
    "scenes": _scenes,
    "labels": _labels,
    "pretrain": _pretrain,
    "score": _score,
    "predict": _predict,
    "crime": _crime,
    "drivers": _drivers,
    "refused": _refused,
}

"""Labelled tiles for mmdet's transforms, read from shards, not image files."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS
from numpy.typing import NDArray

from urbanssl.artifacts import read_json
from urbanssl.engine.data import step_seed
from urbanssl.errors import LabelError, Problem, TrainingError


@lru_cache(maxsize=256)
def _shard(path: str) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return array


#: How many tiles a pipeline may refuse before another is no use.
_MOST_TRIES = 1000


@TRANSFORMS.register_module()
class LoadTile:
    """First transform of a detection pipeline: the tile of `tile = (shard file, index)`.

    Args:
        channel_order: `rgb`, as tiles are, or `bgr`, as mmdet's own configs expect images.
    """

    def __init__(self, channel_order: Literal["rgb", "bgr"] = "rgb") -> None:
        self._step = -1 if channel_order == "bgr" else 1

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        """Add `img` (S, S, 3) uint8 and its shape to an item."""
        path, index = item["tile"]
        image = np.array(_shard(str(path))[index][..., :: self._step], order="C")
        item["img"] = image
        item["img_shape"] = item["ori_shape"] = image.shape[:2]
        return item


class TileItems:
    """Items of tiles with boxes, put through a recipe's pipeline.

    An item is asked for by (position in the training, tile): its random numbers are drawn from
    the position, so they are the same whichever worker loads it, also after a resume. Where the
    pipeline refuses a tile, another is drawn, as mmdet's own data sets do.

    Attributes:
        items: for each tile what mmdet's `LoadAnnotations` reads.
        metainfo: the classes, for mmdet.
    """

    def __init__(
        self,
        items: Sequence[dict[str, Any]],
        pipeline: Sequence[Mapping[str, Any]],
        classes: Sequence[str],
        seed: int,
    ) -> None:
        self.items = list(items)
        self.metainfo = {"classes": tuple(classes)}
        self._pipeline = Compose([dict(step) for step in pipeline])
        self.seed = seed

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: tuple[int, int]) -> Any:
        position, tile = place
        seed = step_seed(self.seed, position, rank=1)
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        for _ in range(_MOST_TRIES):
            item = dict(self.items[tile])
            item["instances"] = self.instances(position, tile)
            sample = self._pipeline(item)
            if sample is not None:
                return sample
            # Some of mmdet's transforms refuse a sample, such as a crop without boxes.
            tile = int(np.random.randint(len(self)))
        raise TrainingError.at(
            "train_pipeline",
            f"its transforms refused {_MOST_TRIES} tiles one after another",
            "allow crops without boxes (`allow_negative_crop=True`), or give more labels",
        )

    def empty(self) -> NDArray[np.bool_]:
        """Return `(N,)` bool: which tiles have no object, not counting ignored ones."""
        return np.array(
            [all(box["ignore_flag"] for box in item["instances"]) for item in self.items], bool
        )

    def instances(self, position: int, tile: int) -> list[dict[str, Any]]:
        """Return the boxes of a tile at a position in the training."""
        return [dict(entry) for entry in self.items[tile]["instances"]]


def labelled_items(
    coco: Path, arrays: Sequence[Path], classes: Sequence[str], fraction: float, seed: int
) -> list[dict[str, Any]]:
    """Return the items of a COCO file of tiles.

    Boxes with `ignore` or `iscrowd` become `ignore_flag = 1`: they count neither way.

    Args:
        coco: file written by `assemble_coco`.
        arrays: tile arrays; an image's scene is the name of an array's folder.
        classes: names in the order of the labels, from 0.
        fraction: share of the tiles that is used, see `label_subset`.
        seed: seed of the subset.

    Raises:
        LabelError: a class or scene of the file is not among `classes` or `arrays`.
    """
    content = read_json(coco)
    by_scene = {path.parent.name: path for path in arrays}
    names = {entry["id"]: entry["name"] for entry in content["categories"]}
    boxes: dict[int, list[dict[str, Any]]] = {}
    for entry in content["annotations"]:
        boxes.setdefault(entry["image_id"], []).append(entry)
    _check(coco, content, by_scene, names, classes)
    used = label_subset(content, fraction, seed)
    labels = {
        number: list(classes).index(name) for number, name in names.items() if name in classes
    }
    return [
        {
            "img_id": image["id"],
            "img_path": image["file_name"],
            "height": image["height"],
            "width": image["width"],
            "tile": (str(by_scene[image["scene"]]), int(image["shard_index"])),
            "instances": [_instance(entry, labels) for entry in boxes.get(image["id"], [])],
        }
        for image in content["images"]
        if image["id"] in used
    ]


def _instance(entry: Mapping[str, Any], labels: Mapping[int, int]) -> dict[str, Any]:
    x, y, width, height = entry["bbox"]
    ignored = entry.get("ignore", 0) or entry.get("iscrowd", 0)
    return {
        "bbox": [x, y, x + width, y + height],
        "bbox_label": labels[entry["category_id"]],
        "ignore_flag": int(bool(ignored)),
    }


def _check(
    coco: Path,
    content: Mapping[str, Any],
    by_scene: Mapping[str, Path],
    names: Mapping[int, str],
    classes: Sequence[str],
) -> None:
    problems = [
        Problem(f"{coco} scene {scene!r}", "no tile array of that name", "tile the scene again")
        for scene in sorted({image["scene"] for image in content["images"]} - set(by_scene))
    ]
    used = {names.get(entry["category_id"], "?") for entry in content["annotations"]}
    problems += [
        Problem(f"{coco} category {name!r}", "not a class of this training", f"allowed: {classes}")
        for name in sorted(used - set(classes))
    ]
    if problems:
        raise LabelError.listing(problems, "the annotations do not fit the tiles")


def label_subset(content: Mapping[str, Any], fraction: float, seed: int) -> set[int]:
    """Return the ids of the images that a share of the labels consists of.

    Subsets of one seed are nested: 1 % lies within 5 %, 5 % within 10 %. Images are ordered at
    random, but those that bring a class not seen before come first, the rarest class first, so
    that small shares have at least one tile of each class where there is room.

    Args:
        content: COCO with `images` and `annotations`.
        fraction: share of the images, above 0, at most 1.
        seed: seed of the order.
    """
    ids = sorted(image["id"] for image in content["images"])
    shuffled = [ids[place] for place in np.random.default_rng([seed, 77]).permutation(len(ids))]
    held: dict[int, set[int]] = {}
    counts: dict[int, int] = {}
    for entry in content["annotations"]:
        if not (entry.get("ignore", 0) or entry.get("iscrowd", 0)):
            held.setdefault(entry["image_id"], set()).add(entry["category_id"])
            counts[entry["category_id"]] = counts.get(entry["category_id"], 0) + 1
    first: list[int] = []
    covered: set[int] = set()
    for category in sorted(counts, key=lambda number: (counts[number], number)):
        if category not in covered:
            bearer = next(image for image in shuffled if category in held.get(image, ()))
            first.append(bearer)
            covered |= held[bearer]
    order = list(dict.fromkeys([*first, *shuffled]))
    return set(order[: max(1, round(fraction * len(order)))])

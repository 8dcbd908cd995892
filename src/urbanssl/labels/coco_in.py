"""COCO JSON as annotations of scenes: images matched by the stem of `file_name`.

Source: Lin et al. 2014, "Microsoft COCO", and the data format on its page.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from urbanssl.labels.boxes import Box, Image, Notes, numbers


def read_coco(files: Sequence[Path], images: Mapping[str, Image], notes: Notes) -> list[Box]:
    """Return the annotations of COCO files that belong to the images."""
    boxes: list[Box] = []
    annotated: set[str] = set()
    for path in files:
        content = _content(path, notes)
        stems = {
            entry.get("id"): PurePosixPath(str(entry.get("file_name", "")).replace("\\", "/")).stem
            for entry in content.get("images", [])
        }
        annotated.update(stems.values())
        names = {entry.get("id"): str(entry.get("name")) for entry in content.get("categories", [])}
        for number, annotation in enumerate(content.get("annotations", [])):
            where = f"{path}:annotation {annotation.get('id', number)}"
            stem, name = stems.get(annotation.get("image_id")), names.get(_category(annotation))
            if stem is None or name is None:
                missing = "image" if stem is None else "category"
                notes.broken(where, f"its {missing} is not in the file", "add it, or remove this")
            elif stem not in images:
                notes.counts["of images that the scene does not have"] += 1
            elif (box := _box(annotation, stem, name, where, notes)) is not None:
                boxes.append(box)
    notes.counts["images without a label file (no objects)"] += len(set(images) - annotated)
    return boxes


def _category(annotation: dict[str, Any]) -> Any:
    return annotation.get("category_id")


def _content(path: Path, notes: Notes) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        notes.broken(str(path), f"not a JSON file: {error}", "correct the file")
        return {}
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        notes.broken(str(path), "no list `annotations` in it", "give a COCO detection file")
        return {}
    return content


def _box(annotation: dict[str, Any], stem: str, name: str, where: str, notes: Notes) -> Box | None:
    sides = annotation.get("bbox")
    values = numbers([str(side) for side in sides]) if isinstance(sides, list) else None
    if values is None or len(values) != 4:
        notes.broken(where, f"bbox is {sides!r}", "give [x, y, width, height] in pixels")
        return None
    x, y, width, height = values
    parts = annotation.get("segmentation")
    oriented = isinstance(parts, list) and len(parts) == 1 and len(parts[0]) == 8
    polygon = tuple(float(v) for v in parts[0]) if oriented else None  # type: ignore[index]
    crowd = bool(annotation.get("iscrowd") or annotation.get("ignore"))
    return Box(stem, name, (x, y, x + width, y + height), where, polygon, crowd)

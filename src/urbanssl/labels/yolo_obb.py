"""YOLO text with oriented boxes: `class x1 y1 x2 y2 x3 y3 x4 y4` in shares of the image.

Upright YOLO lines (`class centre_x centre_y width height`) are read too. Class numbers are those
of the data set's YAML file, or else of Ultralytics' export of DOTA-v1.0.
Source: Ultralytics documentation, "Oriented Bounding Box (OBB) datasets".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from urbanssl.classes import YOLO_DOTA_ORDER
from urbanssl.labels.boxes import Box, Image, Notes, files_by_image, numbers, text_lines, upright

#: How far above the label files their YAML is looked for.
_LEVELS = 4


def read_yolo_obb(files: Sequence[Path], images: Mapping[str, Image], notes: Notes) -> list[Box]:
    """Return the objects of YOLO files; each belongs to the image of the same stem.

    Coordinates outside the image (objects cut by a crop) are clipped to it and counted.
    """
    pairs = files_by_image(files, images, notes)
    names: dict[Path, list[str]] = {}
    boxes = []
    for path, image in pairs:
        if path.parent not in names:
            names[path.parent] = _class_names(path.parent, notes)
        for where, line in text_lines(path, notes):
            box = _read_line(line, image, where, names[path.parent], notes)
            if box is not None:
                boxes.append(box)
    return boxes


def _class_names(folder: Path, notes: Notes) -> list[str]:
    for parent in [folder, *folder.absolute().parents][:_LEVELS]:
        for path in sorted([*parent.glob("*.yaml"), *parent.glob("*.yml")]):
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8"))
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                notes.broken(str(path), f"not a YAML file: {error}", "correct or remove it")
                continue
            if isinstance(content, dict) and isinstance(content.get("names"), list | dict):
                names = content["names"]
                notes.remarks.append(f"class numbers from {path.name}")
                if isinstance(names, dict):
                    last = max((int(key) for key in names), default=-1)
                    return [str(names.get(number, number)) for number in range(last + 1)]
                return [str(name) for name in names]
    notes.remarks.append("class numbers in the order of YOLO's DOTA-v1.0")
    return list(YOLO_DOTA_ORDER)


def _read_line(
    line: str, image: Image, where: str, names: Sequence[str], notes: Notes
) -> Box | None:
    words = line.split()
    shares = numbers(words[1:]) if len(words) in (5, 9) else None
    if shares is None or not words[0].isdigit():
        notes.broken(
            where,
            f"not a YOLO line: {line[:80]!r}",
            "write class x1 y1 x2 y2 x3 y3 x4 y4, or class x y width height, in shares",
        )
        return None
    if int(words[0]) >= len(names):
        notes.broken(
            where, f"class number {words[0]}, but there are {len(names)}", "correct it or the YAML"
        )
        return None
    oriented = len(shares) == 8
    if not oriented:
        x, y, width, height = shares
        shares = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    inside = [min(max(share, 0.0), 1.0) for share in shares]
    if max(abs(a - b) for a, b in zip(inside, shares, strict=True)) > 1e-6:
        notes.counts["clipped to the image"] += 1
    sides = (image.width, image.height)
    points = [share * sides[n % 2] for n, share in enumerate(inside)]
    polygon = tuple(points) if oriented else None
    return Box(image.stem, names[int(words[0])], upright(points), where, polygon)

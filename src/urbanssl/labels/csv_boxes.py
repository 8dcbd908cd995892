"""CSV with one box a row, its columns recognised by name.

Boxes are corners in pixels (`xmin, ymin, xmax, ymax` and the like), or corner and size
(`x, y, width, height`), or one text column with four corners, `"(1133, 340, 1166, 374)"`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from urbanssl.classes import find_class
from urbanssl.labels.boxes import Box, Image, Notes, numbers

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x_min", "y_min", "x_max", "y_max"),
    ("x1", "y1", "x2", "y2"),
    ("left", "top", "right", "bottom"),
)
_SIZES = (("x", "y", "width", "height"), ("x", "y", "w", "h"))
_TEXT = ("bounds", "box", "bbox", "bounding_box")
_IMAGE = ("image_id", "image", "image_path", "filename", "file_name", "file", "path", "img")
_CLASS = ("class", "class_name", "label", "category", "type", "name")


@dataclass(frozen=True)
class _Columns:
    """Which columns hold what; `name` is None where the file's stem is the class."""

    image: str | None
    name: str | None
    box: tuple[str, ...]
    sized: bool


def read_csv(files: Sequence[Path], images: Mapping[str, Image], notes: Notes) -> list[Box]:
    """Return the boxes of CSV files; images are matched by the stem of their name."""
    boxes: list[Box] = []
    for path in files:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            try:
                boxes.extend(_read_file(path, stream, images, notes))
            except UnicodeDecodeError as error:
                notes.broken(str(path), f"not UTF-8: byte at {error.start}", "save it as UTF-8")
            except csv.Error as error:
                notes.broken(str(path), f"not a CSV file: {error}", "check its quotes")
    seen = {box.image for box in boxes}
    notes.counts["images without a box"] += len(set(images) - seen)
    return boxes


def _read_file(
    path: Path, stream: Iterable[str], images: Mapping[str, Image], notes: Notes
) -> list[Box]:
    reader = csv.DictReader(stream)
    columns = _columns(path, reader.fieldnames or [], images, notes)
    if columns is None:
        return []
    boxes = []
    for row in reader:
        where = f"{path}:{reader.line_num}"
        stem = _stem(row, columns, images)
        if stem not in images:
            notes.counts["of images that the scene does not have"] += 1
            continue
        corners = _corners(row, columns)
        if corners is None:
            seen = [row[column] for column in columns.box]
            notes.broken(where, f"no box in {seen}", "give four numbers in pixels")
            continue
        name = (row[columns.name] or "") if columns.name else path.stem
        boxes.append(Box(stem, name.strip(), corners, where))
    return boxes


def _columns(
    path: Path, header: Sequence[str], images: Mapping[str, Image], notes: Notes
) -> _Columns | None:
    known = {name.strip().lower(): name for name in header}
    corners = next((c for c in _CORNERS if all(name in known for name in c)), None)
    sizes = next((c for c in _SIZES if all(name in known for name in c)), None)
    text = next(((name,) for name in _TEXT if name in known), None)
    image = next((name for name in _IMAGE if name in known), None)
    name = next((name for name in _CLASS if name in known), None)
    box: tuple[str, ...] | None = corners or sizes or text
    lacking = []
    if box is None:
        lacking.append("of boxes (xmin, ymin, xmax, ymax, or bounds)")
    if image is None and len(images) > 1:
        lacking.append("of the image (image_id, image, filename)")
    if name is None and find_class(path.stem) is None:
        lacking.append("of the class (class, label)")
    if box is None or lacking:
        notes.broken(
            f"{path}:1",
            f"no column {' and none '.join(lacking)}; it has {list(header)}",
            "rename its columns",
        )
        return None
    return _Columns(
        known[image] if image else None,
        known[name] if name else None,
        tuple(known[column] for column in box),
        sized=corners is None and sizes is not None,
    )


def _stem(row: dict[str, str], columns: _Columns, images: Mapping[str, Image]) -> str:
    if columns.image is None:
        return next(iter(images))
    name = (row[columns.image] or "").strip()
    # An id may itself contain a dot, so the name as it is comes first.
    return name if name in images else PurePosixPath(name.replace("\\", "/")).stem


def _corners(row: dict[str, str], columns: _Columns) -> tuple[float, float, float, float] | None:
    words = [row[column] or "" for column in columns.box]
    if len(words) == 1:
        words = _NUMBER.findall(words[0])
    values = numbers(words)
    if values is None or len(values) != 4:
        return None
    a, b, c, d = values
    return (a, b, a + c, b + d) if columns.sized else (a, b, c, d)

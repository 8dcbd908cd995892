"""DOTA text: `x1 y1 x2 y2 x3 y3 x4 y4 class difficult`, one object a line.

Source: Xia et al. 2018, "DOTA: A Large-scale Dataset for Object Detection in Aerial Images", and
the annotation format on the data set's page. Header lines (`imagesource:`, `gsd:`) are skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from urbanssl.labels.boxes import Box, Image, Notes, files_by_image, numbers, text_lines, upright

_HEADERS = ("imagesource:", "gsd:", "acquisition dates:")


def read_dota(files: Sequence[Path], images: Mapping[str, Image], notes: Notes) -> list[Box]:
    """Return the objects of DOTA files; each belongs to the image of the same stem."""
    boxes = []
    for path, image in files_by_image(files, images, notes):
        for where, line in text_lines(path, notes):
            if not line.lower().startswith(_HEADERS):
                box = _read_line(line, image.stem, where, notes)
                if box is not None:
                    boxes.append(box)
    return boxes


def _read_line(line: str, image: str, where: str, notes: Notes) -> Box | None:
    words = line.split()
    polygon = numbers(words[:8]) if len(words) in (9, 10) else None
    difficult = words[9] if len(words) == 10 else "0"
    if polygon is None or difficult not in ("0", "1", "2"):
        notes.broken(
            where,
            f"not a DOTA line: {line[:80]!r}",
            "write x1 y1 x2 y2 x3 y3 x4 y4 class difficult",
        )
        return None
    return Box(image, words[8], upright(polygon), where, tuple(polygon), difficult != "0")

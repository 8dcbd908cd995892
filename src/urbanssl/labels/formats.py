"""Which annotation format a set of files is in, and its reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from urbanssl.errors import LabelError
from urbanssl.labels.boxes import Box, Image, Notes, numbers
from urbanssl.labels.coco_in import read_coco
from urbanssl.labels.csv_boxes import read_csv
from urbanssl.labels.dota import read_dota
from urbanssl.labels.vector import read_vector
from urbanssl.labels.voc import read_voc
from urbanssl.labels.yolo_obb import read_yolo_obb
from urbanssl.scenes.scene import LABEL_FORMATS

Reader = Callable[[Sequence[Path], Mapping[str, Image], Notes], list[Box]]

READERS: dict[str, Reader] = {
    "dota": read_dota,
    "coco": read_coco,
    "voc": read_voc,
    "yolo-obb": read_yolo_obb,
    "csv": read_csv,
    "vector": read_vector,
}

_BY_SUFFIX = {
    ".xml": "voc",
    ".csv": "csv",
    ".geojson": "vector",
    ".gpkg": "vector",
    ".shp": "vector",
    ".fgb": "vector",
}


def guess_format(files: Sequence[Path], images: Mapping[str, Image], scene: str) -> str:
    """Return the format of a scene's label files, by their ending and first lines.

    Args:
        files: the label files.
        images: the scene's images; of many text files only those that go with one are looked at.
        scene: name of the scene, for the error text.

    Raises:
        LabelError: the files are of several formats, or of none that is known.
    """
    ours = [path for path in files if path.stem in images] or list(files)
    kinds: dict[str, Path] = {}
    for path in ours:
        kind = _format_of(path)
        if kind is not None:
            kinds.setdefault(kind, path)
    if len(kinds) == 1:
        return next(iter(kinds))
    if not kinds and all(path.suffix == ".txt" for path in ours):
        return "dota"  # nothing but empty files: images without objects
    seen = ", ".join(f"{kind} ({path})" for kind, path in kinds.items()) or f"{ours[0]}"
    raise LabelError.at(
        f"scene {scene}",
        f"its labels are of {'several formats' if kinds else 'no known format'}: {seen}",
        f"name one in the sheet's column labels_format: {', '.join(LABEL_FORMATS)}",
    )


def _format_of(path: Path) -> str | None:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _format_of_json(path)
    return _format_of_text(path) if suffix == ".txt" else _BY_SUFFIX.get(suffix)


def _format_of_json(path: Path) -> str | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LabelError.at(path, f"not a JSON file: {error}", "correct the file") from error
    if isinstance(content, dict) and "annotations" in content:
        return "coco"
    is_map = isinstance(content, dict) and content.get("type") == "FeatureCollection"
    return "vector" if is_map else None


def _format_of_text(path: Path) -> str | None:
    """Return the format by the first line with as many words as one of the formats has."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        if len(words) in (9, 10) and numbers(words[:8]) and numbers(words[8:9]) is None:
            return "dota"
        if len(words) in (5, 9) and words[0].isdigit() and numbers(words[1:]):
            return "yolo-obb"
    return None

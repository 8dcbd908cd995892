"""Annotations of a scene, whatever their format, as one table of boxes in image pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from urbanssl.artifacts import write_json, write_table
from urbanssl.classes import find_class, resolve_class
from urbanssl.errors import LabelError, Problem
from urbanssl.labels.boxes import Box, Image, Notes
from urbanssl.labels.clip import clip_boxes
from urbanssl.labels.formats import READERS, guess_format
from urbanssl.scenes.catalogue import read_images
from urbanssl.scenes.scene import Scene

COLUMNS = ["image", "class_name", "x1", "y1", "x2", "y2", "polygon", "difficult", "source"]

#: Why a box is dropped whose class nobody asked for; counted by class.
_OTHER = "not among labels.classes"


def convert_labels(
    scene: Scene,
    survey: Path,
    classes: Sequence[str],
    boxes: Path,
    counts: Path,
    about: Mapping[str, Any],
) -> None:
    """Read the labels of a scene and write its boxes, and what was left out and why.

    Boxes are clipped to their image. Classes of the registry that the run does not ask for are
    dropped and counted; classes that the registry does not know are an error, since they are
    misspelt more often than meant.

    Args:
        scene: a labelled scene.
        survey: the images of the scene, written by `survey_scene`.
        classes: the classes to detect.
        boxes: Parquet to write (`docs/architecture.md`).
        counts: JSON to write.
        about: provenance.

    Raises:
        LabelError: listing every line that cannot be read and every unknown class.
    """
    images = {
        row["image"]: Image(row["image"], row["width"], row["height"], row["crs"], row["affine"])
        for row in read_images(survey, scene.name)
    }
    kind = scene.labels_format or guess_format(scene.labels, images, scene.name)
    notes = Notes()
    found = READERS[kind](scene.labels, images, notes)
    problems = [*notes.problems, *_unknown_classes(found)]
    if problems:
        raise LabelError.listing(problems, f"labels of scene {scene.name} cannot be used")
    if not found and notes.counts["label files without an image"]:
        raise LabelError.at(
            f"scene {scene.name}",
            f"none of its {len(scene.labels)} label files is named like one of its images "
            f"({scene.labels[0].name}, {next(iter(images.values())).stem})",
            "name each label file like its image",
        )
    table, dropped, others = _table(found, images, classes, notes.counts)
    write_table(boxes, table, about)
    write_json(
        counts,
        {
            "scene": scene.name,
            "format": kind,
            "files": len(scene.labels),
            "images": len(images),
            "read": len(found),
            "kept": len(table),
            "dropped": {**({_OTHER: dict(others)} if others else {}), **dropped},
            "notes": {reason: n for reason, n in notes.counts.items() if n},
            "remarks": sorted(set(notes.remarks)),
            "by_class": table["class_name"].value_counts().to_dict(),
            "about": dict(about),
        },
    )


def _unknown_classes(found: Sequence[Box]) -> list[Problem]:
    """Return one problem for each class that the registry does not know."""
    first: dict[str, Box] = {}
    times: Counter[str] = Counter()
    for box in found:
        if find_class(box.name) is None:
            first.setdefault(box.name, box)
            times[box.name] += 1
    problems = []
    for name, box in first.items():
        try:
            resolve_class(name, box.source)
        except LabelError as error:
            what, _, remedy = str(error).partition("\n    -> ")
            what = what.removeprefix(f"{box.source}: ")
            problems.append(Problem(box.source, f"{what} ({times[name]} times)", remedy))
    return problems


def _table(
    found: Sequence[Box],
    images: Mapping[str, Image],
    classes: Sequence[str],
    notes: Counter[str],
) -> tuple[pd.DataFrame, Counter[str], Counter[str]]:
    """Return the boxes kept, how many were dropped by reason, and how many of other classes."""
    dropped: Counter[str] = Counter()
    others: Counter[str] = Counter()
    rows = []
    for box in found:
        name = resolve_class(box.name, box.source)
        image = images[box.image]
        x1, y1, x2, y2 = box.corners
        whole = np.array([[x1, y1, x2, y2]])
        clipped, share = clip_boxes(whole, image.width, image.height)
        if name not in classes:
            others[name] += 1
        elif x2 <= x1 or y2 <= y1:
            dropped["no area"] += 1
        elif share[0] == 0:
            dropped["outside its image"] += 1
        else:
            notes["clipped to the image"] += int(share[0] < 1 - 1e-9)
            polygon = list(box.polygon) if box.polygon else None
            rows.append((box.image, name, *clipped[0].tolist(), polygon, box.difficult, box.source))
    table = pd.DataFrame(rows, columns=COLUMNS)
    floats = dict.fromkeys(("x1", "y1", "x2", "y2"), "float64")
    return table.astype({**floats, "difficult": "bool"}), dropped, others

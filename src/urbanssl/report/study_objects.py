"""What the detector that counts objects found in the study area, and where its boxes lie."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from urbanssl.report.blocks import Block, Heading, Prose, Table
from urbanssl.report.gather import Results
from urbanssl.report.wording import counted

#: A box with such a score is more likely right than wrong, were scores chances.
_SURE = 0.5


def study_objects(results: Results) -> Iterator[Block]:
    """Yield the objects of the study area by class; nothing where none was searched for them."""
    arm, first = results.settings.predict.study_arm, results.settings.detect.seeds[0]
    runs = [run for run in results.runs if run.arm == arm and run.seed == first]
    if not runs:
        return
    run = max(runs, key=lambda run: run.fraction).name
    scenes = sorted(results.images_of("study")["scene"].astype(str).unique())
    boxes = {scene: table for scene in scenes if (table := _boxes(results, run, scene)) is not None}
    if not boxes:
        return
    yield Heading("Objects in the study area")
    yield Prose(
        f"{run} searched {counted(len(boxes), 'scene')} of the study area. Every box with its "
        f"class, score and place is in predict/{run}/, as .boxes.gpkg (QGIS opens it) and "
        ".boxes.parquet, one of each a scene."
    )
    found = pd.concat(boxes, names=["scene"]).reset_index("scene")
    yield Table(
        f"Boxes by class, from a score of {results.settings.predict.min_score:g} on. Boxes with "
        "low scores are mostly wrong; precision and recall above say how far to trust them.",
        ("class", "boxes", f"with a score of {_SURE:g} or more", "scenes"),
        [_row(str(name), own) for name, own in found.groupby("class_name", observed=True)],
    )


def _boxes(results: Results, run: str, scene: str) -> pd.DataFrame | None:
    wanted = ["class_name", "score"]
    return results.table("predict", run, f"{scene}.boxes.parquet", columns=wanted)


def _row(name: str, own: pd.DataFrame) -> list[str]:
    numbers = len(own), int((own["score"] >= _SURE).sum()), own["scene"].nunique()
    return [name, *(f"{number:,}" for number in numbers)]

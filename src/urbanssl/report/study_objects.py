"""What the detector that counts objects found in the study area, and where its boxes lie."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from urbanssl.report.blocks import Block, Heading, Prose, Table
from urbanssl.report.gather import Results
from urbanssl.report.wording import counted


def study_objects(results: Results) -> Iterator[Block]:
    """Yield the objects of the study area by class; nothing where none was searched for them."""
    arm, first = results.settings.predict.study_arm, results.settings.detect.seeds[0]
    runs = [run for run in results.runs if run.arm == arm and run.seed == first]
    if not runs:
        return
    run = max(runs, key=lambda run: run.fraction)
    scenes = sorted(results.images_of("study")["scene"].astype(str).unique())
    tables = {scene: _boxes(results, run.name, scene) for scene in scenes}
    boxes = {scene: table for scene, table in tables.items() if table is not None}
    if not boxes:
        return
    yield Heading("Objects in the study area")
    yield Prose(
        f"{run.name} searched {counted(len(boxes), 'scene')} of the study area. Every box with its "
        f"class, score and place is in predict/{run.name}/, as .boxes.gpkg (QGIS opens it) and "
        ".boxes.parquet, one of each a scene."
    )
    found = pd.concat(boxes, names=["scene"]).reset_index("scene")
    yield Table(
        f"Boxes by class, from a score of {results.settings.predict.min_score:g} on, of which many "
        f"are wrong, and from {run.shown_from:.2f} on, where this run finds most and errs least "
        "on the test tiles (best F1).",
        ("class", "boxes", f"from {run.shown_from:.2f} on", "scenes"),
        [
            _row(str(name), own, run.shown_from)
            for name, own in found.groupby("class_name", observed=True)
        ],
    )


def _boxes(results: Results, run: str, scene: str) -> pd.DataFrame | None:
    wanted = ["class_name", "score"]
    return results.table("predict", run, f"{scene}.boxes.parquet", columns=wanted)


def _row(name: str, own: pd.DataFrame, least: float) -> list[str]:
    numbers = len(own), int((own["score"] >= least).sum()), own["scene"].nunique()
    return [name, *(f"{number:,}" for number in numbers)]

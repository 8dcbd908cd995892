"""The report as one HTML file that needs nothing but itself: no network, no scripts, no fonts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from urbanssl import __version__
from urbanssl.artifacts import settings_hash, written_whole
from urbanssl.report.blocks import Section
from urbanssl.report.crime_section import crime_section
from urbanssl.report.data_section import data_section
from urbanssl.report.detect_section import detect_section
from urbanssl.report.drawing import Album
from urbanssl.report.gather import Results
from urbanssl.report.methods_section import methods_section
from urbanssl.report.pretrain_section import pretrain_section
from urbanssl.report.verdict import card, numbers_section, verdict_section
from urbanssl.report.wording import counted
from urbanssl.settings import Settings


def write_report(settings: Settings, results: Path, html: Path, figures: Path) -> None:
    """Write the report of a run from whatever stages have left in its folder.

    Args:
        settings: settings of the run.
        results: its results folder; what is missing there is said to be missing.
        html: the page to write, self-contained.
        figures: folder for a copy of every figure, SVG for plots and PNG for imagery.
    """
    figures.mkdir(parents=True, exist_ok=True)
    found = Results(results, settings)
    page = render(found, Album(figures))
    with written_whole(html) as temporary:
        temporary.write_text(page, encoding="utf-8")


def render(results: Results, album: Album) -> str:
    """Return the page: the verdict before any number, the card before the first map."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("urbanssl.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html.j2").render(
        title=results.settings.title,
        embedded=results.settings.embedded,
        what=what_was_run(results),
        facts=facts(results),
        sections=sections(results, album),
    )


def sections(results: Results, album: Album) -> list[Section]:
    """Return the sections of the page in the order they are read."""
    return [
        verdict_section(results),
        card(),
        numbers_section(results),
        data_section(results, album),
        pretrain_section(results, album),
        detect_section(results, album),
        crime_section(results, album),
        methods_section(results),
    ]


def what_was_run(results: Results) -> str:
    """Return one sentence on imagery, arms and areas."""
    parts = []
    if results.catalogue is not None:
        tiles = sum(results.tile_counts.values())
        scenes = results.catalogue["scene"].nunique()
        parts.append(f"{counted(tiles, 'tile')} of {counted(scenes, 'scene')}")
    if results.runs:
        arms = len({run.arm for run in results.runs})
        parts.append(
            f"{counted(arms, 'detection arm')} in {counted(len(results.runs), 'training')}"
        )
    crime = results.crime or {}
    if crime.get("areas"):
        parts.append(f"{counted(_count(crime['areas']), 'area')} with recorded crime")
    return "; ".join(parts) + "." if parts else "No stage has left results yet."


def _count(value: Any) -> int:
    return value if isinstance(value, int) else len(value)


def facts(results: Results) -> Mapping[str, str]:
    """Return the provenance shown under the title."""
    settings = results.settings
    return {
        "Written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "urbanssl": __version__,
        "Settings": settings_hash(settings.model_dump(mode="json")),
        "Seed": str(settings.seed),
        "Results": settings.results,
    }

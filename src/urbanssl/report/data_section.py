"""The data section: scenes, tiles, splits, labels, and what was left out of each and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from urbanssl.report.blocks import Block, Heading, Items, Note, Prose, Section, Table
from urbanssl.report.drawing import Album
from urbanssl.report.gather import Results
from urbanssl.report.maps import split_map
from urbanssl.report.wording import NONE, counted, number

#: Scenes with more images than this are summed up by scene alone.
_MOST_SCENES = 8


def data_section(results: Results, album: Album) -> Section:
    """Return what went into the run."""
    blocks: list[Block] = [
        *_scenes(results),
        *_splits(results, album),
        *_labels(results),
        *_crime_table(results),
    ]
    return Section("data", "Data", blocks)


def _scenes(results: Results) -> Iterator[Block]:
    yield Heading("Scenes and tiles")
    catalogue = results.catalogue
    if catalogue is None:
        yield Note("The catalogue of scenes is missing: check_scenes has not run.", "missing")
        return
    counts = results.tile_counts
    tile = results.settings.tiles
    grid = "a pixel grid" if tile.grid == "pixel" else f"the web-mercator grid at zoom {tile.zoom}"
    yield Prose(
        f"{counted(catalogue['scene'].nunique(), 'scene')} with "
        f"{counted(len(catalogue), 'image')} "
        f"were cut into {counted(sum(counts.values()), 'tile')} of {tile.size} × {tile.size} "
        f"pixels on {grid}. Tiles with less than {tile.min_valid:.0%} valid pixels were left out."
    )
    rows = [_scene_row(name, own, counts) for name, own in catalogue.groupby("scene", sort=True)]
    yield Table(
        "Scenes. GSD is the size of a pixel on the ground.",
        ("scene", "use", "images", "size (px)", "GSD (m)", "CRS", "no data", "tiles"),
        rows,
        text_columns=frozenset({0, 1, 5}),
        folded=len(rows) > _MOST_SCENES,
    )
    notes = catalogue[catalogue.get("note", pd.Series("", catalogue.index)).fillna("") != ""]
    if len(notes):
        yield Table(
            "What was done to images, or noticed about them, when they were checked.",
            ("scene", "image", "note"),
            [[str(n.scene), str(n.image), str(n.note)] for n in notes.itertuples()],
            text_columns=frozenset({0, 1, 2}),
            folded=True,
        )


def _scene_row(name: Any, own: pd.DataFrame, counts: Mapping[str, int]) -> list[str]:
    sizes = {f"{w:,} × {h:,}" for w, h in zip(own["width"], own["height"], strict=True)}
    systems = {str(crs).split("\n")[0][:24] for crs in own["crs"].dropna()}
    return [
        str(name),
        ", ".join(sorted(_roles(own["roles"].iloc[0]))),
        f"{len(own):,}",
        sizes.pop() if len(sizes) == 1 else "several",
        _span(own["gsd_x"]),
        systems.pop() if len(systems) == 1 else ("several" if systems else "none"),
        f"{own['nodata_share'].mean():.0%}",
        f"{counts[str(name)]:,}" if str(name) in counts else NONE,
    ]


def _roles(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.replace(",", ";").split(";")
    return [str(role) for role in value]


def _span(values: pd.Series) -> str:
    known = values.dropna()
    if known.empty:
        return NONE
    low, high = number(float(known.min()), 2), number(float(known.max()), 2)
    return low if low == high else f"{low} to {high}"


def _splits(results: Results, album: Album) -> Iterator[Block]:
    yield Heading("Training, validation and test")
    splits = results.splits
    if splits is None or splits.empty:
        yield Note("No labelled tiles were split: there are no splits in this run.", "missing")
        return
    given = results.settings.splits
    placed = bool(results.images_of("labelled")["georeferenced"].all())
    yield Prose(
        f"Labelled tiles were split by blocks of {given.block:g} m, not one by one: a place is in "
        f"one split only, and tiles nearer than {given.buffer:g} m to another split were left out."
        + ("" if placed else " An image without a georeference is a block of its own.")
    )
    table = splits.groupby(["scene", "split"]).size().unstack(fill_value=0)
    order = ("train", "val", "test", "none")
    rows = [
        [str(scene), *(f"{int(counts.get(name, 0)):,}" for name in order)]
        for scene, counts in table.iterrows()
    ]
    yield Table(
        "Labelled tiles by split.",
        ("scene", "train", "validation", "test", "left out (buffer)"),
        rows,
    )
    scenes = _mapped(results, splits)
    if scenes:
        yield album.plot(
            "splits",
            split_map(scenes),
            f"Maps of {counted(len(scenes), 'labelled scene')} with tiles coloured by split; "
            "blocks of one colour touch each other only across a strip that is left out.",
            "Where the splits lie. Each square is the middle of a tile; neighbouring tiles "
            "overlap. North is up.",
        )


def _mapped(results: Results, splits: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tiles of labelled scenes of one image each, at most eight scenes."""
    found = {}
    wanted = ["tile_id", "image", "x_off", "y_off", "width", "height"]
    for scene in sorted(splits["scene"].astype(str).unique()):
        tiles = results.table("tiles", scene, "tiles.parquet", columns=wanted)
        if tiles is not None and tiles["image"].nunique() == 1:
            found[scene] = tiles.merge(splits[["tile_id", "split"]], on="tile_id")
    return dict(list(found.items())[:8])


def _labels(results: Results) -> Iterator[Block]:
    yield Heading("Labels")
    if not results.coco:
        yield Note("No annotations were assembled: nothing is labelled in this run.", "missing")
        return
    counts = {split: _by_class(content) for split, content in results.coco.items()}
    names = [
        name for name in results.settings.labels.classes if any(name in c for c in counts.values())
    ]
    none = [name for name in results.settings.labels.classes if name not in names]
    rows = [[name, *(f"{counts[split].get(name, 0):,}" for split in counts)] for name in names]
    rows.append(["all", *(f"{sum(c.values()):,}" for c in counts.values())])
    absent = f" No object of: {', '.join(none)}." if none else ""
    yield Table(
        "Labelled objects on tiles, by class and split. An object on two overlapping tiles is "
        f"counted on both; boxes cut too much by a tile's edge are not counted.{absent}",
        ("class", *counts),
        rows,
    )
    dropped = _conversions(results)
    if dropped:
        yield Table(
            "Labels as read from the files, kept, and left out, with the reason.",
            ("scene", "read", "kept", "left out"),
            dropped,
            text_columns=frozenset({0, 3}),
            folded=len(dropped) > _MOST_SCENES,
        )


def _by_class(coco: Mapping[str, Any]) -> dict[str, int]:
    names = {entry["id"]: str(entry["name"]) for entry in coco["categories"]}
    counts: dict[str, int] = {}
    for entry in coco["annotations"]:
        if not entry.get("ignore") and not entry.get("iscrowd"):
            name = names[entry["category_id"]]
            counts[name] = counts.get(name, 0) + 1
    return counts


def _conversions(results: Results) -> list[list[str]]:
    rows = []
    for path in sorted(results.root.glob("labels/*.json")):
        content = results.json("labels", path.name) or {}
        if "read" not in content:
            continue
        reasons = _reasons(content.get("dropped") or {})
        rows.append(
            [
                path.stem,
                f"{content['read']:,}",
                f"{content.get('kept', 0):,}",
                "; ".join(reasons) or "none",
            ]
        )
    return rows


def _reasons(dropped: Mapping[str, int | Mapping[str, int]]) -> list[str]:
    """Return why labels were left out and how many; what is counted by class, with the classes."""
    words = []
    for reason, found in dropped.items():
        by_class = found if isinstance(found, Mapping) else {}
        total = sum(by_class.values()) if isinstance(found, Mapping) else found
        each = ", ".join(f"{name} {count:,}" for name, count in by_class.items())
        words.append(f"{reason}: {total:,}" + (f" ({each})" if each else ""))
    return words


def _crime_table(results: Results) -> Iterator[Block]:
    yield Heading("Crime table")
    table = results.table(
        "crime", "table.parquet", columns=["area_id", "region", "population", "reported"]
    )
    report = results.json("crime", "table.json")
    if table is None:
        yield Note("There is no table of crime rates in this run.", "missing")
        return
    unreported = int((~table["reported"].astype(bool)).sum())
    tail = (
        f" {counted(unreported, 'area')} did not report; their rate is unknown, not zero."
        if unreported
        else " All of them reported."
    )
    yield Prose(
        f"{counted(len(table), 'area')} in {counted(table['region'].nunique(), 'region')}.{tail}"
    )
    rows = remarks(report or {})
    if rows:
        yield Table(
            "What was done to the crime table: every row or area that was repaired, flagged (kept "
            "on the map, not learned from), missing or left out.",
            ("what", "count", "why", "which"),
            rows,
            text_columns=frozenset({0, 2, 3}),
        )
    notes = [str(note) for note in (report or {}).get("notes") or []]
    if notes:
        yield Items(notes)


def remarks(report: Mapping[str, Any]) -> list[list[str]]:
    """Return the account of `crime/table.json` as rows: what, how many, why, which."""
    rows = [
        ["repaired", f"{entry['count']:,}", str(entry["what"]), _first(_changes(entry), entry)]
        for entry in report.get("repaired") or []
    ]
    rows += [
        ["flagged", f"{entry['count']:,}", str(entry["reason"]), _first(_areas(entry), entry)]
        for entry in report.get("flagged") or []
    ]
    rows += [
        ["missing", "1", str(entry["why"]), _area(entry)] for entry in report.get("missing") or []
    ][:20]
    rows += [
        ["left out", f"{entry['count']:,}", str(entry["reason"]), _first(_ids(entry), entry)]
        for entry in report.get("dropped") or []
    ]
    outside = report.get("outside_study") or {}
    if outside.get("count"):
        why = "belongs to no area of the study"
        rows.append(["not used", f"{outside['count']:,}", why, _first(_ids(outside), outside)])
    return rows


def _first(named: list[str], entry: Mapping[str, Any], at_most: int = 5) -> str:
    more = int(entry["count"]) - min(at_most, len(named))
    text = ", ".join(named[:at_most])
    return f"{text} and {more:,} more" if more > 0 and text else text


def _changes(entry: Mapping[str, Any]) -> list[str]:
    return [f"{change['from']} → {change['to']}" for change in entry.get("examples") or []]


def _areas(entry: Mapping[str, Any]) -> list[str]:
    return [_area(area) for area in entry.get("areas") or []]


def _ids(entry: Mapping[str, Any]) -> list[str]:
    return [str(name) or "(empty)" for name in entry.get("ids") or []]


def _area(entry: Mapping[str, Any]) -> str:
    name = entry.get("name")
    return f"{entry['area_id']} ({name})" if name else str(entry["area_id"])

"""What stands behind the crime scores: calibration, importance, effects, errors left in space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from urbanssl.report import crime_figures as draw
from urbanssl.report.blocks import Block, Figure, FigureRow, Heading, Note, Prose, Table
from urbanssl.report.detect_figures import dots
from urbanssl.report.drawing import Album
from urbanssl.report.driver_tiles import driver_tiles
from urbanssl.report.gather import Results
from urbanssl.report.verdict import claims
from urbanssl.report.wording import NONE, bounds_of, counted, is_number, number

Entries = Sequence[Mapping[str, Any]]

_COLUMNS = {
    "high_share": "share high",
    "auc": "AUC",
    "brier": "Brier",
    "mean_error_log_rate": "mean error",
}
#: So many groups of features, and so many effects, are drawn.
_MOST_GROUPS, _MOST_EFFECTS = 15, 6


def details(results: Results, album: Album) -> Iterator[Block]:
    """Yield calibration, importance, local effects, and what is left in space."""
    crime = results.crime or {}
    hedge = "" if claims(results) else " Nothing was claimed, so nothing should be read into it."
    yield from _calibration(crime, album)
    yield from _importance(crime, album, hedge)
    yield from _effects(crime, album)
    yield from _counting(results)
    yield from driver_tiles(results, album, (crime.get("headline") or {}).get("features"), hedge)
    yield from _space(crime, album)
    yield from _errors(crime)


def _calibration(crime: Mapping[str, Any], album: Album) -> Iterator[Block]:
    yield Heading("Are the probabilities right?")
    bins = crime.get("reliability") or []
    if not bins:
        yield Note("The metrics carry no reliability curve.", "missing")
        return
    name = str((crime.get("headline") or {}).get("features", "the headline features"))
    told = "; ".join(
        f"{number(b['predicted'], 2)} predicted, {number(b['observed'], 2)} observed" for b in bins
    )
    yield album.plot(
        "reliability",
        draw.reliability({name: bins}),
        f"Share of areas with high crime by predicted probability: {told}.",
        f"Reliability of {name}, whole regions held out. On the dashed line, areas given a "
        "probability of 0.7 are high in 7 of 10 cases. Larger marks stand for more areas.",
    )


def _importance(crime: Mapping[str, Any], album: Album, hedge: str) -> Iterator[Block]:
    yield Heading("What the predictions rest on")
    sets = importance_rows(crime.get("importance") or [])
    if not sets:
        yield Note("The metrics carry no importance of features.", "missing")
        return
    figures: list[Figure] = []
    for name, rows in sets.items():
        shown = rows[:_MOST_GROUPS]
        figures.append(
            album.plot(
                f"importance-{name}",
                dots(shown, "loss of AUC when exchanged", zero=0.0),
                f"Importance in {name}: "
                + "; ".join(f"{n} {number(v)}" for n, v, _ in shown)
                + ".",
                f"{name}: loss of AUC on held-out areas when a group of alike features is "
                "exchanged among areas, with 95 % intervals. It says what the model used, which "
                f"is associated with the rate, not what causes it.{hedge}",
            )
        )
    yield FigureRow(figures)


def importance_rows(
    stored: Entries,
) -> dict[str, list[tuple[str, float, tuple[float, float] | None]]]:
    """Return name, loss and interval of each group of features, by feature set, largest first."""
    found: dict[str, list[tuple[str, float, tuple[float, float] | None]]] = {}
    for entry in stored:
        if is_number(entry.get("loss")):
            row = (_short(str(entry["group"])), float(entry["loss"]), bounds_of(entry["interval"]))
            found.setdefault(str(entry.get("set", "features")), []).append(row)
    return {name: sorted(rows, key=lambda row: -row[1]) for name, rows in found.items()}


def _short(name: str, at_most: int = 30) -> str:
    return name if len(name) <= at_most else name[: at_most - 1] + "…"


def _effects(crime: Mapping[str, Any], album: Album) -> Iterator[Block]:
    rows = [row for row in crime.get("local_effects") or [] if len(row["value"]) > 2]
    if not rows:
        return
    shown = sorted(rows, key=lambda row: min(row["effect"]) - max(row["effect"]))[:_MOST_EFFECTS]
    told = "; ".join(
        f"{row['feature']} from {number(row['effect'][0], 2)} to {number(row['effect'][-1], 2)}"
        for row in shown
    )
    yield album.plot(
        "local-effects",
        draw.effects(shown),
        f"Accumulated local effects of object counts on the chance of high crime: {told}.",
        "How the predicted chance of high crime goes with the number of detected objects "
        "(accumulated local effects on held-out areas; ticks along the axis: where areas are). "
        "An association in the model, not an effect of the objects.",
    )


def _counting(results: Results) -> Iterator[Block]:
    """Say how scores of detections became counts of objects."""
    for path in sorted(results.root.glob("predict/*/calibration.json")):
        found = results.json("predict", path.parent.name, path.name) or {}
        if "note" in found:
            yield Note(f"Counts of objects by {path.parent.name}: {found['note']}.", "caution")
        elif "before" in found:
            before, after = found["before"], found["after"]
            yield Prose(
                f"Objects are counted by {path.parent.name} as sums of calibrated scores. Its "
                f"{found['detections']:,} detections on the validation tiles found "
                f"{found['right']:,} objects; the scores add up to "
                f"{number(before['expected'], 0)} (Brier {number(before['brier'])}), calibrated "
                f"on other blocks of land to {number(after['expected'], 0)} (Brier "
                f"{number(after['brier'])}). Objects that it misses are not counted."
            )


def _space(crime: Mapping[str, Any], album: Album) -> Iterator[Block]:
    yield Heading("What is left in space")
    moran = crime.get("moran") or {}
    words = {"target": "of the recorded rate itself", "residual": "of what the model leaves over"}
    told = [
        f"{meaning} {number(found.get('i'), 2)} (p {number(found.get('p'))})"
        for name, meaning in words.items()
        if isinstance(found := moran.get(name), Mapping)
    ]
    if told:
        yield Prose(
            f"Moran's I tells how alike neighbours are, near 0 when not at all: {'; '.join(told)}. "
            "Left-overs that are alike among neighbours mean that the model misses something that "
            "neighbours share."
        )
    found = crime.get("correlogram") or {}
    if len(found.get("distance") or []) > 1:
        side = found.get("block_side")
        yield album.plot(
            "correlogram",
            draw.correlogram(found["distance"], found["correlation"], side),
            "Likeness of recorded rates by distance, from "
            f"{number(found['correlation'][0], 2)} among neighbours to "
            f"{number(found['correlation'][-1], 2)} far apart.",
            "How alike the recorded rates of two areas are, by distance within a region. The "
            "dashed line is the side of the blocks that are held out and resampled.",
        )


def _errors(crime: Mapping[str, Any]) -> Iterator[Block]:
    for name in ("region", "population"):
        found: Entries = crime.get(f"errors_by_{name}") or []
        columns = [k for k in dict.fromkeys(k for e in found for k in e) if k != "group"]
        if found:
            yield Table(
                f"Errors by {name} ({counted(len(found), 'group')}), each region predicted without "
                "it. Mean error: of the log rate; above zero, the prediction is too high.",
                (name, *(_COLUMNS.get(key, key.replace("_", " ")) for key in columns)),
                [
                    [str(entry.get("group", NONE)), *(_plain(entry.get(k)) for k in columns)]
                    for entry in found
                ],
            )


def _plain(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else number(value, 2)

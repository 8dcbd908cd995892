"""The detection section: arms, starts, classes, label efficiency, errors, example tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from urbanssl.report import detect_figures as draw
from urbanssl.report.blocks import Block, Figure, FigureRow, Heading, Note, Prose, Section, Table
from urbanssl.report.comparison import differences, summarise
from urbanssl.report.drawing import Album
from urbanssl.report.gather import Results, Run, fractions_of
from urbanssl.report.pictures import examples, side_by_side, spread
from urbanssl.report.study_objects import study_objects
from urbanssl.report.wording import NONE, counted, listed, number, signed, with_interval

#: COCO's statistics by size.
_SIZES = ("APs", "APm", "APl")


def detect_section(results: Results, album: Album) -> Section:
    """Return how well each arm finds objects, and what its start is worth."""
    return Section("detection", "Detection", list(_blocks(results, album)))


def _blocks(results: Results, album: Album) -> Iterator[Block]:
    if not results.runs:
        yield Note("No detector was trained in this run.", "missing")
        return
    unscored = [run.name for run in results.runs if not run.stats()]
    if unscored:
        yield Note(f"Trained but not scored: {listed(unscored)}.", "missing")
    if not results.scored:
        return
    yield from _arms(results, album)
    yield from _starts(results, album)
    yield from _efficiency(results, album)
    shown = _shown_runs(results)
    yield from _classes(shown)
    yield from by_size(shown)
    yield from _curves(results, shown, album)
    yield from _errors(shown, album)
    yield from _examples(results, album)
    yield from study_objects(results)


def _shown_runs(results: Results) -> dict[str, Run]:
    """Return one run an arm: all labels, first seed."""
    most = max(run.fraction for run in results.scored)
    shown: dict[str, Run] = {}
    for run in results.scored:
        if run.fraction == most:
            shown.setdefault(run.arm, run)
    return shown


def _arms(results: Results, album: Album) -> Iterator[Block]:
    budget = results.settings.detect
    yield Prose(
        f"Each training step takes {counted(budget.batch_size, 'tile')}; steps by arm: "
        + ", ".join(f"{name} {arm.steps or budget.steps}" for name, arm in budget.arms.items())
        + ". All are scored with the COCO protocol: AP is average precision over ten thresholds "
        "of overlap and all classes, AP50 at an overlap (IoU) of one half. Intervals come from "
        "resampling spatial blocks of the test area"
        + (" and from the spread over seeds." if len(budget.seeds) > 1 else ".")
    )
    for on, where in (("tiles", "on test tiles"), ("scenes", "on whole scenes, after merging")):
        rows = _rows(results, on)
        if rows:
            yield Table(
                f"Scores by arm {where}; AP and AP50 with 95 % intervals. Labels: share of the "
                "training tiles.",
                ("arm", "start", "labels", "seeds", "AP", "AP50", "AP75", "AR100"),
                rows,
                text_columns=frozenset({0, 1}),
            )
    most = max(run.fraction for run in results.scored)
    full = [s for s in summarise(results.scored, "AP50") if s.fraction == most]
    yield album.plot(
        "arms",
        draw.arms(full, "AP50 on test tiles"),
        "AP50 by arm: " + "; ".join(f"{s.arm} {number(s.value, 2)}" for s in full) + ".",
        "AP50 by arm with 95 % intervals.",
    )


def _rows(results: Results, on: str) -> list[list[str]]:
    names = ("AP50", "AP75", "AR100")
    other = {
        name: {(s.arm, s.fraction): s for s in summarise(results.scored, name, on)}
        for name in names
    }
    rows = []
    for summary in summarise(results.scored, "AP", on):
        arm = results.arm(summary.arm)
        cells = [summary.arm, arm.init if arm else "", f"{summary.fraction:g} %"]
        cells += [f"{summary.seeds}", with_interval(summary.value, summary.interval)]
        for name in names:
            entry = other[name].get((summary.arm, summary.fraction))
            shown = entry.interval if entry and name == "AP50" else None
            cells.append(with_interval(entry.value, shown) if entry else NONE)
        rows.append(cells)
    return rows


def _starts(results: Results, album: Album) -> Iterator[Block]:
    yield Heading("Is the self-supervised start worth it?")
    found = {statistic: differences(results, statistic) for statistic in ("AP", "AP50")}
    if not found["AP"]:
        yield Note(
            "No arm with a self-supervised start was scored together with the same network from "
            "random weights, so this run cannot tell.",
            "missing",
        )
        return
    yield Table(
        "Each self-supervised start minus the same network from random weights, same labels and "
        "seeds. The steps of pretraining come on top of those of finetuning: a random start that "
        "trains as much longer, an arm with more steps, may catch up. Differences are "
        "paired: taken within each resample of the test area's blocks, which both arms share, and "
        "over the seeds.",
        ("arm", "against", "labels", "seeds", "AP difference", "AP50 difference", "finding"),
        [
            [
                d.arm,
                d.baseline,
                f"{d.fraction:g} %",
                f"{d.seeds}",
                signed(d.value, d.interval),
                signed(e.value, e.interval),
                {"better": "start helps", "worse": "start hurts", "open": "cannot be told"}[
                    d.finding
                ],
            ]
            for d, e in zip(found["AP"], found["AP50"], strict=True)
        ],
        text_columns=frozenset({0, 1, 6}),
    )
    yield album.plot(
        "starts",
        draw.against_random(found["AP"], "AP difference (right: the start helps)"),
        "Differences in AP: "
        + "; ".join(
            f"{d.arm} minus {d.baseline} {signed(d.value, d.interval)}" for d in found["AP"]
        )
        + ".",
        "Difference in AP with 95 % interval. Left of the dashed line the start did harm; an "
        "interval across the line leaves it open.",
    )


def _efficiency(results: Results, album: Album) -> Iterator[Block]:
    fractions = fractions_of(results.scored)
    if len(fractions) < 2:
        return
    yield Heading("Few labels")
    yield album.plot(
        "label-efficiency",
        draw.label_efficiency(summarise(results.scored, "AP"), "AP on test tiles"),
        "AP against the share of labelled tiles used, one line an arm; the numbers are in the "
        "table of scores.",
        f"AP with {listed([f'{f:g} %' for f in fractions])} of the training labels; bars are 95 % "
        "intervals.",
    )


def _classes(shown: Mapping[str, Run]) -> Iterator[Block]:
    yield Heading("By class")
    per_class = {
        arm: ((run.score or {}).get("tiles") or {}).get("per_class") or {}
        for arm, run in shown.items()
    }
    names = list(dict.fromkeys(name for found in per_class.values() for name in found))
    if not names:
        yield Note("The score files carry no scores by class.", "missing")
        return
    first = next(iter(per_class.values()))
    rows = []
    for name in names:
        instances = first.get(name, {}).get("instances")
        pairs = [found.get(name, {}) for found in per_class.values()]
        scores = [f"{_defined(p.get('AP50'))} / {_defined(p.get('AP'))}" for p in pairs]
        rows.append([name, number(instances, 0), *scores])
    yield Table(
        "AP50 / AP by class on the test tiles. Classes with few objects have unsteady scores; "
        "a dash means that the test split holds none.",
        ("class", "objects", *per_class),
        rows,
    )


def by_size(shown: Mapping[str, Run]) -> Iterator[Block]:
    """Yield AP by the size of objects: in pixels on tiles, in metres on whole scenes."""
    rows, ends = [], ("", "")
    for arm, run in shown.items():
        metres = (run.score or {}).get("metres") or {}
        if "small_below" in metres:
            ends = (f"{metres['small_below']:g}", f"{metres['large_from']:g}")
        found = [
            stats.get(name) for stats in (run.stats(), metres.get("stats") or {}) for name in _SIZES
        ]
        rows.append([arm, *(_defined(value) for value in found)])
    if all(cell == NONE for row in rows for cell in row[1:]):
        return
    yield Table(
        "AP by size of the objects. On tiles, in pixels as COCO has it: small below 32, large from "
        f"96. On whole scenes by the side on the ground: small below {ends[0]} m, large from "
        f"{ends[1]} m; a dash where no object is of that size, or the scenes have no scale.",
        (
            "arm",
            *(
                f"{size}, {unit}"
                for unit in ("pixels", "metres")
                for size in ("small", "medium", "large")
            ),
        ),
        rows,
    )


def _defined(value: Any) -> str:
    """Return a score; COCO writes -1 where a class has no labelled object."""
    return number(None if value == -1 else value, 2)


def _curves(results: Results, shown: Mapping[str, Run], album: Album) -> Iterator[Block]:
    curves = {
        arm: curve
        for arm, run in shown.items()
        if (curve := mean_curve(results.table("score", f"{run.name}.curves.parquet"))) is not None
    }
    figures: list[Figure] = []
    if curves:
        figures.append(
            album.plot(
                "precision-recall",
                draw.precision_recall(curves),
                "Precision against recall at IoU 0.5 for " + listed(list(curves)) + ".",
                "Precision and recall at IoU 0.5, mean over the classes. Recall: share of the "
                "objects found. Precision: share of the boxes that are right.",
            )
        )
    losses = {arm: _errors_of(run) for arm, run in shown.items() if _errors_of(run)}
    if losses:
        figures.append(
            album.plot(
                "errors",
                draw.error_breakdown(losses, "errors on the test tiles"),
                "Kinds of errors by arm: "
                + "; ".join(
                    f"{arm}: " + ", ".join(f"{kind} {v:,.0f}" for kind, v in kinds.items())
                    for arm, kinds in losses.items()
                )
                + ".",
                "Errors by arm, each at the score where it finds most and errs least (best F1): "
                "wrong class, box in the wrong place, both, found twice, nothing there "
                "(background), missed.",
            )
        )
    if figures:
        yield FigureRow(figures)
    else:
        yield Note("No precision-recall curves and no error breakdown were written.", "missing")


def mean_curve(table: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return precision at IoU 0.5 by recall, averaged over the classes.

    Args:
        table: PR curves of a run; columns `recall`, `precision`, and where there are several,
            `class_name`, `iou` and `on` (tiles or scenes).
    """
    if table is None or not {"recall", "precision"} <= set(table.columns):
        return None
    rows = table
    if "iou" in rows:
        rows = rows[np.isclose(rows["iou"].astype(float), 0.5)]
    if "on" in rows:
        rows = rows[rows["on"] == "tiles"]
    rows = rows[rows["precision"] >= 0]
    if rows.empty:
        return None
    return rows.groupby("recall", as_index=False)["precision"].mean().sort_values("recall")


def _errors_of(run: Run) -> dict[str, float]:
    errors = ((run.score or {}).get("errors") or {}).get("tiles") or {}
    return {
        str(kind).replace("_", " "): float(value)
        for kind, value in errors.items()
        if isinstance(value, int | float)
    }


def _errors(shown: Mapping[str, Run], album: Album) -> Iterator[Block]:
    found = {arm: read for arm, run in shown.items() if (read := confusion_of(run)) is not None}
    if not found:
        yield Note("The score files carry no confusion matrix.", "missing")
        return
    best = max(found, key=lambda arm: shown[arm].stats().get("AP50") or 0)
    names, counts = found[best]
    wrong = int(counts.sum() - np.trace(counts))
    yield album.plot(
        "confusion",
        draw.confusion(names, counts),
        f"Confusion matrix of {best}: {int(np.trace(counts))} objects with the right class, "
        f"{wrong} entries off the diagonal.",
        f"What {best} took for what, on the test tiles. Rows: labelled class; columns: predicted "
        "class; background: nothing there, or missed.",
    )


def confusion_of(run: Run) -> tuple[list[str], np.ndarray] | None:
    """Return names and counts of a confusion matrix, without classes that never occur."""
    stored = ((run.score or {}).get("confusion") or {}).get("tiles")
    if not stored:
        return None
    counts = np.asarray(stored["counts"], dtype=float)
    names = [str(name) for name in stored["names"]]
    used = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    return [name for name, keep in zip(names, used, strict=True) if keep], counts[used][:, used]


def _examples(results: Results, album: Album) -> Iterator[Block]:
    yield Heading("Example tiles")
    most = max(run.fraction for run in results.scored)
    candidates = [run for run in results.scored if run.fraction == most]
    best = max(candidates, key=lambda run: run.stats().get("AP50") or 0)
    least = best.shown_from
    found = examples(results, best.name, least)
    if not found:
        yield Note("There are no test tiles with labels and predictions to show.", "missing")
        return
    shown = spread(found, 6)
    hits, all_labels = sum(int(e.found.sum()) for e in shown), sum(len(e.truth) for e in shown)
    yield album.picture(
        "examples",
        side_by_side(shown),
        f"{counted(len(shown), 'test tile')} with labels and predictions side by side; "
        f"{hits} of {all_labels} labelled objects are found.",
        f"Test tiles from the best to the worst, labels beside the predictions of {best.arm} with "
        f"a score of at least {least:.2f}. Blue, solid: found, or right. Orange, dashed: "
        "missed (left) or false (right).",
    )

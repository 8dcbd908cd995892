"""The pretraining section: how each network learned without labels, and probes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from urbanssl.report.blocks import Block, Figure, FigureRow, Note, Prose, Section, Table
from urbanssl.report.crime_figures import curve
from urbanssl.report.drawing import Album
from urbanssl.report.gather import Results
from urbanssl.report.wording import NONE, duration, is_number, number

_STAGES = {
    "swav": (
        "SwAV",
        "SwAV learns by predicting, from one view of a tile, the cluster of another view.",
    ),
    "mae": ("MAE", "MAE learns by painting in the three quarters of a tile that are hidden."),
    "detreg": (
        "DETReg",
        "DETReg learns by finding the boxes that Selective Search proposes and naming what SwAV "
        "sees in them.",
    ),
}


def pretrain_section(results: Results, album: Album) -> Section:
    """Return curves, probes and timing of the self-supervised stages."""
    logs = {stage: results.json("pretrain", stage, "log.json") for stage in _STAGES}
    return Section("pretraining", "Pretraining", list(_blocks(results, logs, album)))


def _blocks(
    results: Results, logs: Mapping[str, dict[str, Any] | None], album: Album
) -> Iterator[Block]:
    there = {stage: log for stage, log in logs.items() if log is not None}
    for stage in (stage for stage in _STAGES if stage not in there):
        yield Note(f"{_STAGES[stage][0]} was not pretrained in this run.", "missing")
    if not there:
        return
    yield Prose(" ".join(_STAGES[stage][1] for stage in there) + " None of them saw a label.")
    yield Prose(seen_words(results))
    figures = [
        figure
        for draw in (_curve, _probe_curve)
        for stage, log in there.items()
        if (figure := draw(stage, log, album)) is not None
    ]
    if figures:
        yield FigureRow(figures)
    yield Table(
        "Effort of each stage.",
        ("stage", "steps", "images a second", "time", "last loss"),
        [_effort(stage, log) for stage, log in there.items()],
    )
    rows = [row for stage, log in there.items() for row in probe_rows(stage, log)]
    if rows:
        yield Table(
            "Probes of the frozen features, before training and at its end.",
            ("stage", "probe", "before", "after"),
            rows,
            text_columns=frozenset({0, 1}),
        )


def seen_words(results: Results) -> str:
    """Return the sentence that declares which tiles pretraining saw."""
    given = results.settings.pretrain
    if given.strict:
        return (
            "Pretraining saw no tile of the study area and none of the validation and test splits "
            "(strict)."
        )
    return (
        f"Pretraining saw the tiles of scenes used as {', '.join(given.roles)}, without their "
        "labels. Where these include test tiles or the study area, results may flatter the "
        "self-supervised arms a little; pretrain.strict leaves those tiles out."
    )


def series(log: Mapping[str, Any], name: str = "loss") -> tuple[list[float], list[float]]:
    """Return steps and values of one quantity of a training log."""
    entries = [e for e in log.get("curve") or [] if is_number(e.get(name))]
    return [float(e["step"]) for e in entries], [float(e[name]) for e in entries]


def _curve(stage: str, log: Mapping[str, Any], album: Album) -> Figure | None:
    steps, values = series(log)
    if len(steps) < 2:
        return None
    name = _STAGES[stage][0]
    chance = _chance(stage, log)
    reference = None if chance is None else (chance, "nothing learned (ln K)")
    first, last = values[0], values[-1]
    return album.plot(
        f"pretrain-{stage}",
        curve({"loss": (steps, values)}, f"{name} loss", reference),
        f"{name} loss over {steps[-1]:.0f} steps, from {first:.3g} to {last:.3g}.",
        f"{name}: loss over training."
        + ("" if chance is None else " A run that stays at the dashed line has learned nothing."),
    )


def _probe_curve(stage: str, log: Mapping[str, Any], album: Album) -> Figure | None:
    """Return accuracies of the probes over training, where it was probed more than once."""
    probes = [entry for entry in log.get("probe") or [] if is_number(entry.get("linear"))]
    if len(probes) < 2:
        return None
    name = _STAGES[stage][0]
    steps = [float(entry["step"]) for entry in probes]
    lines = {
        title: (steps, [float(entry[key]) for entry in probes])
        for key, title in (("knn", "k-NN"), ("linear", "linear"))
    }
    if probes[-1].get("of") == "labels":
        asked, caution = "the class of a labelled image", ""
    else:
        asked = "the block of its scene that a tile lies on"
        caution = (
            " A place has its colours, and a network that learns to overlook them may answer worse "
            "than an untrained one: a fall here does not say that pretraining failed."
        )
    chance = (float(probes[-1]["chance"]), "commonest class")
    return album.plot(
        f"probe-{stage}",
        curve(lines, f"{name}: accuracy", chance),
        f"{name}: linear accuracy from {probes[0]['linear']:.2f} to {probes[-1]['linear']:.2f}.",
        f"{name}: frozen features asked for {asked}. The first point is the network before "
        f"training.{caution}",
    )


def _chance(stage: str, log: Mapping[str, Any]) -> float | None:
    """Return ln K for SwAV, the loss of K prototypes told apart by nothing."""
    level = (log.get("curve") or [{}])[-1].get("ln_k")
    return float(level) if stage == "swav" and is_number(level) else None


def _effort(stage: str, log: Mapping[str, Any]) -> list[str]:
    steps, values = series(log)
    total = log.get("steps") or (steps[-1] if steps else None)
    return [
        _STAGES[stage][0],
        f"{total:,.0f}" if is_number(total) else NONE,
        number(log.get("images_per_second"), 1),
        duration(log.get("seconds")),
        number(values[-1]) if values else NONE,
    ]


def probe_rows(stage: str, log: Mapping[str, Any]) -> list[list[str]]:
    """Return the probes of a log as rows: stage, name of the probe, value before and after."""
    probes: list[dict[str, Any]] = log.get("probe") or []
    before: dict[str, Any] = next((entry for entry in probes if entry["step"] == 0), {})
    after: dict[str, Any] = next((entry for entry in reversed(probes) if entry["step"] > 0), {})
    return [
        [
            _STAGES[stage][0],
            _PROBED.get(name, name),
            number(before.get(name)),
            number(after.get(name)),
        ]
        for name in dict.fromkeys([*before, *after])
        if name not in ("step", "of")
    ]


_PROBED = {
    "knn": "k-NN accuracy",
    "linear": "linear accuracy",
    "chance": "accuracy of the commonest class",
    "rank": "rank of the features (RankMe)",
}

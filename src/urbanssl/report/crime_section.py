"""The crime section: scores by feature set and scheme, leakage, calibration, importance, a map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from urbanssl.report import crime_figures as draw
from urbanssl.report.blocks import (
    Block,
    Heading,
    Items,
    Note,
    Prose,
    Section,
    Table,
)
from urbanssl.report.crime_details import details
from urbanssl.report.crime_maps import area_maps
from urbanssl.report.drawing import Album
from urbanssl.report.gather import Results
from urbanssl.report.verdict import crime_sentence, further_reasons, refused, truth_words
from urbanssl.report.wording import (
    bounds_of,
    counted,
    is_number,
    number,
    signed,
    with_interval,
)

Scores = list[dict[str, Any]]

_SCHEME_NAMES = {
    "region": "whole regions held out",
    "block": "blocks with buffer held out",
    "distance": "clusters as far as new places",
    "random": "random folds (leaks)",
}


def scheme_name(scheme: str) -> str:
    """Return what a validation scheme is called in the report."""
    for word, name in _SCHEME_NAMES.items():
        if word in scheme:
            return name
    return scheme.replace("_", " ")


def crime_section(results: Results, album: Album) -> Section:
    """Return what image features say about recorded crime, or why nothing can be said."""
    return Section("crime", "Recorded crime", list(_blocks(results, album)))


def _blocks(results: Results, album: Album) -> Iterator[Block]:
    if results.crime is None:
        yield Note(crime_sentence(results), "missing")
        return
    if refused(results):
        yield from _refusal(results, album)
        return
    truth = truth_words(results.json("city", "truth.json"))
    yield Prose(
        "The unit is the area. Every score is out of fold: an area is judged by a model that has "
        "not seen it. With whole regions held out, the model has not seen its neighbours either."
        + (f" {truth}" if truth else "")
    )
    yield from _held_out(results.crime)
    scores: Scores = list(results.crime["scores"])
    yield from _verdicts(results.crime)
    yield from _scores(results.crime, scores, album)
    yield from _baselines(results.crime)
    yield from _leakage(scores, album)
    yield from details(results, album)
    yield Heading("Areas on the map")
    yield from area_maps(results, album, _best_features(results.crime))


def _held_out(crime: Mapping[str, Any]) -> Iterator[Block]:
    reasons = [f"{why}: {count:,}" for why, count in (crime.get("left_out") or {}).items() if count]
    total = crime.get("areas_total", crime.get("areas", 0))
    left = f" Left out: {'; '.join(reasons)}." if reasons else ""
    bare = crime.get("too_little_imagery") or []
    if bare:
        left += f" Areas with too little imagery: {', '.join(map(str, bare))}."
    yield Prose(
        f"{counted(crime.get('areas', 0), 'area')} of {total:,} in "
        f"{counted(crime.get('regions', 0), 'region')} could be used.{left}"
    )
    seen = (crime.get("declared") or {}).get("study_scenes_seen_in_pretraining") or []
    if seen:
        yield Prose(
            "Declared: networks were pretrained, without labels or rates, on imagery of "
            f"{counted(len(seen), 'scene')} of the study area ({', '.join(map(str, seen[:8]))}"
            f"{' and others' if len(seen) > 8 else ''}). pretrain.strict forbids it."
        )
    schemes = crime.get("schemes") or []
    if schemes:
        yield Table(
            "How areas were held out.",
            ("scheme", "folds", "how"),
            [[scheme_name(s["name"]), f"{s['folds']:,}", str(s["note"])] for s in schemes],
            text_columns=frozenset({0, 2}),
        )


def _refusal(results: Results, album: Album) -> Iterator[Block]:
    yield Note(crime_sentence(results), "verdict")
    if reasons := further_reasons(results):
        yield Items(reasons)
    yield Prose(
        "No accuracy is shown, since any number would be read as a finding. The recorded rates "
        "below are those of the crime table, nothing more."
    )
    yield from area_maps(results, album, None)


def _best_features(crime: Mapping[str, Any]) -> str | None:
    features = (crime.get("headline") or {}).get("features")
    return str(features) if features else None


def _verdicts(crime: Mapping[str, Any]) -> Iterator[Block]:
    found = (crime.get("verdict") or {}).get("per_features") or {}
    if found:
        yield Prose("What may be said of each learned feature set, by rule:")
        yield Items([str(words) for words in found.values()])
    rule = (crime.get("headline") or {}).get("rule")
    if rule:
        yield Prose(f"The headline rests on {_best_features(crime)}, {rule}.")


def _scores(crime: Mapping[str, Any], scores: Scores, album: Album) -> Iterator[Block]:
    yield Heading("Scores")
    shown = best_models(scores)
    schemes = {score["scheme"]: scheme_name(str(score["scheme"])) for score in shown}
    order = sorted(schemes, key=lambda name: ("random" in name, "region" not in name, name))
    yield album.plot(
        "crime-auc",
        draw.whiskers(shown, {name: schemes[name] for name in order}),
        "AUC by feature set and scheme: "
        + "; ".join(
            f"{s['features']}, {schemes[s['scheme']]}: {number(s.get('auc'), 2)}" for s in shown
        )
        + ".",
        "AUC for high against low recorded rates, with 95 % intervals. Right of the dashed line is "
        "better than a coin toss. Random folds are shown to reveal the leak, not as a result.",
    )
    tests = {
        (row["features"], row["scheme"]): row.get("p") for row in crime.get("permutation") or []
    }
    yield Table(
        "All scores. p: share of random exchanges of areas within regions that score as high. "
        "Balanced accuracy: mean share right among high and low areas. Brier: mean squared error "
        "of the probabilities (lower is better). R² and rank correlation (Spearman): for the rate "
        "itself, by ridge regression of its logarithm beside the logistic model, or by a model of "
        "counts with people as exposure, with the share of the deviance that it explains.",
        (
            *("features", "model", "scheme", "AUC", "p", "bal. acc.", "Brier", "R²"),
            *("rank corr.", "deviance"),
        ),
        [
            [
                str(score["features"]),
                str(score.get("model", "")).replace("_", " "),
                scheme_name(str(score["scheme"])),
                with_interval(score.get("auc"), score.get("auc_interval"), 2),
                number(_test(score, tests)),
                number(score.get("balanced_accuracy"), 2),
                number(score.get("brier")),
                number(score.get("r2"), 2),
                number(score.get("spearman"), 2),
                number(score.get("deviance_explained"), 2),
            ]
            for score in scores
        ],
        text_columns=frozenset({0, 1, 2}),
        folded=len(scores) > 12,
    )


def _test(score: Mapping[str, Any], tests: Mapping[tuple[str, str], Any]) -> Any:
    logistic = score.get("model") == "logistic"
    return tests.get((score["features"], score["scheme"])) if logistic else None


def best_models(scores: Scores) -> Scores:
    """Return one score for each feature set and scheme: that of the logistic model.

    Saying the same of every area (`majority`) is left to the table.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for score in sorted(scores, key=lambda score: score.get("model") != "logistic"):
        if score["features"] == "majority":
            continue
        found.setdefault((str(score["features"]), str(score["scheme"])), score)
    return list(found.values())


def _baselines(crime: Mapping[str, Any]) -> Iterator[Block]:
    paired = crime.get("paired") or []
    yield Heading("Against cheap baselines")
    if not paired:
        yield Note("The metrics carry no paired comparison with baselines.", "missing")
        return
    yield Table(
        "AUC minus the AUC of a baseline on the same areas, resampled together. An interval that "
        "includes zero means: not shown to be better.",
        ("features", "baseline", "scheme", "AUC difference", "finding"),
        [
            [
                str(row["features"]),
                str(row["baseline"]),
                scheme_name(str(row.get("scheme", ""))),
                signed(row.get("difference"), row.get("interval"), 2),
                _finding(row),
            ]
            for row in paired
        ],
        text_columns=frozenset({0, 1, 2, 4}),
        folded=len(paired) > 16,
    )


def _finding(row: Mapping[str, Any]) -> str:
    bounds = bounds_of(row.get("interval"))
    if bounds is None or bounds[0] <= 0 <= bounds[1]:
        return "not shown to differ"
    return "better" if bounds[0] > 0 else "worse"


def _leakage(scores: Scores, album: Album) -> Iterator[Block]:
    yield Heading("Leakage")
    rows = leakage_rows(scores)
    if not rows:
        yield Note(
            "The leakage gap needs scores under random folds and with regions held out; this run "
            "lacks one of them.",
            "missing",
        )
        return
    yield album.plot(
        "leakage",
        draw.leakage(rows),
        "AUC with whole regions held out and with random folds: "
        + "; ".join(f"{n}: {number(a, 2)} and {number(b, 2)}" for n, a, b in rows)
        + ".",
        "The leakage gap: with random folds, neighbours of a test area are in training, and a "
        "model that knows only the place looks as if it knew the reason.",
    )


def leakage_rows(scores: Scores) -> list[tuple[str, float, float]]:
    """Return feature set, AUC with regions held out and AUC with random folds."""
    by_name: dict[str, dict[str, float]] = {}
    for score in best_models(scores):
        if is_number(score.get("auc")):
            by_name.setdefault(str(score["features"]), {})[str(score["scheme"])] = score["auc"]
    rows = []
    for name, found in by_name.items():
        honest = next((auc for scheme, auc in found.items() if "region" in scheme), None)
        leaky = next((auc for scheme, auc in found.items() if "random" in scheme), None)
        if honest is not None and leaky is not None:
            rows.append((name, honest, leaky))
    return rows

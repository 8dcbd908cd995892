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
from urbanssl.report.crime_maps import area_maps
from urbanssl.report.detect_figures import dots
from urbanssl.report.drawing import Album
from urbanssl.report.gather import Results
from urbanssl.report.verdict import claims, crime_sentence, refused, truth_words
from urbanssl.report.wording import (
    NONE,
    bounds_of,
    is_number,
    number,
    signed,
    with_interval,
)

Scores = list[dict[str, Any]]

_SCHEME_NAMES = {
    "region": "whole regions held out",
    "block": "blocks with buffer held out",
    "nearest": "matched to nearest neighbours",
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
    scores: Scores = list(results.crime["scores"])
    yield from _verdicts(results.crime)
    yield from _scores(scores, album)
    yield from _baselines(results.crime)
    yield from _leakage(scores, album)
    yield from _calibration(results.crime, album)
    yield from _importance(results, album)
    yield from _residuals(results.crime)
    yield Heading("Areas on the map")
    yield from area_maps(results, album, _best_features(results.crime))


def _refusal(results: Results, album: Album) -> Iterator[Block]:
    yield Note(crime_sentence(results), "verdict")
    crime = results.crime or {}
    reasons = [str(reason) for reason in (crime.get("verdict") or {}).get("reasons") or []]
    if reasons:
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
    per_features = (crime.get("verdict") or {}).get("per_features") or {}
    rows = []
    for name, entry in per_features.items():
        rows.append([str(name), entry if isinstance(entry, str) else _words(entry)])
    if rows:
        yield Table(
            "What may be said of each feature set, by rule.",
            ("features", "finding"),
            rows,
            text_columns=frozenset({0, 1}),
        )


def _words(entry: Any) -> str:
    if isinstance(entry, Mapping):
        for key in ("sentence", "words", "finding", "reason", "headline"):
            if entry.get(key):
                return str(entry[key])
        return "claimed" if entry.get("claim") else "nothing claimed"
    if isinstance(entry, list):
        return "; ".join(str(part) for part in entry) or "nothing to add"
    return str(entry)


def _scores(scores: Scores, album: Album) -> Iterator[Block]:
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
    yield Table(
        "All scores. Balanced accuracy: mean share right among high and low areas. Brier: mean "
        "squared error of the probabilities (lower is better). R² and Spearman: for the rate "
        "itself.",
        ("features", "model", "scheme", "AUC", "balanced acc.", "Brier", "R²", "Spearman"),
        [
            [
                str(score["features"]),
                str(score.get("model", "")),
                scheme_name(str(score["scheme"])),
                with_interval(score.get("auc"), score.get("auc_interval"), 2),
                number(score.get("balanced_accuracy"), 2),
                number(score.get("brier")),
                number(score.get("r2"), 2),
                number(score.get("spearman"), 2),
            ]
            for score in scores
        ],
        text_columns=frozenset({0, 1, 2}),
        folded=len(scores) > 12,
    )


def best_models(scores: Scores) -> Scores:
    """Return one score for each feature set and scheme: the first model listed."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for score in scores:
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


def _calibration(crime: Mapping[str, Any], album: Album) -> Iterator[Block]:
    yield Heading("Are the probabilities right?")
    curves = reliability_curves(crime.get("reliability"))
    wanted = _best_features(crime)
    if wanted in curves:
        curves = {wanted: curves[wanted]}
    curves = dict(list(curves.items())[:4])
    if not curves:
        yield Note("The metrics carry no reliability curve.", "missing")
        return
    yield album.plot(
        "reliability",
        draw.reliability(curves),
        "Share of areas with high crime by predicted probability: "
        + "; ".join(
            f"{number(b['predicted'], 2)} predicted, {number(b['observed'], 2)} observed"
            for bins in curves.values()
            for b in bins
        )
        + ".",
        f"Reliability of {', '.join(curves)}, whole regions held out. On the dashed line, areas "
        "given a probability of 0.7 are high in 7 of 10 cases. Larger marks stand for more areas.",
    )


def reliability_curves(stored: Any) -> dict[str, list[dict[str, Any]]]:
    """Return bins with `predicted`, `observed` and `areas` by feature set."""
    if isinstance(stored, Mapping) and {"predicted", "observed"} <= set(stored):
        counts = stored.get("areas") or stored.get("count") or [None] * len(stored["predicted"])
        stored = [
            {"predicted": p, "observed": o, "areas": c}
            for p, o, c in zip(stored["predicted"], stored["observed"], counts, strict=True)
        ]
    if isinstance(stored, list):
        names = {str(row.get("features", "the headline model")) for row in stored}
        stored = {n: [r for r in stored if str(r.get("features", n)) == n] for n in sorted(names)}
    found = {}
    for name, bins in (stored or {}).items():
        usable = [b for b in bins if is_number(b.get("predicted")) and is_number(b.get("observed"))]
        if usable:
            found[str(name)] = usable
    return found


def _importance(results: Results, album: Album) -> Iterator[Block]:
    yield Heading("What the predictions rest on")
    rows = importance_rows((results.crime or {}).get("importance"))
    if not rows:
        yield Note("The metrics carry no importance of features.", "missing")
        return
    shown = sorted(rows, key=lambda row: -row[1])[:15]
    hedge = "" if claims(results) else " Nothing was claimed, so nothing should be read into it."
    yield album.plot(
        "importance",
        dots(shown, "loss of AUC when shuffled", zero=0.0),
        "Importance: " + "; ".join(f"{n} {number(v)}" for n, v, _ in shown) + ".",
        "Loss of AUC on held-out areas when a group of features is shuffled among areas. It says "
        f"what the model used, which is associated with the rate, not what causes it.{hedge}",
    )


def importance_rows(stored: Any) -> list[tuple[str, float, tuple[float, float] | None]]:
    """Return name, importance and interval of each feature or group of features."""
    if isinstance(stored, Mapping):
        stored = (
            stored.get("groups")
            or stored.get("rows")
            or [
                {"name": name, **(entry if isinstance(entry, Mapping) else {"importance": entry})}
                for name, entry in stored.items()
            ]
        )
    rows: list[tuple[str, float, tuple[float, float] | None]] = []
    for entry in stored or []:
        value = entry.get("importance", entry.get("drop"))
        if not is_number(value):
            continue
        name = entry.get("name", entry.get("group", entry.get("feature", NONE)))
        if isinstance(name, list):
            more = f" and {len(name) - 2} more" if len(name) > 2 else ""
            name = ", ".join(str(part) for part in name[:2]) + more
        rows.append((str(name)[:40], float(value), bounds_of(entry.get("interval"))))
    return rows


def _residuals(crime: Mapping[str, Any]) -> Iterator[Block]:
    moran, errors = crime.get("moran"), crime.get("errors_by_region")
    if isinstance(moran, Mapping) and is_number(moran.get("i", moran.get("I"))):
        p = moran.get("p", moran.get("p_value"))
        tail = f", p = {number(p)} by permutation" if is_number(p) else ""
        yield Prose(
            f"Moran's I of the residuals is {number(moran.get('i', moran.get('I')), 2)}{tail}: "
            "near zero, errors are not alike among neighbours; above zero, the model misses "
            "something that neighbours share."
        )
    for name, found in (("region", errors), ("population", crime.get("errors_by_population"))):
        if found:
            yield Table(
                f"Errors by {name}, each region predicted without it. Mean error: of the log rate; "
                "above zero, the prediction is too high.",
                (
                    name,
                    *(_COLUMN_TITLES.get(key, key.replace("_", " ")) for key in _columns(found)),
                ),
                [
                    [
                        str(entry.get("group", NONE)),
                        *(_plain(entry.get(k)) for k in _columns(found)),
                    ]
                    for entry in found
                ],
            )


_COLUMN_TITLES = {
    "high_share": "share high",
    "auc": "AUC",
    "brier": "Brier",
    "mean_error_log_rate": "mean error",
}


def _columns(entries: Scores) -> list[str]:
    return [key for key in dict.fromkeys(k for e in entries for k in e) if key != "group"]


def _plain(value: Any) -> str:
    if is_number(value):
        return f"{value:,}" if isinstance(value, int) else number(value)
    return NONE if value is None else str(value)

"""Stage judge_crime: do features say anything about crime beyond place and cheap baselines?

The order is fixed in advance: refuse where nothing can be said; hold areas out in every scheme;
choose the learned set that the headline rests on by folds *inside* the training areas; resample
blocks of areas; state the verdict by rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from urbanssl.artifacts import write_json, write_table
from urbanssl.crime.baselines import TO_BEAT, is_learned
from urbanssl.crime.counts import Counted
from urbanssl.crime.folds import Scheme
from urbanssl.crime.held_out import HeldOut, Target, make_target, predict_held_out
from urbanssl.crime.importance import correlated_groups, grouped_importance, local_effects
from urbanssl.crime.intervals import (
    Resamples,
    block_weights,
    difference,
    interval,
    resample_regions,
)
from urbanssl.crime.judged_tables import prediction_table, predictions_of, slope_table
from urbanssl.crime.linear import fold_bases
from urbanssl.crime.metrics import auc
from urbanssl.crime.moran import moran_test, neighbour_weights
from urbanssl.crime.permutation import shuffles
from urbanssl.crime.scores import (
    SHARE,
    count_row,
    errors_by,
    network_row,
    permutation_row,
    reliability,
    score_rows,
)
from urbanssl.crime.study import Study, describe, object_density_of, read_study, schemes_of
from urbanssl.crime.surrogates import alike_exchanges, labelings
from urbanssl.crime.targets import log_rate
from urbanssl.crime.verdict import Evidence, place_explains, refusal, refusals, verdict
from urbanssl.errors import AreaError
from urbanssl.settings import CrimeSettings

#: Name of the network on raw tiles as a feature set.
NETWORK = "raw tiles"
#: How the headline's feature set is chosen, in words.
RULE = (
    "the learned set with the highest AUC on folds inside the training areas, whole regions held "
    "out there too; held-out areas have no say"
)


@dataclass(frozen=True)
class Judged:
    """Everything computed for one scheme.

    Attributes:
        target: labels.
        found: set -> out-of-fold predictions.
        draws: set -> (2, 1 + G) AUC of all regions and without each, see `scores.left_out`.
        resamples: of regions.
        rows: rows of scores.
        permutation: rows of permutation tests.
    """

    target: Target
    found: dict[str, HeldOut]
    draws: dict[str, NDArray[np.float64]]
    resamples: Resamples
    rows: list[dict[str, Any]]
    permutation: list[dict[str, Any]]


def judge(
    table: Path,
    table_report: Path,
    features: dict[str, Path],
    network: Path | None,
    crime: CrimeSettings,
    declared: dict[str, Any],
    seed: int,
    predictions: Path,
    slopes: Path,
    metrics: Path,
    about: dict[str, Any],
) -> None:
    """Judge feature sets by what they say of areas held out; write predictions and metrics.

    A study that is too small or where label and region coincide is refused: the metrics then hold
    the verdict and its reasons and no accuracy.

    Args:
        table: `R/crime/table.parquet`.
        table_report: `R/crime/table.json`.
        features: set -> pooled features of areas.
        network: predictions of a network on raw tiles, see `train_tile_network`, if there is one.
        crime: the section `crime`.
        declared: what pretraining has seen of the study area.
        seed: of folds, resamples and models.
        predictions: Parquet of out-of-fold predictions.
        slopes: Parquet: `features, region, column, slope`: change of the log odds by each pooled
            feature of the headline, in the model that never saw the region.
        metrics: JSON.
        about: provenance.

    Raises:
        AreaError: the tables do not belong together.
    """
    study = read_study(table, table_report, features)
    reasons = refusals(study.rate, study.region, study.total, crime)
    if reasons:
        content = _refused(study, reasons, crime, seed)
        rows: list[pd.DataFrame] = []
        lines = slope_table(study, "", np.zeros((0, 0)))
    else:
        content, rows, lines = evaluate(study, crime, seed, network)
    write_table(predictions, prediction_table(rows), about)
    write_table(slopes, lines, about)
    write_json(metrics, {**content, "declared": declared, "provenance": about})


def _refused(study: Study, reasons: list[str], crime: CrimeSettings, seed: int) -> dict[str, Any]:
    """Return metrics without any accuracy; autocorrelation of the rates is still told."""
    content: dict[str, Any] = {
        "verdict": refusal(reasons, len(study.rate), study.total),
        **describe(study),
        "scores": [],
        "paired": [],
        "permutation": [],
    }
    if len(study.rate) >= 10:
        rng = np.random.default_rng(seed)
        places = shuffles(study.region, crime.permutations, rng)
        near = neighbour_weights(study.points, study.region)
        content["moran"] = {"target": moran_test(log_rate(study.rate), near, places)}
    return content


def evaluate(
    study: Study, crime: CrimeSettings, seed: int, network: Path | None = None
) -> tuple[dict[str, Any], list[pd.DataFrame], pd.DataFrame]:
    """Return the metrics of a study that can be judged, tables of predictions, and of slopes."""
    rng = np.random.default_rng(seed)
    schemes, blocks, found, side = schemes_of(study, crime.block, rng)
    weights = block_weights(blocks, study.region, 200, rng)
    resamples = resample_regions(study.region, crime.bootstrap, rng)
    places = shuffles(study.region, crime.permutations, rng)
    alike = alike_exchanges(
        log_rate(study.rate), study.points, study.region, crime.permutations, rng
    )
    judged = {s.name: judge_scheme(study, s, crime, resamples, alike, seed) for s in schemes}
    if network is not None:
        add_network(network, study, judged)
    region = judged["region"]
    primary = choose_primary(region)
    evidence = evidence_of(region, primary)
    near = neighbour_weights(study.points, study.region)
    best, target = region.found[primary], region.target
    content = {
        "verdict": verdict(primary, evidence, place_sentence(judged["random"], primary)),
        "headline": _headline(judged, primary),
        **describe(study),
        "scores": [row for one in judged.values() for row in one.rows],
        "paired": [row for one in judged.values() for row in _paired(one)],
        "permutation": [row for one in judged.values() for row in one.permutation],
        "moran": {
            "target": moran_test(target.value, near, places),
            "residual": moran_test(target.value - best.ridge, near, places),
            "residual_features": primary,
        },
        "correlogram": {**found.plain(), "block_side": side},
        "schemes": [{"name": s.name, "note": s.note, "folds": len(s.train)} for s in schemes],
        "errors_by_region": errors_by(study.region, best, target),
        "errors_by_population": _errors_by_population(study, best, target),
        "reliability": reliability(best.logistic, target.high),
        "importance": _importance(study, primary, region, places[:20], weights),
        "local_effects": _local_effects(study, target, seed),
        "thresholds": {name: one.target.threshold.tolist() for name, one in judged.items()},
    }
    tables = [
        table
        for one in judged.values()
        for name in one.found
        for table in predictions_of(study, name, one.found[name], one.target)
    ]
    return content, tables, slope_table(study, primary, best.slopes)


def judge_scheme(
    study: Study,
    scheme: Scheme,
    crime: CrimeSettings,
    resamples: Resamples,
    places: NDArray[np.int64],
    seed: int,
    boosting: bool = True,
) -> Judged:
    """Return predictions, scores and permutation tests of every feature set under one scheme."""
    target = make_target(study.rate, scheme, crime.threshold)
    rates = np.vstack([study.rate, study.rate[places]])
    labels = labelings(scheme, rates, crime.threshold)
    counted = None
    if study.count is not None and crime.counts is not None:
        counted = Counted(study.count, study.population, crime.counts)
    found, draws, rows, tests = {}, {}, [], []
    for name, values in study.features.items():
        bases = fold_bases(values, scheme.train)
        found[name] = predict_held_out(
            values, target, boosting, seed, counted, resamples.group, bases
        )
        scored, draws[name] = score_rows(name, found[name], target, resamples)
        rows += scored
        if counted is not None and (expected := found[name].counted) is not None:
            rows.append(count_row(name, expected, counted, target, resamples))
        tests.append(permutation_row(name, values, scheme, labels, bases))
    rows.append(_majority(target, resamples))
    return Judged(target, found, draws, resamples, rows, tests)


def add_network(path: Path, study: Study, judged: dict[str, Judged]) -> None:
    """Add the scores of the network on raw tiles to the schemes it was trained under.

    Raises:
        AreaError: it was trained with other areas or folds.
    """
    table = pd.read_parquet(path)
    for name, rows in table.groupby("scheme"):
        one = judged[str(name)]
        own = rows.set_index("area_id").reindex(study.area_id)
        if not np.array_equal(own["fold"], one.target.scheme.fold):
            raise AreaError.at(path, f"other folds than those of {name}", "train it again")
        chance = own["predicted"].to_numpy(float)
        row, one.draws[NETWORK] = network_row(NETWORK, chance, one.target, one.resamples)
        one.rows.append(row)


def _majority(target: Target, resamples: Resamples) -> dict[str, Any]:
    """Score of saying the training areas' share of high areas everywhere."""
    constant = HeldOut(target.share, None, target.guess, float("nan"), np.zeros((1, 1)))
    return score_rows("majority", constant, target, resamples)[0][0]


def choose_primary(region: Judged) -> str:
    """Return the feature set that the headline rests on, see `RULE`.

    Without any learned set, the best of the others takes its place.
    """
    pool = [name for name in region.found if is_learned(name)] or list(region.found)
    return max(pool, key=lambda name: np.nan_to_num(region.found[name].inner_auc))


def _paired(one: Judged) -> list[dict[str, Any]]:
    """Return the difference of AUC of each set to each baseline, on the same resamples."""
    once = {r["features"]: r["auc"] for r in one.rows if r["model"] in ("logistic", "network")}
    return [
        {
            "features": name,
            "baseline": base,
            "scheme": one.target.scheme.name,
            "difference": once[name] - once[base],
            **difference(one.draws[name], one.draws[base], one.resamples.counts),
        }
        for name in one.found
        for base in (*TO_BEAT, NETWORK)
        if base in one.draws and base != name and name != "coordinates"
    ]


def evidence_of(region: Judged, primary: str) -> dict[str, Evidence]:
    """Return what the verdict looks at, for every learned set and the primary one."""
    tests = {row["features"]: row for row in region.permutation}
    pairs = _paired(region)
    judged = [name for name in region.found if is_learned(name) or name == primary]
    return {
        name: Evidence(
            auc=_auc(region, name),
            interval=interval(region.draws[name], region.resamples.counts, SHARE),
            p=tests[name]["p"],
            paired={
                row["baseline"]: row["interval"]
                for row in pairs
                if row["features"] == name and row["baseline"] in TO_BEAT
            },
        )
        for name in judged
    }


def place_sentence(random: Judged, primary: str) -> str | None:
    """Return that location alone does as well, where it does with areas held out at random."""
    if "coordinates" not in random.draws or primary == "coordinates":
        return None
    place = random.draws["coordinates"]
    counts = random.resamples.counts
    gap = interval(random.draws[primary] - place, counts)
    return place_explains(interval(place, counts, SHARE), gap, _auc(random, "coordinates"))


def _headline(judged: dict[str, Judged], primary: str) -> dict[str, Any]:
    region, random = judged["region"], judged["random"]
    value = {name: _auc(one, primary) for name, one in judged.items()}
    return {
        "features": primary,
        "rule": RULE,
        "model": "logistic",
        "auc": value["region"],
        "auc_interval": interval(region.draws[primary], region.resamples.counts, SHARE),
        "auc_random": value["random"],
        "leakage_gap": value["random"] - value["region"],
        "leakage_gap_interval": interval(
            random.draws[primary] - region.draws[primary], region.resamples.counts
        ),
    }


def _auc(one: Judged, name: str) -> float:
    once = np.ones((1, len(one.target.high)))
    return float(auc(one.found[name].logistic, one.target.high, one.target.scheme.fold, once)[0])


def _errors_by_population(study: Study, best: HeldOut, target: Target) -> list[dict[str, Any]]:
    if not np.isfinite(study.population).all():
        return []
    edges = np.quantile(study.population, [1 / 3, 2 / 3])
    names = np.array(["few people", "middle", "many people"])
    return errors_by(names[np.searchsorted(edges, study.population)], best, target)


def _importance(
    study: Study,
    primary: str,
    region: Judged,
    places: NDArray[np.int64],
    weights: NDArray[np.float32],
) -> list[dict[str, Any]]:
    rows = []
    for name in dict.fromkeys([primary, "objects"]):
        if name in study.features:
            groups = correlated_groups(study.features[name], study.names[name])
            found = grouped_importance(
                study.features[name], groups, region.found[name], region.target, places, weights
            )
            rows += [{"set": name, **row} for row in found]
    return rows


def _local_effects(study: Study, target: Target, seed: int) -> list[dict[str, Any]]:
    if "objects" not in study.features:
        return []
    means = [n for n, column in enumerate(study.names["objects"]) if column.endswith("_mean")]
    columns = [study.names["objects"][n] for n in means]
    density = object_density_of(study.features["objects"][:, means])
    return local_effects(density, columns, target, seed)

"""One trial judged: the verdict by its rules, and what careless studies would have said."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from urbanssl.crime.folds import random_folds, region_folds
from urbanssl.crime.held_out import make_target, predict_held_out
from urbanssl.crime.intervals import Resamples, resample_regions
from urbanssl.crime.judge import Judged, choose_primary, evidence_of, judge_scheme, place_sentence
from urbanssl.crime.metrics import auc
from urbanssl.crime.study import FOLDS, Study
from urbanssl.crime.surrogates import alike_exchanges
from urbanssl.crime.targets import log_rate
from urbanssl.crime.trial_city import Pool, Trial, tile_rows
from urbanssl.crime.verdict import refusals, verdict
from urbanssl.settings import CrimeSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trials:
    """A kind of city and how often it is drawn.

    Attributes:
        name: in the page.
        regions: studied in each draw.
        signal: strength of the link between what is built and the rate.
        confounding: strength of the regions' effect on the rate.
        sets: feature sets.
        draws: how many.
    """

    name: str
    regions: int
    signal: float
    confounding: float
    sets: tuple[str, ...]
    draws: int


@dataclass(frozen=True)
class Outcome:
    """What one trial came to.

    Attributes:
        refused: no statement was made at all.
        claim: the verdict claims an association.
        place: the verdict says that location alone does as well.
        above_half: the interval of the headline's AUC lies above one half, whatever else.
        place_auc: AUC of location alone, areas held out at random.
        auc: set -> AUC with whole regions held out.
        intervals: set -> its interval.
        best: AUC of the best model that sees everything built, on the same areas and labels.
    """

    refused: bool
    claim: bool
    place: bool
    above_half: bool
    place_auc: float
    auc: dict[str, float]
    intervals: dict[str, list[float | None]]
    best: float


def judge_trial(trial: Trial, crime: CrimeSettings, seed: int) -> Outcome:
    """Reach the verdict on one trial as `judge.evaluate` does, without the rest of the report."""
    study = trial.study
    if refusals(study.rate, study.region, study.total, crime):
        return Outcome(True, False, False, False, float("nan"), {}, {}, float("nan"))
    rng = np.random.default_rng(seed)
    resamples = resample_regions(study.region, crime.bootstrap, rng)
    alike = alike_exchanges(
        log_rate(study.rate), study.points, study.region, crime.permutations, rng
    )
    region = judge_scheme(
        study, region_folds(study.region), crime, resamples, alike, seed, boosting=False
    )
    primary = choose_primary(region)
    evidence = evidence_of(region, primary)
    random = _at_random(study, primary, crime, resamples, alike[:1], seed, rng)
    place = place_sentence(random, primary)
    low = evidence[primary].interval[0]
    places = [r["auc"] for r in random.rows if r["features"] == "coordinates"]
    scores = {r["features"]: r for r in region.rows if r["features"] != "majority"}
    return Outcome(
        refused=False,
        claim=bool(verdict(primary, evidence, place)["claim"]),
        place=place is not None,
        above_half=low is not None and low > 0.5,
        place_auc=float(places[0]) if places else float("nan"),
        auc={name: row["auc"] for name, row in scores.items()},
        intervals={name: row["auc_interval"] for name, row in scores.items()},
        best=_within_regions(trial.best, region),
    )


def _at_random(
    study: Study,
    primary: str,
    crime: CrimeSettings,
    resamples: Resamples,
    alike: NDArray[np.int64],
    seed: int,
    rng: np.random.Generator,
) -> Judged:
    """Hold areas out at random, for the primary set and location alone."""
    few = {name: v for name, v in study.features.items() if name in (primary, "coordinates")}
    scheme = random_folds(len(study.rate), FOLDS, rng)
    return judge_scheme(
        replace(study, features=few), scheme, crime, resamples, alike, seed, boosting=False
    )


def _within_regions(score: Floats, region: Judged) -> float:
    target = region.target
    once = np.ones((1, len(score)))
    return float(auc(score, target.high, target.scheme.fold, once)[0])


def careless_tiles(pool: Pool, trial: Trial, name: str, seed: int) -> list[float | None]:
    """Return the interval of the AUC that a study of tiles held out at random would report.

    Every tile gets the label of its area, tiles are dealt to folds as if they were independent,
    and are resampled one by one.

    Args:
        pool: of the trial.
        trial: the trial.
        name: feature set of the tiles.
        seed: of folds and resamples.
    """
    rng = np.random.default_rng([seed, 12])
    features, area = tile_rows(pool, trial, name)
    target = make_target(trial.study.rate[area], random_folds(len(area), FOLDS, rng), "median")
    found = predict_held_out(features, target, False, seed)
    drawn = rng.multinomial(len(area), np.full(len(area), 1 / len(area)), size=200)
    aucs = auc(found.logistic, target.high, target.scheme.fold, drawn.astype(np.float32))
    return [float(end) for end in np.quantile(aucs, [0.025, 0.975])]

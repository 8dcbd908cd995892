"""The verdict in words, by rule: what may be claimed, and what not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from urbanssl.settings import CrimeSettings

#: How baselines are called in sentences.
WORDS = {
    "coordinates": "location alone",
    "rcf": "random features",
    "histogram": "colours alone",
    "texture": "texture alone",
}
#: A claim needs a permutation p of at most this.
CHANCE = 0.05


@dataclass(frozen=True)
class Evidence:
    """What the rules look at for one feature set, with whole regions held out.

    Attributes:
        auc: share of pairs in order.
        interval: of the AUC.
        p: permutation p within regions.
        paired: baseline -> interval of the difference of AUC.
    """

    auc: float
    interval: Sequence[float | None]
    p: float
    paired: Mapping[str, Sequence[float | None]]


def refusals(
    rate: NDArray[np.float64], region: NDArray, total: int, settings: CrimeSettings
) -> list[str]:
    """Return the reasons for which no accuracy may be stated at all, empty where there is none.

    Args:
        rate: (n,) of the areas that have a rate and enough imagery.
        region: (n,) their regions.
        total: areas of the study, usable or not.
        settings: `min_areas`, `min_regions`.
    """
    reasons = []
    regions = len(np.unique(region))
    if len(rate) < settings.min_areas:
        reasons.append(
            f"Only {len(rate)} of {total} areas have both a usable crime rate and enough imagery; "
            f"at least {settings.min_areas} are needed before any accuracy means something."
        )
    if regions < settings.min_regions:
        reasons.append(
            f"The usable areas lie in {regions} region{'' if regions == 1 else 's'}; at least "
            f"{settings.min_regions} are needed, because a result must hold in a place that the "
            "model has never seen."
        )
    mixed = mixed_regions(rate, region)
    if len(rate) > 1 and mixed == 0:
        reasons.append(
            "High and low crime are the same thing as the region here: whatever differs between "
            "the regions would seem to explain crime."
        )
    elif not reasons and mixed < min(settings.min_regions, regions):
        reasons.append(
            f"Only {mixed} of {regions} regions have both high-crime and low-crime areas; at least "
            f"{settings.min_regions} are needed, or the region gives the answer away."
        )
    return reasons


def mixed_regions(rate: NDArray[np.float64], region: NDArray) -> int:
    """Return how many regions have areas both above and below the median of all areas."""
    if len(rate) == 0:
        return 0
    high = rate > np.median(rate)
    return sum(
        bool(high[region == name].any() and not high[region == name].all())
        for name in np.unique(region)
    )


def refusal(reasons: Sequence[str], areas: int, total: int) -> dict[str, Any]:
    """Return the verdict of a study that cannot be judged: one sentence, then the reasons."""
    places = f"{total} area{'' if total == 1 else 's'}"
    if total < 10:
        why = (
            f"with {places} to compare, any difference between the places at all would seem to "
            "explain crime"
        )
    else:
        why = reasons[0][0].lower() + reasons[0][1:].rstrip(".")
    return {
        "claim": False,
        "refused": True,
        "headline": f"No statement about crime can be made from this study: {why}.",
        "reasons": list(reasons),
        "per_features": {},
    }


def words_for(name: str, evidence: Evidence) -> tuple[bool, str]:
    """Return whether a feature set supports a claim, and the sentence that says so or not.

    A claim needs all of: the interval of the AUC in unseen regions above one half, a permutation
    p within regions of at most 0.05, and an interval above zero for the difference to every
    baseline.
    """
    low = evidence.interval[0]
    beaten = [base for base, gap in evidence.paired.items() if gap[0] is not None and gap[0] > 0]
    even = [base for base in evidence.paired if base not in beaten]
    if low is None or low <= 0.5 or evidence.p > CHANCE:
        return False, (
            f"{name}: not better than guessing in regions that the model has not seen "
            f"(AUC {_span(evidence)})."
        )
    if even:
        rivals = " or ".join(WORDS.get(base, base) for base in even)
        return False, (
            f"{name}: tells high from low crime in unseen regions (AUC {_span(evidence)}), but "
            f"not better than {rivals}."
        )
    return True, (
        f"{name}: is associated with crime in unseen regions (AUC {_span(evidence)}) beyond "
        f"{', '.join(WORDS.get(base, base) for base in evidence.paired)}."
    )


def _span(evidence: Evidence) -> str:
    low, high = evidence.interval
    if low is None or high is None:
        return f"{evidence.auc:.2f}, no interval"
    return f"{evidence.auc:.2f}, 95 % interval {low:.2f} to {high:.2f}"


def place_explains(
    place: Sequence[float | None], gap: Sequence[float | None], auc: float
) -> str | None:
    """Return the sentence that location alone does as well at random, None where it does not.

    Args:
        place: interval of the AUC of location alone, areas held out at random.
        gap: interval of the AUC of the headline's set minus that of location alone.
        auc: of location alone.
    """
    if place[0] is None or gap[0] is None or place[0] <= 0.5 or gap[0] > 0:
        return None
    return (
        f"With areas held out at random, location alone does as well (AUC {auc:.2f}): what looks "
        "like a signal there is the place."
    )


def verdict(
    primary: str, evidence: Mapping[str, Evidence], place: str | None = None
) -> dict[str, Any]:
    """Return the verdict of a study that can be judged.

    Args:
        primary: the learned set that was chosen without looking at held-out areas; the claim
            rests on it alone.
        evidence: of every set that is not a baseline, and of the primary one.
        place: sentence of `place_explains`, if there is one.
    """
    spoken = {name: words_for(name, found) for name, found in evidence.items()}
    claim, sentence = spoken[primary]
    if claim:
        headline = (
            f"Features of the images ({primary}) are associated with the crime rate of areas in "
            "regions the model has not seen, beyond what location and cheap features say."
        )
    else:
        headline = (
            "This study does not show that images say anything about crime beyond location and "
            f"cheap features. {sentence}"
        )
    return {
        "claim": claim,
        "refused": False,
        "headline": headline,
        "reasons": [sentence, *([place] if place else [])],
        "per_features": {name: words for name, (_, words) in spoken.items()},
    }

"""What was judged as tables: out-of-fold predictions, and the slopes of the headline's models."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from urbanssl.crime.held_out import HeldOut, Target
from urbanssl.crime.rates import PER
from urbanssl.crime.study import Study
from urbanssl.crime.targets import log_rate


def slope_table(study: Study, primary: str, slopes: NDArray[np.float64]) -> pd.DataFrame:
    """Return the slopes of the headline's features, a row for each region's model and column.

    Args:
        study: the areas.
        primary: the headline's feature set.
        slopes: (F, D), one model a region in the order of names; (0, 0) without any.
    """
    names = study.names[primary] if len(slopes) else []
    return pd.DataFrame(
        {
            "features": pd.Series([primary] * slopes.size, dtype=str),
            "region": np.repeat(np.unique(study.region)[: len(slopes)], len(names)).astype(str),
            "column": pd.Series(list(names) * len(slopes), dtype=str),
            "slope": slopes.ravel(),
        }
    )


def predictions_of(study: Study, name: str, found: HeldOut, target: Target) -> list[pd.DataFrame]:
    """Return the out-of-fold predictions of a feature set under one scheme, a table a model."""
    made = [("logistic", "high", target.high.astype(float), found.logistic)]
    if found.boosting is not None:
        made.append(("boosting", "high", target.high.astype(float), found.boosting))
    made.append(("ridge", "log_rate", target.value, found.ridge))
    if found.counted is not None:
        made.append(("counts", "log_rate", target.value, log_rate(found.counted.rate * PER)))
    return [
        pd.DataFrame(
            {
                "area_id": study.area_id,
                "features": name,
                "model": model,
                "scheme": target.scheme.name,
                "fold": target.scheme.fold,
                "target": what,
                "observed": observed,
                "predicted": predicted,
            }
        )
        for model, what, observed, predicted in made
    ]


def prediction_table(rows: list[pd.DataFrame]) -> pd.DataFrame:
    """Return tables of predictions as one; the empty one has the same columns."""
    if rows:
        return pd.concat(rows, ignore_index=True)
    texts = ["area_id", "features", "model", "scheme", "target"]
    empty = pd.DataFrame({name: pd.Series(dtype=str) for name in texts})
    empty["fold"] = pd.Series(dtype="int64")
    empty["observed"] = empty["predicted"] = pd.Series(dtype=float)
    return empty

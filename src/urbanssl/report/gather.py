"""What a run has left in its results folder, read for the report; missing files read as None."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from urbanssl.artifacts import read_json, table_about
from urbanssl.settings import Settings
from urbanssl.settings_training import ArmSettings

_RUN = re.compile(r"^(?P<arm>.+)_f(?P<fraction>[0-9.]+)_s(?P<seed>\d+)$")


@dataclass(frozen=True)
class Run:
    """One training of one arm, with what is known of it.

    Attributes:
        name: `{arm}_f{fraction}_s{seed}`.
        arm: name of the arm.
        fraction: share of the training tiles in percent.
        seed: seed of the training.
        score: content of `score/{name}.json`, None before scoring.
    """

    name: str
    arm: str
    fraction: float
    seed: int
    score: dict[str, Any] | None

    def stats(self, on: str = "tiles") -> dict[str, Any]:
        """Return the COCO statistics on `tiles` or `scenes`; -1 (undefined) is left out."""
        stored = ((self.score or {}).get(on) or {}).get("stats") or {}
        return {name: value for name, value in stored.items() if value != -1}

    def interval(self, statistic: str, on: str = "tiles") -> Any:
        """Return the interval of a statistic, None where there is none."""
        return (((self.score or {}).get(on) or {}).get("intervals") or {}).get(statistic)

    def draws(self, statistic: str, on: str = "tiles") -> list[float | None]:
        """Return a statistic at every resample of the test blocks, which all runs share."""
        stored = ((self.score or {}).get(on) or {}).get("draws") or {}
        return list(stored.get(statistic) or [])

    @property
    def shown_from(self) -> float:
        """The score from which boxes are shown: that of the best F1, as in the confusion."""
        stored = ((self.score or {}).get("confusion") or {}).get("tiles") or {}
        return float(stored.get("min_score", 0.3))


@dataclass(frozen=True)
class Results:
    """The results folder of a run."""

    root: Path
    settings: Settings

    def json(self, *parts: str) -> dict[str, Any] | None:
        """Return the content of a JSON file below the folder, None where it is missing."""
        path = self.root.joinpath(*parts)
        return read_json(path) if path.is_file() else None

    def table(self, *parts: str, columns: list[str] | None = None) -> pd.DataFrame | None:
        """Return a Parquet table below the folder, None where it is missing.

        Args:
            *parts: path below the folder.
            columns: the columns wanted; those that the table lacks are left out.
        """
        path = self.root.joinpath(*parts)
        if not path.is_file():
            return None
        schema = pq.read_schema(path)
        if b"geo" in (schema.metadata or {}) and (columns is None or "geometry" in columns):
            import geopandas as gpd

            return gpd.read_parquet(path)
        wanted = None if columns is None else [name for name in columns if name in schema.names]
        return pd.read_parquet(path, columns=wanted)

    @cached_property
    def catalogue(self) -> pd.DataFrame | None:
        """The checked images."""
        return self.table("scenes", "catalogue.parquet")

    def images_of(self, role: str) -> pd.DataFrame:
        """Return the checked images of the scenes with a role; no rows before they are checked."""
        if self.catalogue is None:
            return pd.DataFrame(columns=["scene", "georeferenced"])
        has = [role in str(roles).split(";") for roles in self.catalogue["roles"]]
        return self.catalogue[has]

    @cached_property
    def tile_counts(self) -> dict[str, int]:
        """Number of tiles by scene."""
        return {
            path.parent.name: pq.read_metadata(path).num_rows
            for path in sorted(self.root.glob("tiles/*/tiles.parquet"))
        }

    @cached_property
    def splits(self) -> pd.DataFrame | None:
        """Which split each labelled tile is in."""
        return self.table("splits.parquet")

    @cached_property
    def coco(self) -> dict[str, dict[str, Any]]:
        """The COCO annotations by split."""
        found = {
            name: self.json("labels", f"coco_{name}.json") for name in ("train", "val", "test")
        }
        return {name: content for name, content in found.items() if content is not None}

    @cached_property
    def runs(self) -> list[Run]:
        """All trainings, in the order of the arms in the settings, then fraction and seed."""
        names = {path.stem for path in self.root.glob("score/*.json")}
        names |= {path.parent.name for path in self.root.glob("detect/*/log.json")}
        found = [self._run(name, match) for name in names if (match := _RUN.match(name))]
        order = list(self.settings.detect.arms)
        return sorted(found, key=lambda run: (_place(order, run.arm), run.fraction, run.seed))

    def _run(self, name: str, match: re.Match[str]) -> Run:
        return Run(
            name,
            match["arm"],
            float(match["fraction"]),
            int(match["seed"]),
            self.json("score", f"{name}.json"),
        )

    @cached_property
    def scored(self) -> list[Run]:
        """The trainings that have scores."""
        return [run for run in self.runs if run.stats()]

    @cached_property
    def crime(self) -> dict[str, Any] | None:
        """The metrics of the crime stage."""
        return self.json("crime", "metrics.json")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Settings hash, version and seed as the newest metrics file carries them."""
        for content in (self.crime, *(run.score for run in self.runs)):
            for key in ("about", "provenance"):
                about = (content or {}).get(key)
                if isinstance(about, dict) and about:
                    return dict(about)
        path = self.root / "scenes" / "catalogue.parquet"
        return table_about(path) if path.is_file() else {}

    def arm(self, name: str) -> ArmSettings | None:
        """Return the settings of an arm, None where the settings no longer name it."""
        return self.settings.detect.arms.get(name)


def _place(order: list[str], name: str) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)


def fractions_of(runs: Iterable[Run]) -> list[float]:
    """Return the label fractions of runs in percent, ascending."""
    return sorted({run.fraction for run in runs})

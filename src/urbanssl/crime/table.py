"""Stage read_crime: one row an area, with its rate, and every row dropped or repaired counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from urbanssl.artifacts import write_json, write_table
from urbanssl.crime import fips
from urbanssl.crime.ledger import Ledger
from urbanssl.crime.naming import area_names, note_unlisted
from urbanssl.crime.offences import (
    columns_of,
    one_row_an_area,
    selection_problems,
    sum_name,
    with_sums,
)
from urbanssl.crime.rates import (
    PER,
    Floats,
    implausible_zeros,
    rate_per_100000,
    shrink_by_group,
    zero_chance,
)
from urbanssl.crime.reading import (
    id_texts,
    missing_column,
    read_areas,
    read_table,
    unplaced,
)
from urbanssl.crime.sheet_areas import areas_of_scenes
from urbanssl.errors import AreaError, Problem
from urbanssl.scenes.scene import Scene
from urbanssl.settings import CrimeSettings

#: Centroids are taken on a map of true areas that has no zones.
_EQUAL_AREA = "EPSG:6933"


def read_crime(
    settings: CrimeSettings,
    areas: Path | None,
    tables: list[Path],
    scenes: list[Scene],
    output: Path,
    report: Path,
    about: dict[str, Any],
    names: Sequence[Path] = (),
) -> None:
    """Join areas and crime table; write one row an area and the account of what was done.

    Args:
        settings: the section `crime`.
        areas: polygons; None takes the areas from the sheet's column `area`.
        tables: crime table, CSV or Parquet, one file or several.
        scenes: the study scenes (used where `areas` is None).
        output: GeoParquet, see the architecture page.
        report: JSON: rows read, dropped (with reasons), repaired, flagged, missing areas.
        about: provenance.
        names: tables with the id and a column `name`, and `state_name` where there is one.

    Raises:
        AreaError: with every problem of both inputs.
    """
    ledger = Ledger()
    if areas is None:
        frame = areas_of_scenes(scenes).rename(columns={"area_id": settings.area_id})
    else:
        frame = read_areas(areas)
    table = read_table(tables, settings.area_id)
    table_name = tables[0].name if len(tables) == 1 else f"{tables[0].parent} ({len(tables)} files)"
    _check_columns(settings, frame, table, str(areas or "the sheet"), table_name)
    named = area_names(settings, names)
    frame = _areas(settings, frame, str(areas or "the sheet"), ledger)
    ledger.count("rows_read", len(table))
    note_unlisted(settings, table, named, ledger)
    table = _rows(settings, table, table_name, named, ledger)
    nothing = zero_chance(_rate(settings, table), _column(table, settings.population))
    joined = _joined(settings, frame, table, named, ledger)
    joined = _with_rates(settings, joined, nothing, ledger)
    write_table(output, _placed(joined, ledger), about)
    write_json(report, {**ledger.plain(), "provenance": about})


def _check_columns(
    settings: CrimeSettings, areas: pd.DataFrame, table: pd.DataFrame, where: str, table_name: str
) -> None:
    problems = list(selection_problems(settings))
    if settings.area_id not in areas.columns:
        problems.append(missing_column(settings.area_id, areas.columns, where, "crime.area_id"))
    wanted = [("area_id", settings.area_id), ("coverage", settings.coverage)]
    wanted.append(("id_order", settings.id_order))
    wanted.append(("covered_population", settings.covered_population))
    wanted += [("offence", settings.offence), ("year", settings.year)]
    if settings.covered_population is not None and settings.population is None:
        problems.append(
            Problem("settings crime.covered_population", "without crime.population",
                    "name the population that it is a share of")
        )  # fmt: skip
    if settings.rate is None:
        wanted += [("count", name) for name in columns_of(settings.count)]
        wanted.append(("population", settings.population))
        if settings.count is None or settings.population is None:
            problems.append(
                Problem("settings crime", "neither a rate nor count and population",
                        "name crime.rate, or both crime.count and crime.population")
            )  # fmt: skip
    else:
        wanted += [("rate", name) for name in columns_of(settings.rate)]
    problems += [
        missing_column(name, table.columns, table_name, f"crime.{key}")
        for key, name in wanted
        if name is not None and name not in table.columns
    ]
    if settings.region == "state" and not settings.fips:
        problems.append(
            Problem("settings crime.region", "'state' without FIPS ids", "set crime.fips: true")
        )
    if problems:
        raise AreaError.listing(problems, "areas and crime table do not fit the settings")


def _areas(
    settings: CrimeSettings, areas: gpd.GeoDataFrame, where: str, ledger: Ledger
) -> gpd.GeoDataFrame:
    """Return the areas with column `area_id` as text, refused where ids are missing or double."""
    areas = areas.copy()
    ids = id_texts(areas[settings.area_id])
    if settings.fips:
        repaired = [text.zfill(5) if text.isdigit() else text for text in ids]
        ledger.repaired("leading zeros of area ids", list(zip(ids, repaired, strict=True)))
        ids = repaired
    areas["area_id"] = ids
    problems = []
    if "" in ids:
        rows = [number for number, text in enumerate(ids, 1) if not text]
        problems.append(Problem(where, f"{len(rows)} areas have no id (feature {rows[:5]})",
                                "give every area an id"))  # fmt: skip
    double = areas["area_id"][areas["area_id"].duplicated() & (areas["area_id"] != "")].unique()
    if len(double):
        problems.append(Problem(where, f"ids that occur twice: {', '.join(double[:10])}",
                                "dissolve the parts of an area into one feature"))  # fmt: skip
    if settings.fips:
        odd = sorted({text for text in ids if text and not fips.is_county(text)})
        if odd:
            problems.append(Problem(where, f"no US county has the FIPS {', '.join(odd[:10])}",
                                    "correct the ids, or set crime.fips: false"))  # fmt: skip
    if problems:
        raise AreaError.listing(problems, "the areas cannot be used")
    return areas


def _rows(
    settings: CrimeSettings,
    table: pd.DataFrame,
    where: str,
    names: dict[str, str],
    ledger: Ledger,
) -> pd.DataFrame:
    """Return the usable rows of the table with `area_id` and numeric columns."""
    table = table.copy()
    table["area_id"] = id_texts(table[settings.area_id])
    table = with_sums(settings, _numeric(table, _columns_read(settings, table), where))
    columns = _value_columns(settings, table)
    nameless = table["area_id"].isin(["", "-1"])
    ledger.dropped("no area id", table.loc[nameless, "area_id"])
    empty = table[columns].isna().all(axis=1)
    ledger.dropped("no values", table.loc[empty & ~nameless, "area_id"])
    empty |= nameless
    table = table[~empty].reset_index(drop=True)
    if settings.fips:
        table = _with_codes(settings, table, names, ledger)
    plain = table.drop(columns=["_file"])
    copies = plain.duplicated()
    ledger.dropped("the same row again", table.loc[copies, "area_id"])
    return one_row_an_area(settings, table[~copies], where, ledger)


def _numeric(table: pd.DataFrame, columns: list[str], where: str) -> pd.DataFrame:
    problems = []
    for column in columns:
        numbers = pd.to_numeric(table[column], errors="coerce")
        bad = numbers.isna() & table[column].notna()
        if bad.any():
            seen = ", ".join(f"{table.loc[i, column]!r} (row {i + 1})" for i in bad[bad].index[:5])
            problems.append(Problem(where, f"column {column!r} holds text: {seen}",
                                    "numbers alone, with a point for decimals"))  # fmt: skip
        below = numbers < 0
        if below.any():
            seen = ", ".join(
                f"{numbers[i]:g} ({table.loc[i, 'area_id']})" for i in below[below].index[:5]
            )
            problems.append(Problem(where, f"column {column!r} is negative: {seen}",
                                    "leave unknown values empty"))  # fmt: skip
        table[column] = numbers.astype(float)
    if problems:
        raise AreaError.listing(problems, "the crime table cannot be used")
    return table


def _with_codes(
    settings: CrimeSettings, table: pd.DataFrame, names: dict[str, str], ledger: Ledger
) -> pd.DataFrame:
    """Return the table with five-digit codes; rows that stay without one are dropped."""
    order = table[settings.id_order].astype(float).tolist() if settings.id_order else None
    before = table["area_id"].tolist()
    repair = fips.repair_codes(before, order, frozenset(names))
    codes = [fips.RENAMED.get(c, c) if c else c for c in repair.codes]
    changed = [(a, b) for a, b in zip(before, codes, strict=True) if b is not None and a != b]
    what = "FIPS that had lost zeros" + (", inside as well" if repair.zeros_inside else "")
    ledger.repaired(what, changed)
    doubtful = {before[row]: options for row, options in repair.ambiguous.items()}
    for options in doubtful.values():
        ledger.doubtful.update({code: " or ".join(options) for code in options})
    ledger.dropped(
        "an id that lost its zeros and may be either of two counties (crime.id_order can tell)",
        [f"{text} ({' or '.join(options)})" for text, options in doubtful.items()],
        number=len(repair.ambiguous),
    )
    ledger.dropped("no US county has this FIPS", [before[row] for row in repair.impossible])
    table["area_id"] = codes
    return table[table["area_id"].notna()].reset_index(drop=True)


def _joined(
    settings: CrimeSettings,
    areas: gpd.GeoDataFrame,
    table: pd.DataFrame,
    names: dict[str, str],
    ledger: Ledger,
) -> gpd.GeoDataFrame:
    """Return the areas in their order with the table's columns; report what has no partner."""
    known = set(areas["area_id"])
    ledger.outside([text for text in table["area_id"] if text not in known])
    missing = [text for text in areas["area_id"] if text not in set(table["area_id"])]
    for text in missing:
        ledger.absent(text, names.get(text))
    if settings.fips:
        _note_connecticut(known, set(table["area_id"]), ledger)
    if len(missing) == len(areas):
        raise AreaError.at(
            "crime.area_id",
            f"no area has a row in the crime table: areas have {sorted(known)[:3]}, the table "
            f"{table['area_id'].tolist()[:3]}",
            "ids of areas and table must be the same text (set crime.fips for US counties)",
        )
    taken = [c for c in table.columns if c not in areas.columns or c == "area_id"]
    wanted = _value_columns(settings, table)
    joined = areas.drop(columns=[c for c in wanted if c in areas.columns]).merge(
        table[list(dict.fromkeys([*taken, *wanted]))], on="area_id", how="left"
    )
    joined["name"] = [names.get(text) for text in joined["area_id"]]
    joined["region"] = _regions(settings, joined, ledger)
    return joined


def _note_connecticut(areas: set[str], table: set[str], ledger: Ledger) -> None:
    old, new = fips.CONNECTICUT_COUNTIES, fips.CONNECTICUT_REGIONS
    if (areas & old and table & new and not table & old) or (
        areas & new and table & old and not table & new
    ):
        ledger.notes.append(
            "Connecticut: areas and table use different units (eight counties until 2022, nine "
            "planning regions since); they do not nest, so its areas stay without a rate"
        )


def _regions(settings: CrimeSettings, joined: pd.DataFrame, ledger: Ledger) -> list[str]:
    if settings.region == "state":
        return [text[:2] for text in joined["area_id"]]
    if settings.region in joined.columns:
        return ["(none)" if value in ("", None) or value != value else str(value)
                for value in joined[settings.region]]  # fmt: skip
    ledger.notes.append(
        f"neither areas nor table have a column {settings.region!r} (crime.region): all areas "
        "count as one region"
    )
    return ["all"] * len(joined)


def _columns_read(settings: CrimeSettings, table: pd.DataFrame) -> list[str]:
    """Return the columns with numbers as they stand in the file: offences one by one."""
    single = [name for value in (settings.rate, settings.count) for name in columns_of(value)]
    return list(
        dict.fromkeys(
            [name for name in single if name in table.columns] + _value_columns(settings, table)
        )
    )


def _value_columns(settings: CrimeSettings, table: pd.DataFrame) -> list[str]:
    """Return the columns with numbers that the settings name and the table has, sums made."""
    named = (
        sum_name(settings.rate),
        sum_name(settings.count),
        settings.population,
        settings.coverage,
        settings.covered_population,
    )
    return [name for name in named if name is not None and name in table.columns]


def _column(table: pd.DataFrame, name: str | None) -> np.ndarray:
    if name is None or name not in table.columns:
        return np.full(len(table), np.nan)
    return table[name].to_numpy(float)


def _rate(settings: CrimeSettings, table: pd.DataFrame) -> np.ndarray:
    if settings.rate is not None:
        return _column(table, sum_name(settings.rate))
    count = _column(table, sum_name(settings.count))
    return rate_per_100000(count, _column(table, settings.population))


def _coverage(settings: CrimeSettings, table: pd.DataFrame) -> np.ndarray:
    """Return the percentage of people whose crimes are in the table: the smaller of two accounts.

    An index of coverage may say 100 where the agencies that did report serve few of the people.
    """
    people = _column(table, settings.population)
    covered = _column(table, settings.covered_population)
    share = np.divide(100 * covered, people, out=np.full(len(table), np.nan), where=people > 0)
    return np.fmin(_column(table, settings.coverage), share)


def _with_rates(
    settings: CrimeSettings,
    joined: gpd.GeoDataFrame,
    nothing: Callable[[Floats], Floats],
    ledger: Ledger,
) -> pd.DataFrame:
    """Add `count, population, rate, rate_shrunk, reported, note`."""
    population = _column(joined, settings.population)
    rate = _rate(settings, joined)
    count = rate * population / PER
    present = ~joined["area_id"].isin(ledger.absent_ids).to_numpy()
    reasons = {
        "coverage": _coverage(settings, joined) < settings.min_coverage,
        "zero": implausible_zeros(rate, population, nothing),
        "small": population < settings.min_population,
        "empty": ~np.isfinite(rate) & present,
    }
    texts = {
        "coverage": f"reporting coverage below {settings.min_coverage:g} %",
        "zero": "a rate of 0 that so many people can hardly have: not reported, not safe",
        "small": f"population below {settings.min_population}",
        "empty": "no rate: value or population is missing",
    }
    notes = np.full(len(joined), "", dtype=object)
    notes[~present] = "not in the crime table"
    for key, marked in reasons.items():
        ledger.flagged(texts[key], joined.loc[marked, "area_id"], joined.loc[marked, "name"])
        notes[marked & (notes == "")] = texts[key]
    reported = present & ~np.any(list(reasons.values()), axis=0)
    result = joined.assign(count=count, population=population, rate=rate, note=notes)
    result["reported"] = reported
    shrunk = shrink_by_group(
        np.where(reported, count, np.nan), population, joined["region"].to_numpy()
    )
    usable = settings.shrink and np.isfinite(shrunk[reported]).all()
    if settings.shrink and not usable:
        ledger.notes.append("no population for every area: rates are not shrunk")
    result["rate_shrunk"] = np.where(reported, shrunk if usable else rate, np.nan)
    ledger.count("areas", len(result))
    ledger.count("reported", int(reported.sum()))
    return result


def _placed(table: gpd.GeoDataFrame, ledger: Ledger) -> gpd.GeoDataFrame:
    """Return the columns of the contract with geometry in lon/lat, or as it is without a CRS."""
    if unplaced(table):
        ledger.crs = None
        ledger.notes.append(
            "the areas have no CRS: distances are in the units of their own map, and no imagery "
            "can be laid over them"
        )
        table = table.set_crs(None, allow_override=True)
        centres = table.geometry.centroid
    else:
        ledger.crs = "EPSG:4326"
        centres = table.to_crs(_EQUAL_AREA).geometry.centroid.to_crs(4326)
        table = table.to_crs(4326)
    table["centre_x"], table["centre_y"] = centres.x, centres.y
    wanted = ["area_id", "name", "region", "count", "population", "rate", "rate_shrunk"]
    wanted += ["reported", "note", "centre_x", "centre_y", "geometry"]
    return table[wanted]

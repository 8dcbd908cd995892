"""Reading areas and crime tables from files: ids as text, every problem named."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio

from urbanssl.errors import AreaError, Problem


def read_table(paths: Sequence[Path], id_column: str) -> pd.DataFrame:
    """Read CSV or Parquet files with the same columns as one table; column `_file` says which.

    Args:
        paths: files, `.csv` or `.parquet`.
        id_column: read as text from CSV, so that leading zeros stay.

    Raises:
        AreaError: no file, unreadable files, another encoding than UTF-8, or other columns.
    """
    if not paths:
        raise AreaError.at("crime.table", "no file", "give a CSV or Parquet file, or a glob")
    parts, problems = [], []
    for path in paths:
        try:
            part = _read_one(path, id_column)
        except (OSError, ValueError, ArithmeticError) as error:
            problems.append(Problem(str(path), _reason(path, error), _remedy(error)))
            continue
        part["_file"] = path.name
        parts.append(part)
    problems += _other_columns(parts)
    if problems:
        raise AreaError.listing(problems, "the crime table cannot be read")
    return pd.concat(parts, ignore_index=True)


def _read_one(path: Path, id_column: str) -> pd.DataFrame:
    if path.suffix.lower() == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype={id_column: str}, encoding="utf-8-sig")


def _reason(path: Path, error: Exception) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return f"cannot be read: {error}"
    raw = path.read_bytes()
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as found:
        wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
        name = "UTF-16" if wide else "Latin-1 or Windows-1252"
        line = raw[: found.start].count(b"\n") + 1
        byte = raw[found.start]
        return f"is not UTF-8: byte 0x{byte:02x} in line {line}; it looks like {name}"
    return f"is not UTF-8: {error}"


def _remedy(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "save it as UTF-8 (in a spreadsheet: CSV UTF-8), or convert it with iconv"
    return "check that it is a CSV or Parquet file with a header"


def _other_columns(parts: Sequence[pd.DataFrame]) -> list[Problem]:
    return [
        Problem(
            str(part["_file"].iloc[0]) if len(part) else "an empty file",
            f"columns differ from those of {parts[0]['_file'].iloc[0]}: "
            f"{sorted(set(part.columns) ^ set(parts[0].columns))}",
            "files of one table need the same columns",
        )
        for part in parts[1:]
        if set(part.columns) != set(parts[0].columns)
    ]


def read_areas(path: Path) -> gpd.GeoDataFrame:
    """Read area polygons (GeoPackage, GeoJSON, shapefile) in whatever CRS they are.

    Raises:
        AreaError: the file cannot be read, is empty, or holds something else than polygons.
    """
    try:
        areas = pyogrio.read_dataframe(path)
    except (pyogrio.errors.DataSourceError, UnicodeDecodeError) as error:
        raise AreaError.at(path, f"cannot be read: {error}", "check the file") from error
    if not isinstance(areas, gpd.GeoDataFrame) or areas.empty:
        raise AreaError.at(path, "holds no polygons", "give a layer of area polygons")
    kinds = sorted(set(areas.geom_type.dropna()) - {"Polygon", "MultiPolygon"})
    if kinds:
        raise AreaError.at(path, f"holds {', '.join(kinds)}", "areas must be polygons")
    return areas


def unplaced(areas: gpd.GeoDataFrame) -> bool:
    """Return whether polygons cannot be put on the Earth: no CRS, and not lon/lat either.

    GeoJSON is lon/lat by its standard, so a reader calls it that even where the numbers are the
    units of a digitizer; there is no telling small numbers apart. A shapefile without `.prj` has
    no CRS at all.
    """
    if areas.crs is None:
        return True
    west, south, east, north = areas.total_bounds
    degrees = areas.crs.is_geographic
    return bool(degrees and not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90))


def id_texts(values: Iterable[Any]) -> list[str]:
    """Return ids as text: whole numbers without a decimal point, nothing as an empty text."""
    return [_id_text(value) for value in values]


def _id_text(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def missing_column(name: str, columns: Iterable[str], where: str, key: str) -> Problem:
    """Return the problem of a column that is not there, with the nearest name that is."""
    there = [str(column) for column in columns if column != "_file"]
    near = difflib.get_close_matches(name.lower(), [c.lower() for c in there], n=1)
    hint = ""
    if near:
        hint = f"did you mean {next(c for c in there if c.lower() == near[0])!r}? "
    return Problem(
        where,
        f"no column {name!r}",
        f"{hint}set {key} to one of: {', '.join(there)}",
    )

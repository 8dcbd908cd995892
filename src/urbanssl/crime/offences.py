"""Tables with a row for each offence or year: which of them count, and how they add up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from urbanssl.crime.ledger import Ledger
from urbanssl.crime.reading import id_texts
from urbanssl.errors import AreaError, Problem
from urbanssl.settings import CrimeSettings


def columns_of(value: str | Sequence[str] | None) -> list[str]:
    """Return the columns that a setting names: none, one, or several."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def sum_name(value: str | Sequence[str] | None) -> str | None:
    """Return the column that holds the sum of those that a setting names."""
    return " + ".join(columns_of(value)) or None


def with_sums(settings: CrimeSettings, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with the sums of offences that stand in columns; unknown stays unknown."""
    sums = {
        str(sum_name(value)): table[columns_of(value)].sum(axis=1, skipna=False)
        for value in (settings.count, settings.rate)
        if len(columns_of(value)) > 1 and set(columns_of(value)) <= set(table.columns)
    }
    return table.assign(**sums)


def selection_problems(settings: CrimeSettings) -> Iterator[Problem]:
    """Yield what is chosen of a column that is not named."""
    for column, wanted, key in _selections(settings):
        if wanted is not None and column is None:
            yield Problem(f"settings crime.{key}s", f"without crime.{key}",
                          "name the column that they stand in")  # fmt: skip


def one_row_an_area(
    settings: CrimeSettings, table: pd.DataFrame, where: str, ledger: Ledger
) -> pd.DataFrame:
    """Return one row an area: offences added up, years averaged.

    A missing row is no zero: areas that lack an offence or a year which others have are dropped.
    Of coverage the smallest counts.

    Args:
        settings: `offence, offences, year, years` and the columns with numbers.
        table: rows with `area_id` and numeric columns.
        where: the table's name, for errors.
        ledger: told of the rows that are left out.

    Raises:
        AreaError: an offence or year that the table does not have, or areas with several rows of
            one offence and year.
    """
    keys = [column for column, _, _ in _selections(settings) if column is not None]
    table = _selected(settings, table, where, ledger)
    double = table["area_id"][table.duplicated(["area_id", *keys])].unique()
    if len(double):
        raise AreaError.at(
            where,
            f"{len(double)} areas have more than one row with different values: "
            f"{', '.join(double[:10])}",
            "keep one row an area, or name the columns with offence and year in crime.offence "
            "and crime.year",
        )
    if not keys:
        return table
    rows = table.groupby("area_id", sort=False)["area_id"].transform("size")
    wanted = len(table[keys].drop_duplicates())
    short = rows < wanted
    ledger.dropped(
        f"not a row for each of the {wanted} offences or years that others have: missing is not 0",
        table.loc[short, "area_id"],
    )
    years = table[settings.year].nunique() if settings.year is not None else 1
    if wanted > 1:
        ledger.notes.append(
            f"crimes of an area are a year's mean of {years} and the sum of {wanted // years} "
            "offences"
        )
    return _added_up(settings, table[~short], years)


def _selections(
    settings: CrimeSettings,
) -> list[tuple[str | None, Sequence[str | int] | None, str]]:
    return [
        (settings.offence, settings.offences, "offence"),
        (settings.year, settings.years, "year"),
    ]


def _selected(
    settings: CrimeSettings, table: pd.DataFrame, where: str, ledger: Ledger
) -> pd.DataFrame:
    problems = []
    for column, wanted, word in _selections(settings):
        if column is None or wanted is None:
            continue
        texts, names = pd.Series(id_texts(table[column]), table.index), [str(w) for w in wanted]
        absent = [name for name in names if name not in set(texts)]
        if absent:
            there = ", ".join(sorted(set(texts))[:20])
            problems.append(Problem(where, f"no {word} {', '.join(absent)} in column {column!r}",
                                    f"crime.{word}s may be of: {there}"))  # fmt: skip
        other = ~texts.isin(names)
        ledger.dropped(f"another {word} than {', '.join(names)}", table.loc[other, "area_id"])
        table = table[~other]
    if problems:
        raise AreaError.listing(problems, "the crime table lacks what the settings choose")
    return table


def _added_up(settings: CrimeSettings, table: pd.DataFrame, years: int) -> pd.DataFrame:
    crimes = {sum_name(settings.count), sum_name(settings.rate)}
    least = {settings.coverage, settings.covered_population}
    grouped = table.groupby("area_id", sort=False)
    found = grouped.first()
    for column in found.columns:
        if column in crimes:
            found[column] = grouped[column].agg(lambda rows: rows.sum(skipna=False)) / years
        elif column in least:
            found[column] = grouped[column].min()
        elif column == settings.population:
            found[column] = grouped[column].mean()
    return found.reset_index()

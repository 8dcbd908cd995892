"""Names of areas for reports, from a table of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from urbanssl.crime import fips
from urbanssl.crime.ledger import Ledger
from urbanssl.crime.reading import id_texts, read_table
from urbanssl.errors import AreaError
from urbanssl.settings import CrimeSettings


def area_names(settings: CrimeSettings, paths: Sequence[Path]) -> dict[str, str]:
    """Return area names by id, from the table of names if there is one.

    Raises:
        AreaError: the table lacks the ids or the column `name`.
    """
    if not paths:
        return {}
    table = read_table(paths, settings.area_id)
    if "name" not in table.columns or settings.area_id not in table.columns:
        raise AreaError.at(
            ", ".join(map(str, paths)),
            f"columns are {', '.join(map(str, table.columns))}",
            f"crime.names needs the columns {settings.area_id!r} and 'name'",
        )
    ids = id_texts(table[settings.area_id])
    if settings.fips:
        ids = [fips.RENAMED.get(text.zfill(5), text.zfill(5)) for text in ids]
    state = table["state_name"] if "state_name" in table.columns else [None] * len(table)
    return {
        text: f"{name}, {of}" if isinstance(of, str) else name
        for text, name, of in zip(ids, table["name"], state, strict=True)
        if isinstance(name, str)
    }


def note_unlisted(
    settings: CrimeSettings, table: pd.DataFrame, names: dict[str, str], ledger: Ledger
) -> None:
    """Note the named areas, of the study or not, that the table has no row for at all."""
    listed = id_texts(table[settings.area_id])
    if settings.fips:
        order = table[settings.id_order].astype(float).tolist() if settings.id_order else None
        repair = fips.repair_codes(listed, order, frozenset(names))
        codes = {code for code in repair.codes if code}
        codes.update(code for options in repair.ambiguous.values() for code in options)
        listed = [fips.RENAMED.get(code, code) for code in codes]
    absent = [f"{text} ({names[text]})" for text in sorted(set(names) - set(listed))]
    if absent:
        more = f" and {len(absent) - 10} more" if len(absent) > 10 else ""
        ledger.notes.append(f"no row in the crime table: {', '.join(absent[:10])}{more}")

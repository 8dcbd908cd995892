"""The account of what happened to the rows of the crime table: nothing goes in silence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

#: So many ids are listed of each entry; the number of all is always given.
_LISTED = 20


@dataclass
class Ledger:
    """Counts and reasons, gathered while the table is read.

    Attributes:
        doubtful: code -> the codes that its row may stand for, where that cannot be told.
        absent_ids: areas without a row in the table.
        notes: sentences for the reader.
        crs: CRS of the written areas, None where they have no place on Earth.
    """

    doubtful: dict[str, str] = field(default_factory=dict)
    absent_ids: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    crs: str | None = None
    _counts: dict[str, int] = field(default_factory=dict)
    _dropped: list[dict[str, Any]] = field(default_factory=list)
    _repaired: list[dict[str, Any]] = field(default_factory=list)
    _flagged: list[dict[str, Any]] = field(default_factory=list)
    _missing: list[dict[str, Any]] = field(default_factory=list)
    _outside: list[str] = field(default_factory=list)

    def count(self, what: str, number: int) -> None:
        """Note a total."""
        self._counts[what] = number

    def dropped(self, reason: str, ids: Iterable[str], number: int | None = None) -> None:
        """Note rows of the table that are left out; `number` where ids stand for several."""
        listed = list(ids)
        if listed:
            self._dropped.append(
                {"reason": reason, "count": number or len(listed), "ids": listed[:_LISTED]}
            )

    def repaired(self, what: str, changes: Sequence[tuple[str, str]]) -> None:
        """Note ids that were changed, from and to."""
        real = [(before, after) for before, after in changes if before != after]
        if real:
            examples = [{"from": before, "to": after} for before, after in real[:_LISTED]]
            self._repaired.append({"what": what, "count": len(real), "examples": examples})

    def flagged(self, reason: str, ids: Iterable[str], names: Iterable[Any]) -> None:
        """Note areas that are kept but not learned from."""
        pairs = list(zip(ids, names, strict=True))
        if pairs:
            listed = [
                {"area_id": area, "name": name if isinstance(name, str) else None}
                for area, name in pairs[:_LISTED]
            ]
            self._flagged.append({"reason": reason, "count": len(pairs), "areas": listed})

    def absent(self, area: str, name: str | None) -> None:
        """Note an area that has no row in the table, and why where that is known."""
        why = "no row in the crime table"
        if area in self.doubtful:
            why += f" is certain to be its own: one may be {self.doubtful[area]}"
        self.absent_ids.append(area)
        self._missing.append({"area_id": area, "name": name, "why": why})

    def outside(self, ids: Sequence[str]) -> None:
        """Note rows of the table that belong to no area of the study."""
        self._outside = list(ids)

    def plain(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        return {
            **self._counts,
            "crs": self.crs,
            "dropped": self._dropped,
            "repaired": self._repaired,
            "flagged": self._flagged,
            "missing": self._missing,
            "outside_study": {"count": len(self._outside), "ids": self._outside[:_LISTED]},
            "notes": self.notes,
        }

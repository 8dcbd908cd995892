"""US county FIPS codes: five digits, and what is left of them when they were read as numbers.

Two kinds of loss are told apart. A code read as a number loses its leading zero (05035 becomes
5035). A code put together from a state's and a county's number loses the zeros inside as well
(05035 becomes 535, and 535 may be 53005 too): such a code is taken apart again, and where two
counties fit it is decided by the order of the rows or not at all.

Source of the numbers: US Census Bureau / ANSI INCITS 31, codes of states and counties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Highest ordinary county number of each state. Ordinary numbers are odd.
_HIGHEST = {
    "01": 133, "02": 290, "04": 27, "05": 149, "06": 115, "08": 125, "09": 15, "10": 5,
    "11": 1, "12": 133, "13": 321, "15": 9, "16": 87, "17": 203, "18": 183, "19": 197,
    "20": 209, "21": 239, "22": 127, "23": 31, "24": 47, "25": 27, "26": 165, "27": 173,
    "28": 163, "29": 229, "30": 111, "31": 185, "32": 33, "33": 19, "34": 41, "35": 61,
    "36": 123, "37": 199, "38": 105, "39": 175, "40": 153, "41": 71, "42": 133, "44": 9,
    "45": 91, "46": 137, "47": 189, "48": 507, "49": 57, "50": 27, "51": 199, "53": 77,
    "54": 109, "55": 141, "56": 45, "72": 153,
}  # fmt: skip
#: Even or high numbers outside that rule.
_OTHERS = frozenset(
    [
        "04012",
        "08014",
        "12086",
        "29186",
        "35006",
        "35028",
        "46102",
        "51036",
        "55078",
        "24510",
        "29510",
        "32510",
        "09110",
        "09120",
        "09130",
        "09140",
        "09150",
        "09160",
        "09170",
        "09180",
        "09190",
    ]
)
#: Codes that changed while the county stayed the same.
RENAMED = {"46113": "46102", "02270": "02158", "12025": "12086"}
#: The eight counties of Connecticut, and the nine planning regions that replaced them in 2022.
CONNECTICUT_COUNTIES = frozenset(f"09{number:03d}" for number in range(1, 16, 2))
CONNECTICUT_REGIONS = frozenset(f"09{number:03d}" for number in range(110, 191, 10))


def is_county(code: str) -> bool:
    """Return whether five digits can be the code of a US county."""
    if len(code) != 5 or not code.isdigit() or code[:2] not in _HIGHEST:
        return False
    number = int(code[2:])
    if code in _OTHERS or (code[:2] == "51" and 510 <= number <= 840):
        return True
    return 0 < number <= _HIGHEST[code[:2]] and (number % 2 == 1 or code[:2] == "02")


def taken_apart(text: str) -> list[str]:
    """Return the codes that a state's and a county's number, written together, may stand for."""
    parts = [(text[:cut], text[cut:]) for cut in (1, 2) if cut < len(text) <= cut + 3]
    codes = [state.zfill(2) + county.zfill(3) for state, county in parts if county[0] != "0"]
    return [code for code in codes if is_county(code)]


@dataclass(frozen=True)
class Repair:
    """The codes of a table after repair.

    Attributes:
        codes: five digits for each row, None where it cannot be told.
        zeros_inside: whether the table had lost zeros inside its codes, not the leading one alone.
        ambiguous: rows with two possible counties, and those.
        impossible: rows that are no county.
    """

    codes: list[str | None]
    zeros_inside: bool
    ambiguous: dict[int, list[str]]
    impossible: list[int]


def repair_codes(
    texts: Sequence[str],
    order: Sequence[float] | None = None,
    known: frozenset[str] = frozenset(),
) -> Repair:
    """Give codes their zeros back.

    Args:
        texts: ids as text, as they were read.
        known: the counties there are, where a list of names was given; empty: all possible ones.
        order: numbers in whose order the codes rise (a running number of the source), if there
            are any: they decide between two possible counties.
    """
    inside = any(text.isdigit() and len(text) < 4 and int(text) > 0 for text in texts)
    options = [_options(text, inside) for text in texts]
    if known:
        options = [[code for code in found if code in known] or found for found in options]
    if order is not None:
        options = _narrowed(options, order)
    return Repair(
        codes=[found[0] if len(found) == 1 else None for found in options],
        zeros_inside=inside,
        ambiguous={row: found for row, found in enumerate(options) if len(found) > 1},
        impossible=[row for row, found in enumerate(options) if not found],
    )


def _options(text: str, zeros_inside: bool) -> list[str]:
    if not text.isdigit():
        return []
    if text.startswith("0") or not zeros_inside:
        code = text.zfill(5)
        return [code] if is_county(code) else []
    whole = text.zfill(5)
    return taken_apart(text) or ([whole] if is_county(whole) else [])


def _narrowed(options: list[list[str]], order: Sequence[float]) -> list[list[str]]:
    """Keep of each row the options between its certain neighbours in the given order."""
    rows = sorted((place, row) for row, place in enumerate(order) if place == place)
    certain = [options[row][0] if len(options[row]) == 1 else None for _, row in rows]
    after: list[str | None] = [None] * len(rows)
    following: str | None = None
    for index in range(len(rows) - 1, -1, -1):
        after[index] = following
        following = certain[index] or following
    narrowed = list(options)
    before: str | None = None
    for index, (_, row) in enumerate(rows):
        if len(options[row]) > 1:
            low, high = before or "00000", after[index] or "99999"
            fits = [code for code in options[row] if low < code < high]
            narrowed[row] = fits or options[row]
        before = certain[index] or before
    return narrowed

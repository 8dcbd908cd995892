"""How numbers, intervals and counts are put into words, the same way everywhere in the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NONE = "–"


def number(value: Any, digits: int = 3) -> str:
    """Return a number with a fixed count of decimals, a dash where there is none."""
    if not is_number(value):
        return NONE
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"


def with_interval(value: Any, interval: Any, digits: int = 3) -> str:
    """Return `0.312 (0.280 to 0.351)`; without an interval, the number alone."""
    if not is_number(value):
        return NONE
    bounds = bounds_of(interval)
    if bounds is None:
        return number(value, digits)
    return f"{number(value, digits)} ({number(bounds[0], digits)} to {number(bounds[1], digits)})"


def signed(value: Any, interval: Any, digits: int = 3) -> str:
    """Return a difference with its sign and interval: `+0.021 (−0.004 to 0.046)`."""
    text = with_interval(value, interval, digits)
    return f"+{text}" if is_number(value) and value > 0 else text


def bounds_of(interval: Any) -> tuple[float, float] | None:
    """Return the two ends of an interval, None where it is not one."""
    if not isinstance(interval, Sequence) or len(interval) != 2:
        return None
    low, high = interval
    if not (is_number(low) and is_number(high)):
        return None
    return float(low), float(high)


def is_number(value: Any) -> bool:
    """Whether a value read from JSON is a finite number."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and value == value
        and abs(value) != float("inf")
    )


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return `1 tile`, `2 tiles`, `12,034 tiles`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def duration(seconds: Any) -> str:
    """Return seconds as `48 s`, `3 min 20 s` or `2 h 5 min`."""
    if not is_number(seconds):
        return NONE
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

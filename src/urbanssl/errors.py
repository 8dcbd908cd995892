"""The errors urbanssl raises: each says what was wrong, where, the value seen and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input.

    Attributes:
        where: the file, with line, row or key where that is known.
        what: what was found there, with the value seen.
        remedy: what the user can do about it.
    """

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n    -> {self.remedy}"


class UrbansslError(Exception):
    """Base of every error that a user can do something about."""

    @classmethod
    def at(cls, where: str | PathLike[str], what: str, remedy: str) -> UrbansslError:
        """Build the error from its place, the value seen and the remedy."""
        return cls(str(Problem(str(where), what, remedy)))

    @classmethod
    def listing(cls, problems: Iterable[Problem], heading: str) -> UrbansslError:
        """Build one error that lists every problem of an input at once."""
        found = list(problems)
        lines = "\n".join(f"  {number}. {problem}" for number, problem in enumerate(found, 1))
        noun = "problem" if len(found) == 1 else "problems"
        return cls(f"{heading}: {len(found)} {noun}\n{lines}")


class SettingsError(UrbansslError):
    """A key, type, range or file named in the settings is wrong."""


class SceneError(UrbansslError):
    """A raster, or the sheet that names it, cannot be used."""


class LabelError(UrbansslError):
    """An annotation file cannot be read or does not fit its scene."""


class WeightsError(UrbansslError):
    """Weights do not fit the network they were meant for."""


class TrainingError(UrbansslError):
    """Training cannot start or must stop: its settings or its numbers are no good."""


class DiskError(UrbansslError):
    """There is no room for what is to be written: the disk is full or a quota used up."""


class AreaError(UrbansslError):
    """The areas or the table of crime rates cannot be used."""

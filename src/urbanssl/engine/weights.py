"""Filling a network with weights, and refusing when they do not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from urbanssl.engine.position_resize import extra_tokens, resize_positions
from urbanssl.engine.weight_files import read_weights
from urbanssl.errors import WeightsError

_LISTED = 20


@dataclass(frozen=True)
class LoadReport:
    """What became of a weights file.

    Attributes:
        path: the file.
        kind: what kind of network it holds, by its names.
        matched: names in the model that were filled.
        resized: those of them whose position embedding was resized.
        missing: names in the model that should have been filled and were not.
        unexpected: names in the file that have no place in the model.
        misshapen: `name: shape in file, shape in model` of those that did not fit.
    """

    path: str
    kind: str
    matched: tuple[str, ...]
    resized: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]

    @property
    def share(self) -> float:
        """Share of the tensors to be filled that were filled."""
        return len(self.matched) / max(1, len(self.matched) + len(self.missing))

    def plain(self) -> dict[str, Any]:
        """Return the report for a JSON log: counts, and the names that did not match."""
        content = asdict(self)
        content["matched"], content["share"] = len(self.matched), self.share
        return content


def load_weights(
    model: nn.Module,
    path: Path,
    expected: float = 1.0,
    prefixes: Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> LoadReport:
    """Fill a network with the tensors of a weights file.

    Args:
        model: the network, changed in place.
        path: file of any origin that `read_weights` understands.
        expected: share, of the model's tensors below the values of `prefixes`, that the file
            must fill. Counters of batch norms do not count.
        prefixes: prefix in the file -> prefix in the model; a name of the file is renamed by the
            longest that fits, and left out where none fits. None: names are the same.
        skip: regular expressions; names of the model in which one is found stay as they are.
        optional: regular expressions; names of the model in which one is found are filled where
            the file has them and count neither way.

    Returns:
        what was filled and what was not.

    Raises:
        WeightsError: the file cannot be read, or fills less than expected; lists the names.
    """
    mapping = {"": ""} if prefixes is None else dict(prefixes)
    state, kind = read_weights(Path(path))
    renamed, unexpected = _renamed(state, mapping)
    own = model.state_dict()
    wanted = [name for name in own if _is_wanted(name, mapping, skip)]

    def counts(name: str) -> bool:
        chosen = any(re.search(pattern, name) for pattern in optional)
        return not chosen and not name.endswith("num_batches_tracked")

    filled: dict[str, torch.Tensor] = {}
    resized, misshapen = [], []
    for name in wanted:
        value = renamed.get(name)
        if value is None:
            continue
        if name.endswith("pos_embed") and value.ndim == 3 and value.shape != own[name].shape:
            value = _resized(value, own[name])
            resized.append(name)
        if value.shape == own[name].shape:
            filled[name] = value
        else:
            misshapen.append(f"{name}: {tuple(value.shape)} in file, {tuple(own[name].shape)}")
    unexpected += [name for name in renamed if name not in own]
    report = LoadReport(
        path=str(path),
        kind=kind,
        matched=tuple(name for name in wanted if name in filled and counts(name)),
        resized=tuple(resized),
        missing=tuple(name for name in wanted if name not in filled and counts(name)),
        unexpected=tuple(sorted(unexpected)),
        misshapen=tuple(misshapen),
    )
    if not report.matched or report.share < expected:
        raise WeightsError.at(path, _complaint(report, expected), _REMEDY)
    model.load_state_dict({**own, **filled}, strict=True)
    return report


_REMEDY = "give weights of this network, or correct the recipe's `initial_weights` (prefixes, skip)"


def _renamed(
    state: Mapping[str, torch.Tensor], mapping: Mapping[str, str]
) -> tuple[dict[str, torch.Tensor], list[str]]:
    renamed, left_out = {}, []
    for name, value in state.items():
        fitting = [prefix for prefix in mapping if name.startswith(prefix)]
        if fitting:
            longest = max(fitting, key=len)
            renamed[mapping[longest] + name[len(longest) :]] = value
        else:
            left_out.append(name)
    return renamed, left_out


def _is_wanted(name: str, mapping: Mapping[str, str], skip: Sequence[str]) -> bool:
    inside = any(name.startswith(prefix) for prefix in mapping.values())
    return inside and not any(re.search(pattern, name) for pattern in skip)


def _resized(value: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Return a position embedding for the model's tokens, without a class token it has not."""
    extra, own_extra = extra_tokens(value.shape[1]), extra_tokens(own.shape[1])
    surplus = max(0, extra - own_extra)
    return resize_positions(value[:, surplus:], own.shape[1], extra - surplus)


def _complaint(report: LoadReport, expected: float) -> str:
    total = len(report.matched) + len(report.missing)
    lines = [
        f"holds {len(report.matched)} of the {total} tensors that should be filled "
        f"({report.share:.1%}, expected {expected:.1%}; kind by its names: {report.kind})"
    ]
    for title, names in (
        ("missing in the file", report.missing),
        ("in the file, unknown to the network", report.unexpected),
        ("of another shape", report.misshapen),
    ):
        if names:
            shown = "\n      ".join(names[:_LISTED])
            more = f"\n      ... and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            lines.append(f"{title} ({len(names)}):\n      {shown}{more}")
    return "\n    ".join(lines)

"""Golden vectors: numbers of the original implementations, compared quantity by quantity.

`pytest tests/golden --golden-dir DIR` checks the package against any folder in the format of
`tests/golden/data`. At the end it prints, for each quantity, the largest deviation and the
tolerance, and lists the files of the folder that no check covers.
"""

from pathlib import Path

import numpy as np
import pytest

_ROWS: list[tuple[str, str, float, str, bool]] = []
_USED: set[str] = set()


class Golden:
    """One file of vectors, and the comparison of ours with them."""

    def __init__(self, path: Path):
        self.name = path.name
        with np.load(path, allow_pickle=False) as stored:
            self.data = {key: stored[key] for key in stored.files}

    def __getitem__(self, key: str) -> np.ndarray:
        return self.data[key]

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def cases(self, suffix: str) -> list[str]:
        """Prefixes of the keys that end in `_{suffix}`: the cases of the file, sorted."""
        return sorted(k[: -len(suffix) - 1] for k in self.data if k.endswith("_" + suffix))

    def prefixed(self, prefix: str) -> dict[str, np.ndarray]:
        """The entries whose key starts with `prefix`, without it (a state dict, say)."""
        return {k[len(prefix) :]: v for k, v in self.data.items() if k.startswith(prefix)}

    def compare(self, quantity: str, ours, reference, rtol: float = 0.0, atol: float = 0.0):
        """Assert |ours - reference| <= atol + rtol * |reference| and note the deviation."""
        ours, reference = np.asarray(ours), np.asarray(reference)
        assert ours.shape == reference.shape, (
            f"{self.name} {quantity}: shape {ours.shape}, reference {reference.shape}"
        )
        if ours.dtype.kind in "US" or reference.dtype.kind in "US":
            wrong = float((ours != reference).sum())
            good = wrong == 0
        else:
            ours, reference = ours.astype(float), reference.astype(float)
            same = (ours == reference) | (np.isnan(ours) & np.isnan(reference))
            gap = np.where(same, 0.0, np.abs(ours - reference))
            wrong = float(gap.max()) if gap.size else 0.0
            good = bool(np.all(same | (gap <= atol + rtol * np.abs(reference))))
        tolerance = "exact" if rtol == atol == 0 else f"atol {atol:g} + rtol {rtol:g}"
        _ROWS.append((self.name, quantity, wrong, tolerance, good))
        assert good, f"{self.name} {quantity}: largest deviation {wrong:g}, tolerance {tolerance}"


@pytest.fixture
def golden(request):
    """Open a file of vectors by name; skip, saying so, where the folder does not have it."""
    folder = Path(request.config.getoption("--golden-dir"))

    def opened(name: str) -> Golden:
        _USED.add(name)
        if not (folder / name).is_file():
            pytest.skip(f"{folder} has no {name}")
        return Golden(folder / name)

    return opened


def pytest_terminal_summary(terminalreporter, config):
    if not _ROWS and not _USED:
        return
    folder = Path(config.getoption("--golden-dir"))
    terminalreporter.section(f"golden vectors of {folder}")
    for name, quantity, wrong, tolerance, good in sorted(_ROWS):
        verdict = "ok" if good else "FAILED"
        terminalreporter.line(f"{verdict:6} {name:28} {quantity:40} {wrong:.3g} ({tolerance})")
    for path in sorted(folder.glob("*.npz")):
        if path.name not in _USED:
            terminalreporter.line(f"NOT CHECKED: no test of this run covers {path.name}")

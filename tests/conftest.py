"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser):
    parser.addoption(
        "--golden-dir",
        default=str(ROOT / "tests" / "golden" / "data"),
        help="folder with golden vectors (.npz), see tests/golden/conftest.py",
    )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; skips, saying so, where it is missing."""
    folder = Path(os.environ.get("URBANSSL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found in {folder}: set URBANSSL_DATA to its folder")
    return folder

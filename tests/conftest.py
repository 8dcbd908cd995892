"""Fixtures that every test may use."""

import os
from pathlib import Path

import hypothesis
import pytest

# A busy machine is no failure: examples may take as long as they need.
hypothesis.settings.register_profile("urbanssl", deadline=None)
hypothesis.settings.load_profile("urbanssl")

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


@pytest.fixture
def look_at():
    """Survey scenes and put them into a catalogue; returns the paths of catalogue and scaling."""
    from urbanssl.scenes.catalogue import check_scenes, survey_scene

    def run(scenes, tiles, folder):
        surveys = [folder / "surveys" / f"{scene.name}.parquet" for scene in scenes]
        for scene, survey in zip(scenes, surveys, strict=True):
            survey_scene(scene, tiles, survey, {})
        catalogue, scaling = folder / "catalogue.parquet", folder / "scaling.json"
        check_scenes(surveys, tiles, catalogue, scaling, {})
        return catalogue, scaling

    return run

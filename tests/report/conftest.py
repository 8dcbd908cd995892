"""Fixtures of the report's tests."""

import pytest
from made_up_run import build, settings_for


@pytest.fixture
def settings(tmp_path):
    return settings_for(tmp_path / "run")


@pytest.fixture
def made_up(settings):
    """Write the parts of a run that a test asks for: `made_up("scenes", "crime")`."""

    def write(*parts):
        build(settings.root, *parts)
        return settings.root

    return write

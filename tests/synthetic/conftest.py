"""A small city, drawn once for the tests of this room."""

import json
from pathlib import Path

import pytest

from urbanssl.settings import CitySettings
from urbanssl.synthetic.city import draw_city

SMALL = CitySettings(regions=3, labelled_regions=1, areas_per_side=3)


@pytest.fixture(scope="session")
def small() -> CitySettings:
    return SMALL


@pytest.fixture(scope="session")
def city_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("city")
    draw_city(SMALL, 7, folder, processes=1)
    return folder


@pytest.fixture(scope="session")
def truth(city_folder) -> dict:
    return json.loads((city_folder / "truth.json").read_text())

"""Names, places and files of the embedded city, known before anything is drawn.

Read when the workflow is parsed, so only the standard library is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from urbanssl.settings import CitySettings

#: Ground sample distance of every scene, metres.
GSD = 0.3

_NAMES = (
    "alder", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ironwood", "juniper",
    "katsura", "larch", "maple", "nutmeg", "oak", "poplar", "quince", "rowan", "spruce", "tupelo",
)  # fmt: skip
_ZONES = (16, 17, 18, 14, 11, 10, 15, 13, 12, 19)


@dataclass(frozen=True)
class Region:
    """One region (a city) of the embedded city: one scene in its own UTM zone.

    Attributes:
        number: place in the city, from 0.
        name: name of the region, which is also that of its scene.
        epsg: code of its UTM zone.
        west: easting of the scene's left edge, metres.
        north: northing of the scene's upper edge, metres.
        side_px: side of the scene, pixels.
        labelled: whether its labels are named in the sheet.
        date: day the scene was taken, ISO 8601.
    """

    number: int
    name: str
    epsg: int
    west: float
    north: float
    side_px: int
    labelled: bool
    date: str


def regions(city: CitySettings) -> list[Region]:
    """Return the regions of the city, in order; the labelled ones come first."""
    return [_region(number, city) for number in range(city.regions)]


def _region(number: int, city: CitySettings) -> Region:
    turn, place = divmod(number, len(_NAMES))
    # More regions than zones share a zone, 40 km apart.
    lap, zone = divmod(number, len(_ZONES))
    return Region(
        number=number,
        name=_NAMES[place] if turn == 0 else f"{_NAMES[place]}-{turn + 1}",
        epsg=32600 + _ZONES[zone],
        west=420_000.0 + 40_000.0 * (lap % 5) + 1_200.0 * (number % 7),
        north=3_900_000.0 + 40_000.0 * (lap // 5) + 61_500.0 * (number % 10),
        side_px=city.areas_per_side * city.area_px,
        labelled=number < city.labelled_regions,
        date=f"2023-{1 + (5 + 4 * number) % 12:02d}-{11 + number % 17:02d}",
    )


def area_ids(region: Region, city: CitySettings) -> list[str]:
    """Return the ids of a region's areas, row by row from the north-west.

    They look like county FIPS codes: a state of two digits (the region), then odd numbers of three
    digits, with leading zeros that a careless reader of the table loses.
    """
    count = city.areas_per_side**2
    return [f"{region.number + 1:02d}{2 * place + 1:03d}" for place in range(count)]


def area_window(place: int, city: CitySettings) -> tuple[int, int, int]:
    """Return `(left, top, side)` in pixels of the area at a place in `area_ids`."""
    row, col = divmod(place, city.areas_per_side)
    return col * city.area_px, row * city.area_px, city.area_px


def scene_path(region: Region, folder: Path) -> Path:
    """Return where the region's scene is drawn, below the folder of the city."""
    return folder / "scenes" / f"{region.name}.tif"


def labels_path(region: Region, folder: Path) -> Path:
    """Return where the region's boxes are written (DOTA text), below the folder of the city."""
    return folder / "labels" / f"{region.name}.txt"


def sheet_rows(city: CitySettings, folder: Path) -> list[dict[str, str]]:
    """Return the sample sheet of the embedded city; its files need not be there yet.

    Args:
        city: settings of the city.
        folder: the folder it is (or will be) drawn in.

    Returns:
        One row a scene with the columns scene, path, role, labels, labels_format, area, region,
        date, gsd; an empty text where there is no value.
    """
    return [
        {
            "scene": region.name,
            "path": str(scene_path(region, folder)),
            "role": "unlabelled;labelled" if region.labelled else "unlabelled;study",
            "labels": str(labels_path(region, folder)) if region.labelled else "",
            "labels_format": "dota" if region.labelled else "",
            "area": "",
            "region": region.name,
            "date": region.date,
            "gsd": str(GSD),
        }
        for region in regions(city)
    ]

"""A scene: one row of the sample sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Annotation formats that `labels_format` may name.
LABEL_FORMATS: tuple[str, ...] = ("dota", "coco", "voc", "yolo-obb", "csv", "vector")

#: Endings of the rasters that are taken from a folder.
RASTER_SUFFIXES: frozenset[str] = frozenset(
    {".tif", ".tiff", ".jpg", ".jpeg", ".png", ".jp2", ".vrt", ".img", ".webp", ".bmp"}
)

#: Endings of the annotation files that are taken from a folder, by format.
LABEL_SUFFIXES: dict[str, tuple[str, ...]] = {
    "dota": (".txt",),
    "coco": (".json",),
    "voc": (".xml",),
    "yolo-obb": (".txt",),
    "csv": (".csv",),
    "vector": (".geojson", ".gpkg", ".shp", ".fgb", ".json"),
}


@dataclass(frozen=True)
class Scene:
    """One row of the sample sheet, checked.

    Attributes:
        name: unique, fit for file names.
        paths: its rasters, each an image, sorted.
        roles: of `unlabelled`, `labelled`, `study`.
        labels: its annotation files, sorted; empty where it has none.
        labels_format: one of `LABEL_FORMATS`, None to tell it from the files.
        area: id of the area it belongs to, where the sheet says so.
        region: region of that area.
        date: when it was taken, ISO 8601.
        gsd: ground sample distance in metres, for images without a georeference.
    """

    name: str
    paths: tuple[Path, ...]
    roles: frozenset[str]
    labels: tuple[Path, ...] = ()
    labels_format: str | None = None
    area: str | None = None
    region: str | None = None
    date: str | None = None
    gsd: float | None = None

    def plain(self) -> dict[str, Any]:
        """Return the scene as texts, sorted lists and numbers, for the parameters of a rule."""
        return {
            "name": self.name,
            "paths": [str(path) for path in self.paths],
            "roles": sorted(self.roles),
            "labels": [str(path) for path in self.labels],
            "labels_format": self.labels_format,
            "area": self.area,
            "region": self.region,
            "date": self.date,
            "gsd": self.gsd,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Scene:
        """Return the scene that `plain` describes."""
        return cls(
            **{
                **plain,
                "paths": tuple(Path(path) for path in plain["paths"]),
                "roles": frozenset(plain["roles"]),
                "labels": tuple(Path(path) for path in plain["labels"]),
            }
        )

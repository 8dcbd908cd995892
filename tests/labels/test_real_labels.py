"""Annotations that nobody wrote for this project."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from affine import Affine

from urbanssl.artifacts import read_json
from urbanssl.classes import CLASSES
from urbanssl.errors import LabelError
from urbanssl.labels.boxes import Image, Notes
from urbanssl.labels.convert import convert_labels
from urbanssl.labels.csv_boxes import read_csv
from urbanssl.labels.voc import read_voc
from urbanssl.scenes.scene import Scene
from urbanssl.settings import TileSettings

pytestmark = pytest.mark.data


@pytest.fixture
def converted(look_at, tmp_path):
    def run(images, labels, classes=CLASSES):
        scene = Scene("here", tuple(images), frozenset({"labelled"}), labels=tuple(labels))
        boxes, counts = tmp_path / "b.parquet", tmp_path / "n.json"
        tiles = TileSettings(scaling={"mode": "training"})
        catalogue, _ = look_at([scene], tiles, tmp_path)
        convert_labels(scene, catalogue, classes, boxes, counts, {})
        return pd.read_parquet(boxes), read_json(counts)

    return run


def test_dota8(real_data, converted):
    folder = real_data / "dota8"
    images, labels = folder.glob("images/*/*.jpg"), folder.glob("labels/*/*.txt")
    boxes, counts = converted(sorted(images), sorted(labels))
    assert (counts["format"], counts["read"], counts["kept"]) == ("yolo-obb", 133, 133)
    assert counts["remarks"] == ["class numbers from dota8.yaml"]
    assert counts["notes"]["clipped to the image"] > 0
    assert boxes[["x1", "y1"]].min(axis=None) >= 0
    assert boxes[["x2", "y2"]].max(axis=None) <= 1024
    assert counts["by_class"]["ship"] == 105


def test_tennis_courts(real_data, converted):
    folder = real_data / "tennis"
    boxes, counts = converted(sorted(folder.glob("images/*")), sorted(folder.glob("labels/*")))
    assert (counts["format"], counts["images"]) == ("voc", 60)
    assert set(boxes.class_name) == {"tennis-court"}
    assert boxes.image.nunique() == 60
    assert counts["kept"] == counts["read"] == 199


def test_airbus_tanks(real_data, converted):
    folder = real_data / "airbus-tanks"
    images, labels = sorted(folder.glob("images/*")), [folder / "annotations.csv"]
    boxes, counts = converted(images[:5], labels)
    assert counts["format"] == "csv"
    assert set(boxes.class_name) == {"storage-tank"}
    others = counts["notes"]["of images that the scene does not have"]
    assert counts["read"] + others == 3935
    assert (boxes.x2 > boxes.x1).all()


def test_trees_are_no_class_of_ours(real_data, converted):
    folder = real_data / "geotiffs" / "deepforest"
    for labels in ("OSBS_029.csv", "OSBS_029.xml"):
        with pytest.raises(LabelError, match=r"unknown class 'Tree' \(\d+ times\)"):
            converted([folder / "OSBS_029.tif"], [folder / labels])


def test_csv_and_xml_of_the_same_trees_agree(real_data):
    """The two files describe the same boxes, but for the pixel that VOC counts from."""
    folder = real_data / "geotiffs" / "deepforest"
    images = {"OSBS_029": Image("OSBS_029", 400, 400, None, Affine.identity())}
    rows = read_csv([folder / "OSBS_029.csv"], images, Notes())
    objects = read_voc([folder / "OSBS_029.xml"], images, Notes())
    assert len(rows) == len(objects) > 10
    ours, theirs = (np.array([box.corners for box in found]) for found in (rows, objects))
    assert np.abs(ours - theirs).max() <= 1


def test_buildings_say_what_their_columns_are(real_data, converted):
    folder = real_data / "geotiffs" / "solaris"
    with pytest.raises(LabelError, match="no column tells the class"):
        converted([folder / "sample_geotiff.tif"], [folder / "geotiff_labels.geojson"])


def test_buildings_land_on_their_image(real_data, converted, tmp_path):
    """Stored in degrees and called a class of ours, they come back inside the 900 pixels."""
    folder = real_data / "geotiffs" / "solaris"
    shapes = gpd.read_file(folder / "geotiff_labels.geojson")
    path = tmp_path / "map.geojson"
    shapes[["geometry"]].assign(label="harbour").to_crs("EPSG:4326").to_file(path)
    boxes, counts = converted([folder / "sample_geotiff.tif"], [path])
    assert counts["kept"] == len(boxes) > 10
    assert set(boxes.class_name) == {"harbor"}
    assert boxes[["x1", "y1"]].min(axis=None) >= 0
    assert boxes[["x2", "y2"]].max(axis=None) <= 900

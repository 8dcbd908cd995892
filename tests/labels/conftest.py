"""A scene with blank images in a catalogue, to convert labels for."""

from types import SimpleNamespace

import pandas as pd
import pytest
from affine import Affine

from urbanssl.artifacts import read_json, write_table
from urbanssl.classes import CLASSES
from urbanssl.labels.convert import convert_labels
from urbanssl.scenes.scene import Scene

#: 0.5 m a pixel in UTM zone 16 N.
UTM = Affine(0.5, 0, 500000, 0, -0.5, 3600000)


@pytest.fixture
def convert(tmp_path):
    """Convert label files of a scene with images of 200 x 100 pixels."""

    def run(*files, images=("a",), kind=None, crs=None, affine=UTM, classes=CLASSES):
        table = pd.DataFrame(
            {
                "scene": "here",
                "image": list(images),
                "width": 200,
                "height": 100,
                "crs": crs,
                "affine": [list(affine)[:6]] * len(images),
            }
        )
        catalogue, boxes = tmp_path / "catalogue.parquet", tmp_path / "boxes.parquet"
        write_table(catalogue, table, {})
        roles, counts = frozenset({"labelled"}), tmp_path / "counts.json"
        scene = Scene("here", (), roles, labels=tuple(files), labels_format=kind)
        convert_labels(scene, catalogue, classes, boxes, counts, {"seed": 3})
        return SimpleNamespace(boxes=pd.read_parquet(boxes), counts=read_json(counts))

    return run


@pytest.fixture
def write(tmp_path):
    """Write a text file below the labels folder; return its path."""

    def written(name, text):
        path = tmp_path / "labels" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written

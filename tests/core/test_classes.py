import pytest

from urbanssl.classes import CLASSES, YOLO_DOTA_ORDER, find_class, label_of, resolve_class
from urbanssl.errors import LabelError


def test_the_registry_has_the_sixteen_classes_of_dota_in_order():
    assert len(CLASSES) == len(set(CLASSES)) == 16
    assert CLASSES[0] == "plane"
    assert set(YOLO_DOTA_ORDER) == set(CLASSES) - {"container-crane"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Court", "tennis-court"),
        ("oil-storage-tank", "storage-tank"),
        ("Small Vehicle", "small-vehicle"),
        ("harbour", "harbor"),
        ("GroundTrackField", "ground-track-field"),
    ],
)
def test_synonyms_and_spellings_are_the_class_they_mean(written, meant):
    assert resolve_class(written) == meant


def test_an_unknown_class_is_refused_with_the_nearest_name_and_the_place():
    with pytest.raises(LabelError, match=r"boxes\.txt:3.*'storge-tank'(.|\n)*storage-tank"):
        resolve_class("storge-tank", "boxes.txt:3")
    assert find_class("dinosaur") is None


def test_the_first_class_has_number_zero():
    assert label_of("plane") == 0
    assert label_of("boat", ["plane", "ship"]) == 1

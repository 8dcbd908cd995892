"""Six annotation formats become the same boxes; broken lines are all named."""

import json

import geopandas as gpd
import numpy as np
import pytest
import shapely

from urbanssl.errors import LabelError
from urbanssl.labels.formats import guess_format

#: A court at 20..60, 30..50 and a plane at 100..140, 10..90, in each format.
BOXES = np.array([[20, 30, 60, 50], [100, 10, 140, 90]])
DOTA = "imagesource:x\ngsd:0.5\n20 30 60 30 60 50 20 50 tennis-court 0\n" + (
    "100 10 140 10 140 90 100 90 plane 1\n"
)
YOLO = "4 0.1 0.3 0.3 0.3 0.3 0.5 0.1 0.5\n0 0.5 0.1 0.7 0.1 0.7 0.9 0.5 0.9\n"
VOC = """<annotation><filename>a.png</filename>
<object><name>Court</name><difficult>0</difficult>
<bndbox><xmin>21</xmin><ymin>31</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>
<object><name>airplane</name><difficult>1</difficult>
<part><name>wing</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox>
</part>
<bndbox><xmin>101</xmin><ymin>11</ymin><xmax>140</xmax><ymax>90</ymax></bndbox></object>
</annotation>"""
COCO = json.dumps(
    {
        "images": [{"id": 7, "file_name": "some/folder/a.png"}],
        "categories": [{"id": 3, "name": "tennis court"}, {"id": 9, "name": "Airplane"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "bbox": [20, 30, 40, 20]},
            {"id": 2, "image_id": 7, "category_id": 9, "bbox": [100, 10, 40, 80], "iscrowd": 1},
        ],
    }
)
CSV = "image,xmin,ymin,xmax,ymax,label\na.png,20,30,60,50,court\nb.png,1,1,2,2,plane\n" + (
    "x/a.tif,100,10,140,90,jet\n"
)


def corners(found):
    return found.boxes[["x1", "y1", "x2", "y2"]].to_numpy()


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("a.txt", DOTA, "dota"),
        ("a.txt", YOLO, "yolo-obb"),
        ("a.xml", VOC, "voc"),
        ("any.json", COCO, "coco"),
        ("any.csv", CSV, "csv"),
    ],
)
def test_format_is_told_and_boxes_are_read(convert, write, name, text, kind):
    found = convert(write(name, text))
    assert found.counts["format"] == kind
    assert corners(found) == pytest.approx(BOXES)
    assert found.boxes.class_name.tolist() == ["tennis-court", "plane"]
    assert (found.counts["read"], found.counts["kept"]) == (2, 2)
    assert found.counts["by_class"] == {"tennis-court": 1, "plane": 1}
    hard = kind in ("dota", "voc", "coco")
    assert found.boxes.difficult.tolist() == [False, hard]
    assert all(name in source for source in found.boxes.source)


def test_source_is_file_and_line(convert, write):
    found = convert(write("a.txt", DOTA))
    assert [source.rpartition(":")[2] for source in found.boxes.source] == ["3", "4"]
    found = convert(write("a.xml", VOC))
    assert [source.rpartition(":")[2] for source in found.boxes.source] == ["2", "4"]


@pytest.mark.parametrize("suffix", ["geojson", "gpkg"])
def test_polygons_on_the_map_become_pixels(convert, tmp_path, suffix):
    shapes = [
        shapely.box(500010, 3599975, 500030, 3599985),
        shapely.box(500050, 3599955, 500070, 3599995),
        shapely.box(600000, 3599955, 600020, 3599995),
        shapely.Point(500010, 3599975),
    ]
    table = gpd.GeoDataFrame(
        {"name": ["x"] * 4, "type": ["court", "plane", "ship", "ship"]},
        geometry=shapes,
        crs="EPSG:32616",
    )
    path = tmp_path / f"map.{suffix}"
    table.to_crs("EPSG:4326").to_file(path)
    found = convert(path, crs="EPSG:32616")
    assert found.counts["format"] == "vector"
    assert corners(found) == pytest.approx(BOXES, abs=0.05)
    assert found.boxes.class_name.tolist() == ["tennis-court", "plane"]
    assert found.counts["notes"]["without an extent (points, lines, empty)"] == 1
    assert len(found.boxes.polygon[0]) == 8
    with pytest.raises(LabelError, match="no georeference"):
        convert(path)


def test_polygons_without_a_class_are_refused_with_the_columns(convert, tmp_path):
    path = tmp_path / "map.geojson"
    box = shapely.box(500010, 3599975, 500030, 3599985)
    table = gpd.GeoDataFrame({"building": ["yes"]}, geometry=[box], crs="EPSG:32616")
    table.to_file(path)
    with pytest.raises(LabelError, match="building"):
        convert(path, crs="EPSG:32616")
    pools = tmp_path / "swimming-pools.geojson"
    table.to_file(pools)
    with pytest.raises(LabelError, match="no column tells the class"):
        convert(pools, crs="EPSG:32616")
    pool = tmp_path / "swimming_pool.geojson"
    table.to_file(pool)
    assert convert(pool, crs="EPSG:32616").boxes.class_name.tolist() == ["swimming-pool"]


@pytest.mark.parametrize(
    "text",
    [
        'image_id,class,bounds\na,court,"(20, 30, 60, 50)"\na,plane,"[100.0, 1e1, 140, 90]"\n',
        "filename,class,x,y,w,h\na.jpg,court,20,30,40,20\na.jpg,plane,100,10,40,80\n",
        "Image,Class,X1,Y1,X2,Y2\na,court,20,30,60,50\na,plane,100,10,140,90\n",
    ],
)
def test_columns_of_a_csv_are_recognised(convert, write, text):
    assert corners(convert(write("t.csv", text))) == pytest.approx(BOXES)


def test_csv_lacking_columns_is_refused_with_what_it_has(convert, write):
    with pytest.raises(LabelError, match=r"boxes.*class.*\['image', 'foo'\]"):
        convert(write("t.csv", "image,foo\na,1\n"))


def test_voc_that_counts_from_zero_is_taken_as_it_is(convert, write):
    zero = VOC.replace(">101<", ">0<")
    found = convert(write("a.xml", zero))
    assert corners(found)[0] == pytest.approx([21, 31, 60, 50])
    assert "count from 0" in found.counts["remarks"][0]


def test_yolo_takes_its_class_names_from_the_yaml_above(convert, write):
    write("data.yaml", "names:\n  0: ship\n  4: storage tank\n  1: car\n")
    found = convert(write("train/a.txt", YOLO))
    assert found.boxes.class_name.tolist() == ["storage-tank", "ship"]


def test_yolo_coordinates_outside_the_image_are_clipped_and_counted(convert, write):
    found = convert(write("a.txt", "0 -0.1 0.2 0.5 0.2 0.5 1.3 -0.1 1.3\n"))
    assert corners(found)[0] == pytest.approx([0, 20, 100, 100])
    assert found.counts["notes"] == {"clipped to the image": 1}


def test_upright_yolo_lines_are_read(convert, write):
    found = convert(write("a.txt", "4 0.2 0.4 0.2 0.2\n"))
    assert corners(found)[0] == pytest.approx(BOXES[0])
    assert found.boxes.polygon[0] is None


def test_every_broken_line_and_unknown_class_is_listed_at_once(convert, write):
    first = write("a.txt", "1 2 3 plane 0\n1 1 9 1 9 9 1 9 aeroplan 0\n1 1 9 1 9 9 1 x plane 0\n")
    second = write("b.txt", "1 1 9 1 9 9 1 9 tree 0\n2 2 9 2 9 9 2 9 tree 0\n")
    with pytest.raises(LabelError, match="4 problems") as caught:
        convert(first, second, images=("a", "b"), kind="dota")
    text = str(caught.value)
    assert all(place in text for place in ("a.txt:1", "a.txt:2", "a.txt:3", "b.txt:1"))
    assert "did you mean 'plane'" in text
    assert "'tree' (2 times)" in text


def test_classes_not_asked_for_are_dropped_and_counted(convert, write):
    found = convert(write("a.txt", DOTA), classes=("plane",))
    assert found.boxes.class_name.tolist() == ["plane"]
    assert found.counts["dropped"] == {"not among labels.classes": {"tennis-court": 1}}


def test_boxes_without_area_or_outside_are_dropped_and_counted(convert, write):
    text = "image,xmin,ymin,xmax,ymax,class\n" + (
        "a,5,5,5,9,ship\na,9,5,5,9,ship\na,300,5,310,9,ship\na,190,5,210,9,ship\n"
    )
    found = convert(write("t.csv", text))
    assert corners(found).tolist() == [[190, 5, 200, 9]]
    assert found.counts["dropped"] == {"no area": 2, "outside its image": 1}
    assert found.counts["notes"]["clipped to the image"] == 1


def test_image_without_label_file_has_no_objects_and_is_counted(convert, write):
    found = convert(write("a.txt", DOTA), write("zzz.txt", DOTA), images=("a", "b"))
    assert set(found.boxes.image) == {"a"}
    assert found.counts["notes"] == {
        "images without a label file (no objects)": 1,
        "label files without an image": 1,
    }


def test_empty_label_files_mean_no_objects(convert, write):
    found = convert(write("a.txt", ""))
    assert found.boxes.empty
    assert found.counts["read"] == 0


def test_label_files_named_unlike_all_images_are_refused(convert, write):
    files = [write("p.txt", DOTA), write("q.txt", DOTA)]
    with pytest.raises(LabelError, match="none of its 2 label files"):
        convert(*files, images=("a", "b"))


def test_several_formats_at_once_are_refused(write):
    files = [write("a.txt", DOTA), write("b.xml", VOC)]
    with pytest.raises(LabelError, match="labels_format"):
        guess_format(files, {}, "here")


def test_broken_files_are_named(convert, write):
    with pytest.raises(LabelError, match=r"a\.xml:1"):
        convert(write("a.xml", "<annotation"))
    with pytest.raises(LabelError, match="not a JSON file"):
        convert(write("c.json", "{"))

"""The sample sheet is read, or refused with every problem and its line."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from urbanssl.errors import SceneError
from urbanssl.scenes.sheet import read_sheet
from urbanssl.settings import Settings


@pytest.fixture
def sheet(tmp_path, monkeypatch):
    """Write a sheet in a folder of its own with some files beside it, and read it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "sub").mkdir(parents=True)
    for name in ("a.tif", "b.tif", "sub/c.jpg", "a.txt", "b.txt", "notes.md", ".hidden.tif"):
        (tmp_path / "data" / name).touch()

    def read(text, encoding="utf-8"):
        path = tmp_path / "data" / "scenes.csv"
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return read_sheet(Settings(scenes={"sheet": str(path)}))

    return read


def refusal(sheet, text, **options):
    with pytest.raises(SceneError) as caught:
        sheet(text, **options)
    return str(caught.value)


def test_row_becomes_a_scene_with_everything_it_says(sheet):
    scene, other = sheet(
        "scene,path,role,labels,labels_format,area,region,date,gsd\n"
        "one,data/a.tif,labelled;study,data/a.txt,DOTA,05035,AR,2024-05,0.3\n"
        "two,b.tif,unlabelled,,,,,,\n"
    )
    assert scene.name == "one"
    assert scene.paths == (Path("data/a.tif"),)
    assert scene.roles == {"labelled", "study"}
    assert (scene.labels, scene.labels_format) == ((Path("data/a.txt"),), "dota")
    assert (scene.area, scene.region, scene.date, scene.gsd) == ("05035", "AR", "2024-05", 0.3)
    assert other.paths[0].name == "b.tif"
    assert other.paths[0].is_file(), "a path may be relative to the sheet's folder"
    assert (other.labels, other.gsd, other.area) == ((), None, None)


@pytest.mark.parametrize(
    ("path", "names"),
    [("data", ["a", "b", "c"]), ("data/*.tif", ["a", "b"]), ("data/**/*", ["a", "b", "c"])],
)
def test_folder_and_glob_name_rasters_only(sheet, path, names):
    (scene,) = sheet(f"scene,path,role\nx,{path},study\n")
    assert [p.stem for p in scene.paths] == names


def test_label_folder_names_files_of_its_format_only(sheet):
    (scene,) = sheet("scene,path,role,labels,labels_format\nx,data,labelled,data,yolo-obb\n")
    assert [path.name for path in scene.labels] == ["a.txt", "b.txt"]


def test_environment_variable_in_a_path_is_replaced(sheet, monkeypatch):
    monkeypatch.setenv("PLACE_OF_DATA", "data")
    (scene,) = sheet("scene,path,role\nx,$PLACE_OF_DATA/a.tif,study\n")
    assert scene.paths == (Path("data/a.tif"),)


def test_unset_environment_variable_is_named(sheet):
    text = refusal(sheet, "scene,path,role\nx,$NOT_SET_AT_ALL/a.tif,study\n")
    assert "NOT_SET_AT_ALL" in text


@pytest.mark.parametrize("separator", [";", "\t"])
def test_bom_other_separators_and_crlf_are_fine(sheet, separator):
    text = "scene,path,role\r\nx,data/a.tif,study\r\n".replace(",", separator)
    (scene,) = sheet(text, encoding="utf-8-sig")
    assert scene.name == "x"


def test_every_problem_of_the_sheet_is_listed_with_its_line(sheet):
    text = refusal(
        sheet,
        "scene,path,role,labels,labels_format,gsd,date\n"
        "x,data/a.tif,studdy,,,,\n"
        "x,data/b.tif,study,,,,\n"
        "a/b,data/a.tif,study,,,,\n"
        "y,data/none*.tif,study,,,,\n"
        "z,data/a.tif,labelled,,,-3,12.5.2024\n"
        "w,data/a.tif,labelled,data/a.txt,dotta,abc,\n"
        "coco_test,data/a.tif,study,,,,\n",
    )
    for line, *words in [
        (2, "studdy", "'study'"),
        (3, "'x' is there already", "scenes.csv:2"),
        (4, "'a/b'", "letters"),
        (5, "none*.tif", "no such file"),
        (6, "'z' is labelled", "`labels` is empty"),
        (6, "gsd -3", "out of range"),
        (6, "12.5.2024", "2024-05-31"),
        (7, "'dotta'", "did you mean 'dota'"),
        (7, "gsd 'abc'", "not a number"),
        (8, "coco_test", "another name"),
    ]:
        entries = [part for part in re.split(r"\n  (?=\d)", text) if f"scenes.csv:{line}:" in part]
        assert any(all(word in entry for word in words) for entry in entries), (line, words, text)


def test_missing_column_is_named_with_the_one_that_looks_like_it(sheet):
    text = refusal(sheet, "scene,pth,role\nx,data/a.tif,study\n")
    assert "no column 'path'" in text
    assert "rename 'pth' to 'path'" in text


def test_misspelt_optional_column_is_refused_but_a_note_column_is_not(sheet):
    assert "'labels'" in refusal(sheet, "scene,path,role,lables\nx,data/a.tif,study,\n")
    assert sheet("scene,path,role,photographer\nx,data/a.tif,study,me\n")


def test_row_with_too_many_cells_is_refused(sheet):
    text = refusal(sheet, "scene;path;role\nx;data/a.tif;labelled;study\n")
    assert "4 cells" in text
    assert "quote" in text


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("cp1252", "Windows-1252"), ("latin-1", "Latin-1"), ("utf-16", "UTF-16")],
)
def test_other_encodings_are_named_with_the_line(sheet, encoding, named):
    sign = "€" if encoding == "cp1252" else "é"
    text = refusal(sheet, f"scene,path,role\nx,data/{sign}.tif,study\n", encoding=encoding)
    assert named in text
    assert encoding == "utf-16" or "scenes.csv:2" in text


def test_two_images_of_one_name_in_a_scene_are_refused(sheet, tmp_path):
    (tmp_path / "data" / "sub" / "a.png").touch()
    assert "called 'a'" in refusal(sheet, "scene,path,role\nx,data,study\n")


def test_sheet_without_rows_or_file_is_refused(sheet):
    assert "no row" in refusal(sheet, "scene,path,role\n")
    with pytest.raises(SceneError, match=r"nowhere\.csv"):
        read_sheet(Settings(scenes={"sheet": "nowhere.csv"}))


def test_ten_thousand_rows_are_read_in_seconds(sheet):
    rows = "".join(f"s{n},data/a.tif,study\n" for n in range(10_000))
    start = time.perf_counter()
    assert len(sheet("scene,path,role\n" + rows)) == 10_000
    assert time.perf_counter() - start < 5


def test_embedded_city_has_scenes_before_it_is_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    scenes = read_sheet(settings)
    assert len(scenes) == settings.city.regions
    labelled = [scene for scene in scenes if "labelled" in scene.roles]
    assert len(labelled) == settings.city.labelled_regions
    assert all(scene.labels and scene.labels_format == "dota" for scene in labelled)
    assert all(settings.root in scene.paths[0].parents for scene in scenes)


def test_reading_the_sheet_imports_nothing_heavy():
    code = (
        "import sys, urbanssl.scenes.sheet;"
        "print([m for m in ('numpy', 'pandas', 'rasterio', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Reading areas and crime tables."""

import json

import geopandas as gpd
import pandas as pd
import pytest
from shapely import Point, box

from urbanssl.crime.table import read_crime
from urbanssl.errors import AreaError
from urbanssl.scenes.scene import Scene
from urbanssl.settings import CrimeSettings


def areas(folder, ids, crs=4326, **columns):
    shapes = [box(-90 + n, 35, -89.9 + n, 35.1) for n in range(len(ids))]
    frame = gpd.GeoDataFrame({"area_id": ids, **columns}, geometry=shapes, crs=crs)
    frame.to_file(folder / "areas.gpkg")
    return folder / "areas.gpkg"


def csv(folder, text, encoding="utf-8"):
    (folder / "crime.csv").write_text(text, encoding=encoding)
    return [folder / "crime.csv"]


def read(folder, area_file, tables, scenes=(), names=(), **settings):
    read_crime(
        CrimeSettings(**settings),
        area_file,
        list(tables),
        list(scenes),
        folder / "table.parquet",
        folder / "table.json",
        {"seed": 0},
        names=sorted(names),
    )
    report = json.loads((folder / "table.json").read_text())
    return gpd.read_parquet(folder / "table.parquet"), report


def test_leading_zeros_of_ids_in_a_csv_stay(tmp_path):
    tables = csv(tmp_path, "area_id,region,crimes,population\n01001,r,5,1000\n01003,r,7,1000\n")
    table, report = read(tmp_path, areas(tmp_path, ["01001", "01003"]), tables)
    assert table["area_id"].tolist() == ["01001", "01003"]
    assert table["rate"].tolist() == [500, 700]
    assert report["reported"] == 2


def test_zero_is_told_from_not_reported_by_coverage(tmp_path):
    text = "area_id,region,crimes,population,cov\na,r,0,50,100\nb,r,0,50,0\nc,r,2,50,100\n"
    table, report = read(
        tmp_path, areas(tmp_path, ["a", "b", "c"]), csv(tmp_path, text), coverage="cov"
    )
    assert table["reported"].tolist() == [True, False, True]
    assert [entry["areas"][0]["area_id"] for entry in report["flagged"]] == ["b"]


def test_every_row_is_accounted_for(tmp_path):
    text = "area_id,region,crimes,population\na,r,1,100\na,r,1,100\n,r,3,100\nb,r,,\nz,r,4,100\n"
    _, report = read(tmp_path, areas(tmp_path, ["a", "b", "c"]), csv(tmp_path, text))
    dropped = sum(entry["count"] for entry in report["dropped"])
    assert report["rows_read"] == 5
    assert dropped + report["outside_study"]["count"] + 1 == 5
    assert [entry["area_id"] for entry in report["missing"]] == ["b", "c"]


def test_two_different_rows_of_an_area_are_refused(tmp_path):
    text = "area_id,region,crimes,population\na,r,1,100\na,r,2,100\n"
    with pytest.raises(AreaError, match="more than one row with different values: a"):
        read(tmp_path, areas(tmp_path, ["a"]), csv(tmp_path, text))


def test_negative_counts_and_text_are_named_together(tmp_path):
    text = "area_id,region,crimes,population\na,r,-4,100\nb,r,5,many\n"
    with pytest.raises(AreaError) as error:
        read(tmp_path, areas(tmp_path, ["a", "b"]), csv(tmp_path, text))
    assert "-4 (a)" in str(error.value)
    assert "'many' (row 2)" in str(error.value)


def test_other_encodings_are_named(tmp_path):
    text = "area_id,region,crimes,population\nCañón,r,5,100\n"
    with pytest.raises(AreaError, match="not UTF-8: byte 0xf1 in line 2; it looks like Latin-1"):
        read(tmp_path, areas(tmp_path, ["a"]), csv(tmp_path, text, "latin-1"))


def test_missing_columns_are_all_named_with_the_nearest(tmp_path):
    text = "area_id,region,crime,pop\na,r,5,100\n"
    with pytest.raises(AreaError) as error:
        read(tmp_path, areas(tmp_path, ["a"]), csv(tmp_path, text))
    assert "did you mean 'crime'" in str(error.value)
    assert "crime.population" in str(error.value)


def test_double_and_missing_area_ids_are_refused_together(tmp_path):
    tables = csv(tmp_path, "area_id,region,crimes,population\na,r,5,100\n")
    with pytest.raises(AreaError, match=r"(?s)no id.*occur twice: a"):
        read(tmp_path, areas(tmp_path, ["a", "a", ""]), tables)


def test_points_are_no_areas(tmp_path):
    gpd.GeoDataFrame({"area_id": ["a"]}, geometry=[Point(0, 0)], crs=4326).to_file(
        tmp_path / "areas.gpkg"
    )
    tables = csv(tmp_path, "area_id,region,crimes,population\na,r,5,100\n")
    with pytest.raises(AreaError, match="areas must be polygons"):
        read(tmp_path, tmp_path / "areas.gpkg", tables)


def test_areas_of_another_crs_come_back_in_lon_lat(tmp_path):
    tables = csv(tmp_path, "area_id,region,crimes,population\na,r,5,100\n")
    path = areas(tmp_path, ["a"])
    gpd.read_file(path).to_crs(32616).to_file(tmp_path / "utm.gpkg")
    table, _ = read(tmp_path, tmp_path / "utm.gpkg", tables)
    assert table.crs.to_epsg() == 4326
    assert table["centre_x"][0] == pytest.approx(-89.95, abs=1e-4)


def test_changed_units_of_connecticut_are_explained(tmp_path):
    text = "area_id,region,crimes,population\n09110,r,5,100\n01001,r,5,100\n"
    _, report = read(tmp_path, areas(tmp_path, ["09001", "01001"]), csv(tmp_path, text), fips=True)
    assert any("Connecticut" in note for note in report["notes"])


def test_columbus_has_no_crs_and_is_read_as_one_region(tmp_path, real_data):
    shapes = real_data / "crime/columbus/columbus.shp"
    frame = gpd.read_file(shapes).drop(columns="geometry")
    frame.to_csv(tmp_path / "crime.csv", index=False)
    table, report = read(
        tmp_path,
        shapes,
        [tmp_path / "crime.csv"],
        area_id="POLYID",
        rate="CRIME",
        count=None,
        population=None,
    )
    assert len(table) == 49
    assert report["crs"] is None
    assert any("no CRS" in note for note in report["notes"])
    assert table["region"].unique().tolist() == ["all"]


@pytest.fixture
def county(tmp_path, real_data):
    scenes = [
        Scene(
            name,
            tuple(sorted((real_data / "seed-tiles" / name).glob("*.tif"))[:2]),
            frozenset({"study"}),
            area=area,
        )
        for name, area in (("0", "28101"), ("1", "05035"))
    ]
    tables = sorted((real_data / "crime/us_county/crime").glob("*.parquet"))

    def run(**settings):
        names = (real_data / "crime/us_county/county_meta").glob("*.parquet")
        return read(
            tmp_path,
            None,
            tables,
            scenes,
            area_id="fips",
            fips=True,
            region="state",
            rate="crime_rate_per_100000",
            count=None,
            coverage="COVIND",
            names=names,
            covered_population="CPOPCRIM",
            **settings,
        )

    return run


def test_county_table_is_repaired_and_its_gaps_are_reported(county):
    table, report = county()
    reasons = {entry["reason"]: entry for entry in report["dropped"]}
    assert reasons["no area id"]["ids"] == ["-1"]
    assert report["repaired"][0]["count"] > 1000
    assert report["missing"][0]["area_id"] == "05035"
    assert report["missing"][0]["name"] == "Crittenden County, Arkansas"
    assert "53005" in report["missing"][0]["why"]
    assert report["flagged"][0]["areas"][0]["area_id"] == "28101"
    assert not table["reported"].any()


def test_running_number_of_the_county_table_finds_the_missing_county(county):
    table, report = county(id_order="IDNO")
    row = table.set_index("area_id").loc["05035"]
    assert row["population"] == 49746
    assert report["missing"] == []
    assert pd.isna(table.set_index("area_id").loc["28101", "rate_shrunk"])
    # Its index of coverage says 100, but the agencies that reported serve 3,346 of 21,689 people.
    flagged = {entry["reason"]: entry["areas"] for entry in report["flagged"]}
    assert "no row in the crime table: 55141 (Wood County, Wisconsin)" in report["notes"]
    uncovered = flagged["reporting coverage below 50 %"]
    assert uncovered == [{"area_id": "28101", "name": "Newton County, Mississippi"}]
    assert row["reported"]


COVERED = """\
area_id,region,crimes,population,index,covered
1,r,5,1000,100,1000
2,r,5,1000,100,499
3,r,5,1000,40,1000
4,r,5,1000,100,
5,r,5,1000,,900
"""


def test_of_two_accounts_of_coverage_the_smaller_counts(tmp_path):
    table, report = read(
        tmp_path,
        areas(tmp_path, list("12345")),
        csv(tmp_path, COVERED),
        coverage="index",
        covered_population="covered",
    )
    assert table["reported"].tolist() == [True, False, False, True, True]
    assert report["flagged"][0]["reason"] == "reporting coverage below 50 %"


def test_covered_population_needs_the_population_it_is_a_share_of(tmp_path):
    with pytest.raises(AreaError, match=r"(?s)no column 'coverd'.*did you mean 'covered'"):
        read(
            tmp_path,
            areas(tmp_path, list("12345")),
            csv(tmp_path, COVERED),
            covered_population="coverd",
        )
    with pytest.raises(AreaError, match=r"without crime\.population"):
        read(
            tmp_path,
            areas(tmp_path, list("12345")),
            csv(tmp_path, COVERED),
            rate="crimes",
            population=None,
            covered_population="covered",
        )


LONG = """\
area_id,region,year,offence,crimes,population
a,r,2020,theft,4,1000
a,r,2020,arson,1,1000
a,r,2021,theft,8,1200
a,r,2021,arson,1,1200
b,r,2020,theft,2,500
b,r,2020,arson,0,500
b,r,2021,theft,4,500
b,r,2021,arson,2,500
c,r,2020,theft,9,900
c,r,2021,theft,9,900
"""


def test_offences_add_up_and_years_are_averaged(tmp_path):
    ground = areas(tmp_path, list("abc"))
    table, report = read(tmp_path, ground, csv(tmp_path, LONG), offence="offence", year="year")
    assert table["count"].tolist()[:2] == [pytest.approx(7), pytest.approx(4)]
    assert table["population"].tolist()[:2] == [1100, 500]
    assert not table["reported"][2]
    assert report["dropped"][0]["ids"] == ["c", "c"]
    assert "missing is not 0" in report["dropped"][0]["reason"]
    assert any("mean of 2 and the sum of 2 offences" in note for note in report["notes"])


def test_chosen_offence_and_year_leave_the_others_out_by_the_row(tmp_path):
    ground = areas(tmp_path, list("abc"))
    chosen = {"offence": "offence", "offences": ["theft"], "year": "year", "years": [2021]}
    table, report = read(tmp_path, ground, csv(tmp_path, LONG), **chosen)
    assert table["count"].tolist() == pytest.approx([8, 4, 9])
    reasons = {entry["reason"]: entry["count"] for entry in report["dropped"]}
    assert reasons == {"another offence than theft": 4, "another year than 2021": 3}


def test_offences_that_the_table_lacks_are_named_with_those_it_has(tmp_path):
    ground, chosen = areas(tmp_path, list("abc")), {"offence": "offence", "year": "year"}
    with pytest.raises(AreaError, match=r"(?s)no offence murder.*arson, theft.*no year 1999"):
        read(tmp_path, ground, csv(tmp_path, LONG), offences=["murder"], years=[1999], **chosen)
    with pytest.raises(AreaError, match=r"crime\.years: without crime\.year"):
        read(tmp_path, ground, csv(tmp_path, LONG), offence="offence", years=[2020])
    with pytest.raises(AreaError, match=r"name the columns with offence and year"):
        read(tmp_path, ground, csv(tmp_path, LONG))


def test_offences_in_columns_are_added_up_and_unknown_stays_unknown(tmp_path):
    text = "area_id,region,theft,arson,population\na,r,5,1,100\nb,r,5,,100\n"
    ground = areas(tmp_path, ["a", "b"])
    table, report = read(tmp_path, ground, csv(tmp_path, text), count=["theft", "arson"])
    assert table["rate"][0] == pytest.approx(6000)
    assert table["reported"].tolist() == [True, False]
    assert report["flagged"][0]["areas"][0]["area_id"] == "b"
    with pytest.raises(AreaError, match="did you mean 'theft'"):
        read(tmp_path, ground, csv(tmp_path, text), count=["thefts", "arson"])


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp"])
def test_areas_of_every_format_are_the_same(tmp_path, suffix):
    text = "area_id,region,crimes,population\na,r,5,100\nb,r,7,100\n"
    path = tmp_path / f"other.{suffix}"
    gpd.read_file(areas(tmp_path, ["a", "b"])).to_file(path)
    table, report = read(tmp_path, path, csv(tmp_path, text))
    assert table["rate"].tolist() == pytest.approx([5000, 7000])
    assert table["centre_x"].tolist() == pytest.approx([-89.95, -88.95], abs=1e-4)
    assert report["crs"] == "EPSG:4326"


def test_table_in_parquet_is_read_like_a_csv(tmp_path):
    frame = pd.DataFrame(
        {"area_id": ["01001"], "region": ["r"], "crimes": [5], "population": [100]}
    )
    frame.to_parquet(tmp_path / "crime.parquet")
    table, _ = read(tmp_path, areas(tmp_path, ["01001"]), [tmp_path / "crime.parquet"])
    assert table["rate"].tolist() == [5000]

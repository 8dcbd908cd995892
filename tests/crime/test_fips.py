"""FIPS codes that lost their zeros."""

import pandas as pd
import pytest

from urbanssl.crime.fips import is_county, repair_codes, taken_apart


def test_lost_leading_zero_is_put_back():
    assert repair_codes(["5035", "28101", "01001"]).codes == ["05035", "28101", "01001"]


def test_code_that_lost_zeros_inside_is_taken_apart():
    repaired = repair_codes(["17189", "1789", "11001", "13"])
    assert repaired.zeros_inside
    assert repaired.codes == ["17189", "17089", "11001", "01003"]


def test_code_of_two_possible_counties_is_not_guessed():
    repaired = repair_codes(["535", "11"])
    assert repaired.codes == [None, "01001"]
    assert repaired.ambiguous == {0: ["05035", "53005"]}


def test_order_of_the_source_tells_two_possible_counties_apart():
    texts = ["537", "535", "53", "28101", "537", "535", "5311", "11"]
    order = [131.0, 130.0, 120.0, 1465.0, 2990.0, 2989.0, 3000.0, 1.0]
    codes = repair_codes(texts, order).codes
    assert codes[:2] == ["05037", "05035"]
    assert codes[4:6] == ["53007", "53005"]


def test_numbers_that_are_no_county_are_named():
    assert repair_codes(["03001", "99999", "-1"]).impossible == [0, 1, 2]


def test_connecticut_has_counties_and_planning_regions():
    assert is_county("09001")
    assert is_county("09190")


def test_every_county_of_the_census_is_one(real_data):
    files = sorted((real_data / "crime/us_county/county_meta").glob("*.parquet"))
    if not files:
        pytest.skip("no county names in the real data")
    codes = pd.concat([pd.read_parquet(f) for f in files])["fips"].astype(int)
    assert [c for c in codes if not is_county(f"{c:05d}")] == []


def test_codes_of_all_counties_survive_being_read_as_numbers(real_data):
    files = sorted((real_data / "crime/us_county/county_meta").glob("*.parquet"))
    codes = pd.concat([pd.read_parquet(f) for f in files])["fips"].astype(int)
    assert repair_codes([str(c) for c in codes]).codes == [f"{c:05d}" for c in codes]


def test_taken_apart_gives_both_readings():
    assert taken_apart("111") == ["01011", "11001"]

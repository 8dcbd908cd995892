"""The table of scores by size of the objects."""

from urbanssl.report.detect_section import by_size
from urbanssl.report.gather import Run


def run(metres):
    stats = {"AP": 0.3, "APs": 0.125, "APm": 0.25, "APl": None}
    score = {"tiles": {"stats": stats}, "metres": {"stats": metres}}
    score["metres"] |= {"small_below": 8.0, "large_from": 32.0}
    return {"detr": Run("detr_f100_s0", "detr", 100.0, 0, score)}


def test_sizes_are_in_pixels_on_tiles_and_in_metres_on_scenes():
    (table,) = by_size(run({"APs": None, "APm": 0.5, "APl": 0.75}))
    assert table.rows == [["detr", "0.12", "0.25", "–", "–", "0.50", "0.75"]]
    assert "below 8 m" in table.caption
    assert "from 32 m" in table.caption


def test_scenes_without_a_scale_have_dashes():
    (table,) = by_size(run(None))
    assert table.rows[0][-3:] == ["–"] * 3

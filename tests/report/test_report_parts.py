from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from urbanssl.report.crime_maps import rate_straddles_median
from urbanssl.report.drawing import Album, drawing
from urbanssl.report.pictures import iou, match
from urbanssl.report.verdict import further_reasons, in_words
from urbanssl.report.wording import duration, number, signed, with_interval


def test_iou_of_half_overlapping_boxes_is_one_third():
    found = iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]]))
    np.testing.assert_allclose(found, [[1 / 3, 0]])


def test_each_label_is_found_once_by_the_best_scored_box_of_its_class():
    truth = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])
    found, correct = match(truth, ["ship", "plane"], boxes, ["ship", "ship", "ship"])
    assert found.tolist() == [True, False]
    assert correct.tolist() == [True, False, False]


def test_small_counts_leave_open_whether_a_rate_is_high():
    areas = pd.DataFrame({"count": [2, 1000, 10], "population": [1000, 100_000, 100_000]})
    areas["rate"] = 1e5 * areas["count"] / areas["population"]
    # Median rate 200: two of a thousand may be 24 to 722, Garwood's interval of 2 is .24 to 7.22.
    assert rate_straddles_median(areas.assign(rate=[200.0, 1000.0, 10.0])).tolist() == [
        True,
        False,
        False,
    ]


def test_scores_are_taken_out_of_the_verdict_in_words():
    told = "mae: not better than guessing (AUC 0.51, 95 % interval 0.40 to 0.60)."
    assert in_words(told) == "mae: not better than guessing."


def test_a_reason_that_the_sentence_gives_already_is_not_listed_again():
    reasons = ["Only 3 areas are usable.", "The usable areas lie in 1 region."]
    headline = "No statement can be made: only 3 areas are usable."
    crime = {"verdict": {"headline": headline, "reasons": reasons}}
    assert further_reasons(SimpleNamespace(crime=crime)) == reasons[1:]
    assert further_reasons(SimpleNamespace(crime=None)) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (number(-0.0001, 2), "0.00"),
        (number(-0.25, 2), "−0.25"),
        (number(None), "–"),
        (with_interval(0.5, [0.4, 0.6], 2), "0.50 (0.40 to 0.60)"),
        (with_interval(0.5, None, 2), "0.50"),
        (signed(0.5, None, 2), "+0.50"),
        (duration(59.6), "1 min 0 s"),
        (duration(7325), "2 h 2 min"),
    ],
)
def test_numbers_are_worded_alike(told, expected):
    assert told == expected


def test_drawing_is_the_same_every_time_and_follows_the_theme(tmp_path):
    images = []
    for turn in range(2):
        with drawing(2, 2) as canvas:
            canvas.add_subplot().plot([0, 1], [1, 0])
        figure = Album(tmp_path / str(turn)).plot("line", canvas, "A falling line", "caption")
        images.append(str(figure.image))
    assert images[0] == images[1]
    assert 'aria-label="A falling line"' in images[0]
    assert "var(--blue,#0072b2)" in images[0]
    assert "var(--sans)" in images[0]

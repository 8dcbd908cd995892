import math

import numpy as np
import pytest

from urbanssl.artifacts import write_json
from urbanssl.report.comparison import differences, summarise
from urbanssl.report.detect_figures import against_random
from urbanssl.report.gather import Results
from urbanssl.report.headline import headline
from urbanssl.report.verdict import detection_words

#: What resamples of blocks do to all runs alike, and what they do to a run of its own.
SHARED = np.random.default_rng(0).normal(0, 0.2, 401)
OWN = np.linspace(-2, 2, 401)


@pytest.fixture
def scored(settings):
    """Write scores `{run: (AP, half-width of its interval)}` and return the results.

    The resamples of all runs go up and down together but for their half-width.
    """

    def write(**runs):
        for name, (value, half) in runs.items():
            interval = None if half is None else [value - half, value + half]
            drawn = [] if half is None else (value + SHARED + half * OWN / 1.9).tolist()
            on = {
                "stats": {"AP": value, "AP50": value},
                "intervals": {"AP": interval},
                "draws": {"AP": drawn, "AP50": drawn},
            }
            path = settings.root / "score" / f"{name.replace('__', '-')}.json"
            write_json(path, {"tiles": on, "scenes": on})
        return Results(settings.root, settings)

    return write


def test_one_seed_keeps_the_interval_of_the_score_file(scored):
    (found,) = summarise(scored(detr__random_f100_s0=(0.3, 0.05)).scored, "AP")
    assert found.value == pytest.approx(0.3)
    assert found.interval == pytest.approx((0.25, 0.35))


def test_seeds_widen_the_interval_by_students_t(scored):
    runs = {f"detr__random_f100_s{n}": (v, 0.05) for n, v in enumerate((0.28, 0.30, 0.32))}
    (found,) = summarise(scored(**runs).scored, "AP")
    # t(.975, 2) = 4.3027; standard error .02 / sqrt(3)
    half = math.hypot(0.05, 4.3027 * 0.02 / math.sqrt(3))
    assert found.seeds == 3
    assert found.interval == pytest.approx((0.30 - half, 0.30 + half), abs=1e-5)


def test_intervals_over_seeds_end_at_0_and_1(scored):
    runs = {f"detr__random_f100_s{n}": (v, 0.02) for n, v in enumerate((0.80, 0.90, 1.00))}
    (high,) = summarise(scored(**runs).scored, "AP")
    runs = {f"detr__random_f10_s{n}": (v, 0.02) for n, v in enumerate((0.00, 0.10, 0.20))}
    low = next(s for s in summarise(scored(**runs).scored, "AP") if s.fraction == 10)
    assert (high.interval[1], low.interval[0]) == (1, 0)


def test_start_is_compared_with_the_same_network_from_random_weights(scored):
    results = scored(
        detr__random_f100_s0=(0.20, 0.03),
        detr__detreg_f100_s0=(0.26, 0.04),
        vitdet__random_f100_s0=(0.10, 0.03),
    )
    (found,) = differences(results, "AP")
    assert (found.arm, found.baseline) == ("detr-detreg", "detr-random")
    assert found.value == pytest.approx(0.06)
    # What both share is gone; of .04 - .03 = .01 the middle 95 % are left.
    assert found.interval == pytest.approx((0.05, 0.07), abs=1e-9)
    assert found.finding == "better"


def test_every_random_start_of_the_same_network_is_compared_with(scored):
    runs = {"detr__random_f100_s0": (0.20, 0.03), "detr__detreg_f100_s0": (0.26, 0.04)}
    results = scored(**runs, detr__long_f100_s0=(0.30, 0.03))
    arms = results.settings.detect.arms
    arms["detr-long"] = arms["detr-random"].model_copy(
        update={"steps": results.settings.detect.steps + 100}
    )
    short, long = differences(results, "AP")
    assert (short.baseline, short.longer, short.finding) == ("detr-random", False, "better")
    assert (long.baseline, long.longer, long.finding) == ("detr-long", True, "worse")
    words = detection_words(results)
    assert "better than detr-random, which was not trained longer in place" in words
    assert "it did worse than detr-long (trained for more steps)." in words
    labels = [
        tick.get_text() for tick in against_random([short, long], "").axes[0].get_yticklabels()
    ]
    assert sorted(labels) == ["detr-detreg − detr-long", "detr-detreg − detr-random"]


def test_seeds_widen_the_paired_difference_too(scored):
    runs = {f"detr__random_f100_s{n}": (0.2, 0.03) for n in range(3)}
    runs |= {f"detr__detreg_f100_s{n}": (0.26 + d, 0.04) for n, d in enumerate((-0.02, 0, 0.02))}
    (found,) = differences(scored(**runs), "AP")
    half = math.hypot(0.01, 4.3027 * 0.02 / math.sqrt(3))
    assert found.interval == pytest.approx((0.06 - half, 0.06 + half), abs=1e-5)


def test_runs_with_other_numbers_of_resamples_are_not_paired(scored):
    results = scored(detr__random_f100_s0=(0.20, 0.03), detr__detreg_f100_s0=(0.26, 0.04))
    results.scored[0].score["tiles"]["draws"]["AP"].pop()
    assert differences(results, "AP")[0].interval is None


def test_interval_that_includes_zero_leaves_it_open(scored):
    results = scored(vitdet__random_f10_s0=(0.20, 0.05), vitdet__mae_f10_s0=(0.21, 0.08))
    assert differences(results, "AP")[0].finding == "open"


def test_no_interval_means_no_finding(scored):
    results = scored(vitdet__random_f10_s0=(0.20, None), vitdet__mae_f10_s0=(0.50, None))
    assert differences(results, "AP")[0].finding == "open"


def test_headline_tells_the_three_numbers_and_the_report(settings, made_up):
    root = made_up("score", "crime")
    text = "\n".join(headline(root, settings))
    assert "detr-detreg" in text
    assert "0.225 (0.195 to 0.255)" in text
    assert "crime AUC (objects, whole regions held out): 0.740 (0.680 to 0.800)" in text
    assert "leakage gap (random folds minus whole regions): +0.160 (0.080 to 0.220)" in text
    assert str(root / "report" / "index.html") in text


def test_headline_of_a_refused_study_gives_the_reason_and_no_number(settings, made_up):
    text = "\n".join(headline(made_up("refused"), settings))
    assert "Two areas cannot tell" in text
    assert "AUC" not in text

import time

import numpy as np
import pytest

from urbanssl.settings import CitySettings
from urbanssl.synthetic import crime
from urbanssl.synthetic.layout import regions
from urbanssl.synthetic.scene import build_region

LARGE = CitySettings(regions=40, labelled_regions=1)
NULL = CitySettings(regions=40, labelled_regions=1, signal=0.0, confounding=0.8)


def within(values):
    """Take the mean of every region away."""
    return (values - values.mean(axis=1, keepdims=True)).ravel()


def test_latent_is_standardised_within_and_smooth_in_space():
    latent = crime.draw_hidden(LARGE, 0).latent
    assert latent.mean(axis=1) == pytest.approx(0, abs=1e-12)
    assert latent.std(axis=1) == pytest.approx(1)
    maps = latent.reshape(40, 6, 6)
    neighbours = np.corrcoef(maps[:, :, 1:].ravel(), maps[:, :, :-1].ravel())[0, 1]
    assert 0.1 < neighbours < 0.9


def test_regions_of_a_larger_city_keep_their_latent():
    small = crime.draw_hidden(CitySettings(regions=3, labelled_regions=1), 0)
    large = crime.draw_hidden(CitySettings(regions=5, labelled_regions=1), 0)
    assert np.array_equal(small.latent, large.latent[:3])


def test_log_rate_follows_signal_confounding_and_noise():
    hidden = crime.draw_hidden(LARGE, 1)
    drawn = crime.redraw_crime(hidden, LARGE, 1)
    design = np.column_stack(
        [np.ones(40 * 36), hidden.latent.ravel(), np.repeat(hidden.effect, 36)]
    )
    log_rate = np.log(drawn.rate).ravel()
    weights, *_ = np.linalg.lstsq(design, log_rate, rcond=None)
    assert weights == pytest.approx([np.log(crime.BASE_RATE), 1.0, 0.5], abs=0.05)
    assert (log_rate - design @ weights).std() == pytest.approx(0.5, abs=0.03)


def test_counts_are_poisson_around_rate_times_population():
    hidden = crime.draw_hidden(LARGE, 2)
    drawn = crime.redraw_crime(hidden, LARGE, 2)
    expected = drawn.rate * drawn.population / 1e5
    squares = ((drawn.crimes - expected) ** 2 / expected).mean()
    assert squares == pytest.approx(1, abs=0.15)
    assert drawn.population.min() >= 200


def test_null_city_has_no_link_between_what_is_built_and_rate_given_region():
    links = []
    for seed in range(20):
        hidden = crime.draw_hidden(NULL, seed)
        drawn = crime.redraw_crime(hidden, NULL, seed)
        links.append(np.corrcoef(within(hidden.build), within(np.log(drawn.rate)))[0, 1])
    # 20 correlations over 1,440 areas each: standard error of their mean is 0.006.
    assert abs(np.mean(links)) < 0.02


def test_confounding_links_what_is_built_to_the_rate_between_regions_only():
    hidden = crime.draw_hidden(NULL, 3)
    drawn = crime.redraw_crime(hidden, NULL, 3)
    between = np.corrcoef(hidden.build.mean(axis=1), np.log(drawn.rate).mean(axis=1))[0, 1]
    assert between > 0.9


@pytest.fixture(scope="module")
def built():
    """Hidden state and tallies of four regions."""
    city = CitySettings(regions=5, labelled_regions=1)
    hidden = crime.draw_hidden(city, 0)
    return hidden.build[1:].ravel(), [
        tally
        for region in regions(city)[1:]
        for tally in build_region(region, city, 0, hidden.build[region.number]).tallies
    ]


def test_what_is_built_tells_the_hidden_state_as_well_as_stated(built):
    from urbanssl.synthetic.latent import expected_build

    build, tallies = built
    mean, spread = np.array([expected_build(tally, np.hypot(1, 0.5)) for tally in tallies]).T
    assert np.corrcoef(mean, build)[0, 1] > 0.85
    assert ((build - mean) / spread).std() == pytest.approx(1, abs=0.2)


def test_cars_grow_and_trees_and_pools_shrink_with_the_hidden_state(built):
    build, tallies = built
    for driver, sign in (("kerb", 1), ("parked", 1), ("tree", -1), ("pool", -1)):
        shares = np.array(
            [
                (tally.built[driver] / tally.trials[driver], state)
                for tally, state in zip(tallies, build, strict=True)
                if tally.trials[driver] > 5
            ]
        )
        assert sign * np.corrcoef(shares.T)[0, 1] > 0.4, driver


def test_attainable_score_is_chance_in_a_null_city_without_confounding():
    city = CitySettings(signal=0.0, confounding=0.0)
    hidden = crime.draw_hidden(city, 0)
    scores = crime.attainable(hidden, hidden.build, city, slice(2, None), 0)
    assert scores["leave_region_out"]["auc"] == pytest.approx(0.5, abs=0.03)
    assert scores["leave_region_out"]["r2"] <= 0.01


def test_attainable_r2_is_the_share_of_variance_that_is_not_noise():
    city = CitySettings(regions=40, labelled_regions=1, signal=1.0, confounding=0.0, noise=1.0)
    hidden = crime.draw_hidden(city, 0)
    scores = crime.attainable(hidden, hidden.build, city, slice(1, None), 0)
    # Variance 1 of signal and 1 of noise; counting about 100 crimes adds a little.
    assert scores["latent"]["r2"] == pytest.approx(0.49, abs=0.03)
    assert scores["leave_region_out"]["auc"] == pytest.approx(scores["latent"]["auc"], abs=1e-9)


def test_attainable_score_grows_with_what_the_model_is_told():
    city = CitySettings(signal=0.4, confounding=1.0)
    hidden = crime.draw_hidden(city, 0)
    noisy = hidden.build + np.random.default_rng(0).normal(0, 0.3, hidden.build.shape)
    scores = crime.attainable(hidden, noisy, city, slice(2, None), 0)
    assert scores["leave_region_out"]["r2"] < scores["random"]["r2"] < scores["latent"]["r2"]


def test_table_is_redrawn_from_the_truth_without_imagery(truth, small):
    first = crime.redrawn_table(truth, small, 7)
    assert first["crimes"] == [truth["areas"][area]["crimes"] for area in first["area_id"]]
    null = small.model_copy(update={"signal": 0.0})
    start = time.perf_counter()
    tables = [crime.redrawn_table(truth, null, seed) for seed in range(200)]
    assert time.perf_counter() - start < 10
    assert len({tuple(table["crimes"]) for table in tables}) == 200

import pytest

from urbanssl.engine.facts import TrainingFacts
from urbanssl.ssl.crops import CropKind
from urbanssl.ssl.refuse import mae_problems, swav_problems

FACTS = TrainingFacts(steps=2760, batch=16, world=1, tiles=2944, tile_size=256)
GOOD = {
    "kinds": [CropKind(2, 224, (0.14, 1.0)), CropKind(6, 96, (0.05, 0.14))],
    "prototypes": 300,
    "queue": 320,
    "queue_from": 200,
    "frozen": 100,
}


def test_settings_that_work_are_let_through():
    assert swav_problems(FACTS, **GOOD) == []
    assert mae_problems(FACTS, 224, 16, 0.75) == []


@pytest.mark.parametrize(
    ("change", "key"),
    [
        # What the predecessor ran: prototypes frozen for 5005 of 2760 steps, queue never started.
        ({"frozen": 5005}, "freeze"),
        ({"queue_from": 2760}, "queue_start"),
        ({"queue": 330}, "queue"),
        ({"queue": 3840, "queue_from": 2600}, "queue"),
        ({"prototypes": 3000}, "prototypes"),
        ({"kinds": [CropKind(2, 320, (0.14, 1.0))]}, "crops[0]"),
        ({"kinds": [CropKind(1, 224, (0.14, 1.0))]}, "crops"),
        ({"kinds": [CropKind(2, 224, (0.5, 0.2))]}, "crops[0]"),
    ],
)
def test_settings_that_cannot_work_are_refused(change, key):
    found = swav_problems(FACTS, **{**GOOD, **change})
    assert [problem.where for problem in found] == [f"recipe key `model.{key}`"]


def test_all_problems_are_found_at_once():
    assert len(swav_problems(FACTS, **{**GOOD, "frozen": 5005, "prototypes": 3000})) == 2


def test_masking_nothing_or_everything_is_refused():
    assert mae_problems(FACTS, 224, 16, 0.0)
    assert mae_problems(FACTS, 224, 16, 0.999)
    assert mae_problems(FACTS, 512, 16, 0.75)

"""A rule's job: how often a training saves is taken from the settings, though no parameter."""

from urbanssl.engine.job import _saving


def test_how_often_a_training_saves_comes_from_its_section():
    config = {
        "pretrain": {"swav": {"checkpoint_every": "7"}, "mae": None},
        "detect": {"checkpoint_every": 9},
    }
    assert _saving(config, "swav") == {"checkpoint_every": 7}
    assert _saving(config, "mae") == {}
    assert _saving(config, "detector") == {"checkpoint_every": 9}
    assert _saving({}, "detreg") == {}

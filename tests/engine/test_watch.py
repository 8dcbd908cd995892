from types import SimpleNamespace

import pytest

from urbanssl.engine.log import Curve
from urbanssl.engine.watch import StopAtCollapse, StopAtStall, check_finite
from urbanssl.errors import TrainingError

LN_K = 5.0


def watched(hook, steps, value_at, every=1):
    """Run a training of which only the curve is real; return the step it was stopped at."""
    curve = Curve(every)
    runner = SimpleNamespace(train_loop=SimpleNamespace(curve=curve), max_iters=steps)
    for step in range(steps):
        runner.iter = step
        value = value_at(step)
        curve.add(step, {"loss": value, "ln_k": LN_K, "feature_std": value}, lr=0.1)
        try:
            hook.after_train_iter(runner, step)
        except TrainingError as error:
            return step + 1, str(error)
    return None, ""


def stall(**how):
    return StopAtStall(remedy="raise `lr`", **how)


def collapse(**how):
    return StopAtCollapse(key="feature_std", floor=0.01, remedy="lower `lr`", **how)


def sitting(step):
    return LN_K


def collapsed(step):
    return 0.0


@pytest.mark.parametrize("every", [1, 4])
def test_loss_that_never_leaves_the_value_of_no_learning_stops_the_training(every):
    stopped, message = watched(stall(), 400, sitting, every)
    assert stopped == 200, "a window of a quarter, after as many steps"
    assert "5.000 is what no learning gives" in message
    assert "raise `lr`" in message


def test_loss_that_falls_goes_on():
    assert watched(stall(), 400, lambda step: LN_K - 0.001 * step) == (None, "")


def test_loss_that_rises_back_is_stopped():
    stopped, _ = watched(stall(), 400, lambda step: LN_K - 0.5 * (step < 250))
    assert 300 < stopped <= 350


def test_warning_is_said_once_and_lets_the_training_go_on(capsys):
    assert watched(stall(stop=False), 400, sitting) == (None, "")
    said = capsys.readouterr().out
    assert said.count("WARNING") == 1
    assert "raise `lr`" in said


def test_features_that_stay_alike_stop_the_training():
    stopped, message = watched(collapse(), 1000, lambda step: 0.0 if step >= 300 else 1.0)
    assert stopped == 400, "patience is a tenth of the training"
    assert "`feature_std` stays at 0, below 0.01: collapsed" in message
    assert "lower `lr`" in message


def test_a_dip_shorter_than_the_patience_is_no_collapse():
    assert watched(collapse(), 1000, lambda step: 0.0 if 300 <= step < 390 else 1.0) == (None, "")


@pytest.mark.parametrize("hook", [stall(window=0.01), collapse(patience=0.01)])
@pytest.mark.parametrize("steps", [1, 10, 49])
def test_a_run_of_few_steps_is_never_stopped(hook, steps):
    value_at = sitting if isinstance(hook, StopAtStall) else collapsed
    assert watched(hook, steps, value_at) == (None, "")


def test_a_value_that_is_no_number_names_step_value_and_remedy():
    with pytest.raises(TrainingError, match=r"(?s)step 7.*'loss': nan.*lower `lr`"):
        check_finite({"step": 7, "lr": 0.1, "loss": float("nan")})

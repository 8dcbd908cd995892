from types import SimpleNamespace

import pytest

from urbanssl.engine.log import Curve
from urbanssl.engine.trouble import Troubles
from urbanssl.engine.watch import StopAtCollapse, StopAtStall, not_finite
from urbanssl.errors import TrainingError
from urbanssl.ssl.swav_model import SwAV

LN_K = 5.0


def watched(hook, steps, value_at, every=1, answer="stop", model=None):
    """Run a training of which only the curve is real; return the step it was stopped at."""
    curve = Curve(every)
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
    runner = SimpleNamespace(
        train_loop=SimpleNamespace(curve=curve, troubles=Troubles(answer)),
        max_iters=steps,
        model=model,
        optim_wrapper=optimizer,
        param_schedulers=[SimpleNamespace(base_values=[0.1])],
    )
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


def test_flat_codes_are_a_collapse():
    hook = StopAtCollapse("feature_std", "lower `epsilon`", ceiling=0.98, share_of="ln_k")
    stopped, message = watched(hook, 1000, lambda step: 0.99 * LN_K)
    assert stopped == 100
    assert "`feature_std / ln_k` stays at 0.99, above 0.98" in message
    assert watched(hook, 1000, lambda step: 0.9 * LN_K) == (None, "")


@pytest.mark.parametrize("hook", [stall(), collapse()])
def test_a_setting_turns_the_stop_into_a_warning(hook, capsys):
    value_at = sitting if isinstance(hook, StopAtStall) else collapsed
    assert watched(hook, 400, value_at, answer="warn") == (None, "")
    assert capsys.readouterr().out.count("WARNING") == 1


def test_adapting_halves_the_learning_rate_and_gives_up_after_five_times(capsys):
    stopped, _ = watched(collapse(), 1000, collapsed, answer="adapt")
    assert stopped == 600, "each change is given a tenth of the training before the next"
    assert capsys.readouterr().out.count("now lr x 0.5") == 5


def test_a_network_that_knows_better_is_adapted_its_own_way(capsys):
    swav = SwAV("resnet18", [{"count": 2, "size": 32, "scale": (0.2, 1.0)}], 8, (16, 8))
    watched(stall(), 400, sitting, answer="adapt", model=swav)
    assert "epsilon 0.05 -> 0.035" in capsys.readouterr().out
    assert swav.epsilon == pytest.approx(0.0245), "twice, at 200 and at 400"
    swav.adapt([])
    assert swav.epsilon == 0.05, "what is read back from a checkpoint is not added up"


def test_a_value_that_is_no_number_is_named_with_a_remedy():
    trouble = not_finite({"step": 7, "lr": 0.1, "loss": float("nan")})
    assert "'loss': nan" in trouble.what
    assert "lower `lr`" in trouble.remedy
    assert not_finite({"step": 7, "loss": 1.0}) is None

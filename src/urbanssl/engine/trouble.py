"""What is done about a training in trouble: it stops, it goes on with a warning, or it adapts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mmengine.model import is_model_wrapper

from urbanssl.engine.log import say
from urbanssl.errors import TrainingError

Kind = Literal["not_finite", "stall", "collapse"]
Answer = Literal["stop", "warn", "adapt"]

#: A training that needs more changes than this needs a person.
_MOST_CHANGES = 5
_SLOWER = 0.5


@dataclass(frozen=True)
class Trouble:
    """A training in trouble.

    Attributes:
        kind: what sort of trouble.
        what: what was measured.
        remedy: what the user can change.
    """

    kind: Kind
    what: str
    remedy: str


class Troubles:
    """Meets the troubles of one training and remembers the changes made for them.

    A change is what the network's `adapt(kinds)` makes of all troubles so far (SwAV sharpens its
    codes), or else half the learning rate.

    Attributes:
        answer: what is done about a trouble.
        changes: `{"step", "kind", "change"}` of every adaptation; part of a checkpoint.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.changes: list[dict[str, Any]] = []
        self._warned: set[str] = set()

    @property
    def last_change(self) -> int:
        """The step of the last adaptation: what came before it is not judged again."""
        return int(self.changes[-1]["step"]) if self.changes else 0

    def meet(self, runner: Any, trouble: Trouble, only_warn: bool = False) -> None:
        """Stop, warn or adapt.

        Args:
            runner: the training.
            trouble: what it met.
            only_warn: warn whatever the setting.

        Raises:
            TrainingError: the answer is to stop, or nothing is left to change.
        """
        step = runner.iter + 1
        line = f"step {step}: {trouble.what}"
        if only_warn or (self.answer == "warn" and trouble.kind != "not_finite"):
            if trouble.remedy not in self._warned:
                say(f"WARNING {line}; {trouble.remedy}")
            self._warned.add(trouble.remedy)
            return
        if self.answer == "adapt" and len(self.changes) < _MOST_CHANGES:
            self.changes.append({"step": step, "kind": trouble.kind, "change": ""})
            if change := self._change(runner, trouble.kind):
                self.changes[-1]["change"] = change
                say(f"ADAPTED {line}; now {change}")
                return
        raise TrainingError.at(f"step {step}", trouble.what, trouble.remedy)

    def take_back(self, runner: Any, changes: list[dict[str, Any]]) -> None:
        """Put a network read from a checkpoint into the state that its changes left it in.

        Changes made since that checkpoint stay: going back to it is one of them.
        """
        since = self.changes[len(changes) :]
        self.changes = [*changes, *since]
        self._tell_network(runner)
        for change in since:
            if change["change"].startswith("lr"):
                _slow_down(runner)

    def _change(self, runner: Any, kind: Kind) -> str | None:
        if kind == "not_finite":
            # The weights are spoilt: only a checkpoint of before has good ones.
            return _slow_down(runner) if runner.train_loop.go_back() else None
        return self._tell_network(runner) or _slow_down(runner)

    def _tell_network(self, runner: Any) -> str | None:
        network = runner.model.module if is_model_wrapper(runner.model) else runner.model
        kinds = [change["kind"] for change in self.changes]
        told: str | None = network.adapt(kinds) if hasattr(network, "adapt") else None
        return told


def _slow_down(runner: Any) -> str:
    """Halve the learning rate, now and in what is left of its schedules."""
    for group in runner.optim_wrapper.param_groups:
        group["lr"] *= _SLOWER
    for scheduler in runner.param_schedulers or []:
        scheduler.base_values = [value * _SLOWER for value in scheduler.base_values]
    return f"lr x {_SLOWER:g}"

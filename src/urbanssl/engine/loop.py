"""The training loop on the mmengine Runner: steps, exact resume, curves, a stop that saves."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, cast

import numpy as np
import torch
from mmengine.dist import get_dist_info, is_main_process
from mmengine.model import MMDistributedDataParallel, is_model_wrapper, revert_sync_batchnorm
from mmengine.registry import LOOPS
from mmengine.runner import BaseLoop, Runner
from torch import nn

from urbanssl.engine.checkpoints import newest_checkpoint, save_checkpoint
from urbanssl.engine.data import step_seed
from urbanssl.engine.facts import TrainingFacts
from urbanssl.engine.log import Curve, say
from urbanssl.engine.rank_state import gather_rank_buffers, restore_rank_buffers
from urbanssl.engine.side_channel import SideChannel
from urbanssl.engine.sync_norm import join_batch_norms
from urbanssl.engine.trouble import Answer, Troubles
from urbanssl.engine.watch import not_finite
from urbanssl.errors import TrainingError


class StoppedBySignal(SystemExit):
    """The training was told to stop (SIGTERM) and has saved a checkpoint; exit status 143."""

    def __init__(self) -> None:
        super().__init__(143)


class TrainingRunner(Runner):
    """mmengine's Runner without its survey of compilers, and with CPU processes side by side.

    Attributes:
        fill: fills the network with its initial weights, once it is initialised.
    """

    fill: Callable[[nn.Module], None]

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        # mmengine runs gcc, nvcc and more here: seconds of every start, of no use in our logs.
        self.logger.debug(f"environment {env_cfg}")

    def load_or_resume(self) -> None:
        """Fill the network; checkpoints are resumed by the loop."""
        self.fill(bare_model(self.model))

    def wrap_model(self, model_wrapper_cfg: dict[str, Any] | None, model: nn.Module) -> nn.Module:
        """Move the model to its device; wrap it where there are several processes."""
        if not self.distributed:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            return revert_sync_batchnorm(model).to(device)
        if torch.cuda.is_available():
            return super().wrap_model(model_wrapper_cfg, model)
        model = revert_sync_batchnorm(model)
        return MMDistributedDataParallel(
            module=join_batch_norms(model) if self.cfg.get("sync_bn") else model,
            broadcast_buffers=False,
            find_unused_parameters=bool(self.cfg.get("find_unused_parameters", False)),
        )


def bare_model(model: nn.Module) -> nn.Module:
    """Return the network itself, without the wrapper of several processes."""
    inner = model.module if is_model_wrapper(model) else model
    return cast(nn.Module, inner)


@LOOPS.register_module()
class StepLoop(BaseLoop):
    """A given number of steps, from the newest checkpoint on.

    Every random number of step n is drawn from generators seeded by (seed, n, process), so a
    resumed training goes on exactly as an undisturbed one would have.

    Args:
        runner: the Runner.
        dataloader: yields the batch of each step; has `resume_at(step)`.
        steps: how many.
        batch: images a step over all processes.
        seed: seed of the random numbers.
        checkpoint_every: steps between two checkpoints.
        fingerprint: hash of all that shapes the result.
        on_trouble: what is done when the numbers are no good: stop, warn or adapt.
        compiled: compile the network, where it says how (`compile_parts`).
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        steps: int,
        batch: int,
        seed: int,
        checkpoint_every: int,
        fingerprint: str,
        on_trouble: Answer = "stop",
        compiled: bool = False,
    ) -> None:
        super().__init__(runner, dataloader)
        self._max_iters, self._iter = steps, 0
        self.batch, self.seed = batch, seed
        self.checkpoint_every, self.fingerprint = checkpoint_every, fingerprint
        self.curve = Curve(every=max(1, steps // 400))
        self.troubles, self._compiled = Troubles(on_trouble), compiled
        self.probes: list[dict[str, float]] = []
        self.seconds = 0.0
        self._told_to_stop = False
        self._side = SideChannel()

    @property
    def max_epochs(self) -> int:
        """The whole training counts as one epoch."""
        return 1

    @property
    def max_iters(self) -> int:
        """How many steps there are in all."""
        return self._max_iters

    @property
    def epoch(self) -> int:
        """The whole training counts as one epoch."""
        return 0

    @property
    def iter(self) -> int:
        """How many steps are done."""
        return self._iter

    def run(self) -> nn.Module:
        """Train from the newest checkpoint to the last step."""
        self._refuse()
        self.go_back()
        model: Any = bare_model(self.runner.model)
        if self._compiled and hasattr(model, "compile_parts"):
            model.compile_parts()
        previous = signal.signal(signal.SIGTERM, self._stop_soon)
        try:
            self.runner.call_hook("before_train")
            self.runner.call_hook("before_train_epoch")
            self._steps()
            self.runner.call_hook("after_train_epoch")
            self.runner.call_hook("after_train")
        finally:
            signal.signal(signal.SIGTERM, previous)
        return self.runner.model

    def _refuse(self) -> None:
        """Let the network refuse a training that cannot work."""
        model: Any = bare_model(self.runner.model)
        tiles = self.dataloader.dataset
        if not hasattr(model, "problems"):
            return
        world = get_dist_info()[1]
        facts = TrainingFacts(self._max_iters, self.batch, world, len(tiles), tiles.size)
        if found := model.problems(facts):
            raise TrainingError.listing(found, "these settings cannot work")

    def _steps(self) -> None:
        began, before = time.perf_counter(), self.seconds
        while self._iter < self._max_iters:
            step = self._iter
            self.dataloader.resume_at(step)
            for batch in self.dataloader:
                self.runner.model.train()
                seed_step(self.seed, step)
                self._step(batch)
                self.seconds = before + time.perf_counter() - began
                step += 1
                if self._iter == step:
                    self._save_if_due()
                if self._iter != step:
                    break  # gone back to a checkpoint: read from there

    def _save_if_due(self) -> None:
        last = self._iter == self._max_iters
        # The signal may reach some processes a step later: all save after the same one.
        stop = self._side.any(self._told_to_stop)
        if last or stop or self._iter % self.checkpoint_every == 0:
            pending = self._side.mean(self.curve.state()["sums"])
            if trouble := not_finite({"step": self._iter, **pending}):
                self.troubles.meet(self.runner, trouble)
                return
            self._save()
        if stop and not last:
            say(f"told to stop: saved after step {self._iter}")
            raise StoppedBySignal

    def _step(self, batch: Any) -> None:
        self.runner.call_hook("before_train_iter", batch_idx=self._iter, data_batch=batch)
        outputs = self.runner.model.train_step(batch, optim_wrapper=self.runner.optim_wrapper)
        lr = float(self.runner.optim_wrapper.param_groups[0]["lr"])
        point = self.curve.add(self._iter, outputs, lr)
        if point is not None:
            point |= self._side.mean({k: v for k, v in point.items() if k != "step"})
            if trouble := not_finite(point):
                self.troubles.meet(self.runner, trouble)
                return
        self.runner.call_hook(
            "after_train_iter", batch_idx=self._iter, data_batch=batch, outputs=outputs
        )
        self._iter += 1
        if point is not None:
            self.curve.tell(self._iter, self._max_iters, self.seconds)

    def _stop_soon(self, number: int, frame: FrameType | None) -> None:
        self._told_to_stop = True

    def _save(self) -> None:
        runner = self.runner
        model = bare_model(runner.model)
        buffers = gather_rank_buffers(model)
        if is_main_process():
            state = {
                "fingerprint": self.fingerprint,
                "model": model.state_dict(),
                "rank_buffers": buffers,
                "optimizer": runner.optim_wrapper.state_dict(),
                "schedulers": [entry.state_dict() for entry in runner.param_schedulers or []],
                "curve": self.curve.state(),
                "changes": self.troubles.changes,
                "probes": self.probes,
                "seconds": self.seconds,
            }
            save_checkpoint(self.folder, self._iter, state)

    @property
    def folder(self) -> Path:
        """The work folder, where checkpoints are."""
        return Path(self.runner.work_dir)

    def go_back(self) -> bool:
        """Go back to the newest checkpoint of this training; return whether there is one."""
        state = newest_checkpoint(self.folder, self.fingerprint, say)
        if state is None:
            return False
        runner = self.runner
        model = bare_model(runner.model)
        model.load_state_dict(state["model"], strict=True)
        restore_rank_buffers(model, state["rank_buffers"])
        runner.optim_wrapper.load_state_dict(state["optimizer"])
        for scheduler, saved in zip(
            runner.param_schedulers or [], state["schedulers"], strict=True
        ):
            scheduler.load_state_dict(saved)
        self.curve.load_state(state["curve"])
        self.troubles.take_back(runner, state["changes"])
        self.probes = state["probes"]
        self.seconds, self._iter = state["seconds"], state["step"]
        say(f"resumed after step {self._iter} of {self._max_iters}")
        return True


def seed_step(seed: int, step: int) -> None:
    """Seed the generators of torch, numpy and Python for a step of this process."""
    value = step_seed(seed, step, get_dist_info()[0])
    torch.manual_seed(value)
    np.random.seed(value % 2**32)
    random.seed(value)

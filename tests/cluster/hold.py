"""A training that waits: so that a test can disturb it at a known step, however fast it is."""

import time
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Hold(Hook):
    """Wait before a step for as long as there is a file `hold` in the project's folder."""

    def __init__(self, step: int) -> None:
        self.step = step

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Wait until the file is gone or the training is told to stop."""
        loop = runner.train_loop
        while batch_idx == self.step and Path("hold").exists() and not loop._told_to_stop:
            time.sleep(0.1)

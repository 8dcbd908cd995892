"""Checkpoints: written whole, only plain tensors in them, the newest intact one is resumed."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from urbanssl.artifacts import written_whole

#: What reading a checkpoint raises that is cut, damaged, or removed meanwhile by a second training.
_DAMAGE = (
    *(RuntimeError, EOFError, FileNotFoundError, pickle.UnpicklingError),
    *(zipfile.BadZipFile, KeyError, ValueError),
)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the file of the checkpoint after `step` steps."""
    return folder / f"step_{step:08d}.pt"


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int = 2) -> Path:
    """Write a checkpoint whole and remove all but the newest `keep`.

    Args:
        folder: the work folder.
        step: how many steps are done.
        state: tensors, numbers, text and containers of them; no other objects.
        keep: how many to keep.
    """
    path = checkpoint_path(folder, step)
    with written_whole(path) as temporary:
        torch.save({**state, "step": step}, temporary)
    for old in sorted(folder.glob("step_*.pt"))[:-keep]:
        old.unlink(missing_ok=True)
    return path


def newest_checkpoint(
    folder: Path, fingerprint: str, say: Callable[[str], None]
) -> dict[str, Any] | None:
    """Return the newest checkpoint that is intact and of this very training, None without one.

    Only plain data is read (`weights_only`): a checkpoint cannot run code.

    Args:
        folder: the work folder.
        fingerprint: of the training, stored in the checkpoint by the engine.
        say: is told of every checkpoint that is passed over, and why.
    """
    for path in sorted(folder.glob("step_*.pt"), reverse=True):
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            other = state["fingerprint"]
        except _DAMAGE as error:
            say(f"{path} is damaged ({type(error).__name__}): passed over")
            continue
        if other == fingerprint:
            return state
        say(f"{path} belongs to a training with other settings or data: passed over")
    return None

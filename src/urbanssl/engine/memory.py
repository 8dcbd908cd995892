"""How much memory a process has used."""

from __future__ import annotations

import resource
import sys

import torch


def peak_memory_mb() -> float:
    """Return the largest memory of this process so far: on the GPU where there is one, else RAM."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10

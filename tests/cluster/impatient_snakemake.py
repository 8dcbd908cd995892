"""Snakemake, unchanged but for one thing: it asks SLURM every two seconds what became of its jobs.

The SLURM plugin waits ten seconds longer after each answer without news, which is right for a busy
scheduler and leaves a queue of jobs of ten seconds idle most of the time.
"""

import asyncio
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

SECONDS = 2


async def wait_shortly(executor: RemoteExecutor) -> None:
    """Wait before the next question."""
    await asyncio.sleep(SECONDS)


if __name__ == "__main__":
    RemoteExecutor.sleep = wait_shortly
    sys.exit(main())

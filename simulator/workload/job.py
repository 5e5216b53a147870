"""Jobs as columns: one row per job, whether three trainings or a million rows of a trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class JobTable:
    """The jobs of one replication, in order of (submit_s, row).

    Parameters
    ----------
    job : sequence of str, shape (n,)
        Name or trace id of each job, unique.
    user : sequence of str, shape (n,)
        Who submitted it ("" when unknown).
    submit_s : float array, shape (n,)
        Submission, seconds since the scenario's start, ascending.
    nodes : int array, shape (n,)
        Whole nodes the job holds while it runs.
    gpus : int array, shape (n,)
        GPUs it asked for, at most ``nodes * gpus_per_node``; the rest of its nodes' GPUs counts as idle.
    work_s : float array, shape (n,)
        Productive seconds at full rate until it is done; infinite for a job that runs to the horizon.
    requested_s : float array, shape (n,)
        Run-time estimate the scheduler sees (infinite when there is none).
    profile : int array, shape (n,)
        Index of the job profile (checkpoint tiers, restart phases, recovery) in the world's profiles.
    """

    job: NDArray[np.object_]
    user: NDArray[np.object_]
    submit_s: NDArray[np.float64]
    nodes: NDArray[np.int64]
    gpus: NDArray[np.int64]
    work_s: NDArray[np.float64]
    requested_s: NDArray[np.float64]
    profile: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.submit_s)

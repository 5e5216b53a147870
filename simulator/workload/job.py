"""Jobs as columns: one row per job, whether three trainings or a million rows of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class JobTable:
    """The jobs of one replication, in order of (submit_s, row).

    Parameters
    ----------
    job : sequence of str, shape (n,)
        Name or trace id of each job, unique.
    user, account, partition : sequences of str, shape (n,)
        Who submitted it, on whose account, and where to ("" when unknown).
    submit_s : float array, shape (n,)
        Submission, seconds since the scenario's start, ascending.
    nodes : int array, shape (n,)
        Whole nodes the job holds while it runs; 1 for one that shares a node.
    gpus : int array, shape (n,)
        GPUs it asked for, at most ``nodes * gpus_per_node``; the rest of its nodes' GPUs counts as idle.
    shares : bool array, shape (n,)
        Whether it takes only its GPUs and leaves the rest of its node to others.
    work_s : float array, shape (n,)
        Productive seconds at full rate until it is done; infinite for a job that runs to the horizon.
    requested_s : float array, shape (n,)
        Run-time estimate the scheduler sees (infinite when there is none).
    priority : int array, shape (n,)
        Class of priority, the higher the sooner.
    fewest, most : int arrays, shape (n,)
        Width in nodes between which the job can run; both ``nodes`` for a rigid one.
    width : int array, shape (n,)
        Index of the job's goodput curve in the world's ``curves``; -1 for a rigid one.
    fails_at_s : float array, shape (n,)
        Work at which its own fault ends every attempt; infinite for a sound job.
    profile : int array, shape (n,)
        Index of the job profile (checkpoint tiers, restart phases, recovery) in the world's profiles.
    ending : sequence of str, shape (n,)
        How its log says that it ended: completed, failed, cancelled or timeout; "" where none does. Nothing simulated
        depends on it.
    """

    job: Texts
    user: Texts
    submit_s: Floats
    nodes: Ints
    gpus: Ints
    work_s: Floats
    requested_s: Floats
    profile: Ints
    account: Texts
    partition: Texts
    shares: Bools
    priority: Ints
    fewest: Ints
    most: Ints
    width: Ints
    fails_at_s: Floats
    ending: Texts

    def __len__(self) -> int:
        return len(self.submit_s)


def job_table(**columns: Any) -> JobTable:
    """Return a job table from the columns that matter; the others say that a job is plain.

    ``job``, ``submit_s``, ``nodes``, ``gpus`` and ``work_s`` must be there. Without more a job has no user, no
    estimate, profile 0 and priority 0, holds whole nodes, is rigid and has no fault of its own.
    """
    n, nodes = len(columns["submit_s"]), columns["nodes"]
    plain = {
        "user": np.full(n, "", dtype=object),
        "requested_s": np.full(n, np.inf),
        "profile": np.zeros(n, dtype=np.int64),
        "account": np.full(n, "", dtype=object),
        "partition": np.full(n, "", dtype=object),
        "shares": np.zeros(n, dtype=np.bool_),
        "priority": np.zeros(n, dtype=np.int64),
        "fewest": nodes,
        "most": nodes,
        "width": np.full(n, -1, dtype=np.int64),
        "fails_at_s": np.full(n, np.inf),
        "ending": np.full(n, "", dtype=object),
    }
    return JobTable(**(plain | columns))

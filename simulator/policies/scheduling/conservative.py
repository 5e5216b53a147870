"""Conservative backfilling: every job has a guaranteed start, which later ones must not delay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.errors import PolicyError
from simulator.policies.decisions import Start, Wake
from simulator.policies.views import Ints, SchedulerView
from simulator.scheduling.guarantees import guarantee_pass
from simulator.scheduling.profile import new_profile
from simulator.scheduling.reservations import clear, no_reservations


class Guarantees:
    """What is remembered from pass to pass: who was promised what, and the plan of all that runs or waits.

    Parameters
    ----------
    jobs : int
        Jobs of the run.
    gpus : int array
        GPUs that jobs may want.
    now_s : float
        Time of the first pass.
    """

    def __init__(self, jobs: int, gpus: Ints, now_s: float) -> None:
        self.start_s = np.full(jobs, np.nan)
        self.capacity_gpus = 0
        self.holders = np.empty(0, np.int64)
        self.reservations = no_reservations(jobs)
        self.profile = new_profile(jobs, gpus)
        clear(self.profile, now_s, 0)


@dataclass
class Memory:
    """Where guarantees are kept during a run, from the first pass on."""

    guarantees: Guarantees | None = None


@dataclass(frozen=True)
class Conservative:
    """Give every job the earliest start that delays no guarantee, and start those whose time has come.

    Exact semantics are in docs/scheduling-semantics.md. It needs an estimate of every job, and counts GPUs of the whole
    machine, so jobs must not share nodes and nodes must not be reserved.
    """

    acts_always: ClassVar[bool] = True
    """A job gets its guarantee when it arrives, on a full machine too."""
    counts_machine: ClassVar[bool] = True
    """It does not look at single nodes."""
    needs_estimates: ClassVar[bool] = True
    """It cannot promise anything behind a job without an estimate."""

    def remember(self) -> Memory:
        """Return where guarantees are kept during a run."""
        return Memory()

    def schedule(self, view: SchedulerView) -> Sequence[Start | Wake]:
        """Return the jobs to start now, and when the next guarantee falls due."""
        if view.shares_nodes or view.has_windows:
            self._refuse(view, "jobs that share nodes, and reservations, need a policy that looks at single nodes")
        queue, known, memory = view.queue, view.queue.known, view.memory
        if not np.isfinite(queue.requested_s).all():
            job = known.job[queue.job[~np.isfinite(queue.requested_s)][0]]
            self._refuse(view, f"job {job} has no estimate")
        if memory.guarantees is None:
            memory.guarantees = Guarantees(len(known.submit_s), known.gpus, view.now_s)
        kept = memory.guarantees
        compresses = view.ended_early or view.capacity_gpus > kept.capacity_gpus
        kept.capacity_gpus = view.capacity_gpus
        guarantee_pass(
            kept.profile,
            kept.reservations,
            kept.holders,
            view.now_s,
            view.free_gpus,
            view.running.job,
            view.running.gpus,
            view.running.end_s,
            queue.job,
            known.gpus,
            known.requested_s,
            kept.start_s,
            compresses,
        )
        kept.holders = np.concatenate((view.running.job, queue.job))
        start_s = kept.start_s[queue.job]
        due = start_s <= view.now_s
        kept.start_s[queue.job[due]] = np.nan  # one that comes back to the queue is promised anew
        ahead = start_s[start_s > math.nextafter(view.now_s, math.inf)]
        wake = [Wake(float(ahead.min()))] if len(ahead) and math.isfinite(ahead.min()) else []
        return [*(Start(job) for job in queue.job[due].tolist()), *wake]

    def _refuse(self, view: SchedulerView, reason: str) -> None:
        raise PolicyError(type(self).__name__, view.now_s, reason)

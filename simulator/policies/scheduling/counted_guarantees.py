"""Guarantees where nodes need only be counted: what conservative backfilling remembers of them, and the passes."""

from __future__ import annotations

import math

import numpy as np

from simulator.policies.decisions import Start, Wake
from simulator.policies.views import Floats, Ints, SchedulerView
from simulator.scheduling.guarantees import guarantee_pass
from simulator.scheduling.profile import new_profile
from simulator.scheduling.reservations import clear, no_reservations


def wake_for_next(start_s: Floats, now_s: float) -> list[Wake]:
    """Return the wish to be asked again when the next of the guarantees falls due, if one does."""
    # One just after now waits for a job past its estimate, whose end is a pass anyway.
    ahead = start_s[(start_s > math.nextafter(now_s, math.inf)) & np.isfinite(start_s)]
    return [Wake(float(ahead.min()))] if len(ahead) else []


class CountedGuarantees:
    """Who was promised what, and the plan of all that runs or waits, where nodes need only be counted.

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
        self.holders = np.empty(0, np.int64)
        self.reservations = no_reservations(jobs)
        self.profile = new_profile(jobs, gpus)
        clear(self.profile, now_s, 0)

    def pass_over(self, view: SchedulerView, compresses: bool) -> list[Start | Wake]:
        """Return the jobs that start now, and when to ask again."""
        queue, known = view.queue, view.queue.known
        guarantee_pass(
            self.profile,
            self.reservations,
            self.holders,
            view.now_s,
            view.free_gpus,
            view.running.job,
            view.running.gpus,
            view.running.end_s,
            queue.job,
            known.gpus,
            known.requested_s,
            self.start_s,
            compresses,
        )
        self.holders = np.concatenate((view.running.job, queue.job))
        start_s = self.start_s[queue.job]
        due = start_s <= view.now_s
        self.start_s[queue.job[due]] = np.nan  # one that comes back to the queue is promised anew
        # The wake comes first: a placement policy that lets a job wait ends the list.
        return [*wake_for_next(start_s, view.now_s), *(Start(job) for job in queue.job[due].tolist())]

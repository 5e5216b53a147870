"""EASY backfilling: one reservation, for the head of the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.policies.decisions import Start
from simulator.policies.protocols import SchedulerView
from simulator.scheduling.backfill import easy_pass


@dataclass(frozen=True)
class Easy:
    """Start the head while it fits; then start later jobs that do not delay the head's reservation.

    Exact semantics are in docs/scheduling-semantics.md.
    """

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        """Return the jobs to start now."""
        positions = np.empty(len(view.queue_nodes), dtype=np.int64)
        n_started = easy_pass(
            view.queue_nodes,
            view.queue_requested_s,
            view.running_nodes,
            view.running_end_s,
            view.free_nodes,
            view.now_s,
            positions,
        )
        return [Start(job) for job in view.queue_job[positions[:n_started]].tolist()]

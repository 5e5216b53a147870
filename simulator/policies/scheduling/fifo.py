"""First in, first out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.policies.decisions import Start
from simulator.policies.protocols import SchedulerView
from simulator.scheduling.backfill import fifo_pass


@dataclass(frozen=True)
class Fifo:
    """Start the head of the queue while it fits; the first job that does not fit stops the pass."""

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        """Return the jobs to start now."""
        n_started = fifo_pass(view.queue_nodes, view.free_nodes)
        return [Start(job) for job in view.queue_job[:n_started].tolist()]

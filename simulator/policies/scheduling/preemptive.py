"""Preemptive priority: a higher class takes nodes from running jobs of lower ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.policies.decisions import Scheduling
from simulator.policies.scheduling.preempting import Preempting
from simulator.policies.views import Ints, SchedulerView


@dataclass(frozen=True)
class Preemptive(Preempting):
    """Serve the highest class of priority first, and for it take off running jobs of lower classes.

    The lowest class goes first, and of a class the job that started last, which has least to lose.
    """

    def schedule(self, view: SchedulerView) -> Sequence[Scheduling]:
        """Return the decisions of this pass."""
        return self.serve_order(view, np.argsort(-view.queue.priority, kind="stable"))

    def serve_order(self, view: SchedulerView, order: Ints) -> Sequence[Scheduling]:
        """Return the decisions of a pass that serves the queue in an order of its own."""
        waits, runs = view.queue.priority, view.running.priority
        preference = np.lexsort((-view.running.start_s, runs))
        return self.serve(view, order, lambda head: runs < waits[head], preference)

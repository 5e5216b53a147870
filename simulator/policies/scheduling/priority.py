"""Classes of priority."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.policies.decisions import Start
from simulator.policies.fields import parameter
from simulator.policies.scheduling.ordered import BACKFILL_MEANING, Backfill, starts_in_order
from simulator.policies.views import Ints, SchedulerView


@dataclass(frozen=True)
class PriorityClasses:
    """Serve the queue by class of priority, the highest first; by submission within a class.

    Jobs that run are left alone.
    """

    backfill: Backfill = parameter("easy", BACKFILL_MEANING)

    def order(self, view: SchedulerView) -> Ints:
        """Return positions in the queue, the first to be served first."""
        return np.argsort(-view.queue.priority, kind="stable")

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        """Return the jobs to start now."""
        return starts_in_order(view, self.order(view), self.backfill)

"""Shortest job first, by the time that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.policies.decisions import Start
from simulator.policies.fields import parameter
from simulator.policies.scheduling.ordered import BACKFILL_MEANING, Backfill, starts_in_order
from simulator.policies.views import Ints, SchedulerView


@dataclass(frozen=True)
class ShortestFirst:
    """Serve the queue by requested time, the shortest first; by submission among equals.

    Nothing keeps a long job from waiting for ever while shorter ones arrive.
    """

    backfill: Backfill = parameter("easy", BACKFILL_MEANING)

    def order(self, view: SchedulerView) -> Ints:
        """Return positions in the queue, the first to be served first."""
        return np.argsort(view.queue.requested_s, kind="stable")

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        """Return the jobs to start now."""
        return starts_in_order(view, self.order(view), self.backfill)

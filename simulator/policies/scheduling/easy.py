"""EASY backfilling: one reservation, for the head of the queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from simulator.policies.decisions import Start
from simulator.policies.scheduling.ordered import Backfill, starts_in_order
from simulator.policies.views import SchedulerView


@dataclass(frozen=True)
class Easy:
    """Start the head while it fits; then start later jobs that do not delay the head's reservation.

    Exact semantics are in docs/scheduling-semantics.md.
    """

    backfill: ClassVar[Backfill] = "easy"

    def order(self, view: SchedulerView) -> None:
        """Return the order of the queue: its own."""
        return

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        """Return the jobs to start now."""
        return starts_in_order(view, backfill="easy")

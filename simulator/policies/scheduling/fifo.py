"""First in, first out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from simulator.policies.decisions import Start
from simulator.policies.scheduling.ordered import Backfill, starts_in_order
from simulator.policies.views import SchedulerView


@dataclass(frozen=True)
class Fifo:
    """Start the head of the queue while it fits; the first job that does not fit stops the pass."""

    backfill: ClassVar[Backfill] = "none"

    def order(self, view: SchedulerView) -> None:
        """Return the order of the queue: its own."""
        return

    def schedule(self, view: SchedulerView) -> Sequence[Start]:
        """Return the jobs to start now."""
        return starts_in_order(view)

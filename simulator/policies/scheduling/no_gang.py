"""No gang: every job takes whatever nodes it can get, and holds them until it has all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.policies.decisions import Hold, Scheduling, Start
from simulator.policies.views import SchedulerView
from simulator.scheduling.placement import first_holes


@dataclass(frozen=True)
class NoGang:
    """Deal free nodes to the waiting jobs, one to each in turn, as a scheduler of single pods does.

    A job that has some of its nodes holds them while it waits for the others. Two jobs that each need more than half of
    the machine then wait for each other for ever: a deadlock, which gang scheduling excludes.
    """

    def schedule(self, view: SchedulerView) -> Sequence[Scheduling]:
        """Return who starts, and who gets some of its nodes."""
        queue, g = view.queue, view.nodes.gpus_per_node
        missing = queue.nodes - queue.held_nodes
        dealt = np.zeros(len(queue), dtype=np.int64)
        parts = view.nodes.free_gpus[(view.nodes.free_gpus > 0) & (view.nodes.free_gpus < g)].copy()
        small = np.flatnonzero(queue.shares)
        dealt[small[first_holes(parts, queue.gpus[small])]] = 1
        left = view.free_nodes
        turn = np.flatnonzero(dealt < missing)[:left]
        while left > 0 and len(turn):
            served = turn[:left]
            dealt[served] += 1
            left -= len(served)
            turn = turn[dealt[turn] < missing[turn]]
        decisions: list[Scheduling] = []
        for i in np.flatnonzero(dealt).tolist():
            job = int(queue.job[i])
            decisions.append(Start(job) if dealt[i] == missing[i] else Hold(job, int(dealt[i])))
        return decisions

"""What preemptive policies have in common: whom to take off their nodes so that a waiting job can start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from simulator.policies.decisions import Preempt, Scheduling, Wake
from simulator.policies.fields import parameter
from simulator.policies.scheduling.ordered import BACKFILL_MEANING, Backfill, starts_in_order
from simulator.policies.scheduling.room import nodes_open_to
from simulator.policies.views import Bools, Ints, SchedulerView
from simulator.scheduling.preemption import fewest_preempted, freed_by


@dataclass(frozen=True)
class Preempting:
    """Serve the queue in an order; take running jobs off their nodes for the first ones that do not fit.

    A running job is left alone until it has run for ``min_run_time``, and once it has been preempted
    ``most_preemptions`` times. Nobody is preempted unless that makes room for the waiting job, nor more than it needs:
    nodes that are free and those of jobs already told to go are counted first. The policy says who goes first.
    """

    backfill: Backfill = parameter("easy", BACKFILL_MEANING)
    grace: float = parameter(0.0, "time a preempted job may go on", unit="duration", at_least=0.0)
    min_run_time: float = parameter(0.0, "time a job runs before it can be preempted", unit="duration", at_least=0.0)
    most_preemptions: int = parameter(0, "a job preempted so often is left alone; 0: no limit", at_least=0)
    mode: Literal["requeue", "cancel"] = parameter(
        "requeue", "what becomes of a preempted job: it queues again, or ends"
    )

    acts_always: ClassVar[bool] = True
    """It acts on a full machine too."""

    def serve(
        self, view: SchedulerView, order: Ints, may_go: Callable[[int], Bools], preference: Ints
    ) -> Sequence[Scheduling]:
        """Return the decisions of a pass.

        Parameters
        ----------
        view : SchedulerView
            What the policy sees.
        order : int array
            Positions in the queue, the first to be served first.
        may_go : function
            From a position in the queue to who of the running jobs may be preempted for it.
        preference : int array, shape (running,)
            Positions of running jobs, the first to be preempted first.
        """
        started = starts_in_order(view, order)
        if len(started) == len(order):
            return started
        head = int(order[len(started)])
        may = self._may(view, may_go(head))
        if not may.any():
            return started if self.backfill == "none" else starts_in_order(view, order, self.backfill)
        if started:
            return [*started, Wake(view.now_s)]  # once these have started
        told, again_s = self._told_to_go(view, order, may_go, preference)
        if told:
            return [*told, Wake(view.now_s)]
        backfilled: list[Scheduling] = list(starts_in_order(view, order, self.backfill))
        return [Wake(again_s), *backfilled] if again_s < np.inf else backfilled

    def _may(self, view: SchedulerView, may: Bools) -> Bools:
        """Return who of those that may be preempted for a job can be now or later."""
        may = may & ~view.running.is_leaving
        return may & (view.running.preemptions < self.most_preemptions) if self.most_preemptions > 0 else may

    def _told_to_go(
        self, view: SchedulerView, order: Ints, may_go: Callable[[int], Bools], preference: Ints
    ) -> tuple[list[Preempt], float]:
        """Return whom to preempt, for one waiting job after the other until one cannot have room; and when it may.

        Each takes its room of what is free and of what those who go leave, so that the next one sees the rest.
        """
        running, is_told = view.running, np.zeros(len(view.running), dtype=np.bool_)
        from_s = running.start_s + self.min_run_time
        room = Room(view)
        told: list[Preempt] = []
        for head in order.tolist():
            may = self._may(view, may_go(head)) & ~is_told
            if not may.any():
                break
            ready = may & (from_s <= view.now_s)
            chosen = room.make(head, preference[ready[preference]])
            if chosen is None:
                later_s = from_s[may & ~ready]
                return told, float(later_s.min()) if len(later_s) else np.inf
            is_told[chosen] = True
            job = int(view.queue.job[head])
            told += [Preempt(each, self.grace, job, self.mode == "requeue") for each in running.job[chosen].tolist()]
        return told, np.inf


class Room:
    """What waiting jobs can have of each node, those told to go counted as gone, less what those before them take."""

    def __init__(self, view: SchedulerView) -> None:
        nodes, none = view.nodes, np.empty((len(view.nodes.holder), 0), dtype=np.int64)
        self._view = view
        self._held = (
            len(view.queue.known.job),
            nodes.gpus_per_node,
            nodes.holder,
            none if nodes.tenant_job is None else nodes.tenant_job,
            none if nodes.tenant_gpus is None else nodes.tenant_gpus,
        )
        self._free = freed_by(view.running.job[view.running.is_leaving], nodes.free_gpus, *self._held)

    def make(self, head: int, candidates: Ints) -> Ints | None:
        """Return who goes for the job at a position of the queue, and give it its room; None where all would not do.

        Parameters
        ----------
        head : int
            Position of the waiting job in the queue.
        candidates : int array
            Positions of running jobs, the first to go first.
        """
        queue, per_node = self._view.queue, self._view.nodes.gpus_per_node
        is_part, is_open = bool(queue.shares[head]), nodes_open_to(self._view, head)
        level = int(queue.gpus[head]) if is_part else per_node
        need = 1 if is_part else int(queue.nodes[head] - queue.held_nodes[head])
        jobs = self._view.running.job[candidates]
        fits, places = fewest_preempted(np.where(is_open, self._free, 0), level, need, jobs, is_open, *self._held)
        if not fits:
            return None
        chosen: Ints = candidates[places]
        self._free = freed_by(jobs[places], self._free, *self._held)
        roomy = np.flatnonzero(is_open & (self._free >= level))
        if is_part:  # on the fullest of those where it fits
            roomy = roomy[np.argsort(self._free[roomy], kind="stable")]
        self._free[roomy[:need]] -= level
        return chosen

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
from simulator.scheduling.preemption import fewest_preempted


@dataclass(frozen=True)
class Preempting:
    """Serve the queue in an order; take running jobs off their nodes for the first that does not fit.

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
        head, running = int(order[len(started)]), view.running
        may = may_go(head) & ~running.is_leaving
        if self.most_preemptions > 0:
            may &= running.preemptions < self.most_preemptions
        if not may.any():
            return started if self.backfill == "none" else starts_in_order(view, order, self.backfill)
        if started:
            return [*started, Wake(view.now_s)]  # once these have started
        from_s = running.start_s + self.min_run_time
        ready = may & (from_s <= view.now_s)
        chosen = whom_to_take(view, head, preference[ready[preference]])
        if chosen:
            job = int(view.queue.job[head])
            return [*(Preempt(each, self.grace, job, self.mode == "requeue") for each in chosen), Wake(view.now_s)]
        backfilled: list[Scheduling] = list(starts_in_order(view, order, self.backfill))
        if chosen is None and (may & ~ready).any():
            backfilled.insert(0, Wake(float(from_s[may & ~ready].min())))
        return backfilled


def whom_to_take(view: SchedulerView, head: int, candidates: Ints) -> list[int] | None:
    """Return the jobs whose nodes a waiting job needs, None when all of them would not do.

    Parameters
    ----------
    view : SchedulerView
        What the policy sees.
    head : int
        Position of the waiting job in the queue.
    candidates : int array
        Positions of running jobs, the first to go first.
    """
    queue, running, nodes = view.queue, view.running, view.nodes
    is_part, is_open = bool(queue.shares[head]), nodes_open_to(view, head)
    none = np.empty((len(nodes.holder), 0), dtype=np.int64)
    jobs = running.job[candidates]
    fits, chosen = fewest_preempted(
        np.where(is_open, nodes.free_gpus, 0),
        int(queue.gpus[head]) if is_part else nodes.gpus_per_node,
        1 if is_part else int(queue.nodes[head] - queue.held_nodes[head]),
        running.job[running.is_leaving],
        jobs,
        len(queue.known.job),
        nodes.gpus_per_node,
        is_open,
        nodes.holder,
        none if nodes.tenant_job is None else nodes.tenant_job,
        none if nodes.tenant_gpus is None else nodes.tenant_gpus,
    )
    return jobs[chosen].tolist() if fits else None

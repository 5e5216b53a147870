"""Guarantees where jobs share nodes: what conservative backfilling remembers of them, and the passes."""

from __future__ import annotations

import numpy as np

from simulator.policies.decisions import Start, Wake
from simulator.policies.scheduling.counted_guarantees import wake_for_next
from simulator.policies.views import Bools, Ints, NodesView, SchedulerView
from simulator.scheduling.boxes import new_boxes
from simulator.scheduling.node_plan import NONE, SHARED
from simulator.scheduling.profile import new_profile
from simulator.scheduling.reservations import clear, no_reservations
from simulator.scheduling.shared_guarantees import PlannedJobs, RunningColumns, allowed_nodes, shared_guarantee_pass
from simulator.telemetry.submissions import Submissions


class SharedGuarantees:
    """Who was promised what, and the plan of all that runs or waits, where jobs share nodes.

    Parameters
    ----------
    known : Submissions
        The jobs of the run.
    nodes : NodesView
        The machine.
    now_s : float
        Time of the first pass.
    """

    def __init__(self, known: Submissions, nodes: NodesView, now_s: float) -> None:
        n_jobs, shares = len(known.submit_s), known.shares
        parts = known.gpus[shares]
        self.jobs = PlannedJobs(known.gpus, known.requested_s, shares, np.full(n_jobs, np.nan))
        self.holders = np.empty(0, np.int64)
        self.reservations = no_reservations(n_jobs)
        self.profile = new_profile(n_jobs, np.append(known.gpus[~shares], nodes.gpus_per_node))
        self.boxes = new_boxes(self.profile, len(parts), parts, len(nodes.holder), nodes.gpus_per_node)
        clear(self.profile, now_s, 0)

    def pass_over(self, view: SchedulerView, compresses: bool) -> list[Start | Wake]:
        """Return the jobs that start now, and when to ask again."""
        queue, nodes, now_s = view.queue, view.nodes, view.now_s
        is_empty = (nodes.holder == NONE) & (nodes.free_gpus == nodes.gpus_per_node)
        level, running = what_runs(nodes, is_empty)
        shared_guarantee_pass(
            self.profile,
            self.boxes,
            self.reservations,
            self.holders,
            now_s,
            level,
            running,
            queue.job,
            self.jobs,
            compresses,
        )
        self.holders = np.concatenate((running.job, queue.job))
        start_s = self.jobs.start_s[queue.job]
        due = queue.job[start_s <= now_s]
        # Which node a job for a part of one gets must be seen before the next can start.
        parts = np.flatnonzero(self.jobs.shares[due])
        started = due[: parts[0] + 1] if len(parts) else due
        self.jobs.start_s[started] = np.nan  # one that comes back to the queue is promised anew
        starts = [Start(job, ~self._allowed(job, now_s, is_empty)) for job in started.tolist()]
        # The wake comes first: a placement policy that lets a job wait ends the list.
        decisions: list[Start | Wake] = [*wake_for_next(start_s, now_s), *starts]
        return decisions if len(started) == len(due) else [*decisions, Wake(now_s)]

    def _allowed(self, job: int, now_s: float, is_empty: Bools) -> Bools:
        """Return the nodes on which a job whose time has come may start."""
        if not self.jobs.shares[job]:
            return is_empty
        allowed = np.empty_like(is_empty)
        end_s = now_s + self.jobs.requested_s[job]
        allowed_nodes(self.profile, self.boxes, self.reservations[job], end_s, is_empty, allowed)
        return allowed


def what_runs(nodes: NodesView, is_empty: Bools) -> tuple[int, RunningColumns]:
    """Return the GPUs of all nodes that are empty or of which it is known when they will be, and what runs on these.

    Nobody can say of a node that is out of service, a spare or put aside, nor of a shared one that takes nobody new.
    """
    assert nodes.tenant_gpus is not None
    assert nodes.tenant_end_s is not None
    assert nodes.tenant_job is not None
    held = np.flatnonzero((nodes.holder >= 0) & (nodes.free_at_s < np.inf))
    job, some, count = np.unique(nodes.holder[held], return_index=True, return_counts=True)
    shared = np.flatnonzero(nodes.holder == SHARED)
    gpus: Ints = nodes.tenant_gpus[shared]
    takes_more = nodes.free_gpus[shared] + gpus.sum(axis=1) == nodes.gpus_per_node
    shared, gpus = shared[takes_more], gpus[takes_more]
    row, slot = np.nonzero(gpus > 0)
    on = shared[row]
    running = RunningColumns(
        np.concatenate((job, nodes.tenant_job[on, slot])),
        np.concatenate((count * nodes.gpus_per_node, gpus[row, slot])),
        np.concatenate((nodes.free_at_s[held[some]], nodes.tenant_end_s[on, slot])),
        np.concatenate((np.full(len(job), NONE), on)),
    )
    level = (int(np.count_nonzero(is_empty)) + len(held) + len(shared)) * nodes.gpus_per_node
    return level, running

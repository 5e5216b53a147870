"""Conservative backfilling by node: what is remembered of planned starts, and the passes."""

from __future__ import annotations

import numpy as np

from simulator.policies.decisions import Start, Wake
from simulator.policies.scheduling.counted_guarantees import wake_for_next
from simulator.policies.views import Floats, NodesView, SchedulerView
from simulator.scheduling.node_profile import new_node_profile, with_room
from simulator.scheduling.planned_starts import enter_what_is_known, may_take, plan_starts
from simulator.telemetry.submissions import Submissions


class NodePlan:
    """Planned starts, and the nodes they are on.

    Parameters
    ----------
    known : Submissions
        The jobs of the run.
    nodes : NodesView
        The machine.
    depth : int or None
        How many of the queue get a planned start, None for all.
    window_s, resolution_s : float
        How far ahead starts are planned, and to what multiples ends are rounded up, 0 for not at all.
    """

    def __init__(
        self, known: Submissions, nodes: NodesView, depth: int | None, window_s: float, resolution_s: float
    ) -> None:
        n, g = len(nodes.holder), nodes.gpus_per_node
        self._depth, self._window_s, self._wake_s = depth, window_s, -np.inf  # of the last wish to be woken
        self.profile = new_node_profile(n, len(known.nodes), int(known.nodes.sum()), resolution_s)
        job = self.profile.job
        job["nodes"], job["first"] = known.nodes, np.cumsum(known.nodes) - known.nodes
        job["gpus"] = np.where(known.shares, known.gpus, g)
        job["account"], job["length_s"], job["start_s"] = known.account, known.requested_s, np.nan
        self._tenants = np.zeros((n, g)), np.zeros((n, g), np.int64)
        if nodes.tenant_end_s is not None and nodes.tenant_gpus is not None:
            self._tenants = nodes.tenant_end_s, nodes.tenant_gpus

    def pass_over(self, view: SchedulerView, moves: bool) -> list[Start | Wake]:
        """Return the jobs that start now, and when to ask again."""
        queue, nodes, now_s = view.queue.job, view.nodes, view.now_s
        if len(queue) == 0 or view.free_gpus == 0:
            return []  # nothing can start, so nothing is lost when it is planned later
        n, g, windows, job = len(nodes.holder), nodes.gpus_per_node, nodes.windows, self.profile.job
        depth = len(queue) if self._depth is None else self._depth
        is_planned = ~np.isnan(job["start_s"][queue])
        is_planned[:depth] = True
        # A breakpoint at each begin and end: twice for jobs, which may move. What starts behind them, or runs, has one.
        planned, kept = job["nodes"][queue[is_planned]].sum(), windows.members[windows.group].sum()
        self.profile = with_room(self.profile, n * (2 * g + 1) + int(4 * planned + 2 * kept))
        tenants = self._tenants
        enter_what_is_known(self.profile, now_s, g, nodes.holder, nodes.free_gpus, nodes.free_at_s, *tenants, windows)
        moves |= self.profile.resolution_s > 0.0
        plan_starts(self.profile, queue, now_s, g, depth, now_s + self._window_s, moves)
        start_s = job["start_s"][queue]
        starts: list[Start] = []
        due = queue[start_s <= now_s]
        for each in due.tolist():
            allowed = np.empty(n, np.bool_)
            may_take(self.profile, each, now_s, allowed)
            starts.append(Start(each, ~allowed))
            job["start_s"][each] = np.nan  # one that comes back to the queue is planned anew
            if view.queue.known.shares[each]:
                break  # what it leaves of its node must be seen before the next can start
        # The wake comes first: a placement policy that lets a job wait ends the list.
        decisions: list[Start | Wake] = [*self._next_wake(start_s, now_s), *starts]
        return decisions if len(starts) == len(due) else [*decisions, Wake(now_s)]

    def _next_wake(self, start_s: Floats, now_s: float) -> list[Wake]:
        """Return the wish to be asked again at the next planned start, unless an earlier one is still to come."""
        wakes = wake_for_next(start_s, now_s)
        if now_s < self._wake_s and (not wakes or self._wake_s <= wakes[0].time_s):
            return []  # planned starts that move would else leave many behind them
        self._wake_s = wakes[0].time_s if wakes else -np.inf
        return wakes

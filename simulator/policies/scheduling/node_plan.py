"""Conservative backfilling by node: what is remembered of planned starts, and the passes."""

from __future__ import annotations

import numpy as np

from simulator.policies.decisions import Start, Wake
from simulator.policies.scheduling.counted_guarantees import wake_for_next
from simulator.policies.views import SchedulerView
from simulator.scheduling.node_profile import Holes, NodeProfile, new_node_profile
from simulator.scheduling.planned_starts import Plan, add_what_is_known, may_take, plan_starts
from simulator.scheduling.windows import NOBODY
from simulator.telemetry.submissions import Submissions

NONE, SHARED = -1, -2
"""Holders of nodes that nobody has, and that several jobs may have."""


class NodePlan:
    """Planned starts, and the nodes they are on.

    Parameters
    ----------
    known : Submissions
        The jobs of the run.
    depth : int or None
        How many of the queue get a planned start, None for all.
    window_s, resolution_s : float
        How far ahead starts are planned, and to what multiples ends are rounded up, 0 for not at all.
    """

    def __init__(self, known: Submissions, depth: int | None, window_s: float, resolution_s: float) -> None:
        self.depth, self.window_s, self.resolution_s = depth, window_s, resolution_s
        self.start_s = np.full(len(known.nodes), np.nan)
        self._first = np.cumsum(known.nodes) - known.nodes
        self._place = np.empty(int(known.nodes.sum()), np.int64)  # memory is used only for what is planned

    def pass_over(self, view: SchedulerView, moves: bool) -> list[Start | Wake]:
        """Return the jobs that start now, and when to ask again."""
        queue, now_s, g, n = view.queue, view.now_s, view.nodes.gpus_per_node, len(view.nodes.holder)
        if len(queue) == 0:
            return []
        depth = len(queue) if self.depth is None else self.depth
        plan = Plan(
            queue.nodes,
            np.where(queue.shares, queue.gpus, g),
            queue.account,
            queue.requested_s,
            self.start_s[queue.job],
            self._first[queue.job],
            self._place,
        )
        is_planned = ~np.isnan(plan.start_s)
        is_planned[:depth] = True
        # Two breakpoints for each node of a job that is planned, one for what starts behind them.
        profile = self._profile(view, 2 * int(plan.nodes[is_planned].sum()) + n * g)
        holes = Holes(np.empty(n), np.empty(n), np.empty(n), np.empty(n, np.int64))
        plan_starts(profile, holes, plan, now_s, g, depth, now_s + self.window_s, moves or self.resolution_s > 0.0)
        self.start_s[queue.job] = plan.start_s
        starts: list[Start] = []
        due = np.flatnonzero(plan.start_s <= now_s)
        for row in due.tolist():
            allowed = np.empty(n, np.bool_)
            may_take(profile, plan, row, now_s, allowed)
            starts.append(Start(int(queue.job[row]), ~allowed))
            self.start_s[queue.job[row]] = np.nan  # one that comes back to the queue is planned anew
            if queue.shares[row]:
                break  # what it leaves of its node must be seen before the next can start
        # The wake comes first: a placement policy that lets a job wait ends the list.
        decisions: list[Start | Wake] = [*wake_for_next(plan.start_s, now_s), *starts]
        return decisions if len(starts) == len(due) else [*decisions, Wake(now_s)]

    def _profile(self, view: SchedulerView, more_points: int) -> NodeProfile:
        """Return the profile of what runs and of the windows, with room for what will be planned.

        Nodes of which nobody knows when they will be free have no GPUs there: those held without an estimate, out of
        service, spares, and shared ones that take nobody new. One in maintenance is back at its end.
        """
        nodes, now_s = view.nodes, view.now_s
        n, g, windows = len(nodes.holder), nodes.gpus_per_node, nodes.windows
        tenant_end_s, tenant_gpus = nodes.tenant_end_s, nodes.tenant_gpus
        if tenant_end_s is None or tenant_gpus is None:
            tenant_end_s, tenant_gpus = np.zeros((n, g)), np.zeros((n, g), np.int64)
        is_there = (nodes.holder == NONE) & (nodes.free_gpus == g)
        for k in np.flatnonzero((windows.begin_s <= now_s) & (windows.account == NOBODY)):
            is_there |= windows.members[windows.group[k]] & (nodes.holder == NONE)
        is_held = (nodes.holder >= 0) & (nodes.free_at_s < np.inf)
        is_shared = (nodes.holder == SHARED) & (nodes.free_gpus + tenant_gpus.sum(axis=1) == g)
        room = more_points + n * g + 2 * int(windows.members[windows.group].sum())
        free = np.where(is_there | is_held | is_shared, g, 0)
        profile = new_node_profile(now_s, free, room, self.resolution_s)
        add_what_is_known(
            profile, now_s, g, is_held, nodes.free_at_s, is_shared, tenant_end_s, tenant_gpus, windows
        )  # fmt: skip
        return profile

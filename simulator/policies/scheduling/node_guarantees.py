"""Guarantees where jobs share nodes or nodes are kept for somebody: what is remembered of them, and the passes."""

from __future__ import annotations

import numpy as np

from simulator.policies.decisions import Start, Wake
from simulator.policies.scheduling.counted_guarantees import wake_for_next
from simulator.policies.views import Bools, Floats, Ints, NodesView, SchedulerView
from simulator.scheduling.boxes import NONE, new_boxes
from simulator.scheduling.kinds import first_alike, kept_kinds
from simulator.scheduling.node_guarantees import (
    SHARED,
    PlannedJobs,
    RunningColumns,
    allow_part,
    allow_whole,
    node_guarantee_pass,
)
from simulator.scheduling.node_plan import NodePlan, clear_plan, copy_plan
from simulator.scheduling.profile import new_profile
from simulator.scheduling.reservations import no_reservations
from simulator.scheduling.windows import NOBODY, WindowColumns
from simulator.telemetry.submissions import Submissions

FEWEST_RESERVATIONS = 1024
"""Room in a new plan. One that becomes too small is copied into another of twice the size."""


class NodeGuarantees:
    """Who was promised what, and the plan of all that runs or waits, node by node.

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
        n_jobs = len(known.submit_s)
        self.known, self.windows, self.now_s = known, len(nodes.windows.begin_s), now_s
        self.start_s = np.full(n_jobs, np.nan)
        self.holders = np.empty(0, np.int64)
        self._lay_out(nodes, FEWEST_RESERVATIONS)

    def pass_over(self, view: SchedulerView, compresses: bool) -> list[Start | Wake]:
        """Return the jobs that start now, and when to ask again."""
        queue, nodes, now_s = view.queue, view.nodes, view.now_s
        is_empty = (nodes.holder == NONE) & (nodes.free_gpus == nodes.gpus_per_node)
        self._make_fit(now_s, nodes, len(queue) + len(nodes.holder) * nodes.gpus_per_node)
        level, running = what_runs(now_s, nodes, is_empty, self.plan.kind, self.plan.taken.shape[1])
        node_guarantee_pass(self.plan, self.holders, now_s, level, running, queue.job, self.jobs, compresses)
        self.now_s, self.holders = now_s, np.concatenate((running.job, queue.job))
        start_s = self.start_s[queue.job]
        starts, is_last_due = self._starts(queue.job[start_s <= now_s], now_s, is_empty)
        # The wake comes first: a placement policy that lets a job wait ends the list.
        decisions: list[Start | Wake] = [*wake_for_next(start_s, now_s), *starts]
        return decisions if is_last_due else [*decisions, Wake(now_s)]

    def _starts(self, due: Ints, now_s: float, is_empty: Bools) -> tuple[list[Start], bool]:
        """Return which of the jobs that are due start now, and whether those are all."""
        starts: list[Start] = []
        for job in due.tolist():
            allowed, end_s = np.empty_like(is_empty), now_s + self.jobs.requested_s[job]
            # Which node a job for a part of one gets, or which kinds one for whole nodes, must be seen before the next
            # can start.
            is_known, is_cut = False, False
            if self.jobs.shares[job]:
                allow_part(self.plan, self.jobs, job, end_s, is_empty, allowed)
            else:
                is_known, is_cut = allow_whole(self.plan, self.jobs, job, end_s, is_empty, allowed)
            if is_cut and starts:
                break  # those before it may take the very nodes that are left to it
            starts.append(Start(job, ~allowed))
            self.start_s[job] = np.nan  # one that comes back to the queue is promised anew
            if not is_known:
                break
        return starts, len(starts) == len(due)

    def _lay_out(self, nodes: NodesView, most_reservations: int) -> None:
        """Make a plan in which nothing is yet, for the windows that are open or ahead."""
        known, windows, g, n_jobs = self.known, nodes.windows, nodes.gpus_per_node, len(self.start_s)
        kind = kinds_of(windows, len(nodes.holder))
        n_kinds = int(kind.max()) + 1 if len(windows.begin_s) else 0
        accounts = np.setdiff1d(windows.account, [NOBODY])
        claimants = 1 + len(accounts)
        claimant_of = np.zeros(len(known.accounts) + 1, np.int64)
        claimant_of[accounts] = np.arange(1, claimants)
        claimant_of[NOBODY] = NOBODY
        some = np.unique(kind, return_index=True)[1]
        kept = kept_kinds(
            [
                (float(begin_s), float(end_s), int(each), int(claimant_of[account]))
                for begin_s, end_s, account, group in zip(
                    windows.begin_s, windows.end_s, windows.account, windows.group, strict=True
                )
                for each in np.flatnonzero(windows.members[group, some])
            ]
        )
        self.most_reservations, shares = most_reservations, known.shares
        self.jobs = PlannedJobs(known.gpus, known.requested_s, shares, claimant_of[known.account], self.start_s)
        sizes = np.append(known.gpus[~shares], g)
        profile = new_profile(
            most_reservations, sizes, claimants=claimants, columns=claimants + 3 * n_kinds, marks=2 * len(kept)
        )
        boxes = new_boxes(profile, kept, most_reservations, known.gpus[shares], len(kind), g)
        taken = np.zeros((n_jobs, n_kinds), np.int64)
        level = np.zeros(max(n_kinds, 1), np.int64)
        self.plan = NodePlan(profile, boxes, no_reservations(n_jobs), taken, kind, level, *first_alike(kept, n_kinds))
        clear_plan(self.plan, self.now_s, level.copy())

    def _make_fit(self, now_s: float, nodes: NodesView, wanted: int) -> None:
        """Let there be room for so many reservations, and leave out windows that are over."""
        windows, most, old = nodes.windows, self.most_reservations, self.plan
        is_over, self.windows = len(windows.begin_s) < self.windows, len(windows.begin_s)
        if wanted <= most and not is_over:
            return
        if wanted <= most and self.windows > 0 and (kinds_of(windows, len(old.kind)) == old.kind).all():
            window, is_left = old.boxes.window, old.ends_s > now_s
            boxes = old.boxes._replace(window=window[window["end_s"] > now_s])
            self.plan = old._replace(boxes=boxes, ends_s=old.ends_s[is_left], ones=old.ones[is_left])
            return
        self._lay_out(nodes, 2 * wanted if wanted > most else most)
        # Nodes of one kind stay of one kind, so what was planned on several of them adds up.
        some = np.unique(old.kind, return_index=True)[1]
        new_kind = self.plan.kind[some]
        level = np.zeros_like(self.plan.level)
        np.add.at(level, new_kind, old.level)
        clear_plan(self.plan, self.now_s, level)
        holders = self.holders[old.reservations["last"][self.holders] >= 0]
        first, shares = old.reservations["first"][holders], self.jobs.shares[holders]
        begin_s = np.where(shares, old.boxes.step["time_s"][first], old.profile.step["time_s"][first])
        begin_s = np.where(first < 0, -np.inf, begin_s)
        copy_plan(old, self.plan, new_kind, holders[np.lexsort((holders, begin_s))], self.jobs.shares)


def kinds_of(windows: WindowColumns, nodes: int) -> Ints:
    """Return the kind of every node: nodes of one kind lie in the same of these windows."""
    members = windows.members[np.unique(windows.group)]
    if len(members) == 0:
        return np.zeros(nodes, dtype=np.int64)
    kinds: Ints = np.unique(members.T, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return kinds


def what_runs(now_s: float, nodes: NodesView, is_empty: Bools, kind: Ints, n_kinds: int) -> tuple[Ints, RunningColumns]:
    """Return the GPUs of the nodes of every kind that can be planned on, and what runs on these.

    They are empty, or it is known when they will be: a node in maintenance comes back at its end. Nobody can say of one
    that is out of service, a spare or put aside, nor of a shared one that takes nobody new.
    """
    g, _n_nodes = nodes.gpus_per_node, len(nodes.holder)
    held = np.flatnonzero((nodes.holder >= 0) & (nodes.free_at_s < np.inf))
    job, some, row, count = np.unique(nodes.holder[held], return_index=True, return_inverse=True, return_counts=True)
    taken = np.zeros((len(job), n_kinds), np.int64)
    if n_kinds > 0:
        np.add.at(taken, (row, kind[held]), g)
    shared, gpus, tenant, end_s = _tenants(nodes)
    is_there = is_empty | in_maintenance(now_s, nodes, is_empty)
    is_there[held] = is_there[shared] = True
    at, slot = np.nonzero(gpus > 0)
    running = RunningColumns(
        np.concatenate((job, tenant[at, slot])),
        np.concatenate((count * g, gpus[at, slot])),
        np.concatenate((taken, np.zeros((len(at), n_kinds), np.int64))),
        np.concatenate((nodes.free_at_s[held[some]], end_s[at, slot])),
        np.concatenate((np.full(len(job), NONE), shared[at])),
    )
    level: Ints = np.bincount(kind[is_there], minlength=max(n_kinds, 1)) * g
    return level, running


def _tenants(nodes: NodesView) -> tuple[Ints, Ints, Ints, Floats]:
    """Return the shared nodes that take somebody new, and GPUs, job and expected end of everyone on them."""
    if nodes.tenant_gpus is None or nodes.tenant_job is None or nodes.tenant_end_s is None:
        none = np.empty((0, 0), np.int64)
        return np.empty(0, np.int64), none, none, np.empty((0, 0))
    shared = np.flatnonzero(nodes.holder == SHARED)
    takes_more = nodes.free_gpus[shared] + nodes.tenant_gpus[shared].sum(axis=1) == nodes.gpus_per_node
    shared = shared[takes_more]
    return shared, nodes.tenant_gpus[shared], nodes.tenant_job[shared], nodes.tenant_end_s[shared]


def in_maintenance(now_s: float, nodes: NodesView, is_empty: Bools) -> Bools:
    """Return which nodes are out of service but come back at the end of a window."""
    windows, found = nodes.windows, np.zeros_like(is_empty)
    for k in np.flatnonzero((windows.begin_s <= now_s) & (windows.end_s > now_s) & (windows.account == NOBODY)):
        found |= windows.members[windows.group[k]] & (nodes.holder == NONE) & ~is_empty
    return found

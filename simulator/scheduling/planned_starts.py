"""Planned starts on the availability profile by node: kept, moved forward into time that has become free, or made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.node_profile import EVERYBODY, Ints, NodeProfile, change, end_of, find_hole, find_place
from simulator.scheduling.windows import NOBODY, WindowColumns

Floats = NDArray[np.float64]

FREE, SHARED = -1, -2
"""Holders of nodes that no job holds as a whole: nobody, or several jobs that have GPUs of it."""


@kernel
def enter_what_is_known(
    profile: NodeProfile, now_s: float, g: int, holder: Ints, free_gpus: Ints, free_at_s: Floats, tenant_end_s: Floats,
    tenant_gpus: Ints, windows: WindowColumns,
) -> None:  # fmt: skip
    """Make the profile of all that runs, by expected ends, and of the windows that are open or ahead.

    A job past its estimate counts as ending just after now: what it holds is not free yet. Nodes of which nobody knows
    when they will be free have no GPUs: those held without an estimate, out of service, spares, and shared ones that
    take nobody new. One in maintenance is back at its end. Columns of nodes are as in ``policies.views.NodesView``.
    """
    soon_s, point = np.nextafter(now_s, np.inf), profile.point
    profile.used[0] = len(holder)
    for node in range(len(holder)):
        point[node].time_s, point[node].account, point[node].after = now_s, EVERYBODY, -1
        is_held = holder[node] >= 0 and free_at_s[node] < np.inf
        is_shared = holder[node] == SHARED and free_gpus[node] + tenant_gpus[node].sum() == g
        is_empty = holder[node] == FREE and free_gpus[node] == g
        point[node].free = g if is_held or is_shared or is_empty else 0
        if is_held:
            change(profile, node, now_s, end_of(profile, max(free_at_s[node], soon_s), 0.0), -g, EVERYBODY)
        for slot in range(g if is_shared else 0):
            if tenant_gpus[node, slot] > 0:
                end_s = end_of(profile, max(tenant_end_s[node, slot], soon_s), 0.0)
                change(profile, node, now_s, end_s, -tenant_gpus[node, slot], EVERYBODY)
    for k in range(len(windows.begin_s)):
        begin_s, is_member = max(windows.begin_s[k], now_s), windows.members[windows.group[k]]
        for node in range(len(holder)):
            if is_member[node]:
                if begin_s == now_s and windows.account[k] == NOBODY and holder[node] == FREE:
                    point[node].free = g
                change(profile, node, begin_s, windows.end_s[k], 0, windows.account[k])


@kernel
def _place_of(profile: NodeProfile, job: np.record) -> Ints:
    return profile.place[job.first : job.first + job.nodes]


@kernel
def _enter(profile: NodeProfile, job: np.record, sign: int) -> None:
    """Take the GPUs that are planned for a job, or give them back when ``sign`` is 1."""
    end_s = end_of(profile, job.start_s, job.length_s)
    for node in _place_of(profile, job):
        change(profile, node, job.start_s, end_s, sign * job.gpus, EVERYBODY)


@kernel
def _settle(profile: NodeProfile, job: np.record, start_s: float, found: Ints) -> None:
    """Plan a job on the nodes that were found for it; an infinite start is none."""
    job.start_s = start_s if start_s < np.inf else np.nan
    if start_s < np.inf:
        _place_of(profile, job)[:] = found[: job.nodes]
        _enter(profile, job, -1)


@kernel
def _is_kept(profile: NodeProfile, job: np.record, now_s: float) -> bool:
    """Return whether what is planned for a job lies ahead, and fits beside all that has been entered."""
    is_kept = bool(job.start_s >= now_s)
    for node in _place_of(profile, job):
        is_kept &= find_hole(profile, node, job, job.start_s, job.start_s, profile.hole[0]) == job.start_s
    return is_kept


@kernel
def _keep(profile: NodeProfile, queue: Ints, every: Ints, now_s: float, until_s: float, found: Ints) -> bool:
    """Enter what was planned in the last pass; return whether all of it was kept."""
    are_kept = True
    for row in queue:
        job = profile.job[row]
        if np.isnan(job.start_s):
            continue
        if _is_kept(profile, job, now_s):
            _enter(profile, job, -1)
            continue
        are_kept = False
        start_s = find_place(profile, _place_of(profile, job).copy(), job, now_s, until_s, found)
        if start_s == np.inf:
            start_s = find_place(profile, every, job, now_s, until_s, found)
        _settle(profile, job, start_s, found)
    return are_kept


@kernel
def _move_forward(profile: NodeProfile, queue: Ints, every: Ints, now_s: float, found: Ints) -> None:
    """Take out each job alone, in queue order, and put it back at its earliest place, not later than before."""
    for row in queue:
        job = profile.job[row]
        if job.start_s > now_s:  # not where there is none
            _enter(profile, job, 1)
            start_s = find_place(profile, every, job, now_s, job.start_s, found)
            if start_s < job.start_s:
                _settle(profile, job, start_s, found)
            else:
                _enter(profile, job, -1)


@kernel
def _free_until(profile: NodeProfile, part_s: Floats, whole_s: Floats) -> None:
    """Write until when some node has so many GPUs free from now on, and until when nodes are empty, descending.

    Bounds: what is kept for somebody counts as free.
    """
    point, g = profile.point, len(part_s) - 1
    part_s[:] = -np.inf
    for node in range(len(whole_s)):
        at, left = node, g
        whole_s[node] = np.inf
        while at >= 0 and left > 0:
            free = 0 if point[at].account == NOBODY else point[at].free
            if free < left:
                whole_s[node] = min(whole_s[node], point[at].time_s)
                part_s[free + 1 : left + 1] = np.maximum(part_s[free + 1 : left + 1], point[at].time_s)
                left = free
            at = point[at].after
        part_s[1 : left + 1] = np.inf
    whole_s[:] = -np.sort(-whole_s)


@kernel
def plan_starts(
    profile: NodeProfile, queue: Ints, now_s: float, g: int, depth: int, until_s: float, moves: bool
) -> None:
    """Plan the start of the first jobs of a queue, and of those behind them that can start now and delay none.

    Parameters
    ----------
    profile : NodeProfile
        What runs, the windows, and what was planned in the last pass; what is planned now is entered.
    queue : int array
        Jobs that wait, in order.
    now_s, g : float, int
        Time of the pass, and GPUs of a node.
    depth, until_s : int, float
        Jobs that get a planned start, and the latest start that is planned.
    moves : bool
        Whether time has become free since the last pass, so that planned starts may move forward.

    Notes
    -----
    In queue order each time. First what was planned is kept. What cannot be, because a run outlived its estimate or a
    node was lost, is planned anew beside all that is ahead of it: later on the same nodes, or, where these are not to
    be had, at the earliest place. If anything was, or ``moves``, planned starts then move forward. At last jobs without
    a planned start get their earliest one, beside all others.
    """
    every, found = np.arange(len(profile.hole)), np.empty(profile.job["nodes"][queue].max(), np.int64)
    if not _keep(profile, queue, every, now_s, until_s, found) or moves:
        _move_forward(profile, queue, every, now_s, found)
    part_s, whole_s, is_known = np.empty(g + 1), np.empty(len(every)), False
    for position in range(len(queue)):
        job = profile.job[queue[position]]
        if not np.isnan(job.start_s):
            continue
        if position >= depth:  # few can start now, so most are passed over without a look at the nodes
            if not is_known:
                _free_until(profile, part_s, whole_s)
                is_known = True
            end_s = part_s[job.gpus] if job.nodes == 1 else whole_s[min(job.nodes, len(every)) - 1]
            if end_s < now_s + job.length_s:
                continue
        start_s = find_place(profile, every, job, now_s, until_s if position < depth else now_s, found)
        _settle(profile, job, start_s, found)
        is_known &= start_s == np.inf


@kernel
def may_take(profile: NodeProfile, job: int, now_s: float, nodes: NDArray[np.bool_]) -> None:
    """Mark the nodes on which a job whose start is planned now may start: those of its plan, and where none is."""
    for node in range(len(nodes)):
        nodes[node] = find_hole(profile, node, profile.job[job], now_s, now_s, profile.hole[0]) == now_s
    nodes[_place_of(profile, profile.job[job])] = True

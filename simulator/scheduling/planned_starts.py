"""Planned starts on the availability profile by node: kept, moved forward into time that has become free, or made."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.compiled import kernel
from simulator.scheduling.node_profile import (
    Bools,
    Floats,
    Holes,
    Ints,
    NodeProfile,
    change_free,
    end_of,
    find_place,
    is_free,
    keep_for,
)
from simulator.scheduling.windows import NOBODY, WindowColumns

class Plan(NamedTuple):
    """The jobs of the queue, in its order, and what is planned for them; arrays by position.

    Parameters
    ----------
    nodes, gpus : int arrays
        Nodes wanted, and GPUs on each of them.
    account, length_s : arrays
        On whose account, and estimates, positive and finite.
    start_s : float array
        Planned start, NaN for none; modified in place.
    first : int array
        Where in ``place`` the nodes of each job begin.
    place : int array, shape (nodes of all jobs,)
        Nodes on which jobs are planned; modified in place.
    """

    nodes: Ints
    gpus: Ints
    account: Ints
    length_s: Floats
    start_s: Floats
    first: Ints
    place: Ints


@kernel
def add_what_is_known(
    profile: NodeProfile, now_s: float, g: int, is_held: Bools, free_at_s: Floats, is_shared: Bools,
    tenant_end_s: Floats, tenant_gpus: Ints, windows: WindowColumns,
) -> None:  # fmt: skip
    """Take what runs from a profile of empty nodes, by expected ends, and keep nodes for the windows open or ahead.

    A job past its estimate counts as ending just after now: what it holds is not free yet.

    Parameters
    ----------
    profile : NodeProfile
        Modified in place.
    now_s, g : float, int
        Time of the pass, and GPUs of a node.
    is_held, free_at_s : arrays, shape (nodes,)
        Nodes that one job holds, and when they are expected to be free.
    is_shared : bool array, shape (nodes,)
        Nodes on which several jobs may be.
    tenant_end_s, tenant_gpus : arrays, shape (nodes, g)
        Their expected ends and GPUs.
    windows : WindowColumns
        Times in which nodes are kept for somebody.
    """
    soon_s = np.nextafter(now_s, np.inf)
    for node in range(len(is_held)):
        if is_held[node]:
            change_free(profile, node, now_s, end_of(profile, max(free_at_s[node], soon_s), 0.0), -g)
        elif is_shared[node]:
            for slot in range(g):
                if tenant_gpus[node, slot] > 0:
                    end_s = end_of(profile, max(tenant_end_s[node, slot], soon_s), 0.0)
                    change_free(profile, node, now_s, end_s, -tenant_gpus[node, slot])
    for k in range(len(windows.begin_s)):
        if windows.end_s[k] > now_s:
            for node in np.flatnonzero(windows.members[windows.group[k]]):
                keep_for(profile, node, max(windows.begin_s[k], now_s), windows.end_s[k], windows.account[k])


@kernel
def _take(profile: NodeProfile, plan: Plan, row: int, sign: int) -> None:
    """Enter what is planned for a job, or take it out again when ``sign`` is 1."""
    end_s = end_of(profile, plan.start_s[row], plan.length_s[row])
    for node in plan.place[plan.first[row] : plan.first[row] + plan.nodes[row]]:
        change_free(profile, node, plan.start_s[row], end_s, sign * plan.gpus[row])


@kernel
def _is_kept(profile: NodeProfile, plan: Plan, row: int, now_s: float) -> bool:
    """Return whether what is planned for a job lies ahead, and fits beside all that has been entered."""
    start_s = plan.start_s[row]
    end_s = end_of(profile, start_s, plan.length_s[row])
    if start_s < now_s:
        return False
    for node in plan.place[plan.first[row] : plan.first[row] + plan.nodes[row]]:
        if not is_free(profile, node, plan.gpus[row], plan.account[row], start_s, end_s):
            return False
    return True


@kernel
def _find(profile: NodeProfile, holes: Holes, plan: Plan, row: int, now_s: float, until_s: float, found: Ints) -> float:
    return float(
        find_place(
            profile, holes, plan.nodes[row], plan.gpus[row], plan.account[row], plan.length_s[row], now_s, until_s,
            found[: plan.nodes[row]],
        )
    )  # fmt: skip


@kernel
def _settle(profile: NodeProfile, plan: Plan, row: int, start_s: float, found: Ints) -> None:
    """Plan a job on the nodes that were found for it; an infinite start is none."""
    plan.start_s[row] = start_s if start_s < np.inf else np.nan
    if start_s < np.inf:
        plan.place[plan.first[row] : plan.first[row] + plan.nodes[row]] = found[: plan.nodes[row]]
        _take(profile, plan, row, -1)


@kernel
def _free_until(profile: NodeProfile, g: int, part_s: Floats, whole_s: Floats) -> None:
    """Write until when some node has so many GPUs free from now on, and until when nodes are empty, descending.

    Bounds: what is kept for somebody counts as free.
    """
    point = profile.point
    part_s[:] = -np.inf
    for node in range(whole_s.shape[0]):
        at, left = node, g
        whole_s[node] = np.inf
        while at >= 0 and left > 0:
            free = 0 if point[at].account == NOBODY else point[at].free
            if free < left:
                whole_s[node] = min(whole_s[node], point[at].time_s)
                for gpus in range(free + 1, left + 1):
                    part_s[gpus] = max(part_s[gpus], point[at].time_s)
                left = free
            at = point[at].after
        for gpus in range(1, left + 1):
            part_s[gpus] = np.inf
    whole_s[:] = -np.sort(-whole_s)


@kernel
def plan_starts(
    profile: NodeProfile, holes: Holes, plan: Plan, now_s: float, g: int, depth: int, until_s: float, moves: bool
) -> None:  # fmt: skip
    """Plan the start of the first jobs of a queue, and of those behind them that can start now and delay none.

    Parameters
    ----------
    profile : NodeProfile
        What runs, and the windows; what is planned is entered.
    holes : Holes
        Scratch.
    plan : Plan
        The queue, and what was planned in the last pass; modified in place.
    now_s : float
        Time of the pass.
    g : int
        GPUs of a node.
    depth : int
        Jobs that get a planned start.
    until_s : float
        The latest start that is planned.
    moves : bool
        Whether time has become free since the last pass, so that planned starts may move forward.

    Notes
    -----
    In queue order each time. First what was planned is kept; what cannot be, because a node was lost or a run outlived
    its estimate, is planned anew at the earliest place beside all that is ahead of it. If anything was, or ``moves``,
    each job is taken out and put back at its earliest place, never later than before. Then jobs without a planned start get their earliest one,
    beside all others.
    """
    found = np.empty(max(plan.nodes.max(), 1), np.int64)
    rows = len(plan.nodes)
    for row in range(rows):
        if np.isnan(plan.start_s[row]):
            continue
        if _is_kept(profile, plan, row, now_s):
            _take(profile, plan, row, -1)
        else:
            moves = True
            _settle(profile, plan, row, _find(profile, holes, plan, row, now_s, until_s, found), found)
    for row in range(rows if moves else 0):
        if plan.start_s[row] > now_s:  # not where there is none
            _take(profile, plan, row, 1)
            start_s = _find(profile, holes, plan, row, now_s, plan.start_s[row], found)
            if start_s < plan.start_s[row]:
                _settle(profile, plan, row, start_s, found)
            else:
                _take(profile, plan, row, -1)
    part_s, whole_s = np.empty(g + 1), np.empty(holes.start_s.shape[0])
    is_known = False
    for row in range(rows):
        if not np.isnan(plan.start_s[row]):
            continue
        if row >= depth:
            if not is_known:
                _free_until(profile, g, part_s, whole_s)
                is_known = True
            nodes = plan.nodes[row]
            if nodes > len(whole_s):
                continue
            last_s = part_s[plan.gpus[row]] if nodes == 1 else whole_s[nodes - 1]
            if last_s < now_s + plan.length_s[row]:
                continue
        latest_s = until_s if row < depth else now_s
        _settle(profile, plan, row, _find(profile, holes, plan, row, now_s, latest_s, found), found)
        is_known &= np.isnan(plan.start_s[row])


@kernel
def may_take(profile: NodeProfile, plan: Plan, row: int, now_s: float, nodes: Bools) -> None:
    """Mark the nodes on which a job whose start is planned now may start: those of its plan, and where none is."""
    end_s = end_of(profile, now_s, plan.length_s[row])
    for node in range(len(nodes)):
        nodes[node] = is_free(profile, node, plan.gpus[row], plan.account[row], now_s, end_s)
    nodes[plan.place[plan.first[row] : plan.first[row] + plan.nodes[row]]] = True

"""The availability profile by node: how many GPUs of every node are free over future time, and for whose jobs.

The profile is a table of times, at which something changes, by nodes. Most entries repeat the one before, so every node
keeps only its own breakpoints, as a linked list: one is made by each job that runs or is planned there, and by each
window. Its first breakpoint is the present.

A *hole* of a node is a maximal time in which a job could be there: enough GPUs are free, and they are kept for nobody
or for the job's account.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

EVERYBODY = -2
"""Account of what is kept for nobody in particular."""

_POINT = np.dtype(
    [
        ("time_s", np.float64),
        ("free", np.int64),  # GPUs from here until the next breakpoint, the last for ever
        ("account", np.int32),  # for whom: an account, NOBODY or EVERYBODY
        ("after", np.int32),  # the next breakpoint of the node, -1 for none
    ],
    align=True,
)
_STATE = np.dtype([("untouched", np.int64), ("dropped", np.int64)])


class NodeProfile(NamedTuple):
    """A profile, modified in place.

    Parameters
    ----------
    point : record array, shape (points,)
        Breakpoints; those of the present come first, one for each node in order.
    state : record array, shape (1,)
        From where on breakpoints have never been used, and one that was dropped, which leads to others (-1 for none).
    resolution_s : float
        Ends are rounded up to multiples of it, 0 for not at all.
    """

    point: NDArray[np.record]
    state: NDArray[np.record]
    resolution_s: float


class Holes(NamedTuple):
    """The first hole of every node that is long enough for a job; arrays by node.

    Parameters
    ----------
    start_s, end_s : float arrays
        From when until when; infinite for none.
    common_s : float array
        Until when it is open to everybody.
    free : int array
        GPUs that are free at its start.
    """

    start_s: Floats
    end_s: Floats
    common_s: Floats
    free: Ints


def new_node_profile(now_s: float, free: Ints, more_points: int, resolution_s: float = 0.0) -> NodeProfile:
    """Return the profile of nodes on which so many GPUs are free for ever, with room for more breakpoints."""
    nodes = len(free)
    profile = NodeProfile(np.recarray(nodes + more_points, _POINT), np.recarray(1, _STATE), resolution_s)
    present = profile.point[:nodes]
    present.time_s, present.free, present.account, present.after = now_s, free, EVERYBODY, -1
    profile.state[0] = (nodes, -1)
    return profile


@kernel
def end_of(profile: NodeProfile, start_s: float, length_s: float) -> float:
    """Return when what lasts so long is over, as the profile counts it."""
    end_s = start_s + length_s
    if profile.resolution_s > 0.0:
        return float(math.ceil(end_s / profile.resolution_s) * profile.resolution_s)
    return float(end_s)


@kernel
def breakpoint_at(profile: NodeProfile, node: int, time_s: float) -> int:
    """Return the breakpoint of a node at a time that is not before the present, inserted if need be."""
    point, state = profile.point, profile.state[0]
    at = node
    while point[at].after >= 0 and point[point[at].after].time_s <= time_s:
        at = point[at].after
    if point[at].time_s == time_s:
        return at
    new = state.dropped
    if new >= 0:
        state.dropped = point[new].after
    else:
        new = state.untouched
        state.untouched += 1
    point[new].time_s, point[new].free, point[new].account = time_s, point[at].free, point[at].account
    point[new].after = point[at].after
    point[at].after = new
    return int(new)


@kernel
def change_free(profile: NodeProfile, node: int, start_s: float, end_s: float, gpus: int) -> None:
    """Give GPUs of a node back between two times, or take them when ``gpus`` is negative."""
    point, state = profile.point, profile.state[0]
    at = breakpoint_at(profile, node, start_s)
    last = breakpoint_at(profile, node, end_s) if end_s < np.inf else -1
    while at != last:
        point[at].free += gpus
        at = point[at].after
    if gpus < 0:
        return
    at = node
    while point[at].after >= 0:  # drop the breakpoints at which nothing changes any more
        after = point[at].after
        if point[after].free == point[at].free and point[after].account == point[at].account:
            point[at].after = point[after].after
            point[after].after = state.dropped
            state.dropped = after
        else:
            at = after


@kernel
def keep_for(profile: NodeProfile, node: int, start_s: float, end_s: float, account: int) -> None:
    """Keep a node for an account between two times."""
    at, last = breakpoint_at(profile, node, start_s), breakpoint_at(profile, node, end_s)
    while at != last:
        profile.point[at].account = account
        at = profile.point[at].after


@kernel
def _is_open(profile: NodeProfile, at: int, gpus: int, account: int) -> bool:
    """Return whether a job of an account finds so many GPUs at a breakpoint."""
    point = profile.point[at]
    return bool(point.free >= gpus and (point.account == EVERYBODY or point.account == account))


@kernel
def is_free(profile: NodeProfile, node: int, gpus: int, account: int, start_s: float, end_s: float) -> bool:
    """Return whether so many GPUs of a node are free for an account all the time between two times."""
    point, at = profile.point, node
    while at >= 0 and point[at].time_s < end_s:
        after = point[at].after
        if (after < 0 or point[after].time_s > start_s) and not _is_open(profile, at, gpus, account):
            return False
        at = after
    return True


@kernel
def find_hole(
    profile: NodeProfile, holes: Holes, node: int, gpus: int, account: int, length_s: float, from_s: float,
    until_s: float,
) -> None:  # fmt: skip
    """Write the first hole of a node that is long enough, counted from a time on, and begins by another."""
    point, at = profile.point, node
    start_s = common_s = np.inf
    while at >= 0 and (start_s < np.inf or point[at].time_s <= until_s):
        after = point[at].after
        if after < 0 or point[after].time_s > from_s:
            begin_s = max(point[at].time_s, from_s)
            if _is_open(profile, at, gpus, account):
                if start_s == np.inf:
                    start_s, common_s, holes.free[node] = begin_s, np.inf, point[at].free
                if point[at].account != EVERYBODY:
                    common_s = min(common_s, begin_s)
            elif start_s < np.inf:
                if end_of(profile, start_s, length_s) <= begin_s:
                    holes.start_s[node], holes.end_s[node] = start_s, begin_s
                    holes.common_s[node] = min(common_s, begin_s)
                    return
                start_s = np.inf
        at = after
    holes.start_s[node], holes.end_s[node], holes.common_s[node] = start_s, np.inf, common_s


@kernel
def find_place(
    profile: NodeProfile, holes: Holes, nodes: int, gpus: int, account: int, length_s: float, from_s: float,
    until_s: float, chosen: Ints,
) -> float:  # fmt: skip
    """Return when a job can start at the earliest, and on which nodes; infinite where not by ``until_s``.

    Parameters
    ----------
    profile : NodeProfile
        The profile.
    holes : Holes
        Scratch.
    nodes, gpus : int
        Nodes wanted, and GPUs on each of them.
    account, length_s : int, float
        On whose account, and how long.
    from_s, until_s : float
        The earliest and the latest start that is of use.
    chosen : int array, shape (nodes,)
        Filled with node ids.

    Notes
    -----
    The earliest time is found from below. The k-th smallest of the starts of the nodes' holes cannot be beaten; where a
    hole is too short from then on, the next one of that node counts, until k holes last.

    Of the nodes that are possible then those are chosen that others can use least: the fullest, then those that cease
    soonest to be open to everybody, then those with the lowest ids.
    """
    start_s = holes.start_s
    if nodes > start_s.shape[0]:
        return np.inf
    for node in range(start_s.shape[0]):
        find_hole(profile, holes, node, gpus, account, length_s, from_s, until_s)
    is_short = True
    while is_short:
        time_s = start_s.min() if nodes == 1 else np.partition(start_s, nodes - 1)[nodes - 1]
        if time_s > until_s or time_s == np.inf:
            return np.inf
        end_s, is_short = end_of(profile, time_s, length_s), False
        for node in range(start_s.shape[0]):
            if start_s[node] < time_s:  # a later start on this node, with what is there then
                is_short |= holes.end_s[node] < end_s
                find_hole(profile, holes, node, gpus, account, length_s, time_s, until_s)
    there = np.flatnonzero(start_s == time_s)
    if nodes > 1:  # all of them empty
        chosen[:] = there[np.argsort(holes.common_s[there], kind="mergesort")[:nodes]]
        return float(time_s)
    chosen[0] = there[0]
    for node in there:
        if _is_better(holes, node, chosen[0]):
            chosen[0] = node
    return float(time_s)


@kernel
def _is_better(holes: Holes, node: int, other: int) -> bool:
    """Return whether others can use a node less than another one."""
    if holes.free[node] != holes.free[other]:
        return bool(holes.free[node] < holes.free[other])
    return bool(holes.common_s[node] < holes.common_s[other])

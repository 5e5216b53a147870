"""The availability profile by node: how many GPUs of every node are free over future time, and for whose jobs.

The profile is a table of times, at which something changes, by nodes. Most entries repeat the one before, so every node
has a list of its own breakpoints only: of the jobs that run or are planned there, and of the times it is kept.
The first breakpoint of a node is the present, and the last one holds for ever.

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
Records = NDArray[np.record]

EVERYBODY = -2
"""Account of what is kept for nobody in particular."""

_POINT = np.dtype(
    [
        ("time_s", np.float64),
        ("free", np.int64),  # GPUs
        ("account", np.int32),  # for whom: an account, NOBODY or EVERYBODY
        ("after", np.int32),  # the next breakpoint of the node, -1 for none
    ],
    align=True,
)
_HOLE = np.dtype(
    [
        ("start_s", np.float64),  # infinite for none
        ("end_s", np.float64),
        ("common_s", np.float64),  # until when it is open to everybody
        ("free", np.int64),  # GPUs at its start
    ]
)
_JOB = np.dtype(
    [
        ("nodes", np.int64),
        ("gpus", np.int64),  # on each of them
        ("account", np.int64),
        ("length_s", np.float64),  # estimate, positive and finite
        ("start_s", np.float64),  # planned, NaN for none
        ("first", np.int64),  # where in ``place`` its nodes begin
    ]
)


class NodeProfile(NamedTuple):
    """A profile, and what is planned on it; modified in place.

    Parameters
    ----------
    point : record array, shape (points,)
        Breakpoints; those of the present come first, one for each node in order.
    used : int array, shape (1,)
        How many there are.
    hole : record array, shape (nodes,)
        Scratch of a search: the first hole of every node looked at.
    job, place : record array, shape (jobs,), and int array, shape (nodes of all jobs,)
        All jobs of the run, and the nodes on which they are planned.
    resolution_s : float
        Ends are rounded up to multiples of it, 0 for not at all.
    """

    point: Records
    used: Ints
    hole: Records
    job: Records
    place: Ints
    resolution_s: float


def new_node_profile(nodes: int, jobs: int, places: int, resolution_s: float = 0.0) -> NodeProfile:
    """Return a profile of so many nodes and jobs, still to be filled, without room for breakpoints."""
    return NodeProfile(
        np.recarray(0, _POINT), np.zeros(1, np.int64), np.recarray(nodes, _HOLE), np.recarray(jobs, _JOB),
        np.empty(places, np.int64), resolution_s,
    )  # fmt: skip


def with_room(profile: NodeProfile, points: int) -> NodeProfile:
    """Return the profile with room for so many breakpoints; those that it has are lost if it must grow."""
    return profile if points <= len(profile.point) else profile._replace(point=np.recarray(2 * points, _POINT))


@kernel
def end_of(profile: NodeProfile, start_s: float, length_s: float) -> float:
    """Return when what lasts so long is over, as the profile counts it."""
    end_s = start_s + length_s
    if profile.resolution_s > 0.0:
        return float(math.ceil(end_s / profile.resolution_s) * profile.resolution_s)
    return float(end_s)


@kernel
def breakpoint_at(profile: NodeProfile, node: int, time_s: float) -> int:
    """Return the breakpoint of a node at a time that is not before the present, inserted if need be; -1 at infinity."""
    point, at = profile.point, node
    if time_s == np.inf:
        return -1
    while point[at].after >= 0 and point[point[at].after].time_s <= time_s:
        at = point[at].after
    if point[at].time_s < time_s:
        new = profile.used[0]
        profile.used[0] += 1
        point[new].time_s, point[new].free, point[new].account = time_s, point[at].free, point[at].account
        point[new].after, point[at].after = point[at].after, new
        return int(new)
    return at


@kernel
def change(profile: NodeProfile, node: int, start_s: float, end_s: float, gpus: int, account: int) -> None:
    """Give GPUs of a node back between two times, or take them; keep it for an account, unless that is EVERYBODY."""
    at, last = breakpoint_at(profile, node, start_s), breakpoint_at(profile, node, end_s)
    while at != last:
        profile.point[at].free += gpus
        if account != EVERYBODY:
            profile.point[at].account = account
        at = profile.point[at].after


@kernel
def find_hole(profile: NodeProfile, node: int, job: np.record, from_s: float, until_s: float, hole: np.record) -> float:
    """Return when the first hole of a node begins that is long enough for a job, infinite for none.

    It is written to ``hole``. What lies before ``from_s`` does not count, and one that begins after ``until_s``
    need not be found.
    """
    point, at = profile.point, node
    start_s = common_s = np.inf
    hole.end_s = np.inf
    while at >= 0 and (start_s < np.inf or point[at].time_s <= until_s):
        after = point[at].after
        if after < 0 or point[after].time_s > from_s:
            begin_s, is_everybodys = max(point[at].time_s, from_s), point[at].account == EVERYBODY
            if point[at].free >= job.gpus and (is_everybodys or point[at].account == job.account):
                if start_s == np.inf:
                    start_s, common_s, hole.free = begin_s, np.inf, point[at].free
                if not is_everybodys:
                    common_s = min(common_s, begin_s)
            elif start_s < np.inf:
                if end_of(profile, start_s, job.length_s) <= begin_s:
                    hole.end_s, common_s = begin_s, min(common_s, begin_s)
                    break
                start_s = np.inf
        at = after
    hole.start_s, hole.common_s = start_s, common_s
    return float(start_s)


@kernel
def find_place(profile: NodeProfile, among: Ints, job: np.record, from_s: float, until_s: float, chosen: Ints) -> float:
    """Return when a job can start at the earliest on some nodes, and write on which; infinite where not by a time.

    Parameters
    ----------
    profile, among, job : NodeProfile, int array, record
        The profile, the nodes to choose from, and the job.
    from_s, until_s : float
        The earliest and the latest start that is of use.
    chosen : int array
        Filled, as far as the job wants nodes.

    Notes
    -----
    The earliest time is found from below. The k-th smallest of the starts of the nodes' holes cannot be beaten; where a
    hole is too short from then on, the next one of that node counts, until k holes last.

    Of the nodes that are possible then those are chosen that others can use least: the fullest, then those that cease
    soonest to be open to everybody, then the first.
    """
    nodes, hole = job.nodes, profile.hole[: len(among)]
    if nodes > len(among):
        return np.inf
    for k in range(len(among)):
        find_hole(profile, among[k], job, from_s, until_s, hole[k])
    is_short = True
    while is_short:
        start_s = hole["start_s"].min() if nodes == 1 else np.partition(hole["start_s"], nodes - 1)[nodes - 1]
        if start_s > until_s or start_s == np.inf:
            return np.inf
        end_s, is_short = end_of(profile, start_s, job.length_s), False
        for k in range(len(among)):
            if hole[k].start_s < start_s:  # a later start on this node, with what is there then
                is_short |= hole[k].end_s < end_s
                find_hole(profile, among[k], job, start_s, until_s, hole[k])
    there = np.flatnonzero(hole["start_s"] == start_s)
    if nodes > 1:  # all of them empty
        chosen[:nodes] = among[there[np.argsort(hole["common_s"][there], kind="mergesort")[:nodes]]]
        return float(start_s)
    best = there[0]
    for place in range(1, len(there)):
        k = there[place]
        if (hole[k].free, hole[k].common_s) < (hole[best].free, hole[best].common_s):
            best = k
    chosen[0] = among[best]
    return float(start_s)

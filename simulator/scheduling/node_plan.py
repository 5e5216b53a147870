"""The plan of all that runs or waits, node by node: nodes counted by kind, and boxes for jobs that share one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.box_bookings import open_box, put_in_box
from simulator.scheduling.boxes import NONE, Boxes, clear_boxes
from simulator.scheduling.kinds import change_kind, change_taken, keep_kinds, kinds_in
from simulator.scheduling.profile import Ints, Profile, step_at
from simulator.scheduling.reservations import clear, last_until
from simulator.scheduling.stretches import block_at, tidy_stretches

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class NodePlan(NamedTuple):
    """All that runs or waits, over time; modified in place.

    Parameters
    ----------
    profile : Profile
        Nodes, counted in GPUs.
    boxes : Boxes
        Where jobs for parts of nodes lie.
    reservations : record array, shape (jobs,)
        Those of all jobs. One of a job for a part of a node holds GPUs of a box and two steps of it.
    taken : int array, shape (jobs, kinds)
        GPUs of every kind of node reserved by a job for whole nodes.
    kind : int array, shape (nodes,)
        Kind of every node.
    level : int array, shape (kinds,) or (1,)
        GPUs of all nodes of every kind that are empty or will be when what runs has ended.
    ends_s, ones : float and int arrays
        When windows end, and which kinds are one from then on, see ``kinds.first_alike``.
    """

    profile: Profile
    boxes: Boxes
    reservations: NDArray[np.record]
    taken: Ints
    kind: Ints
    level: Ints
    ends_s: Floats
    ones: Ints


@kernel
def clear_plan(plan: NodePlan, now_s: float, level: Ints) -> None:
    """Forget all reservations but not the jobs' places in the records."""
    profile, boxes = plan.profile, plan.boxes
    clear_boxes(boxes)
    clear(profile, now_s, 0)
    if kinds_in(profile) > 0:
        profile.free[profile.state[0].head] = 0
        keep_kinds(profile, boxes.window, plan.ends_s, plan.ones)
    plan.level[:] = 0
    set_level(plan, level)


@kernel
def set_level(plan: NodePlan, level: Ints) -> bool:
    """Put nodes in or take them out, so that there are so many of every kind; return whether any kind has lost some."""
    has_lost, profile, boxes = False, plan.profile, plan.boxes
    for kind in range(level.shape[0]):
        more = level[kind] - plan.level[kind]
        if more == 0:
            continue
        change_kind(profile, profile.state[0].head, -1, kind, more)
        plan.level[kind] = level[kind]
        boxes.longest_s[:, boxes.order[: boxes.state[0].blocks]] = np.inf
        has_lost |= more < 0
    return has_lost


@kernel
def reserve_whole(plan: NodePlan, job: int, near: int, has_begun: bool, end_s: float) -> None:
    """Reserve the nodes that a job has taken from a step until a time; ``near`` is a step that is not after it."""
    profile, reservation = plan.profile, plan.reservations[job]
    last = step_at(profile, last_until(profile, near, end_s), end_s)
    change_taken(profile, near, last, -reservation.nodes, plan.taken[job])
    reservation.first = -1 if has_begun else near
    if not has_begun:
        profile.step[near].uses += 1
    profile.step[last].uses += 1
    reservation.last = last


@kernel
def copy_plan(old: NodePlan, new: NodePlan, new_kind: Ints, holders: Ints, shares: Bools) -> None:
    """Enter the reservations of a plan in another one, of fewer kinds or with more room, that has been cleared.

    Parameters
    ----------
    old, new : NodePlan
        The plans; those reservations that are in the records of both are modified in place.
    new_kind : int array, shape (kinds,)
        Kind in the new plan of every kind of the old one.
    holders : int array
        Jobs that have a reservation, in order of the begin of their reservations.
    shares : bool array, shape (jobs,)
        Whether each job takes a part of a node.
    """
    profile, boxes = new.profile, new.boxes
    head = profile.state[0].head
    now_s = profile.step[head].time_s
    opened = np.full(old.boxes.box.shape[0], NONE, np.int64)
    for job in holders:
        was, now = old.reservations[job], new.reservations[job]
        first, last, now.nodes, now.length_s = was.first, was.last, was.nodes, was.length_s
        if not shares[job]:
            start_s, end_s = now_s, old.profile.step[last].time_s
            if first >= 0:
                start_s = old.profile.step[first].time_s
            for kind in range(new.taken.shape[1]):
                new.taken[job, kind] = 0
            if new.taken.shape[1] > 0:
                for kind in range(new_kind.shape[0]):
                    new.taken[job, new_kind[kind]] += old.taken[job, kind]
            near = _step_from(profile, start_s)
            reserve_whole(new, job, near, first < 0, end_s)
            tidy_stretches(profile)
            continue
        b = old.boxes.step[last].box
        start_s, end_s = now_s, old.boxes.step[last].time_s
        if first >= 0:
            start_s = old.boxes.step[first].time_s
        into, box = opened[b], old.boxes.box[b]
        if into == NONE:
            begin = _step_from(profile, start_s) if box.begin >= 0 else NONE
            now.first, now.last = open_box(profile, boxes, begin, new_kind[box.kind], start_s, end_s, now.nodes)
            into = opened[b] = boxes.step[now.last].box
            if box.node != NONE:
                boxes.box[into].node, boxes.on_node[box.node] = box.node, into
        else:
            near, has_begun = boxes.box[into].first, first < 0
            now.first, now.last = put_in_box(profile, boxes, into, near, start_s, end_s, now.nodes, has_begun)
        if first < 0:
            now.first = NONE
        tidy_stretches(profile)


@kernel
def _step_from(profile: Profile, time_s: float) -> int:
    """Return the step at a time, inserted if need be."""
    near = profile.block[block_at(profile, time_s)].first
    return step_at(profile, last_until(profile, near, time_s), time_s)

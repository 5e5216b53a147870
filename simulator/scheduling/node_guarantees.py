"""One pass of conservative backfilling over nodes: guarantees kept, moved forward, or made anew, and who starts where.

It is to `guarantees` what `node_pass` is to `backfill`: the same rules where jobs share nodes or nodes are kept for
somebody. Jobs for parts of nodes lie in `boxes`, and nodes are counted by `kinds`. What is planned is not tied to
nodes, and what starts may take any nodes with which the plan still holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.box_bookings import (
    advance_boxes,
    begin_box,
    begin_job,
    free_nodes,
    free_taken,
    most_used,
    open_box,
    put_in_box,
    take_out,
)
from simulator.scheduling.box_places import has_room, is_empty_until, place_part
from simulator.scheduling.boxes import NONE
from simulator.scheduling.kinds import (
    change_taken,
    fewest_empty,
    first_place,
    kinds_in,
    most_periods,
    room,
    room_until,
    share_out,
)
from simulator.scheduling.node_plan import NodePlan, clear_plan, reserve_whole, set_level
from simulator.scheduling.profile import Ints, step_at
from simulator.scheduling.reservations import (
    advance,
    change_free,
    end_earlier,
    forget,
    last_until,
    place,
    settle_earlier,
    start_job,
)
from simulator.scheduling.stretches import earliest_stretch, tidy_stretches

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SHARED = -2
"""Holder of a node on which jobs share."""


class RunningColumns(NamedTuple):
    """What runs on nodes of which it is known when they are free again.

    Parameters
    ----------
    job, gpus : int arrays, shape (running,)
        Jobs, and the GPUs that they hold there.
    taken : int array, shape (running, kinds)
        GPUs of every kind of node held by a job for whole nodes.
    end_s : float array, shape (running,)
        Expected ends. A job at or past its end counts as ending just after now.
    node : int array, shape (running,)
        The node of a job that shares it, -1 for others.
    """

    job: Ints
    gpus: Ints
    taken: Ints
    end_s: Floats
    node: Ints


class PlannedJobs(NamedTuple):
    """The jobs of a run, by index.

    Parameters
    ----------
    gpus : int array
        GPUs that each wants, those of whole nodes or a part of one.
    requested_s : float array
        Estimates.
    shares : bool array
        Whether it takes a part of a node.
    claimant : int array
        Who it is for, see `kinds`.
    start_s : float array
        Guaranteed starts, NaN for a job without one; modified in place. Infinite for a job that does not fit even when
        everything that runs has ended.
    """

    gpus: Ints
    requested_s: Floats
    shares: Bools
    claimant: Ints
    start_s: Floats


@kernel
def _give_up(plan: NodePlan, job: int, shares: bool) -> None:
    """End a reservation before its time, or at it."""
    profile, reservation = plan.profile, plan.reservations[job]
    if shares:
        take_out(profile, plan.boxes, reservation.first, reservation.last, reservation.nodes)
        reservation.first = reservation.last = -1
    else:
        start = reservation.first if reservation.first >= 0 else profile.state[0].head
        free_taken(profile, plan.boxes, start, reservation.last, reservation.nodes, plan.taken[job])
        forget(profile, reservation)


@kernel
def _give_up_what_changed(
    plan: NodePlan, jobs: PlannedJobs, holders: Ints, running: RunningColumns, end_s: Floats, queue_job: Ints
) -> None:
    """Keep the reservations of jobs about which all is as it was, and give up those of the other holders."""
    profile, boxes, reservations = plan.profile, plan.boxes, plan.reservations
    step, head = profile.step, profile.state[0].head
    for job in holders:
        reservations[job].stays = False
    for row in range(running.job.shape[0]):
        kept, node = reservations[running.job[row]], running.node[row]
        if kept.last < 0 or kept.nodes != running.gpus[row]:
            continue
        if node < 0:
            if kept.first == head:
                start_job(profile, kept)  # it was started in the last pass
            kept.stays = kept.first < 0 and step[kept.last].time_s == end_s[row]
            for kind in range(running.taken.shape[1]):
                kept.stays &= running.taken[row, kind] == plan.taken[running.job[row], kind]
            continue
        box = boxes.box[boxes.step[kept.last].box]
        opens = kept.first >= 0 and box.node == NONE and box.begin == head and box.kind == plan.kind[node]
        kept.stays = (box.node == node or opens) and boxes.step[kept.last].time_s == end_s[row]
    for job in queue_job:
        kept = reservations[job]
        kept.stays = kept.last >= 0 and not np.isnan(jobs.start_s[job])
    for job in holders:
        if reservations[job].last >= 0 and not reservations[job].stays:
            _give_up(plan, job, jobs.shares[job])
    for row in range(running.job.shape[0]):
        kept, node = reservations[running.job[row]], running.node[row]
        if kept.last < 0 or kept.first < 0:
            continue
        b = boxes.step[kept.last].box  # it was started in the last pass, in its own box or a new one of that
        is_fit = boxes.box[b].kind == plan.kind[node] and boxes.box[b].begin == head
        if boxes.box[b].node == NONE and boxes.on_node[node] == NONE and is_fit:
            begin_box(profile, boxes, b, node)
        if boxes.box[b].node == node:
            begin_job(boxes, kept.first)
            kept.first = -1
        else:
            _give_up(plan, running.job[row], True)


@kernel
def _reserve_running(plan: NodePlan, running: RunningColumns, end_s: Floats) -> tuple[bool, bool]:
    """Reserve for the running jobs that have no reservation; return whether there were any, and whether they fit."""
    profile, boxes = plan.profile, plan.boxes
    has_new, fits, head = False, True, profile.state[0].head
    now_s = profile.step[head].time_s
    for row in range(running.job.shape[0]):
        new, node = plan.reservations[running.job[row]], running.node[row]
        if new.last >= 0:
            continue
        new.nodes, has_new = running.gpus[row], True
        if node < 0:
            plan.taken[running.job[row]] = running.taken[row]
            reserve_whole(plan, running.job[row], head, True, end_s[row])
            continue
        b = boxes.on_node[node]
        if b == NONE:
            first, new.last = open_box(profile, boxes, -1, plan.kind[node], now_s, end_s[row], new.nodes)
            b = boxes.step[first].box
            boxes.box[b].node, boxes.on_node[node] = node, b
        else:
            near = boxes.box[b].first
            first, new.last = put_in_box(profile, boxes, b, near, now_s, end_s[row], new.nodes, True)
            fits &= most_used(boxes, first, new.last) <= boxes.gpus_per_node
        new.first = -1
    return has_new, fits


@kernel
def _place_whole(plan: NodePlan, job: int, jobs: PlannedJobs, least: Ints) -> float:
    """Give a job for whole nodes its earliest place; return its start, infinite for none."""
    profile, reservation, claimant = plan.profile, plan.reservations[job], jobs.claimant[job]
    nodes, length_s = reservation.nodes, reservation.length_s
    first = first_place(profile, claimant, nodes, length_s, np.inf, least)
    if first < 0:
        return np.inf
    start_s = profile.step[first].time_s
    share_out(profile, plan.boxes.window, claimant, first, start_s + length_s, nodes, plan.taken[job])
    reserve_whole(plan, job, first, False, start_s + length_s)
    tidy_stretches(profile)
    return float(start_s)


@kernel
def _begin_earlier(plan: NodePlan, job: int, to: int) -> float:
    """Let a job for whole nodes begin at an earlier step, on nodes of the same kinds; return its start."""
    profile, reservation, taken = plan.profile, plan.reservations[job], plan.taken[job]
    end, until, freed = end_earlier(profile, reservation, to)
    change_taken(profile, to, until, -reservation.nodes, taken)
    free_taken(profile, plan.boxes, freed, reservation.last, reservation.nodes, taken)
    start_s = float(profile.step[to].time_s)
    settle_earlier(profile, reservation, to, end)
    return start_s


@kernel
def _move_by_kinds(plan: NodePlan, job: int, jobs: PlannedJobs, least: Ints) -> float:
    """Move a job for whole nodes forward to where there is room beside all that is planned, or on nodes of its kinds.

    Returns its start.
    """
    profile, reservation, claimant = plan.profile, plan.reservations[job], jobs.claimant[job]
    step, head, taken = profile.step, profile.state[0].head, plan.taken[job]
    nodes, length_s, to = reservation.nodes, reservation.length_s, reservation.first
    while to != head:
        fits = True
        for kind in range(taken.shape[0]):
            fits &= taken[kind] == 0 or room(profile, step[to].before, kind, claimant) >= taken[kind]
        if not fits:
            break
        to = step[to].before
    found = -1
    if to != head:
        found = first_place(profile, claimant, nodes, length_s, step[to].time_s, least)
    if found < 0:
        return float(step[to].time_s) if to == reservation.first else _begin_earlier(plan, job, to)
    before = taken.copy()
    start_s = step[found].time_s
    end_s = start_s + length_s
    share_out(profile, plan.boxes.window, claimant, found, end_s, nodes, taken)
    end = step_at(profile, last_until(profile, found, end_s), end_s)
    change_taken(profile, found, end, -nodes, taken)
    free_taken(profile, plan.boxes, reservation.first, reservation.last, nodes, before)
    settle_earlier(profile, reservation, found, end)
    return float(start_s)


@kernel
def node_guarantee_pass(
    plan: NodePlan, holders: Ints, now_s: float, level: Ints, running: RunningColumns, queue_job: Ints,
    jobs: PlannedJobs, compresses: bool,
) -> bool:  # fmt: skip
    """Give every queued job a guaranteed start; those at ``now_s`` start now.

    Parameters
    ----------
    plan : NodePlan
        As the last pass left it, or cleared; modified in place.
    holders : int array
        Jobs that were running or queued in the last pass: no other has a reservation.
    now_s : float
        Time of the pass.
    level : int array, shape (kinds,) or (1,)
        GPUs of all nodes of every kind that are empty or will be when what runs has ended.
    running : RunningColumns
        What runs.
    queue_job : int array, shape (queued,)
        Queued jobs in queue order.
    jobs : PlannedJobs
        All jobs; their guarantees are modified in place.
    compresses : bool
        Whether time has become free since the last pass, so that guarantees may move forward.

    Returns
    -------
    bool
        Whether all guarantees had to be made anew.

    Notes
    -----
    Guarantees hold while runs keep to their estimates and no node is lost. When one cannot be kept, because it lies in
    the past or more is promised than will be there, all are made anew in queue order, each at its earliest place.
    """
    profile, boxes, reservations = plan.profile, plan.boxes, plan.reservations
    end_s, start_s = np.maximum(running.end_s, np.nextafter(now_s, np.inf)), jobs.start_s
    least = np.empty(level.shape[0], np.int64)
    is_kept, is_plain = True, kinds_in(profile) == 0
    for job in queue_job:
        if start_s[job] == np.inf:
            start_s[job] = np.nan  # never promised anything
        is_kept &= not start_s[job] < now_s
    if is_kept:
        _give_up_what_changed(plan, jobs, holders, running, end_s, queue_job)
        advance_boxes(boxes, now_s)
        advance(profile, now_s)
        has_lost = set_level(plan, level)
        has_new, is_kept = _reserve_running(plan, running, end_s)
        if has_new or has_lost:
            is_kept &= fewest_empty(profile) >= 0
    if not is_kept:
        clear_plan(plan, now_s, level)
        for job in holders:
            reservations[job].first = reservations[job].last = -1
        for job in running.job:
            reservations[job].first = reservations[job].last = -1
        for job in queue_job:
            start_s[job] = np.nan
        _reserve_running(plan, running, end_s)
    elif compresses:
        tidy_stretches(profile)
        for job in queue_job:
            moved = reservations[job]
            if moved.last < 0:
                continue
            if jobs.shares[job]:
                start_s[job] = place_part(profile, boxes, moved, jobs.claimant[job], least)
            elif is_plain:
                to = earliest_stretch(profile, moved.nodes, moved.length_s, moved.first)
                if to != moved.first:
                    end, until, freed = end_earlier(profile, moved, to)
                    change_free(profile, to, until, -moved.nodes)
                    free_nodes(profile, boxes, freed, moved.last, 0, moved.nodes)
                    start_s[job] = profile.step[to].time_s
                    settle_earlier(profile, moved, to, end)
            else:
                start_s[job] = _move_by_kinds(plan, job, jobs, least)
    for job in queue_job:
        if np.isnan(start_s[job]):
            new = reservations[job]
            new.nodes, new.length_s = jobs.gpus[job], jobs.requested_s[job]
            if jobs.shares[job]:
                start_s[job] = place_part(profile, boxes, new, jobs.claimant[job], least)
            elif is_plain:
                start_s[job] = place(profile, new)
            else:
                start_s[job] = _place_whole(plan, job, jobs, least)
    return not is_kept


# --- who starts where -------------------------------------------------------------------------------------------------


@kernel
def allow_part(plan: NodePlan, jobs: PlannedJobs, job: int, end_s: float, is_empty: Bools, allowed: Bools) -> None:
    """Mark the nodes on which a job for a part of one may start now, with all that is planned as it is.

    Parameters
    ----------
    plan : NodePlan
        The plan, the job in it.
    jobs, job : PlannedJobs, int
        The jobs, and which one.
    end_s : float
        When it would end.
    is_empty : bool array, shape (nodes,)
        Nodes on which nobody is and that are in service.
    allowed : bool array, shape (nodes,)
        Filled.
    """
    profile, boxes, claimant = plan.profile, plan.boxes, jobs.claimant[job]
    own, gpus = boxes.step[plan.reservations[job].last].box, plan.reservations[job].nodes
    opens = np.empty(plan.level.shape[0], np.bool_)
    for kind in range(opens.shape[0]):
        is_own = boxes.box[own].node == NONE and boxes.box[own].kind == kind
        opens[kind] = is_own or is_empty_until(profile, boxes, kind, claimant, end_s)
    for node in range(len(allowed)):
        b = boxes.on_node[node]
        if b == NONE:
            allowed[node] = is_empty[node] and opens[plan.kind[node]]
        else:
            allowed[node] = b == own or has_room(profile, boxes, b, gpus, claimant, end_s)


@kernel
def allow_whole(
    plan: NodePlan, jobs: PlannedJobs, job: int, end_s: float, is_empty: Bools, allowed: Bools
) -> tuple[bool, bool]:
    """Mark the empty nodes that a job for whole ones may start on now, whichever of them it takes.

    Parameters are as above. Returns whether they are all of one kind, so that it is known what it takes, and whether
    nodes of some kind had to be left out because they are promised to others.
    """
    profile, g = plan.profile, plan.boxes.gpus_per_node
    if plan.taken.shape[1] == 0:
        allowed[:] = is_empty
        return True, False
    kinds, head, own = plan.taken.shape[1], profile.state[0].head, plan.taken[job]
    rows = most_periods(plan.boxes.window, profile.step[head].time_s, end_s)
    ones, least = np.empty((rows, kinds), np.int64), np.empty((rows, kinds), np.int64)
    periods = room_until(profile, jobs.claimant[job], head, end_s, own, ones, least)
    wanted, is_cut, some = plan.reservations[job].nodes, False, np.zeros((periods, kinds), np.int64)
    for node in range(len(allowed)):
        allowed[node], is_closed, is_full = False, False, False
        for period in range(periods):
            kind = ones[period, plan.kind[node]]
            is_closed |= least[period, kind] == 0
            # MUST HOLD: of no kind can it take more nodes than are empty for all its time.
            is_full |= least[period, kind] < wanted and some[period, kind] >= least[period, kind]
        if not is_empty[node] or is_closed:
            continue
        if is_full:
            is_cut = True
            continue
        allowed[node] = True
        for period in range(periods):
            some[period, ones[period, plan.kind[node]]] += g
    return int(np.count_nonzero(some[0])) == 1, is_cut

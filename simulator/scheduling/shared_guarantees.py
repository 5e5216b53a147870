"""One pass of conservative backfilling where jobs share nodes: guarantees kept, moved forward, or made anew.

It is to `guarantees` what boxes are to an availability profile: the same rules, with jobs for parts of nodes in
`boxes`. Where nodes are kept for somebody, `node_guarantees` plans by kinds of nodes instead.
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
    most_used,
    open_box,
    put_in_box,
    take_out,
)
from simulator.scheduling.box_places import has_room, is_empty_until, place_part
from simulator.scheduling.boxes import NONE, Boxes, clear_boxes
from simulator.scheduling.profile import Ints, Profile
from simulator.scheduling.reservations import (
    advance,
    clear,
    fewest_free,
    forget,
    lift,
    place,
    reserve,
    settle_earlier,
    start_job,
    take_earlier,
)
from simulator.scheduling.stretches import earliest_stretch, tidy_stretches

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class RunningColumns(NamedTuple):
    """What runs on nodes of which it is known when they are free again.

    Parameters
    ----------
    job, gpus : int arrays, shape (running,)
        Jobs, and the GPUs that they hold there.
    end_s : float array, shape (running,)
        Expected ends. A job at or past its end counts as ending just after now.
    node : int array, shape (running,)
        The node of a job that shares it, -1 for others.
    """

    job: Ints
    gpus: Ints
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
    start_s : float array
        Guaranteed starts, NaN for a job without one; modified in place. Infinite for a job that does not fit even when
        everything that runs has ended.
    """

    gpus: Ints
    requested_s: Floats
    shares: Bools
    start_s: Floats


@kernel
def _give_up(profile: Profile, boxes: Boxes, reservation: np.record, shares: bool) -> None:
    """End a reservation before its time, or at it."""
    if shares:
        take_out(profile, boxes, reservation.first, reservation.last, reservation.nodes)
        reservation.first = reservation.last = -1
    else:
        start = reservation.first if reservation.first >= 0 else profile.state[0].head
        free_nodes(profile, boxes, start, reservation.last, reservation.nodes)
        forget(profile, reservation)


@kernel
def _give_up_what_changed(
    profile: Profile, boxes: Boxes, reservations: NDArray[np.record], jobs: PlannedJobs, holders: Ints,
    running: RunningColumns, end_s: Floats, queue_job: Ints,
) -> None:  # fmt: skip
    """Keep the reservations of jobs about which all is as it was, and give up those of the other holders."""
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
            continue
        box = boxes.box[boxes.step[kept.last].box]
        is_there = box.node == node or (kept.first >= 0 and box.node == NONE and box.begin == head)
        kept.stays = is_there and boxes.step[kept.last].time_s == end_s[row]
    for job in queue_job:
        kept = reservations[job]
        kept.stays = kept.last >= 0 and not np.isnan(jobs.start_s[job])
    for job in holders:
        if reservations[job].last >= 0 and not reservations[job].stays:
            _give_up(profile, boxes, reservations[job], jobs.shares[job])
    for row in range(running.job.shape[0]):
        kept, node = reservations[running.job[row]], running.node[row]
        if kept.last < 0 or kept.first < 0:
            continue
        b = boxes.step[kept.last].box  # it was started in the last pass, in its own box or a new one of that
        if boxes.box[b].node == NONE and boxes.on_node[node] == NONE and boxes.box[b].begin == head:
            begin_box(profile, boxes, b, node)
        if boxes.box[b].node == node:
            begin_job(boxes, kept.first)
            kept.first = -1
        else:
            _give_up(profile, boxes, kept, True)


@kernel
def _reserve_running(
    profile: Profile, boxes: Boxes, reservations: NDArray[np.record], running: RunningColumns, end_s: Floats
) -> tuple[bool, bool]:
    """Reserve for the running jobs that have no reservation; return whether there were any, and whether they fit."""
    has_new, fits, now_s = False, True, profile.step[profile.state[0].head].time_s
    for row in range(running.job.shape[0]):
        new, node = reservations[running.job[row]], running.node[row]
        if new.last >= 0:
            continue
        new.nodes, has_new = running.gpus[row], True
        if node < 0:
            reserve(profile, new, -1, end_s[row])
            continue
        b = boxes.on_node[node]
        if b == NONE:
            first, new.last = open_box(profile, boxes, -1, now_s, end_s[row], new.nodes)
            b = boxes.step[first].box
            boxes.box[b].node, boxes.on_node[node] = node, b
        else:
            near = boxes.box[b].first
            first, new.last = put_in_box(profile, boxes, b, near, now_s, end_s[row], new.nodes, True)
            fits &= most_used(boxes, first, new.last) <= boxes.gpus_per_node
        new.first = -1
    return has_new, fits


@kernel
def _compress(
    profile: Profile, boxes: Boxes, reservations: NDArray[np.record], jobs: PlannedJobs, queue_job: Ints
) -> None:
    """Move guarantees forward into time that has become free: one sweep in queue order."""
    tidy_stretches(profile)
    for job in queue_job:
        reservation = reservations[job]
        if reservation.last < 0:
            continue
        if jobs.shares[job]:
            jobs.start_s[job] = place_part(profile, boxes, reservation)
            continue
        to = earliest_stretch(profile, reservation.nodes, reservation.length_s, reservation.first)
        if to != reservation.first:
            end, freed = take_earlier(profile, reservation, to)
            free_nodes(profile, boxes, freed, reservation.last, reservation.nodes)
            jobs.start_s[job] = profile.step[to].time_s
            settle_earlier(profile, reservation, to, end)


@kernel
def shared_guarantee_pass(
    profile: Profile, boxes: Boxes, reservations: NDArray[np.record], holders: Ints, now_s: float, level: int,
    running: RunningColumns, queue_job: Ints, jobs: PlannedJobs, compresses: bool,
) -> bool:  # fmt: skip
    """Give every queued job a guaranteed start; those at ``now_s`` start now.

    Parameters
    ----------
    profile, boxes : Profile, Boxes
        As the last pass left them, or cleared; modified in place.
    reservations : record array, shape (jobs,)
        Likewise, of all jobs. Those of jobs for parts of nodes hold GPUs of a box and two steps of it.
    holders : int array
        Jobs that were running or queued in the last pass: no other has a reservation.
    now_s, level : float, int
        Time of the pass, and GPUs of all nodes that are empty or will be when what runs has ended.
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
    end_s, start_s = np.maximum(running.end_s, np.nextafter(now_s, np.inf)), jobs.start_s
    is_kept = True
    for job in queue_job:
        if start_s[job] == np.inf:
            start_s[job] = np.nan  # never promised anything
        is_kept &= not start_s[job] < now_s
    if is_kept:
        _give_up_what_changed(profile, boxes, reservations, jobs, holders, running, end_s, queue_job)
        advance_boxes(boxes, now_s)
        advance(profile, now_s)
        more = level - profile.state[0].level
        if more != 0:
            lift(profile, more)
            boxes.longest_s[:, boxes.order[: boxes.state[0].blocks]] = np.inf
        has_new, is_kept = _reserve_running(profile, boxes, reservations, running, end_s)
        if has_new or more < 0:
            is_kept &= fewest_free(profile) >= 0
    if not is_kept:
        clear_boxes(boxes)
        clear(profile, now_s, level)
        for job in holders:
            reservations[job].first = reservations[job].last = -1
        for job in running.job:
            reservations[job].first = reservations[job].last = -1
        for job in queue_job:
            start_s[job] = np.nan
        _reserve_running(profile, boxes, reservations, running, end_s)
    elif compresses:
        _compress(profile, boxes, reservations, jobs, queue_job)
    for job in queue_job:
        if np.isnan(start_s[job]):
            new = reservations[job]
            new.nodes, new.length_s = jobs.gpus[job], jobs.requested_s[job]
            start_s[job] = place_part(profile, boxes, new) if jobs.shares[job] else place(profile, new)
    return not is_kept


@kernel
def allowed_nodes(
    profile: Profile, boxes: Boxes, reservation: np.record, end_s: float, is_empty: Bools, allowed: Bools
) -> None:
    """Mark the nodes on which a job for a part of one may start now, with all that is planned as it is.

    Parameters
    ----------
    profile, boxes : Profile, Boxes
        The plan, the job in it.
    reservation : record
        That of the job.
    end_s : float
        When it would end.
    is_empty : bool array, shape (nodes,)
        Nodes on which nobody is and that are in service.
    allowed : bool array, shape (nodes,)
        Filled.
    """
    own = boxes.step[reservation.last].box
    opens = boxes.box[own].node == NONE or is_empty_until(profile, boxes, end_s)
    for node in range(len(allowed)):
        b = boxes.on_node[node]
        if b == NONE:
            allowed[node] = opens and is_empty[node]
        else:
            allowed[node] = b == own or has_room(profile, boxes, b, reservation.nodes, end_s)

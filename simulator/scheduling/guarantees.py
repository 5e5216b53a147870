"""One pass of conservative backfilling on a machine that may fail: guarantees kept, moved forward, or made anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.profile import Ints, Profile
from simulator.scheduling.reservations import (
    advance,
    clear,
    compress,
    fewest_free,
    give_up,
    lift,
    place,
    reserve,
    start_job,
)

Floats = NDArray[np.float64]


@kernel
def _give_up_what_changed(
    profile: Profile,
    reservations: NDArray[np.record],
    holders: Ints,
    running_job: Ints,
    running_gpus: Ints,
    running_end_s: Floats,
    queue_job: Ints,
    start_s: Floats,
) -> None:
    """Keep the reservations of jobs about which all is as it was, and give up those of the other holders."""
    step, head = profile.step, profile.state[0].head
    for job in holders:
        reservations[job].stays = False
    for row in range(running_job.shape[0]):
        kept = reservations[running_job[row]]
        if kept.last >= 0 and kept.first == head:
            start_job(profile, kept)  # it was started in the last pass
        kept.stays = (
            kept.last >= 0
            and kept.first < 0
            and kept.nodes == running_gpus[row]
            and step[kept.last].time_s == running_end_s[row]
        )
    for job in queue_job:
        kept = reservations[job]
        kept.stays = kept.last >= 0 and not np.isnan(start_s[job])
    for job in holders:
        if reservations[job].last >= 0 and not reservations[job].stays:
            give_up(profile, reservations[job])


@kernel
def _reserve_running(
    profile: Profile, reservations: NDArray[np.record], running_job: Ints, running_gpus: Ints, running_end_s: Floats
) -> bool:
    """Reserve for the running jobs that have no reservation until their ends; return whether there were any."""
    has_new = False
    for row in range(running_job.shape[0]):
        new = reservations[running_job[row]]
        if new.last < 0 and running_end_s[row] < np.inf:
            new.nodes = running_gpus[row]
            reserve(profile, new, -1, running_end_s[row])
            has_new = True
    return has_new


@kernel
def guarantee_pass(
    profile: Profile,
    reservations: NDArray[np.record],
    holders: Ints,
    now_s: float,
    free_now: int,
    running_job: Ints,
    running_gpus: Ints,
    running_end_s: Floats,
    queue_job: Ints,
    gpus: Ints,
    requested_s: Floats,
    start_s: Floats,
    compresses: bool,
) -> bool:
    """Give every queued job a guaranteed start; those at ``now_s`` start now.

    Parameters
    ----------
    profile : Profile
        As the last pass left it, or cleared; modified in place.
    reservations : record array, shape (jobs,)
        Likewise, of all jobs.
    holders : int array
        Jobs that were running or queued in the last pass: no other has a reservation.
    now_s, free_now : float, int
        Time of the pass, and GPUs that are free.
    running_job, running_gpus, running_end_s : arrays, shape (running,)
        Running jobs, their GPUs and expected ends. A job at or past its end counts as ending just after now: what it
        holds is not free yet. One with an infinite end never ends.
    queue_job : int array, shape (queued,)
        Queued jobs in queue order.
    gpus, requested_s : arrays, shape (jobs,)
        GPUs that each job wants, and its estimate, finite for those in the queue.
    start_s : float array, shape (jobs,)
        Guaranteed starts so far, NaN for a job without one; modified in place. Infinite for a job that does not fit
        even when everything that runs has ended.
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
    end_s = np.maximum(running_end_s, np.nextafter(now_s, np.inf))
    level = free_now + running_gpus[end_s < np.inf].sum()
    is_kept = True
    for job in queue_job:
        if start_s[job] == np.inf:
            start_s[job] = np.nan  # never promised anything
        is_kept &= not start_s[job] < now_s
    if is_kept:
        _give_up_what_changed(profile, reservations, holders, running_job, running_gpus, end_s, queue_job, start_s)
        advance(profile, now_s)
        more = level - profile.state[0].level
        if more != 0:
            lift(profile, more)
        has_new = _reserve_running(profile, reservations, running_job, running_gpus, end_s)
        if has_new or more < 0:
            is_kept = fewest_free(profile) >= 0
    if not is_kept:
        clear(profile, now_s, level)
        for job in holders:
            reservations[job].first = reservations[job].last = -1
        for job in queue_job:
            start_s[job] = np.nan
        _reserve_running(profile, reservations, running_job, running_gpus, end_s)
    elif compresses:
        compress(profile, reservations, queue_job, start_s)
    for job in queue_job:
        if np.isnan(start_s[job]):
            new = reservations[job]
            new.nodes, new.length_s = gpus[job], requested_s[job]
            start_s[job] = place(profile, new)
    return not is_kept

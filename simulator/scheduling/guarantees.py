"""One pass of conservative backfilling on a machine that may fail: guarantees kept, moved forward, or made anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.profile import add_to_profile, compress, earliest_start_s

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@kernel
def _running_profile(
    times_s: Floats, free: Ints, now_s: float, free_now: int, running_gpus: Ints, running_end_s: Floats
) -> int:
    """Fill a profile with the running jobs alone; return its entries.

    A job at or past its estimate counts as ending just after now: what it holds is not free yet.
    """
    times_s[0], free[0] = now_s, free_now
    count = 1
    soon_s = np.nextafter(now_s, np.inf)
    for row in range(running_gpus.shape[0]):
        end_s = max(running_end_s[row], soon_s)
        if end_s == np.inf:
            break  # without an estimate it never ends; ends ascend
        if end_s > times_s[count - 1]:
            times_s[count], free[count] = end_s, free[count - 1]
            count += 1
        free[count - 1] += running_gpus[row]
    return count


@kernel
def guarantee_pass(
    now_s: float,
    free_now: int,
    running_gpus: Ints,
    running_end_s: Floats,
    queue_gpus: Ints,
    queue_requested_s: Floats,
    start_s: Floats,
    compresses: bool,
) -> bool:
    """Give every queued job a guaranteed start; those at ``now_s`` start now.

    Parameters
    ----------
    now_s, free_now : float, int
        Time of the pass, and GPUs that are free.
    running_gpus, running_end_s : arrays, shape (running,)
        GPUs and expected ends of the running jobs, by ascending end.
    queue_gpus, queue_requested_s : arrays, shape (queued,)
        GPUs and finite estimates in queue order.
    start_s : float array, shape (queued,)
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
    n_queued, n_running = queue_gpus.shape[0], running_gpus.shape[0]
    size = 2 * n_queued + n_running + 4
    times_s, free = np.empty(size, np.float64), np.empty(size, np.int64)
    count = _running_profile(times_s, free, now_s, free_now, running_gpus, running_end_s)
    is_kept = True
    for i in range(n_queued):
        if start_s[i] == np.inf:
            start_s[i] = np.nan  # never promised anything
        if np.isnan(start_s[i]):
            continue
        if start_s[i] < now_s:
            is_kept = False
            break
        count = add_to_profile(times_s, free, count, start_s[i], start_s[i] + queue_requested_s[i], -queue_gpus[i])
    if is_kept:
        for i in range(count):
            is_kept &= free[i] >= 0
    if not is_kept:
        count = _running_profile(times_s, free, now_s, free_now, running_gpus, running_end_s)
        start_s[:] = np.nan
    elif compresses:
        promised = ~np.isnan(start_s)
        moved = start_s[promised]
        count = compress(times_s, free, count, queue_gpus[promised], queue_requested_s[promised], moved)
        start_s[promised] = moved
    for i in range(n_queued):
        if np.isnan(start_s[i]):
            start_s[i] = earliest_start_s(times_s, free, count, queue_gpus[i], queue_requested_s[i])
            if start_s[i] < np.inf:
                end_s = start_s[i] + queue_requested_s[i]
                count = add_to_profile(times_s, free, count, start_s[i], end_s, -queue_gpus[i])
    return not is_kept

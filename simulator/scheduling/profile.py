"""The availability profile: free nodes over future time, on which conservative backfilling rests.

A profile is a pair of arrays and a count. ``free[i]`` nodes are free from ``times_s[i]`` until ``times_s[i
+ 1]``, the last entry for ever. ``times_s[0]`` is the present; times ascend strictly; neighbours differ in
``free``. The arrays are the caller's, longer than the count, and modified in place; every function that
changes them returns the new count. Each reservation adds at most two entries, so ``2 * jobs + 2`` entries
always suffice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel


@kernel
def advance_profile(times_s: NDArray[np.float64], free: NDArray[np.int64], count: int, now_s: float) -> int:
    """Forget what lies before ``now_s``; return the new count.

    Parameters
    ----------
    times_s, free : arrays
        The profile, modified in place.
    count : int
        Its entries.
    now_s : float
        The present, not before ``times_s[0]``.
    """
    current = 0
    while current + 1 < count and times_s[current + 1] <= now_s:
        current += 1
    if current > 0:
        for i in range(current, count):
            times_s[i - current] = times_s[i]
            free[i - current] = free[i]
    times_s[0] = now_s
    return count - current


@kernel
def earliest_start_s(
    times_s: NDArray[np.float64], free: NDArray[np.int64], count: int, nodes: int, length_s: float
) -> float:
    """Return the earliest time from which ``nodes`` nodes stay free for ``length_s`` seconds.

    Parameters
    ----------
    times_s, free : arrays
        The profile.
    count : int
        Its entries.
    nodes : int
        Nodes wanted, at most the last entry's.
    length_s : float
        Seconds wanted, positive.

    Returns
    -------
    float
        The present or a time at which nodes become free. Infinite if even the last entry has too few.
    """
    start = 0
    i = 0
    while i < count:
        if free[i] < nodes:
            start = i + 1
        elif i + 1 == count or times_s[i + 1] >= times_s[start] + length_s:
            return float(times_s[start])
        i += 1
    return np.inf


@kernel
def _split(times_s: NDArray[np.float64], free: NDArray[np.int64], count: int, at_s: float) -> tuple[int, int]:
    """Make ``at_s`` the start of an entry; return that entry's index and the new count."""
    low = 0
    high = count
    while low < high:
        middle = (low + high) // 2
        if times_s[middle] < at_s:
            low = middle + 1
        else:
            high = middle
    if low < count and times_s[low] == at_s:
        return low, count
    for i in range(count, low, -1):
        times_s[i] = times_s[i - 1]
        free[i] = free[i - 1]
    times_s[low] = at_s
    free[low] = free[low - 1]
    return low, count + 1


@kernel
def _join(times_s: NDArray[np.float64], free: NDArray[np.int64], count: int, index: int) -> int:
    """Drop entry ``index`` if it says the same as the one before it; return the new count."""
    if index <= 0 or index >= count or free[index] != free[index - 1]:
        return count
    for i in range(index, count - 1):
        times_s[i] = times_s[i + 1]
        free[i] = free[i + 1]
    return count - 1


@kernel
def add_to_profile(
    times_s: NDArray[np.float64],
    free: NDArray[np.int64],
    count: int,
    start_s: float,
    end_s: float,
    nodes: int,
) -> int:
    """Give back nodes between two times, or take them when ``nodes`` is negative; return the new count.

    Parameters
    ----------
    times_s, free : arrays
        The profile, modified in place; two entries more than ``count`` must be there.
    count : int
        Its entries.
    start_s, end_s : float
        From, not before ``times_s[0]``, and until.
    nodes : int
        Change of the number of free nodes.
    """
    if end_s <= start_s:
        return count
    first, count = _split(times_s, free, count, start_s)
    last, count = _split(times_s, free, count, end_s)
    for i in range(first, last):
        free[i] += nodes
    count = _join(times_s, free, count, last)
    return _join(times_s, free, count, first)


@kernel
def compress(
    times_s: NDArray[np.float64],
    free: NDArray[np.int64],
    count: int,
    queue_nodes: NDArray[np.int64],
    queue_requested_s: NDArray[np.float64],
    guarantee_s: NDArray[np.float64],
) -> int:
    """Move guarantees forward into time that has become free; return the new count.

    Parameters
    ----------
    times_s, free : arrays
        The profile with all guarantees taken, modified in place.
    count : int
        Its entries.
    queue_nodes, queue_requested_s : arrays, shape (queued,)
        Nodes and estimates in queue order.
    guarantee_s : float array, shape (queued,)
        Guaranteed starts, modified in place; none becomes later.

    Notes
    -----
    One sweep in queue order. Each job is taken out alone and put back at its earliest place; all others,
    before and after it in the queue, keep theirs meanwhile.

    References
    ----------
    A. Mu'alem and D. Feitelson, IEEE TPDS 12(6), 2001, section on conservative backfilling.
    """
    for i in range(queue_nodes.shape[0]):
        nodes = queue_nodes[i]
        length_s = queue_requested_s[i]
        # MUST HOLD: never later than its guarantee. Its old place has just been freed, so it is a candidate.
        count = add_to_profile(times_s, free, count, guarantee_s[i], guarantee_s[i] + length_s, nodes)
        guarantee_s[i] = earliest_start_s(times_s, free, count, nodes, length_s)
        count = add_to_profile(times_s, free, count, guarantee_s[i], guarantee_s[i] + length_s, -nodes)
    return count

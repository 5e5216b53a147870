"""Scheduling passes: which queued jobs start now, first in first out and with EASY backfilling.

A pass is a pure function of arrays. The replay of traces and the engine call the same kernels.

How a caller prepares the arrays
--------------------------------
The kernels check nothing; a wrong array gives a wrong answer, not an error. Each call needs

* ``queue_nodes`` (int64), ``queue_requested_s`` (float64), shape (queued,): the waiting jobs in queue order,
  1 node or more each; the estimate is infinite where there is none;
* ``running_nodes`` (int64), ``running_end_s`` (float64), shape (running,): the running jobs in ascending
  order of expected end (start + estimate). A job past its estimate counts as ending now, whether the caller
  has raised its end to ``now_s`` or left it in the past. Order among equal ends does not matter;
* ``free`` (Python int) and ``now_s`` (Python float): a NumPy integer of another width, or an int for
  ``now_s``, makes Numba compile a further variant;
* ``started`` (int64), shape (queued,) or longer: filled with queue positions; its rest is scratch.

All arrays are one-dimensional and C-contiguous; a slice ``column[first:last]`` of a longer column is. Keep an
argument always writable or always read-only: Numba compiles one variant for each (0.5 s, then cached).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel


@kernel
def fifo_pass(queue_nodes: NDArray[np.int64], free: int) -> int:
    """Return how many jobs at the head of the queue start now.

    Parameters
    ----------
    queue_nodes : int array, shape (queued,)
        Nodes wanted, in queue order.
    free : int
        Nodes that a job could start on.

    Returns
    -------
    int
        ``n``: the jobs at positions 0 … n-1 start; job n, if there is one, does not fit and stops the pass.
    """
    left = free
    for position in range(queue_nodes.shape[0]):
        if queue_nodes[position] > left:
            return position
        left -= queue_nodes[position]
    return len(queue_nodes)


@kernel
def _sift_down(heap: NDArray[np.int64], size: int, key: NDArray[np.float64], root: int) -> None:
    """Restore the heap below ``root``: ``heap[:size]`` holds positions, the smallest ``key`` on top."""
    item = heap[root]
    while True:
        child = 2 * root + 1
        if child >= size:
            break
        if child + 1 < size and key[heap[child + 1]] < key[heap[child]]:
            child += 1
        if key[heap[child]] >= key[item]:
            break
        heap[root] = heap[child]
        root = child
    heap[root] = item


@kernel
def shadow_and_extra(
    head_nodes: int,
    free: int,
    now_s: float,
    queue_nodes: NDArray[np.int64],
    queue_requested_s: NDArray[np.float64],
    n_fifo: int,
    running_nodes: NDArray[np.int64],
    running_end_s: NDArray[np.float64],
    scratch: NDArray[np.int64],
) -> tuple[float, int]:
    """Return when the head of the queue fits by the estimates, and how many nodes are then left over.

    Parameters
    ----------
    head_nodes : int
        Nodes the head wants; more than ``free``.
    free : int
        Nodes free now, after the jobs of this pass's FIFO phase have started.
    now_s : float
        Time of the pass.
    queue_nodes, queue_requested_s : arrays, shape (queued,)
        The queue; its first ``n_fifo`` jobs have just started and count as running.
    n_fifo : int
        Jobs started by the FIFO phase.
    running_nodes, running_end_s : arrays, shape (running,)
        Jobs that ran before the pass, by ascending expected end.
    scratch : int array, shape (n_fifo,) or longer
        Modified in place.

    Returns
    -------
    shadow_s : float
        Earliest expected end at which the head fits; infinite when it fits only after jobs without an
        estimate, or, on a machine that has shrunk, not even after all running jobs.
    extra : int
        Nodes free at that instant beyond the head's. All jobs that are expected to end exactly then are
        counted as ended, also those the head does not need. 0 on the shrunken machine.
    """
    # The two groups are merged by expected end: `running` is sorted, the jobs just started form a heap.
    for position in range(n_fifo):
        scratch[position] = position
    for root in range(n_fifo // 2 - 1, -1, -1):
        _sift_down(scratch, n_fifo, queue_requested_s, root)
    in_heap = n_fifo
    n_running = running_nodes.shape[0]
    row = 0
    available = free
    shadow_s = -math.inf
    fits = False
    while row < n_running or in_heap > 0:
        end_s = math.inf
        from_heap = in_heap > 0
        if from_heap:
            end_s = now_s + queue_requested_s[scratch[0]]
        if row < n_running:
            running_s = max(running_end_s[row], now_s)
            if not from_heap or running_s <= end_s:
                end_s = running_s
                from_heap = False
        # MUST HOLD: everything free at the shadow instant counts, so equal ends are taken before stopping.
        if fits and end_s > shadow_s:
            break
        if from_heap:
            available += queue_nodes[scratch[0]]
            in_heap -= 1
            scratch[0] = scratch[in_heap]
            _sift_down(scratch, in_heap, queue_requested_s, 0)
        else:
            available += running_nodes[row]
            row += 1
        if not fits and available >= head_nodes:
            fits = True
            shadow_s = end_s
    if not fits:
        return math.inf, 0
    return shadow_s, available - head_nodes


@kernel
def easy_pass(
    queue_nodes: NDArray[np.int64],
    queue_requested_s: NDArray[np.float64],
    running_nodes: NDArray[np.int64],
    running_end_s: NDArray[np.float64],
    free: int,
    now_s: float,
    started: NDArray[np.int64],
) -> int:
    """Return how many queued jobs start now under EASY backfilling, and write their positions.

    Parameters
    ----------
    queue_nodes, queue_requested_s : arrays, shape (queued,)
        Nodes wanted and run-time estimates, in queue order.
    running_nodes, running_end_s : arrays, shape (running,)
        Nodes and expected ends of the running jobs, by ascending expected end.
    free : int
        Nodes that a job could start on.
    now_s : float
        Time of the pass.
    started : int array, shape (queued,) or longer
        Modified in place: ``started[:n]`` are the queue positions that start, ascending; the rest is scratch.

    Returns
    -------
    int
        ``n``, the number of jobs that start.

    Notes
    -----
    First the FIFO phase of `fifo_pass`. If a head is left, it holds the only reservation: the shadow time
    is the earliest time at which it fits, going by the expected ends of the running jobs, those of the FIFO
    phase included; ``extra`` is what is then free beyond its demand. The rest of the queue is scanned once,
    in order. A job starts if it fits now and either ends by the shadow time (now + estimate <= shadow) or
    takes no more than ``extra``, which it then uses up.

    On a machine that has shrunk so far that the head does not fit even after all running jobs, there is
    nothing to reserve: the shadow time is infinite and every later job that fits may start.

    References
    ----------
    D. Lifka, "The ANL/IBM SP scheduling system", JSSPP 1995; A. Mu'alem and D. Feitelson, "Utilization,
    predictability, workloads, and user runtime estimates in scheduling the IBM SP2 with backfilling", IEEE
    TPDS 12(6), 2001.
    """
    n_queued = queue_nodes.shape[0]
    left = free
    n_fifo = 0
    while n_fifo < n_queued and queue_nodes[n_fifo] <= left:
        left -= queue_nodes[n_fifo]
        started[n_fifo] = n_fifo
        n_fifo += 1
    if left <= 0 or n_fifo + 1 >= n_queued:
        return n_fifo

    head = n_fifo
    shadow_s, extra = shadow_and_extra(
        queue_nodes[head],
        left,
        now_s,
        queue_nodes,
        queue_requested_s,
        n_fifo,
        running_nodes,
        running_end_s,
        started,
    )
    for position in range(n_fifo):  # `started` served as scratch
        started[position] = position
    n_started = n_fifo
    for position in range(head + 1, n_queued):
        nodes = queue_nodes[position]
        if nodes > left:
            continue
        if now_s + queue_requested_s[position] > shadow_s:
            if nodes > extra:
                continue
            extra -= nodes
        left -= nodes
        started[n_started] = position
        n_started += 1
        if left == 0:
            break
    return n_started

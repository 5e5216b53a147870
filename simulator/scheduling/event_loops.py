"""Event loops of the replay: rigid jobs on one pool of processors, wholly compiled.

At one instant first all completions happen, then all arrivals in queue order, then exactly one scheduling
pass. A job of zero run time ends at the instant it starts and so causes one more pass at that instant.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.backfill import easy_pass, fifo_pass
from simulator.scheduling.profile import Profile
from simulator.scheduling.reservations import advance, clear, compress, give_up, place, start_job


@kernel
def _push(end_s: NDArray[np.float64], job: NDArray[np.int64], size: int, new_end_s: float, new_job: int) -> None:
    """Add a completion to the heap ``end_s[:size], job[:size]`` (earliest on top)."""
    i = size
    while i > 0:
        parent = (i - 1) // 2
        if end_s[parent] <= new_end_s:
            break
        end_s[i] = end_s[parent]
        job[i] = job[parent]
        i = parent
    end_s[i] = new_end_s
    job[i] = new_job


@kernel
def _pop(end_s: NDArray[np.float64], job: NDArray[np.int64], size: int) -> int:
    """Take the earliest completion off the heap of ``size`` entries; return its job."""
    top = int(job[0])
    last_end_s = end_s[size - 1]
    last_job = job[size - 1]
    size -= 1
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and end_s[child + 1] < end_s[child]:
            child += 1
        if end_s[child] >= last_end_s:
            break
        end_s[i] = end_s[child]
        job[i] = job[child]
        i = child
    end_s[i] = last_end_s
    job[i] = last_job
    return top


@kernel
def _first_at_or_after(end_s: NDArray[np.float64], size: int, wanted_s: float) -> int:
    """Return the first row of ``end_s[:size]`` (ascending) that is not before ``wanted_s``."""
    low = 0
    high = size
    while low < high:
        middle = (low + high) // 2
        if end_s[middle] < wanted_s:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _insert_running(
    end_s: NDArray[np.float64],
    nodes: NDArray[np.int64],
    job: NDArray[np.int64],
    size: int,
    new_end_s: float,
    new_nodes: int,
    new_job: int,
) -> None:
    """Insert a job into the running set, kept by ascending expected end."""
    row = _first_at_or_after(end_s, size, new_end_s)
    for i in range(size, row, -1):
        end_s[i] = end_s[i - 1]
        nodes[i] = nodes[i - 1]
        job[i] = job[i - 1]
    end_s[row] = new_end_s
    nodes[row] = new_nodes
    job[row] = new_job


@kernel
def _remove_running(
    end_s: NDArray[np.float64],
    nodes: NDArray[np.int64],
    job: NDArray[np.int64],
    size: int,
    old_end_s: float,
    old_job: int,
) -> None:
    """Remove a job from the running set."""
    row = _first_at_or_after(end_s, size, old_end_s)
    while job[row] != old_job:
        row += 1
    for i in range(row, size - 1):
        end_s[i] = end_s[i + 1]
        nodes[i] = nodes[i + 1]
        job[i] = job[i + 1]


@kernel
def _close_ranks(
    queue_job: NDArray[np.int64],
    queue_nodes: NDArray[np.int64],
    queue_requested_s: NDArray[np.float64],
    head: int,
    started: NDArray[np.int64],
    n_started: int,
) -> None:
    """Move the jobs that still wait back over the places of those that started, order kept.

    Jobs behind the last one started do not move, so this costs no more than the pass did.
    """
    place = head + started[n_started - 1]
    k = n_started - 1
    for i in range(place, head - 1, -1):
        if k >= 0 and i == head + started[k]:
            k -= 1
            continue
        queue_job[place] = queue_job[i]
        queue_nodes[place] = queue_nodes[i]
        queue_requested_s[place] = queue_requested_s[i]
        place -= 1


@kernel
def replay_queue(
    submit_s: NDArray[np.float64],
    run_s: NDArray[np.float64],
    nodes: NDArray[np.int64],
    requested_s: NDArray[np.float64],
    processors: int,
    is_easy: bool,
    start_s: NDArray[np.float64],
) -> None:
    """Fill ``start_s`` for jobs scheduled first in first out or with EASY backfilling.

    Parameters
    ----------
    submit_s, run_s, nodes, requested_s : arrays, shape (n,)
        Jobs in queue order, none larger than the machine.
    processors : int
        Size of the machine.
    is_easy : bool
        EASY backfilling; otherwise FIFO.
    start_s : float array, shape (n,)
        Filled.
    """
    n = submit_s.shape[0]
    queue_job = np.empty(n, dtype=np.int64)
    queue_nodes = np.empty(n, dtype=np.int64)
    queue_requested_s = np.empty(n, dtype=np.float64)
    started = np.empty(n, dtype=np.int64)
    # A machine of p processors runs at most p jobs at once.
    most_running = min(n, processors)
    heap_end_s = np.empty(most_running, dtype=np.float64)
    heap_job = np.empty(most_running, dtype=np.int64)
    running_end_s = np.empty(most_running, dtype=np.float64)
    running_nodes = np.empty(most_running, dtype=np.int64)
    running_job = np.empty(most_running, dtype=np.int64)

    free = processors
    head = 0  # the queue is rows head … arrived - 1 of the queue columns
    arrived = 0
    n_running = 0
    while arrived < n or n_running > 0:
        now_s = np.inf
        if n_running > 0:
            now_s = heap_end_s[0]
        if arrived < n and submit_s[arrived] < now_s:
            now_s = submit_s[arrived]

        while n_running > 0 and heap_end_s[0] <= now_s:
            job = _pop(heap_end_s, heap_job, n_running)
            expected_end_s = start_s[job] + requested_s[job]
            _remove_running(running_end_s, running_nodes, running_job, n_running, expected_end_s, job)
            n_running -= 1
            free += nodes[job]
        while arrived < n and submit_s[arrived] <= now_s:
            queue_job[arrived] = arrived
            queue_nodes[arrived] = nodes[arrived]
            queue_requested_s[arrived] = requested_s[arrived]
            arrived += 1
        if head == arrived or (queue_nodes[head] > free and (free == 0 or not is_easy)):
            continue  # the pass would start nothing

        if is_easy:
            n_started = easy_pass(
                queue_nodes[head:arrived],
                queue_requested_s[head:arrived],
                running_nodes[:n_running],
                running_end_s[:n_running],
                free,
                now_s,
                started,
            )
        else:
            n_started = fifo_pass(queue_nodes[head:arrived], free)
            for position in range(n_started):
                started[position] = position
        if n_started == 0:
            continue
        for k in range(n_started):
            job = queue_job[head + started[k]]
            start_s[job] = now_s
            free -= nodes[job]
            _push(heap_end_s, heap_job, n_running, now_s + run_s[job], job)
            _insert_running(
                running_end_s,
                running_nodes,
                running_job,
                n_running,
                now_s + requested_s[job],
                nodes[job],
                job,
            )
            n_running += 1
        _close_ranks(queue_job, queue_nodes, queue_requested_s, head, started, n_started)
        head += n_started


@kernel
def replay_conservative(
    submit_s: NDArray[np.float64],
    run_s: NDArray[np.float64],
    nodes: NDArray[np.int64],
    requested_s: NDArray[np.float64],
    processors: int,
    profile: Profile,
    reservations: NDArray[np.record],
    start_s: NDArray[np.float64],
    first_guarantee_s: NDArray[np.float64],
) -> None:
    """Fill ``start_s`` for jobs scheduled with conservative backfilling.

    Parameters
    ----------
    submit_s, run_s, nodes, requested_s : arrays, shape (n,)
        Jobs in queue order, none larger than the machine, none longer than its positive, finite estimate.
    processors : int
        Size of the machine.
    profile, reservations : Profile and record array, shape (n,)
        Room for the plan of these jobs; used up.
    start_s : float array, shape (n,)
        Filled.
    first_guarantee_s : float array, shape (n,)
        Filled with the start that each job was promised when it arrived.

    Notes
    -----
    One pass: if a job of this instant ended before its estimate, the queue is compressed; then every
    arrival of this instant gets the earliest place that moves no other; then all jobs whose guarantee is
    now start. Compression places a job while jobs behind it still hold their old places, so a guarantee can
    outlast the end it was anchored to: a guarantee that falls due is therefore an event of its own.
    """
    n = submit_s.shape[0]
    queue_job = np.empty(n, dtype=np.int64)
    heap_end_s = np.empty(n, dtype=np.float64)
    heap_job = np.empty(n, dtype=np.int64)
    if n == 0:
        return
    clear(profile, submit_s[0], processors)
    arrived = 0
    n_queued = 0
    n_running = 0
    due_s = np.inf
    while arrived < n or n_running > 0 or n_queued > 0:
        now_s = due_s
        if n_running > 0 and heap_end_s[0] < now_s:
            now_s = heap_end_s[0]
        if arrived < n and submit_s[arrived] < now_s:
            now_s = submit_s[arrived]
        advance(profile, now_s)

        is_early = False
        while n_running > 0 and heap_end_s[0] <= now_s:
            job = _pop(heap_end_s, heap_job, n_running)
            n_running -= 1
            is_early |= start_s[job] + requested_s[job] > now_s
            give_up(profile, reservations[job])
        if is_early:
            compress(profile, reservations, queue_job[:n_queued], start_s)
        while arrived < n and submit_s[arrived] <= now_s:
            reservations[arrived].nodes = nodes[arrived]
            reservations[arrived].length_s = requested_s[arrived]
            start_s[arrived] = place(profile, reservations[arrived])
            first_guarantee_s[arrived] = start_s[arrived]
            due_s = min(due_s, start_s[arrived])
            queue_job[n_queued] = arrived
            n_queued += 1
            arrived += 1

        if due_s > now_s and not is_early:
            continue  # nobody starts, and it is known who starts next
        n_kept = 0
        due_s = np.inf
        for job in queue_job[:n_queued]:
            if start_s[job] <= now_s:
                start_job(profile, reservations[job])
                _push(heap_end_s, heap_job, n_running, now_s + run_s[job], job)
                n_running += 1
                continue
            due_s = min(due_s, start_s[job])
            queue_job[n_kept] = job
            n_kept += 1
        n_queued = n_kept

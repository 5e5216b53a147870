"""Scheduling passes that look at every node: jobs that share nodes, and nodes that are kept for somebody.

`backfill` counts processors, which is exact while every job takes whole nodes that nobody has a claim on. Here a job
wants so many free nodes, or so many GPUs of one node, and a node can be kept for an account from some time on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.scheduling.windows import WindowColumns, is_open, open_from_s

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@kernel
def _take_part(
    node: int, gpus: int, g: int, end_s: float, left: Ints, free_at: Floats, t_end: Floats, t_gpus: Ints
) -> None:
    """Put a job on a part of a node."""
    free_at[node] = end_s if left[node] == g else max(free_at[node], end_s)
    left[node] -= gpus
    for slot in range(g):
        if t_gpus[node, slot] == 0:
            t_gpus[node, slot], t_end[node, slot] = gpus, end_s
            return


@kernel
def _best_hole(
    gpus: int, now_s: float, end_s: float, account: int, left: Ints, windows: WindowColumns,
    barred: Bools,
) -> int:  # fmt: skip
    """Return the node with the fewest free GPUs that are enough, -1 for none; barred nodes are left out."""
    best = -1
    for node in range(len(left)):
        if left[node] < gpus or barred[node]:
            continue
        if (best < 0 or left[node] < left[best]) and is_open(node, now_s, end_s, account, windows):
            best = node
            if left[node] == gpus:
                break
    return best


@kernel
def _count_free(
    g: int, now_s: float, end_s: float, account: int, left: Ints, windows: WindowColumns,
    barred: Bools,
) -> int:  # fmt: skip
    """Return how many nodes are free as a whole for a job that ends then; barred nodes are left out."""
    count = 0
    for node in range(len(left)):
        if left[node] == g and not barred[node]:
            count += is_open(node, now_s, end_s, account, windows)
    return count


@kernel
def _take_whole(
    nodes: int, g: int, now_s: float, end_s: float, account: int, left: Ints, free_at: Floats,
    windows: WindowColumns, barred: Bools,
) -> None:  # fmt: skip
    """Put a job on that many free nodes, of which there are enough."""
    for node in range(len(left)):
        if nodes == 0:
            return
        if left[node] == g and not barred[node] and is_open(node, now_s, end_s, account, windows):
            left[node] = 0
            free_at[node] = end_s
            nodes -= 1


@kernel
def _promise_nodes(
    nodes: int, length_s: float, account: int, g: int, now_s: float, left: Ints, free_at: Floats,
    windows: WindowColumns, promised: Bools,
) -> tuple[float, int]:  # fmt: skip
    """Return when that many nodes are free together, and how many more there are then; mark all of them."""
    n = len(left)
    ready = np.empty(n)
    for node in range(n):
        ready[node] = now_s if left[node] == g else max(free_at[node], now_s)
    times = np.sort(np.concatenate((ready, windows.end_s)))
    for k in range(min(nodes, len(times)) - 1, len(times)):
        time_s = times[k]
        if time_s == np.inf:
            break
        if time_s < now_s or (k + 1 < len(times) and times[k + 1] == time_s):
            continue  # all that become free at one instant count
        count = 0
        for node in range(n):
            promised[node] = ready[node] <= time_s and is_open(node, time_s, time_s + length_s, account, windows)
            count += promised[node]
        if count >= nodes:
            return time_s, count - nodes
    promised[:] = False
    return np.inf, 0


@kernel
def _promise_part(
    gpus: int, length_s: float, account: int, g: int, now_s: float, left: Ints, free_at: Floats,
    t_end: Floats, t_gpus: Ints, windows: WindowColumns, promised: Bools,
) -> float:  # fmt: skip
    """Return when so many GPUs of one node are free; mark that node."""
    best, best_s = -1, np.inf
    for node in range(len(left)):
        if free_at[node] == np.inf and left[node] == 0:
            continue
        time_s = now_s
        if left[node] < gpus:
            room, time_s = left[node], max(free_at[node], now_s)
            if t_gpus[node].any():
                order = np.argsort(t_end[node])
                for slot in order:
                    if t_gpus[node, slot] > 0:
                        room += t_gpus[node, slot]
                        if room >= gpus:
                            time_s = max(t_end[node, slot], now_s)
                            break
        time_s = open_from_s(node, time_s, length_s, account, windows)
        if time_s < best_s:
            best, best_s = node, time_s
    if best >= 0:
        promised[best] = True
    return best_s


@kernel
def _room(g: int, left: Ints, barred: Bools) -> tuple[int, int]:
    """Return the most GPUs free on one node, and how many nodes are free as a whole; barred nodes are left out."""
    most, whole = 0, 0
    for node in range(len(left)):
        if not barred[node]:
            most = max(most, left[node])
            whole += left[node] == g
    return most, whole


@kernel
def node_pass(
    queue_nodes: Ints,
    queue_gpus: Ints,
    queue_shares: Bools,
    queue_requested_s: Floats,
    queue_account: Ints,
    g: int,
    now_s: float,
    free_gpus: Ints,
    free_at_s: Floats,
    tenant_end_s: Floats,
    tenant_gpus: Ints,
    windows: WindowColumns,
    backfills: bool,
    started: Ints,
    apart: Bools,
    promised: Bools,
) -> tuple[int, int, float]:
    """Return how many queued jobs start now, which one is the head that waits, and when it is promised to start.

    Parameters
    ----------
    queue_nodes, queue_gpus, queue_shares, queue_requested_s, queue_account : arrays, shape (queued,)
        Nodes or, for a job that shares one, GPUs wanted; whether it shares; estimates; accounts; in queue order.
    g : int
        GPUs of a node.
    now_s : float
        Time of the pass.
    free_gpus, free_at_s : arrays, shape (nodes,)
        As in ``policies.views.NodesView``.
    tenant_end_s, tenant_gpus : arrays, shape (nodes, g)
        Expected end and GPUs of the jobs on shared nodes, 0 GPUs for none.
    windows : WindowColumns
        Times in which nodes are kept for somebody.
    backfills : bool
        EASY backfilling; otherwise the first job that does not fit stops the pass.
    started : int array, shape (queued,)
        Filled with queue positions, ascending within the two phases.
    apart : bool array, shape (queued,)
        Filled for each of them: whether it must leave the promised nodes alone.
    promised : bool array, shape (nodes,)
        Filled: nodes on which the head may start when it is promised to.

    Returns
    -------
    n_started, head : int
        ``head`` is a queue position, -1 when nobody waits or backfilling is off.
    shadow_s : float
        Infinite when no end of a running job makes room for the head.

    Notes
    -----
    First jobs start in order while they fit. The head that then waits gets the only promise: the earliest time at which
    enough nodes (or one node with enough GPUs) are free and open to it for its whole length, by the estimates; every
    node that is so at that time is marked, ``extra`` are those beyond its demand. A later job that fits now starts if
    it ends by then, or if what it takes is not promised, or takes no more whole nodes than ``extra``, which it uses up;
    a part of a promised node counts as a node.
    """
    left, free_at = free_gpus.copy(), free_at_s.copy()
    t_end, t_gpus = tenant_end_s.copy(), tenant_gpus.copy()
    none = np.zeros(len(left), np.bool_)
    promised[:] = False
    n_started, head, shadow_s, extra = 0, -1, np.inf, 0
    most, whole = _room(g, left, none)
    most_apart, whole_apart = most, whole  # beside the promised nodes
    for position in range(len(queue_nodes)):
        if most == 0:
            break
        nodes, gpus, length_s = queue_nodes[position], queue_gpus[position], queue_requested_s[position]
        account, end_s = queue_account[position], now_s + length_s
        shares = queue_shares[position]
        fits, is_apart, charge = False, False, 0
        barred = none
        late = head >= 0 and end_s > shadow_s
        if shares:
            may_fit = gpus <= (most_apart if late and extra < 1 else most)
        else:
            may_fit = nodes <= (whole_apart if late and nodes > extra else whole)
        if may_fit:  # so that nodes are looked at only for jobs that windows alone can keep from starting
            if shares:
                hole = -1
                if late:
                    hole = _best_hole(gpus, now_s, end_s, account, left, windows, promised)
                    is_apart = hole >= 0
                if hole < 0 and (not late or extra >= 1):
                    hole = _best_hole(gpus, now_s, end_s, account, left, windows, none)
                    charge = 1 if late else 0
                fits = hole >= 0
                if fits:
                    _take_part(hole, gpus, g, end_s, left, free_at, t_end, t_gpus)
            else:
                if late and nodes > extra:
                    barred, is_apart = promised, True
                elif late:
                    charge = nodes
                fits = _count_free(g, now_s, end_s, account, left, windows, barred) >= nodes
                if fits:
                    _take_whole(
                        nodes, g, now_s, end_s, account, left, free_at,
                        windows, barred,
                    )  # fmt: skip
        if fits:
            extra -= charge
            most, whole = _room(g, left, none)
            most_apart, whole_apart = _room(g, left, promised)
            started[n_started] = position
            apart[n_started] = is_apart
            n_started += 1
        elif not backfills:
            break
        elif head < 0:
            head = position
            if shares:
                shadow_s = _promise_part(
                    gpus, length_s, account, g, now_s, left, free_at, t_end, t_gpus,
                    windows, promised,
                )  # fmt: skip
            else:
                shadow_s, extra = _promise_nodes(
                    nodes, length_s, account, g, now_s, left, free_at,
                    windows, promised,
                )  # fmt: skip
            most_apart, whole_apart = _room(g, left, promised)
    return n_started, head, shadow_s

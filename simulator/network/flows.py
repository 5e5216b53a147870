"""Flows that arrive, share links max-min fairly and finish, with local repair of the rates at each event.

An allocation is max-min fair exactly when every flow has a saturated link on which no flow is faster. So at an
event only the new flows and those whose bottleneck lost a flow are solved again, all others held; flows whose
certificate this breaks join them, until none is broken.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from simulator.compiled import kernel
from simulator.errors import InputError
from simulator.network.contention import Floats, Ints, floats, rows, same_length, sift_down

_TIE = 1e-10  # relative to rate or capacity; far above rounding, far below the 1e-6 promised


@kernel
def _sift(heap: Ints, where: Ints, size: int, key: Floats, at: int) -> None:
    """Move the entry at ``at`` up or down to its place in the indexed heap."""
    item = heap[at]
    while at > 0 and key[heap[(at - 1) // 2]] > key[item]:
        heap[at] = heap[(at - 1) // 2]
        where[heap[at]] = at
        at = (at - 1) // 2
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and key[heap[child + 1]] < key[heap[child]]:
            child += 1
        if key[heap[child]] >= key[item]:
            break
        heap[at] = heap[child]
        where[heap[at]] = at
        at = child
    heap[at] = item
    where[item] = at


@kernel
def _run(
    capacity: Floats,
    indptr: Ints,
    links: Ints,
    sizes: Floats,
    starts: Floats,
    order: Ints,
    change_s: Floats,
    change_link: Ints,
    change_capacity: Floats,
) -> Floats:
    """Return the finish of every flow in ``order`` (ascending starts); others keep their start.

    ``capacity`` is overwritten by the changes, which come in ascending order of time.
    """
    n, m, slots = len(sizes), len(capacity), len(links)
    finish = starts.copy()
    finish[order] = np.inf
    owner = np.empty(slots, np.int64)
    for f in range(n):
        owner[indptr[f] : indptr[f + 1]] = f
    head = np.full(m, -1)
    after = np.full(slots, -1)
    before = np.full(slots, -1)
    rate = np.zeros(n)
    fresh = np.zeros(n)
    last = np.zeros(n)
    left = sizes.copy()
    bottleneck = np.full(n, -1)
    done_at = np.full(n, np.inf)
    heap = np.empty(n, np.int64)
    where = np.full(n, -1)
    size = 0
    chosen = np.empty(n, np.int64)  # the flows being solved again
    state = np.zeros(n, np.int8)  # 0 held, 1 chosen, 2 chosen and frozen in this filling
    touched = np.empty(m, np.int64)
    is_touched = np.zeros(m, np.bool_)
    held = np.zeros(m)  # sum of the rates held on a touched link
    free = np.zeros(m)
    count = np.zeros(m, np.int64)
    level = np.zeros(m)
    link_heap = np.empty(m, np.int64)
    arrived, changed = 0, 0
    while True:
        now = done_at[heap[0]] if size > 0 else np.inf
        if arrived < len(order):
            now = min(now, starts[order[arrived]])
        if changed < len(change_s):
            now = min(now, change_s[changed])
        if now == np.inf:
            return finish  # what is left waits for a dead link for ever
        horizon = now + 1e-14 * abs(now)  # times equal but for rounding are one event
        n_chosen = 0
        n_touched = 0
        while size > 0 and done_at[heap[0]] <= horizon:
            f = heap[0]
            finish[f] = done_at[f]
            size -= 1
            if size > 0:
                heap[0] = heap[size]
                _sift(heap, where, size, done_at, 0)
            where[f] = -1
            for s in range(indptr[f], indptr[f + 1]):
                link = links[s]
                if before[s] >= 0:
                    after[before[s]] = after[s]
                else:
                    head[link] = after[s]
                if after[s] >= 0:
                    before[after[s]] = before[s]
                if not is_touched[link]:
                    is_touched[link] = True
                    touched[n_touched] = link
                    n_touched += 1
        for k in range(n_touched):
            held[touched[k]] = 0.0
            s = head[touched[k]]
            while s >= 0:
                held[touched[k]] += rate[owner[s]]
                s = after[s]
        for k in range(n_touched):
            s = head[touched[k]]
            while s >= 0:
                f = owner[s]
                if bottleneck[f] == touched[k] and state[f] == 0:
                    state[f] = 1
                    chosen[n_chosen] = f
                    n_chosen += 1
                s = after[s]
        while changed < len(change_s) and change_s[changed] <= horizon:
            link = change_link[changed]
            capacity[link] = change_capacity[changed]
            changed += 1
            if not is_touched[link]:
                is_touched[link] = True
                touched[n_touched] = link
                n_touched += 1
                held[link] = 0.0
                s = head[link]
                while s >= 0:
                    held[link] += rate[owner[s]]
                    s = after[s]
            s = head[link]
            while s >= 0:
                f = owner[s]
                if state[f] == 0:
                    state[f] = 1
                    chosen[n_chosen] = f
                    n_chosen += 1
                s = after[s]
        while arrived < len(order) and starts[order[arrived]] <= horizon:
            f = order[arrived]
            arrived += 1
            last[f] = starts[f]
            state[f] = 1
            chosen[n_chosen] = f
            n_chosen += 1
            for s in range(indptr[f], indptr[f + 1]):
                after[s] = head[links[s]]
                before[s] = -1
                if head[links[s]] >= 0:
                    before[head[links[s]]] = s
                head[links[s]] = s
        known = 0
        while True:
            for k in range(known, n_chosen):  # the newly chosen no longer count as held
                f = chosen[k]
                for s in range(indptr[f], indptr[f + 1]):
                    link = links[s]
                    if not is_touched[link]:
                        is_touched[link] = True
                        touched[n_touched] = link
                        n_touched += 1
                        held[link] = 0.0
                        t = head[link]
                        while t >= 0:
                            # Chosen flows counted before are taken off one by one below; all others are held.
                            held[link] += rate[owner[t]]
                            t = after[t]
                    held[link] -= rate[f]
            known = n_chosen
            for k in range(n_touched):
                count[touched[k]] = 0
                left_over = capacity[touched[k]] - held[touched[k]]
                # A dead link gives nothing, not the rounding of what it held.
                free[touched[k]] = max(left_over, 0.0) if capacity[touched[k]] > 0.0 else 0.0
            for k in range(n_chosen):
                state[chosen[k]] = 1
                for s in range(indptr[chosen[k]], indptr[chosen[k] + 1]):
                    count[links[s]] += 1
            n_heap = 0
            for k in range(n_touched):
                link = touched[k]
                if count[link] > 0:
                    level[link] = free[link] / count[link]
                    link_heap[n_heap] = link
                    n_heap += 1
            for root in range(n_heap // 2 - 1, -1, -1):
                sift_down(link_heap, n_heap, level, root)
            while n_heap > 0:
                link = link_heap[0]
                share = max(free[link], 0.0) / count[link] if count[link] > 0 else np.inf
                if share > level[link]:  # levels only rise: a stale top goes back
                    level[link] = share
                    if share == np.inf:
                        n_heap -= 1
                        link_heap[0] = link_heap[n_heap]
                    if n_heap > 0:
                        sift_down(link_heap, n_heap, level, 0)
                    continue
                share = level[link]
                t = head[link]
                while t >= 0:
                    f = owner[t]
                    if state[f] == 1:
                        state[f] = 2
                        fresh[f] = share
                        bottleneck[f] = link
                        for s in range(indptr[f], indptr[f + 1]):
                            free[links[s]] -= share
                            count[links[s]] -= 1
                    t = after[t]
            for k in range(n_touched):  # whose certificate broke?
                link = touched[k]
                load = 0.0
                fastest = 0.0
                slowest = np.inf  # of the chosen flows that this link holds back
                t = head[link]
                while t >= 0:
                    f = owner[t]
                    r = rate[f] if state[f] == 0 else fresh[f]
                    load += r
                    fastest = max(fastest, r)
                    if state[f] == 2 and bottleneck[f] == link:
                        slowest = min(slowest, r)
                    t = after[t]
                full = load >= capacity[link] * (1.0 - _TIE)
                t = head[link]
                while t >= 0:
                    f = owner[t]
                    if state[f] == 0:
                        lost = bottleneck[f] == link and (not full or rate[f] < fastest * (1.0 - _TIE))
                        if lost or rate[f] > slowest * (1.0 + _TIE):
                            state[f] = 3  # joins at the next filling; still held in this check
                            chosen[n_chosen] = f
                            n_chosen += 1
                            fresh[f] = rate[f]
                    t = after[t]
            if n_chosen == known:
                break
        for k in range(n_touched):
            is_touched[touched[k]] = False
        for k in range(n_chosen):
            f = chosen[k]
            state[f] = 0
            if fresh[f] != rate[f]:
                left[f] = max(left[f] - rate[f] * (now - last[f]), 0.0)
                last[f] = max(now, last[f])
                rate[f] = fresh[f]
                done_at[f] = last[f] + left[f] / rate[f] if rate[f] > 0.0 else np.inf
                if where[f] < 0:
                    where[f] = size
                    heap[size] = f
                    size += 1
                _sift(heap, where, size, done_at, where[f])


def simulate_flows(
    capacity: ArrayLike,
    route_indptr: ArrayLike,
    route_links: ArrayLike,
    sizes: ArrayLike,
    starts: ArrayLike,
    latency: ArrayLike | None = None,
    changes: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
) -> Floats:
    """Finish times of flows on fixed routes under max-min fair sharing.

    Parameters
    ----------
    capacity : array, shape (links,)
        Bytes/s, above 0.
    route_indptr, route_links : arrays, shapes (flows + 1,), (entries,)
        CSR rows: the links of each flow. A link named twice carries the flow twice.
    sizes, starts : arrays, shape (flows,)
        Bytes and seconds, both 0 or more; starts in any order.
    latency : array, shape (links,), optional
        Seconds; the sum over the route is added to the finish.
    changes : tuple of three arrays of one length, optional
        Time (s), link and its capacity from then on (bytes/s, 0 for a dead link), in any order; of several at one
        instant the last one counts. Flows on a dead link stand still.

    Returns
    -------
    array, shape (flows,)
        Absolute finish in seconds, in input order; infinite for a flow that waits for a dead link for ever. Size 0 or
        an empty route: start + latency.

    Raises
    ------
    InputError
        Wrong shape, NaN, negative or infinite value, zero capacity, or a link that does not exist.
    """
    c = floats(capacity, "capacity", positive=True)
    indptr, links = rows(route_indptr, route_links, len(c), ("route_indptr", "route_links"))
    n = len(indptr) - 1
    bytes_, start = floats(sizes, "sizes"), floats(starts, "starts")
    same_length(bytes_, n, "sizes")
    same_length(start, n, "starts")
    order = np.argsort(start, kind="stable")
    order = order[(bytes_[order] > 0) & (np.diff(indptr)[order] > 0)]
    times, where, values = _changes(changes, len(c))
    finish = _run(c.copy(), indptr, links, bytes_, start, order, times, where, values)
    if latency is not None:
        delay = floats(latency, "latency")
        same_length(delay, len(c), "latency")
        total = np.concatenate((np.zeros(1), np.cumsum(delay[links])))
        finish += total[indptr[1:]] - total[indptr[:-1]]
    return finish


def _changes(changes: tuple[ArrayLike, ArrayLike, ArrayLike] | None, n_links: int) -> tuple[Floats, Ints, Floats]:
    """Return checked changes in order of time."""
    if changes is None:
        return np.empty(0), np.empty(0, np.int64), np.empty(0)
    times, values = floats(changes[0], "changes.time"), floats(changes[2], "changes.capacity")
    _, where = rows([0, np.size(changes[1])], changes[1], n_links, ("changes", "changes.link"))
    same_length(values, len(times), "changes.capacity")
    if len(where) != len(times):
        raise InputError("wrong length", key="changes.link", found=str(len(where)), allowed=str(len(times)))
    by_time = np.argsort(times, kind="stable")
    return times[by_time], where[by_time], values[by_time]

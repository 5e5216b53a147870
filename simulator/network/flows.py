"""Flows that arrive, share links max-min fairly and finish, with local repair of the rates at each event.

An allocation is max-min fair exactly when every flow has a full link on which no flow is faster. At an event new
flows grow from nothing while all others hold their rates, and the links they touch are met from the lowest level up.
A link's level is the lower of two: its *share*, what is left of it for each growing flow, and its *ceiling*, the rate
of the flows it holds back. Met at its share, it lets the faster ones among its flows grow too; if there are none, its
growing flows freeze at the share, which becomes its ceiling. Met at its ceiling but not full, it no longer holds
anybody back, and those flows grow. A flow that joins gives back a rate not below the level, so levels only rise and
one pass is enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulator.compiled import kernel
from simulator.errors import InputError
from simulator.network.contention import Floats, Ints, floats, rows, same_length

Records = NDArray[np.void]

_TIE = 1e-10  # relative to rate or capacity; far above rounding, far below the 1e-6 promised
_WAITING, _GROWING = 0, -1  # states of a flow; otherwise the event at which its rate was last found

# A flow, like a link, is one record, so that it costs a cache line and one argument. The helpers are small and use each
# array up to their end, so that Numba builds them in and counts no references: calls and counting took half the time.
_FLOW = np.dtype(
    [
        ("rate", "f8"),
        ("left", "f8"),  # bytes at the time "last"
        ("last", "f8"),
        ("due", "f8"),  # its start while it waits, its finish while it runs
        ("first", "i8"),  # its links are routes[first:end]
        ("end", "i8"),
        ("state", "i8"),
        ("place", "i8"),  # in the heap, 0 if it is not there
    ]
)
_LINK = np.dtype(
    [
        ("capacity", "f8"),
        ("spare", "f8"),  # capacity less the rates held
        ("ceiling", "f8"),  # rate of the flows it holds back, which is the fastest on it; infinite if none
        ("growing", "i8"),  # flows that grow, one named twice counts twice
        ("first", "i8"),  # its flows are members[first:end]
        ("end", "i8"),
        ("place", "i8"),  # in the queue, 0 if it is not there
        ("filler", "i8"),
    ]
)
_ENTRY = np.dtype([("key", "f8"), ("item", "i8")])  # of a heap from 1 on; the item of entry 0 counts the others


@kernel
def _rise(heap: Records, items: Records, at: int, item: int, key: float) -> None:
    """Put the item at ``at`` or, while its key is smaller, in the place above."""
    while at > 1 and heap[at >> 1]["key"] > key:
        heap[at]["key"] = heap[at >> 1]["key"]
        heap[at]["item"] = heap[at >> 1]["item"]
        items[heap[at]["item"]]["place"] = at
        at >>= 1
    heap[at]["key"] = key
    heap[at]["item"] = item
    items[item]["place"] = at


@kernel
def _sink(heap: Records, items: Records, at: int, item: int, key: float) -> None:
    """Put the item at ``at`` or, while its key is greater, in the place below."""
    child = 2 * at
    while child <= heap[0]["item"]:
        if child < heap[0]["item"] and heap[child + 1]["key"] < heap[child]["key"]:
            child += 1
        if heap[child]["key"] >= key:
            break
        heap[at]["key"] = heap[child]["key"]
        heap[at]["item"] = heap[child]["item"]
        items[heap[at]["item"]]["place"] = at
        at = child
        child = 2 * at
    heap[at]["key"] = key
    heap[at]["item"] = item
    items[item]["place"] = at


@kernel
def _put(heap: Records, items: Records, item: int, key: float) -> None:
    """Put the item in the heap, or in its new place there."""
    at = items[item]["place"]
    if at == 0:
        heap[0]["item"] += 1
        _rise(heap, items, heap[0]["item"], item, key)
    elif key < heap[at]["key"]:
        _rise(heap, items, at, item, key)
    else:
        _sink(heap, items, at, item, key)


@kernel
def _drop(heap: Records, items: Records) -> None:
    """Take the item with the smallest key out of the heap."""
    last = heap[heap[0]["item"]]
    items[heap[1]["item"]]["place"] = 0
    heap[0]["item"] -= 1
    if heap[0]["item"] > 0:
        _sink(heap, items, 1, last["item"], last["key"])


@kernel
def _append(queue: Records, link: Any, pending: Ints) -> None:
    """Put a link at the end of the queue, from where it must rise."""
    queue[0]["item"] += 1
    link["place"] = queue[0]["item"]
    queue[link["place"]]["key"] = np.inf
    pending[0] += link["ceiling"] < np.inf


@kernel
def _grow(f: int, flows: Records, links: Records, routes: Ints, queue: Records, pending: Ints) -> None:
    """Let flow ``f`` give back its rate and grow; queue its links."""
    flow = flows[f]
    flow["state"] = _GROWING
    pending[0] += 1
    for s in range(flow["first"], flow["end"]):
        link = links[routes[s]]
        link["spare"] += flow["rate"]
        link["growing"] += 1
        level = min(max(link["spare"], 0.0) / max(link["growing"], 1), link["ceiling"])
        if link["place"] == 0:
            _append(queue, link, pending)
        if level < queue[link["place"]]["key"]:  # one that rose is put right when it is met
            _rise(queue, links, link["place"], routes[s], level)


@kernel
def _fill(
    now: float,
    event: int,
    flows: Records,
    links: Records,
    routes: Ints,
    members: Ints,
    heap: Records,
    queue: Records,
    pending: Ints,
) -> None:
    """Meet the queued links from the lowest level up until nobody grows and every ceiling has been looked at."""
    while pending[0] > 0:
        link = links[queue[1]["item"]]
        share = max(link["spare"], 0.0) / max(link["growing"], 1) if link["growing"] > 0 else np.inf
        level = min(share, link["ceiling"])
        if level == np.inf:
            _drop(queue, links)
            continue
        if level > queue[1]["key"]:
            _sink(queue, links, 1, queue[1]["item"], level)
            continue
        has_ceiling = link["ceiling"] < np.inf
        pending[0] -= has_ceiling
        if link["growing"] > 0:
            is_full = has_ceiling and abs(share - link["ceiling"]) <= _TIE * link["ceiling"]
        else:
            is_full = link["spare"] <= _TIE * link["capacity"]
        if not is_full:
            limit = link["ceiling"] * (1.0 - 2.0 * _TIE) if has_ceiling else share * (1.0 + _TIE)
            link["ceiling"] = np.inf
            rises = has_ceiling
            for at in range(link["first"], link["end"]):
                flow = flows[members[at]]
                if flow["rate"] > limit and flow["state"] != _GROWING and flow["state"] != event:
                    _grow(members[at], flows, links, routes, queue, pending)
                    rises = True
            if rises:
                continue
            link["ceiling"] = share
        load = 0.0
        for at in range(link["first"], link["end"]):
            flow = flows[members[at]]
            if flow["state"] == _GROWING:
                flow["state"] = event  # MUST HOLD: it does not grow again at this event, so that there is an end
                pending[0] -= 1
                for s in range(flow["first"], flow["end"]):
                    links[routes[s]]["spare"] -= share
                    links[routes[s]]["growing"] -= 1
                if flow["rate"] != share:
                    flow["left"] = max(flow["left"] - flow["rate"] * (now - flow["last"]), 0.0)
                    flow["last"] = max(now, flow["last"])
                    flow["rate"] = share
                    flow["due"] = flow["last"] + flow["left"] / share if share > 0.0 else np.inf
                    _put(heap, flows, members[at], flow["due"])
            load += flow["rate"]
        link["spare"] = link["capacity"] - load  # anew, so that rounding does not add up
        _drop(queue, links)
    for at in range(1, queue[0]["item"] + 1):
        links[queue[at]["item"]]["place"] = 0
    queue[0]["item"] = 0


@kernel
def _run(
    flows: Records,
    links: Records,
    routes: Ints,
    order: Ints,
    delay: Floats,
    after_indptr: Ints,
    followers: Ints,
    waits_for: Ints,
    change_s: Floats,
    change_link: Ints,
    change_capacity: Floats,
) -> Floats:
    """Return the finish of every flow; ``order`` are those that follow nobody, by ascending start.

    The followers of flow ``f`` are ``followers[after_indptr[f]:after_indptr[f + 1]]``. Changes come in order of time.
    """
    finish = np.full(len(flows), np.inf)
    members = np.empty(len(routes), np.int64)
    heap = np.zeros(len(flows) + 1, _ENTRY)
    queue = np.zeros(len(links) + 1, _ENTRY)
    pending = np.zeros(1, np.int64)  # growing flows, and queued links with a ceiling
    arrived, changed, event = 0, 0, 0
    while True:
        now = heap[1]["key"] if heap[0]["item"] > 0 else np.inf
        if arrived < len(order):
            now = min(now, flows[order[arrived]]["due"])
        if changed < len(change_s):
            now = min(now, change_s[changed])
        if now == np.inf:
            return finish  # what is left waits for a dead link for ever
        horizon = now + 1e-14 * abs(now)  # times equal but for rounding are one event
        event += 1
        while True:
            if heap[0]["item"] > 0 and heap[1]["key"] <= horizon:
                f = heap[1]["item"]
                _drop(heap, flows)
            elif arrived < len(order) and flows[order[arrived]]["due"] <= horizon:
                f = order[arrived]
                arrived += 1
            else:
                break
            flow = flows[f]
            if flow["state"] == _WAITING and flow["left"] > 0.0 and flow["first"] < flow["end"]:
                flow["last"] = flow["due"]
                for s in range(flow["first"], flow["end"]):
                    link = links[routes[s]]
                    members[link["end"]] = f
                    link["end"] += 1
                _grow(f, flows, links, routes, queue, pending)
                continue
            if flow["state"] != _WAITING:
                for s in range(flow["first"], flow["end"]):
                    link = links[routes[s]]
                    link["end"] -= 1
                    at = link["first"]
                    while members[at] != f:
                        at += 1
                    members[at] = members[link["end"]]
                    link["spare"] += flow["rate"]
                    if link["end"] == link["first"]:
                        link["spare"] = link["capacity"]
                    if link["place"] == 0 and link["ceiling"] < np.inf:
                        if link["end"] == link["first"]:
                            link["ceiling"] = np.inf
                        else:
                            _append(queue, link, pending)
                            _rise(queue, links, link["place"], routes[s], link["ceiling"])
            finish[f] = flow["due"] + delay[f]
            for k in range(after_indptr[f], after_indptr[f + 1]):
                g = followers[k]
                flows[g]["due"] = max(flows[g]["due"], finish[f])
                waits_for[g] -= 1
                if waits_for[g] == 0:
                    _put(heap, flows, g, flows[g]["due"])
        while changed < len(change_s) and change_s[changed] <= horizon:
            link = links[change_link[changed]]
            link["spare"] += change_capacity[changed] - link["capacity"]
            link["capacity"] = change_capacity[changed]
            for at in range(link["first"], link["end"]):
                if flows[members[at]]["state"] != _GROWING:
                    _grow(members[at], flows, links, routes, queue, pending)
            link["spare"] = link["capacity"]  # exactly, since nobody holds a rate: a dead link gives nothing
            level = link["spare"] / max(link["growing"], 1)
            if link["place"] > 0 and level < queue[link["place"]]["key"]:
                _rise(queue, links, link["place"], change_link[changed], level)
            changed += 1
        _fill(now, event, flows, links, routes, members, heap, queue, pending)


@kernel
def _followers(indptr: Ints, before: Ints) -> tuple[Ints, Ints, Ints]:
    """Turn the rows round: who follows each flow (CSR), and for how many others each flow waits for ever."""
    n = len(indptr) - 1
    first = np.zeros(n + 1, np.int64)
    for k in range(len(before)):
        first[before[k] + 1] += 1
    for f in range(n):
        first[f + 1] += first[f]
    place = first[:-1].copy()
    followers = np.empty(len(before), np.int64)
    for f in range(n):
        for k in range(indptr[f], indptr[f + 1]):
            followers[place[before[k]]] = f
            place[before[k]] += 1
    waits_for = np.diff(indptr)
    free = np.empty(n, np.int64)
    found = 0
    for f in range(n):
        if waits_for[f] == 0:
            free[found] = f
            found += 1
    at = 0
    while at < found:
        for k in range(first[free[at]], first[free[at] + 1]):
            waits_for[followers[k]] -= 1
            if waits_for[followers[k]] == 0:
                free[found] = followers[k]
                found += 1
        at += 1
    return first, followers, waits_for


def simulate_flows(
    capacity: ArrayLike,
    route_indptr: ArrayLike,
    route_links: ArrayLike,
    sizes: ArrayLike,
    starts: ArrayLike,
    latency: ArrayLike | None = None,
    changes: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    after: tuple[ArrayLike, ArrayLike] | None = None,
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
    after : tuple of two arrays, shapes (flows + 1,), (entries,), optional
        CSR rows: the flows that each flow comes after. It starts when all of them have finished, their latency
        included because their bytes must have arrived, and not before its own start.

    Returns
    -------
    array, shape (flows,)
        Absolute finish in seconds, in input order; infinite for a flow that waits for a dead link for ever, and for
        those after it. Size 0 or an empty route: start + latency.

    Raises
    ------
    InputError
        Wrong shape, NaN, negative or infinite value, zero capacity, a link or flow that does not exist, or flows that
        wait for each other in a circle.
    """
    c = floats(capacity, "capacity", positive=True)
    indptr, routes = rows(route_indptr, route_links, len(c), ("route_indptr", "route_links"))
    n = len(indptr) - 1
    bytes_, start = floats(sizes, "sizes"), floats(starts, "starts")
    same_length(bytes_, n, "sizes")
    same_length(start, n, "starts")
    after_indptr, followers, waits_for = _order_of(after, n)
    order = np.flatnonzero(waits_for == 0)
    order = order[np.argsort(start[order], kind="stable")]
    flows, links = np.zeros(n, _FLOW), np.zeros(len(c), _LINK)
    flows["left"], flows["due"], flows["first"], flows["end"] = bytes_, start, indptr[:-1], indptr[1:]
    ends = np.cumsum(np.bincount(routes, minlength=len(c)))
    links["capacity"], links["spare"], links["ceiling"] = c, c, np.inf
    links["first"][1:] = links["end"][1:] = ends[:-1]  # room for all who ever use the link
    delay = np.zeros(n)
    if latency is not None:
        delays = floats(latency, "latency")
        same_length(delays, len(c), "latency")
        total = np.concatenate((np.zeros(1), np.cumsum(delays[routes])))
        delay = total[indptr[1:]] - total[indptr[:-1]]
    return _run(flows, links, routes, order, delay, after_indptr, followers, waits_for, *_changes(changes, len(c)))


def _order_of(after: tuple[ArrayLike, ArrayLike] | None, n: int) -> tuple[Ints, Ints, Ints]:
    """Return who follows each flow (CSR) and how many each flow comes after, checked."""
    if after is None:
        return np.zeros(n + 1, np.int64), np.empty(0, np.int64), np.zeros(n, np.int64)
    indptr, before = rows(after[0], after[1], n, ("after.indptr", "after.flows"), "flow")
    if len(indptr) != n + 1:
        raise InputError("wrong length", key="after.indptr", found=str(len(indptr)), allowed=str(n + 1))
    first, followers, waits_for = _followers(indptr, before)
    if waits_for.any():
        f = int(np.argmax(waits_for > 0))
        for _ in range(np.count_nonzero(waits_for)):  # so many steps back along those that wait end in a circle
            f = next(g for g in before[indptr[f] : indptr[f + 1]].tolist() if waits_for[g] > 0)
        raise InputError("flows wait for each other", key="after", found=f"flow {f} after itself", allowed="no circle")
    return first, followers, np.diff(indptr)


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

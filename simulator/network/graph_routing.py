"""Routes through any graph: shortest paths found by search, one by hash or all of them by weight."""

from __future__ import annotations

import numpy as np

from simulator.compiled import kernel
from simulator.network.fabric import Bools, Fabric, Floats, Ints


@kernel
def _distances(
    target: int, in_ptr: Ints, in_links: Ints, tail: Ints, left: Floats, hosts: int, dist: Ints, queue: Ints
) -> int:
    """Write the hops from every vertex to the target over living links, -1 where there is no way.

    Other hosts are not passed through. ``queue`` holds the vertices from the target on; returns how many there are.
    """
    dist[:] = -1
    dist[target] = 0
    queue[0] = target
    begin, end = 0, 1
    while begin < end:
        vertex = queue[begin]
        begin += 1
        if vertex < hosts and vertex != target:
            continue
        for k in range(in_ptr[vertex], in_ptr[vertex + 1]):
            link = in_links[k]
            if left[link] > 0.0 and dist[tail[link]] < 0:
                dist[tail[link]] = dist[vertex] + 1
                queue[end] = tail[link]
                end += 1
    return end


@kernel
def _shares_ahead(
    queue: Ints,
    reached: int,
    out_ptr: Ints,
    out_links: Ints,
    head: Ints,
    capacity: Floats,
    left: Floats,
    hosts: int,
    dist: Ints,
    ahead: Floats,
) -> None:
    """Write what share of its capacity the way from every vertex to the target has left.

    The first link of a way counts by what is left of it, or of the way behind it where that is less; a vertex by the
    mean of its links, each as wide as it is built.
    """
    ahead[queue[0]] = 1.0
    for k in range(1, reached):
        vertex = queue[k]
        built, carried = 0.0, 0.0
        for slot in range(out_ptr[vertex], out_ptr[vertex + 1]):
            link = out_links[slot]
            near = head[link]
            if dist[near] == dist[vertex] - 1 and (near >= hosts or dist[near] == 0):
                built += capacity[link]
                carried += capacity[link] * min(left[link], ahead[near])
        ahead[vertex] = carried / built


@kernel
def _rows(
    source: Ints,
    target: Ints,
    keys: Ints,
    order: Ints,
    spray: bool,
    hosts: int,
    tail: Ints,
    head: Ints,
    out_ptr: Ints,
    out_links: Ints,
    in_ptr: Ints,
    in_links: Ints,
    capacity: Floats,
    left: Floats,
) -> tuple[Ints, Ints, Floats, Bools]:
    """Return flow, link and weight of each entry, and which flows arrive; ``order`` brings equal targets together."""
    vertices = len(out_ptr) - 1
    dist, queue = np.empty(vertices, np.int64), np.empty(vertices, np.int64)
    amount, ahead = np.zeros(vertices), np.ones(vertices)
    is_weak = spray and left.min() < 1.0
    room = 8 * len(source) + 64
    flow, links, weights = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    reachable = np.zeros(len(source), np.bool_)
    size, last = 0, -1
    for i in range(len(order)):
        f = order[i]
        if target[f] != last:
            last = target[f]
            reached = _distances(last, in_ptr, in_links, tail, left, hosts, dist, queue)
            if is_weak:
                _shares_ahead(queue, reached, out_ptr, out_links, head, capacity, left, hosts, dist, ahead)
        reachable[f] = dist[source[f]] >= 0
        if not reachable[f] or source[f] == target[f]:
            continue
        n_level = 1
        queue[0] = source[f]
        amount[source[f]] = 1.0
        for hop in range(dist[source[f]], 0, -1):
            n_next = n_level
            for k in range(n_level):
                vertex = queue[k]
                count, width = 0, 0.0
                for slot in range(out_ptr[vertex], out_ptr[vertex + 1]):
                    link = out_links[slot]
                    if left[link] > 0.0 and dist[head[link]] == hop - 1 and (hop == 1 or head[link] >= hosts):
                        count += 1
                        width += capacity[link] * min(left[link], ahead[head[link]])
                chosen = -1 if spray else (keys[f] ^ (vertex * 40503)) % count
                if size + count > room:
                    room = 2 * room + count
                    a, b, c = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
                    a[:size], b[:size], c[:size] = flow[:size], links[:size], weights[:size]
                    flow, links, weights = a, b, c
                for slot in range(out_ptr[vertex], out_ptr[vertex + 1]):
                    link = out_links[slot]
                    if not (left[link] > 0.0 and dist[head[link]] == hop - 1 and (hop == 1 or head[link] >= hosts)):
                        continue
                    count_down = chosen
                    chosen -= 1
                    if not spray and count_down != 0:
                        continue
                    share = 1.0
                    if spray:
                        share = amount[vertex] * capacity[link] * min(left[link], ahead[head[link]]) / width
                    flow[size], links[size], weights[size] = f, link, share
                    size += 1
                    if amount[head[link]] == 0.0:
                        queue[n_next] = head[link]
                        n_next += 1
                    amount[head[link]] += share
                amount[vertex] = 0.0
            for k in range(n_level, n_next):
                queue[k - n_level] = queue[k]
            n_level = n_next - n_level
        amount[target[f]] = 0.0
    return flow[:size].copy(), links[:size].copy(), weights[:size].copy(), reachable


def graph_rows(
    fabric: Fabric, source: Ints, target: Ints, keys: Ints, spray: bool, left: Floats
) -> tuple[Ints, Ints, Floats, Bools]:
    """Return CSR rows over shortest paths: one by hash at every switch, or all of them (spray).

    A sprayed flow splits at every switch by the capacity of the next links, as far as they and the ways behind them
    have it ``left`` (weighted multipathing: Zhou et al., EuroSys 2014).
    """
    by_tail = np.argsort(fabric.tail, kind="stable")
    by_head = np.argsort(fabric.head, kind="stable")
    edges = np.arange(fabric.vertices + 1)
    out_ptr = np.searchsorted(fabric.tail[by_tail], edges)
    in_ptr = np.searchsorted(fabric.head[by_head], edges)
    order = np.argsort(target, kind="stable")
    flow, links, weights, reachable = _rows(
        source,
        target,
        keys,
        order,
        spray,
        fabric.hosts if (fabric.level > 0).any() else 0,  # without switches the hosts forward
        fabric.tail,
        fabric.head,
        out_ptr,
        by_tail,
        in_ptr,
        by_head,
        fabric.capacity,
        left,
    )
    sort = np.argsort(flow, kind="stable")
    indptr = np.searchsorted(flow[sort], np.arange(len(source) + 1))
    return indptr, links[sort], weights[sort], reachable

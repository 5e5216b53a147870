"""Routes through any graph: shortest paths found by search, one by hash or all of them evenly."""

from __future__ import annotations

import numpy as np

from simulator.compiled import kernel
from simulator.network.fabric import Bools, Fabric, Floats, Ints


@kernel
def _distances(
    target: int, in_ptr: Ints, in_links: Ints, tail: Ints, up: Bools, hosts: int, dist: Ints, queue: Ints
) -> None:
    """Write the hops from every vertex to the target over living links; -1 where there is no way.

    Other hosts are not passed through.
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
            if up[link] and dist[tail[link]] < 0:
                dist[tail[link]] = dist[vertex] + 1
                queue[end] = tail[link]
                end += 1


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
    up: Bools,
) -> tuple[Ints, Ints, Floats, Bools]:
    """Return flow, link and weight of each entry, and which flows arrive; ``order`` brings equal targets together."""
    vertices = len(out_ptr) - 1
    dist, queue = np.empty(vertices, np.int64), np.empty(vertices, np.int64)
    amount = np.zeros(vertices)
    room = 8 * len(source) + 64
    flow, links, weights = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
    reachable = np.zeros(len(source), np.bool_)
    size, last = 0, -1
    for i in range(len(order)):
        f = order[i]
        if target[f] != last:
            last = target[f]
            _distances(last, in_ptr, in_links, tail, up, hosts, dist, queue)
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
                count = 0
                for slot in range(out_ptr[vertex], out_ptr[vertex + 1]):
                    link = out_links[slot]
                    count += up[link] and dist[head[link]] == hop - 1
                chosen = -1 if spray else (keys[f] ^ (vertex * 40503)) % count
                if size + count > room:
                    room = 2 * room + count
                    a, b, c = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room)
                    a[:size], b[:size], c[:size] = flow[:size], links[:size], weights[:size]
                    flow, links, weights = a, b, c
                for slot in range(out_ptr[vertex], out_ptr[vertex + 1]):
                    link = out_links[slot]
                    if not (up[link] and dist[head[link]] == hop - 1):
                        continue
                    count_down = chosen
                    chosen -= 1
                    if not spray and count_down != 0:
                        continue
                    share = amount[vertex] / count if spray else 1.0
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
    fabric: Fabric, source: Ints, target: Ints, keys: Ints, spray: bool, up: Bools
) -> tuple[Ints, Ints, Floats, Bools]:
    """Return CSR rows over shortest paths: one by hash at every switch, or an even split at every switch (spray)."""
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
        up,
    )
    sort = np.argsort(flow, kind="stable")
    indptr = np.searchsorted(flow[sort], np.arange(len(source) + 1))
    return indptr, links[sort], weights[sort], reachable

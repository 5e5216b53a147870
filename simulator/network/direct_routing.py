"""Routes through tori, hypercubes and dragonflies: one path per flow by a rule, and detours round dead links."""

from __future__ import annotations

import itertools

import numpy as np

from simulator.compiled import kernel
from simulator.network.clos_routing import is_alive
from simulator.network.fabric import Bools, DragonflyShape, Fabric, Floats, HypercubeShape, Ints, TorusShape

Rows = tuple[Ints, Ints, Bools]


@kernel
def _go_round(
    dims: Ints, bases: Ints, n: int, here: int, axis: int, steps: int, forward: bool, out: Ints, size: int
) -> tuple[int, int]:
    """Write the links of some steps along one dimension; return the host of arrival and the number of links so far."""
    length, stride = dims[axis], 1
    for inner in range(axis):
        stride *= dims[inner]
    at = here // stride % length
    for _ in range(steps):
        if length == 2:
            low = here - at * stride
            rank = low // (2 * stride) * stride + low % stride
            out[size] = bases[axis] + rank + (0 if at == 0 else n // 2)
            here = low + (1 - at) * stride
            at = 1 - at
        elif forward:
            out[size] = bases[axis] + here
            here += stride * (1 - length) if at == length - 1 else stride
            at = (at + 1) % length
        else:
            here += stride * (length - 1) if at == 0 else -stride
            at = (at - 1) % length
            out[size] = bases[axis] + n + here
        size += 1
    return here, size


@kernel
def _walk_torus(
    dims: Ints,
    bases: Ints,
    n: int,
    source: int,
    target: int,
    order: Ints,
    turned: int,
    up: Bools,
    out: Ints,
    share: Floats,
) -> tuple[int, int]:
    """Write the links from source to target, dimension after dimension, and the share of the flow on each.

    A set bit goes the longer way round. Half way round a ring both ways are as long: half of the flow takes each while
    both live. Returns the number of links, -1 where one of them is dead, and the hops of a packet.
    """  # fmt: skip
    here, size, hops = source, 0, 0
    for axis in order:
        length, stride = dims[axis], 1
        for inner in range(axis):
            stride *= dims[inner]
        ahead = (target // stride - here // stride) % length
        if ahead == 0:
            continue
        forward = (2 * ahead <= length) != bool((turned >> axis) & 1)
        steps = ahead if forward else length - ahead
        end, middle = _go_round(dims, bases, n, here, axis, steps, forward, out, size)
        alive = is_alive(up, out[size:middle], steps)
        share[size:middle] = 1.0
        if 2 * ahead == length > 2:
            _, last = _go_round(dims, bases, n, here, axis, steps, not forward, out, middle)
            if not alive:
                out[size:middle] = out[middle:last].copy()
                alive = is_alive(up, out[size:middle], steps)
            elif is_alive(up, out[middle:last], steps):
                share[size:last] = 0.5
                middle = last
        if not alive:
            return -1, hops
        here, size, hops = end, middle, hops + steps
    return size, hops


@kernel
def _torus_rows(
    dims: Ints, bases: Ints, orders: Ints, source: Ints, target: Ints, up: Bools
) -> tuple[Ints, Ints, Floats, Bools]:
    n, longest, hosts = len(source), 0, 1
    for length in dims:
        longest += length
        hosts *= length
    indptr = np.zeros(n + 1, np.int64)
    links, weights = np.empty(n * longest, np.int64), np.empty(n * longest)
    reachable = np.ones(n, np.bool_)
    out, share = np.empty(longest, np.int64), np.empty(longest)
    size = 0
    for f in range(n):
        best, end = longest + 1, size
        for turned in range(1 << len(dims)):
            for o in range(len(orders)):
                length, hops = _walk_torus(dims, bases, hosts, source[f], target[f], orders[o], turned, up, out, share)
                if length >= 0 and hops < best:
                    best, end = hops, size + length
                    links[size:end], weights[size:end] = out[:length], share[:length]
                    if turned == 0:
                        break
            if turned == 0 and best <= longest:
                break  # a shortest way is alive
        reachable[f] = best <= longest
        size = indptr[f + 1] = end
    return indptr, links[:size].copy(), weights[:size].copy(), reachable


def torus_rows(fabric: Fabric, source: Ints, target: Ints, up: Bools) -> tuple[Ints, Ints, Floats, Bools]:
    """Return dimension-ordered paths: x, then y, then z, the shorter way round, half each way where both are as long.

    Where that way is dead: the first living one of the other orders, then the shortest of those that turn round.
    """
    shape = fabric.shape
    assert isinstance(shape, TorusShape)
    n = fabric.hosts
    sizes = [2 * (n // 2 if length == 2 else n) for length in shape.dims]
    bases = np.concatenate(([0], np.cumsum(sizes[:-1]))).astype(np.int64)
    orders = np.array(list(itertools.permutations(range(len(shape.dims)))), dtype=np.int64)
    return _torus_rows(np.array(shape.dims, dtype=np.int64), bases, orders, source, target, up)


@kernel
def _hypercube_rows(dimension: int, source: Ints, target: Ints, up: Bools) -> Rows:
    n, hosts = len(source), 1 << dimension
    indptr = np.zeros(n + 1, np.int64)
    links = np.empty(n * dimension, np.int64)
    reachable = np.zeros(n, np.bool_)
    size = 0
    for f in range(n):
        for first in range(dimension):
            here, begin = source[f], size
            for k in range(dimension):
                axis = (first + k) % dimension
                bit = 1 << axis
                if (here ^ target[f]) & bit:
                    rank = (here >> (axis + 1) << axis) | (here & (bit - 1))
                    links[size] = axis * hosts + rank + (hosts // 2 if here & bit else 0)
                    size += 1
                    here ^= bit
            if is_alive(up, links[begin:size], size - begin):
                reachable[f] = True
                break
            size = begin
        indptr[f + 1] = size
    return indptr, links[:size].copy(), reachable


def hypercube_rows(fabric: Fabric, source: Ints, target: Ints, up: Bools) -> Rows:
    """Return e-cube paths, lowest differing bit first; where that is dead, beginning with a later bit."""
    shape = fabric.shape
    assert isinstance(shape, HypercubeShape)
    return _hypercube_rows(shape.dimension, source, target, up)


@kernel
def _local(a: int, groups: int, base: int, group: int, one: int, other: int) -> int:
    """Return the link from one router of a group to another."""
    pairs = a * (a - 1) // 2
    low, high = min(one, other), max(one, other)
    pair = low * (2 * a - low - 1) // 2 + high - low - 1
    return base + group * pairs + pair + (0 if one < other else groups * pairs)


@kernel
def _global(groups: int, base: int, one: int, other: int) -> int:
    """Return the link from one group to another."""
    pairs = groups * (groups - 1) // 2
    low, high = min(one, other), max(one, other)
    return base + low * (2 * groups - low - 1) // 2 + high - low - 1 + (0 if one < other else pairs)


@kernel
def _cross(
    a: int, h: int, groups: int, local: int, across: int, group: int, router: int, to: int, out: Ints, size: int
) -> tuple[int, int]:
    """Go from a router to the next group; return the router of arrival and the number of links so far."""
    leaving = (to - 1 if to > group else to) // h
    if leaving != router:
        out[size] = _local(a, groups, local, group, router, leaving)
        size += 1
    out[size] = _global(groups, across, group, to)
    arriving = (group - 1 if group > to else group) // h
    return arriving, size + 1


@kernel
def _walk_dragonfly(a: int, p: int, h: int, hosts: int, source: int, target: int, via: int, out: Ints) -> int:
    """Write the links of the minimal path, or of the one through group ``via`` when it is not negative."""
    groups = a * h + 1
    local = 2 * hosts
    across = local + groups * a * (a - 1)
    out[0] = source
    size = 1
    router, group = source // p % a, source // p // a
    goal, goal_group = target // p % a, target // p // a
    if via >= 0:
        router, size = _cross(a, h, groups, local, across, group, router, via, out, size)
        group = via
    if group != goal_group:
        router, size = _cross(a, h, groups, local, across, group, router, goal_group, out, size)
    if router != goal:
        out[size] = _local(a, groups, local, goal_group, router, goal)
        size += 1
    out[size] = hosts + target
    return size + 1


@kernel
def _dragonfly_rows(
    a: int, p: int, h: int, hosts: int, source: Ints, target: Ints, keys: Ints, detour: bool, up: Bools
) -> Rows:
    n, groups = len(source), a * h + 1
    indptr = np.zeros(n + 1, np.int64)
    links = np.empty(7 * n, np.int64)
    reachable = np.zeros(n, np.bool_)
    out = np.empty(8, np.int64)
    size = 0
    for f in range(n):
        one, other = source[f] // p // a, target[f] // p // a
        length = 0
        if source[f] == target[f]:
            reachable[f] = True
        elif one == other or not detour:
            length = _walk_dragonfly(a, p, h, hosts, source[f], target[f], -1, out)
            reachable[f] = is_alive(up, out, length)
        for k in range(groups):
            via = (keys[f] + k) % groups
            if reachable[f]:
                break
            if via in (one, other):
                continue
            length = _walk_dragonfly(a, p, h, hosts, source[f], target[f], via, out)
            reachable[f] = is_alive(up, out, length)
        if reachable[f]:
            for k in range(length):
                links[size] = out[k]
                size += 1
        indptr[f + 1] = size
    return indptr, links[:size].copy(), reachable


def dragonfly_rows(fabric: Fabric, source: Ints, target: Ints, keys: Ints, detour: bool, up: Bools) -> Rows:
    """Return minimal paths, or Valiant's through a hashed third group (``detour``).

    Flows inside a group are minimal under both. Where the path is dead, the next third groups are tried in order, so
    minimal routing detours only round dead links.
    """
    shape = fabric.shape
    assert isinstance(shape, DragonflyShape)
    a, p, h = shape.routers, shape.hosts, shape.globals_
    return _dragonfly_rows(a, p, h, fabric.hosts, source, target, keys, detour, up)

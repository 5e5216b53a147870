"""Routes through tori, hypercubes and dragonflies: one path per flow by a rule, and detours round dead links."""

from __future__ import annotations

import itertools

import numpy as np

from simulator.compiled import kernel
from simulator.network.clos_routing import is_alive
from simulator.network.fabric import Bools, DragonflyShape, Fabric, HypercubeShape, Ints, TorusShape

Rows = tuple[Ints, Ints, Bools]


@kernel
def _walk_torus(dims: Ints, bases: Ints, source: int, target: int, order: Ints, turned: int, out: Ints) -> int:
    """Write the links from source to target, dimension after dimension; a set bit goes the longer way round."""
    n = 1
    for length in dims:
        n *= length
    here, size = source, 0
    for axis in order:
        length, stride = dims[axis], 1
        for inner in range(axis):
            stride *= dims[inner]
        at, to = here // stride % length, target // stride % length
        if at == to:
            continue
        ahead = (to - at) % length
        forward = (2 * ahead <= length) != bool((turned >> axis) & 1)
        for _ in range(ahead if forward else length - ahead):
            step = stride * (1 - length) if at == length - 1 else stride
            if length == 2:
                low = here - at * stride
                rank = low // (2 * stride) * stride + low % stride
                out[size] = bases[axis] + rank + (0 if at == 0 else n // 2)
                here = low + (1 - at) * stride
                at = 1 - at
            elif forward:
                out[size] = bases[axis] + here
                here += step
                at = (at + 1) % length
            else:
                here += stride * (length - 1) if at == 0 else -stride
                at = (at - 1) % length
                out[size] = bases[axis] + n + here
            size += 1
    return size


@kernel
def _torus_rows(dims: Ints, bases: Ints, orders: Ints, source: Ints, target: Ints, up: Bools) -> Rows:
    n, longest = len(source), 0
    for length in dims:
        longest += length
    indptr = np.zeros(n + 1, np.int64)
    links = np.empty(n * longest, np.int64)
    reachable = np.ones(n, np.bool_)
    out = np.empty(longest, np.int64)
    size = 0
    for f in range(n):
        best_turn, best_order, best = -1, -1, longest + 1
        for turned in range(1 << len(dims)):
            for o in range(len(orders)):
                length = _walk_torus(dims, bases, source[f], target[f], orders[o], turned, out)
                if length < best and is_alive(up, out, length):
                    best_turn, best_order, best = turned, o, length
            if best_turn == 0:
                break  # a shortest way is alive
        reachable[f] = best_turn >= 0
        if best_turn >= 0:
            length = _walk_torus(dims, bases, source[f], target[f], orders[best_order], best_turn, out)
            for k in range(length):
                links[size] = out[k]
                size += 1
        indptr[f + 1] = size
    return indptr, links[:size].copy(), reachable


def torus_rows(fabric: Fabric, source: Ints, target: Ints, up: Bools) -> Rows:
    """Return dimension-ordered paths: x, then y, then z, the shorter way round, ties in positive direction.

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

"""Routes through a folded Clos network: which plane, which spine, which core."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simulator.compiled import kernel
from simulator.network.fabric import Bools, ClosShape, Fabric, Floats, Ints


class Clos(NamedTuple):
    """Sizes of a Clos network and where its blocks of links begin, for kernels.

    A plane's links lie in the order host up, host down, leaf up, leaf down, spine up, spine down; ``stride`` is their
    number. Path ``x`` between two hosts goes through plane ``x % planes``, spine ``x // planes % spines`` and core
    ``x // planes // spines``.
    """

    hosts: int
    planes: int
    leaves: int
    spines: int
    cores: int
    leaves_per_pod: int
    stride: int
    spine_up: int
    spine_down: int
    domain: int
    first_domain_link: int
    leaf: Ints


def clos_of(fabric: Fabric) -> Clos:
    """Return the sizes of a fabric of kind ``clos``."""
    shape = fabric.shape
    assert isinstance(shape, ClosShape)
    n, up = fabric.hosts, shape.leaves * shape.spines_per_pod
    core = shape.pods * shape.spines_per_pod * shape.cores_per_spine
    return Clos(
        n,
        shape.planes,
        shape.leaves,
        shape.spines_per_pod,
        shape.cores_per_spine,
        shape.leaves_per_pod,
        2 * (n + up + core),
        2 * (n + up),
        2 * (n + up) + core,
        fabric.scale_up_size,
        fabric.first_scale_up_link,
        fabric.leaf,
    )


@kernel
def _n_paths(c: Clos, source: int, target: int) -> int:
    """Return the number of equal-cost paths between two hosts of different scale-up domains."""
    one, other = c.leaf[source], c.leaf[target]
    if one == other:
        return c.planes
    if one // c.leaves_per_pod == other // c.leaves_per_pod:
        return c.planes * c.spines
    return c.planes * c.spines * c.cores


@kernel
def _walk(c: Clos, source: int, target: int, path: int, out: Ints) -> int:
    """Write the links of a path to ``out`` and return how many there are."""
    plane = path % c.planes
    base = plane * c.stride
    out[0] = base + source
    one, other = c.leaf[source], c.leaf[target]
    if one == other:
        out[1] = base + c.hosts + target
        return 2
    spine = path // c.planes % c.spines
    up = base + 2 * c.hosts
    out[1] = up + one * c.spines + spine
    pod, other_pod = one // c.leaves_per_pod, other // c.leaves_per_pod
    at = 2
    if pod != other_pod:
        core = path // c.planes // c.spines
        out[2] = base + c.spine_up + (pod * c.spines + spine) * c.cores + core
        out[3] = base + c.spine_down + (other_pod * c.spines + spine) * c.cores + core
        at = 4
    out[at] = up + c.leaves * c.spines + other * c.spines + spine
    out[at + 1] = base + c.hosts + target
    return at + 2


@kernel
def _share_left(left: Floats, links: Ints, n: int) -> float:
    """Return the least share of its capacity that one of the first ``n`` links has left."""
    least = 1.0
    for k in range(n):
        least = min(least, left[links[k]])
    return least


@kernel
def is_alive(up: Bools, links: Ints, n: int) -> bool:
    """Return whether the first ``n`` links are all up."""
    for k in range(n):  # noqa: SIM110  a generator costs more than the loop in a kernel
        if not up[links[k]]:
            return False
    return True


@kernel
def _inside(c: Clos, source: int, target: int, up: Bools, out: Ints) -> int:
    """Return the number of links inside a scale-up domain, -1 between domains, -2 when a link is dead."""
    if source == target:
        return 0
    if c.domain == 1 or source // c.domain != target // c.domain:
        return -1
    out[0] = c.first_domain_link + source
    out[1] = c.first_domain_link + c.hosts + target
    return 2 if is_alive(up, out, 2) else -2


@kernel
def _choose(c: Clos, source: int, target: int, key: int, stays: bool, up: Bools, out: Ints) -> int:
    """Return the number of links of the hashed path, or of the key-th surviving one; -2 when none survives."""
    n = _n_paths(c, source, target)
    wanted = key % n
    length = _walk(c, source, target, wanted, out)
    if is_alive(up, out, length):
        return length
    first, step = (wanted % c.planes, c.planes) if stays else (0, 1)
    survivors = 0
    for path in range(first, n, step):
        survivors += is_alive(up, out, _walk(c, source, target, path, out))
    if survivors == 0:
        return -2
    left = (key // n) % survivors
    for path in range(first, n, step):
        length = _walk(c, source, target, path, out)
        if is_alive(up, out, length):
            if left == 0:
                return length
            left -= 1
    return -2


@kernel
def _least_loaded(
    c: Clos,
    source: int,
    target: int,
    key: int,
    first: int,
    step: int,
    demand: float,
    capacity: Floats,
    load: Floats,
    out: Ints,
) -> int:
    """Return the number of links of the path whose fullest link stays emptiest, and load it; -2 when all are dead.

    Of all paths one in ``step`` is looked at, from ``first`` on.
    """
    n = _n_paths(c, source, target) // step
    best, best_load = -1, np.inf
    for k in range(n):
        path = first + step * ((key // step + k) % n)
        length = _walk(c, source, target, path, out)
        fullest = 0.0
        for at in range(length):
            link = out[at]
            fullest = max(fullest, (load[link] + demand) / capacity[link] if capacity[link] > 0.0 else np.inf)
        if fullest < best_load * (1.0 - 1e-12):
            best, best_load = path, fullest
    if best < 0:
        return -2
    length = _walk(c, source, target, best, out)
    for at in range(length):
        load[out[at]] += demand
    return length


@kernel
def _plane_shares(c: Clos, source: int, target: int, left: Floats, out: Ints, shares: Floats) -> bool:
    """Write how much of a flow each plane carries, in proportion to its best path; return whether one is alive."""
    shares[:] = 0.0
    for path in range(_n_paths(c, source, target)):
        plane = path % c.planes
        shares[plane] = max(shares[plane], _share_left(left, out, _walk(c, source, target, path, out)))
    total = 0.0
    for plane in range(c.planes):
        total += shares[plane]
    for plane in range(c.planes):
        shares[plane] /= total if total > 0.0 else 1.0
    return total > 0.0


@kernel
def clos_rows(
    c: Clos, source: Ints, target: Ints, keys: Ints, mode: int, up: Bools, capacity: Floats
) -> tuple[Ints, Ints, Bools]:
    """Return CSR rows of one path per flow; mode 0 hashes all paths, 1 those of one plane, 2 takes the least loaded.

    ``capacity`` is what is left of it, 0 where ``up`` is False.
    """
    n = len(source)
    indptr = np.zeros(n + 1, np.int64)
    links = np.empty(6 * n, np.int64)
    reachable = np.ones(n, np.bool_)
    load = np.zeros(len(capacity) if mode == 2 else 0)
    out = np.empty(6, np.int64)
    size = 0
    for f in range(n):
        length = _inside(c, source[f], target[f], up, out)
        if length == -1:
            if mode == 2:
                length = _least_loaded(c, source[f], target[f], keys[f], 0, 1, 1.0, capacity, load, out)
            else:
                length = _choose(c, source[f], target[f], keys[f], mode == 1, up, out)
        reachable[f] = length >= 0
        for k in range(max(length, 0)):
            links[size] = out[k]
            size += 1
        indptr[f + 1] = size
    return indptr, links[:size].copy(), reachable


@kernel
def clos_spray_rows(c: Clos, source: Ints, target: Ints, left: Floats) -> tuple[Ints, Ints, Floats, Bools]:
    """Return CSR rows of flows that spread over all their paths, links named once per flow.

    A path counts by the least share of its capacity that one of its links has ``left``: a dead one not at all.
    """
    n = len(source)
    reachable = np.ones(n, np.bool_)
    indptr = np.zeros(n + 1, np.int64)
    out = np.empty(6, np.int64)
    capacity = 1024
    links = np.empty(capacity, np.int64)
    weights = np.empty(capacity)
    up = left > 0.0
    slot = np.full(len(up), -1)
    size = 0
    for f in range(n):
        begin = size
        length = _inside(c, source[f], target[f], up, out)
        paths = 1 if length >= 0 else (0 if length == -2 else _n_paths(c, source[f], target[f]))
        if size + 6 * paths > capacity:
            capacity = 2 * capacity + 6 * paths
            more_links, more_weights = np.empty(capacity, np.int64), np.empty(capacity)
            more_links[:size], more_weights[:size] = links[:size], weights[:size]
            links, weights = more_links, more_weights
        total = 0.0
        for path in range(paths):
            walked, share = length, 1.0
            if length < 0:
                walked = _walk(c, source[f], target[f], path, out)
                share = _share_left(left, out, walked)
                if share == 0.0:
                    continue
            total += share
            for k in range(walked):
                link = out[k]
                if slot[link] < begin:
                    slot[link] = size
                    links[size] = link
                    weights[size] = 0.0
                    size += 1
                weights[slot[link]] += share
        for k in range(begin, size):
            weights[k] /= total
        reachable[f] = total > 0.0
        indptr[f + 1] = size
    return indptr, links[:size].copy(), weights[:size].copy(), reachable


@kernel
def clos_usage(
    c: Clos,
    source: Ints,
    target: Ints,
    demand: Floats,
    keys: Ints,
    mode: int,
    up: Bools,
    left: Floats,
    capacity: Floats,
) -> tuple[Floats, Bools]:
    """Return the total weight on every link of pairs of hosts with one flow in each plane, modes as in ``clos_rows``.

    ``keys`` has a column for each of the flows. They share the demand evenly, adaptive ones as the planes can carry
    it where links have only a share ``left`` of their capacity (else it is empty).
    """
    total = np.zeros(len(up))
    load = np.zeros(len(up) if mode == 2 else 0)
    is_weak = len(left) > 0
    reachable = np.ones(len(source), np.bool_)
    shares = np.full(c.planes, 1.0 / c.planes)
    out = np.empty(6, np.int64)
    for f in range(len(source)):
        s, t = source[f], target[f]
        length = _inside(c, s, t, up, out)
        if length != -1:
            reachable[f] = length >= 0
            for k in range(max(length, 0)):
                total[out[k]] += demand[f]
            continue
        if is_weak:
            reachable[f] = _plane_shares(c, s, t, left, out, shares)
        for plane in range(c.planes):
            mine = demand[f] * shares[plane]
            if mine == 0.0:
                continue
            if mode == 2:
                length = _least_loaded(c, s, t, keys[f, 0], plane, c.planes, mine, capacity, load, out)
            else:
                length = _choose(c, s, t, keys[f, plane], mode == 1, up, out)
            reachable[f] = reachable[f] and length >= 0
            for k in range(max(length, 0)):
                total[out[k]] += mine
    return total, reachable


@kernel
def clos_spray_usage(
    c: Clos, source: Ints, target: Ints, demand: Floats, up: Bools, left: Floats, pods: int
) -> tuple[Floats, Bools]:
    """Return the total weight on every link of flows that spread over all their paths as in ``clos_spray_rows``.

    Flows that can meet no weak link are added up per host, leaf and pod and spread evenly at the end; only the others
    are followed path by path. ``left`` is empty where no link is weak.
    """
    total = np.zeros(len(up))
    reachable = np.ones(len(source), np.bool_)
    host_hurt = np.zeros(c.hosts, np.bool_)
    leaf_hurt = np.zeros(c.leaves, np.bool_)
    pod_hurt = np.zeros(pods, np.bool_)
    first_leaf, leaf_links = 2 * c.hosts, c.leaves * c.spines
    for plane in range(c.planes if len(left) > 0 else 0):
        for at in range(c.stride):
            if left[plane * c.stride + at] >= 1.0:
                continue
            if at < first_leaf:
                host_hurt[at % c.hosts] = True
            elif at < c.spine_up:
                leaf_hurt[(at - first_leaf) % leaf_links // c.spines] = True
            else:
                pod_hurt[(at - c.spine_up) % (c.spine_down - c.spine_up) // (c.spines * c.cores)] = True
    sent, received = np.zeros(c.hosts), np.zeros(c.hosts)
    leaf_up, leaf_down = np.zeros(c.leaves), np.zeros(c.leaves)
    pod_up, pod_down = np.zeros(pods), np.zeros(pods)
    out = np.empty(6, np.int64)
    for f in range(len(source)):
        s, t = source[f], target[f]
        length = _inside(c, s, t, up, out)
        if length != -1:
            reachable[f] = length >= 0
            for k in range(max(length, 0)):
                total[out[k]] += demand[f]
            continue
        one, other = c.leaf[s], c.leaf[t]
        pod, other_pod = one // c.leaves_per_pod, other // c.leaves_per_pod
        hurt = host_hurt[s] or host_hurt[t]
        if one != other:
            hurt = hurt or leaf_hurt[one] or leaf_hurt[other]
        if pod != other_pod:
            hurt = hurt or pod_hurt[pod] or pod_hurt[other_pod]
        if not hurt:
            sent[s] += demand[f]
            received[t] += demand[f]
            if one != other:
                leaf_up[one] += demand[f]
                leaf_down[other] += demand[f]
            if pod != other_pod:
                pod_up[pod] += demand[f]
                pod_down[other_pod] += demand[f]
            continue
        carried = 0.0
        n = _n_paths(c, s, t)
        for path in range(n):
            carried += _share_left(left, out, _walk(c, s, t, path, out))
        reachable[f] = carried > 0.0
        for path in range(n if carried > 0.0 else 0):
            length = _walk(c, s, t, path, out)
            share = _share_left(left, out, length)
            for k in range(length):
                total[out[k]] += demand[f] * share / carried
    for plane in range(c.planes):
        base = plane * c.stride
        for host in range(c.hosts):
            total[base + host] += sent[host] / c.planes
            total[base + c.hosts + host] += received[host] / c.planes
        for leaf in range(c.leaves):
            share = 1.0 / (c.planes * c.spines)
            for spine in range(c.spines):
                at = base + first_leaf + leaf * c.spines + spine
                total[at] += leaf_up[leaf] * share
                total[at + leaf_links] += leaf_down[leaf] * share
        if c.cores > 0:
            share = 1.0 / (c.planes * c.spines * c.cores)
            for pod in range(pods):
                for k in range(c.spines * c.cores):
                    at = pod * c.spines * c.cores + k
                    total[base + c.spine_up + at] += pod_up[pod] * share
                    total[base + c.spine_down + at] += pod_down[pod] * share
    return total, reachable

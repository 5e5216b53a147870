"""Which links the traffic of a flow takes: hashed, adaptive, sprayed, or by the rule of the topology."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulator.errors import InputError
from simulator.network.clos_routing import clos_of, clos_rows, clos_spray_rows, clos_spray_usage, clos_usage
from simulator.network.direct_routing import dragonfly_rows, hypercube_rows, torus_rows
from simulator.network.fabric import Bools, ClosShape, Fabric, Floats, Ints
from simulator.network.graph_routing import graph_rows

Policy = Literal["ecmp", "per_plane", "adaptive", "spray", "minimal", "valiant", "dimension_order"]
POLICIES: tuple[Policy, ...] = get_args(Policy)

ALLOWED: dict[str, tuple[Policy, ...]] = {
    "clos": ("ecmp", "per_plane", "adaptive", "spray"),
    "dragonfly": ("minimal", "valiant"),
    "torus": ("dimension_order",),
    "hypercube": ("dimension_order",),
    "graph": ("ecmp", "spray"),
}
"""Policies that each kind of fabric has, the usual one first, but see `usual_policy`."""

_CLOS_MODES = {"ecmp": 0, "per_plane": 1, "adaptive": 2}
_SEE_CAPACITY = ("adaptive", "spray")


@dataclass(frozen=True)
class Routing:
    """How flows find their way.

    Parameters
    ----------
    policy : str
        ``ecmp``: one equal-cost path per flow by hash. ``per_plane``: the same inside the plane that the hash gives,
        without changing planes when links die. ``adaptive``: flow after flow on the path whose fullest link stays
        emptiest. ``spray``: over all surviving paths, evenly where they are whole. ``minimal`` and ``valiant`` on a
        dragonfly. ``dimension_order`` on a torus or hypercube, half of a flow each way where both ways round are as
        long.
    seed : int
        Key of the hashes.
    reroute_s : float
        Time until traffic avoids a link that has died, sends less over one that has grown weak, and uses one that is
        back.
    """

    policy: Policy = "ecmp"
    seed: int = 0
    reroute_s: float = 0.0

    def noticed(self, left: ArrayLike) -> Floats:
        """Return what this policy notices of the share of its capacity that each link has left.

        Spraying and adaptive routing see how much a weak link carries, all others only whether it is dead.
        """
        shares = np.asarray(left, dtype=np.float64)
        return shares if self.policy in _SEE_CAPACITY else np.ceil(shares)


@dataclass(frozen=True, eq=False)
class Routes:
    """The links of each flow as CSR rows.

    Parameters
    ----------
    indptr, links : int arrays, shapes (flows + 1,), (entries,)
        Links of flow ``f`` are ``links[indptr[f]:indptr[f + 1]]``.
    weights : float array, shape (entries,)
        Share of the flow on each link; 1 unless it is sprayed, or half way round a ring of a torus: half each way.
    reachable : bool array, shape (flows,)
        Whether the flow has a living path; one without has no links.
    """

    indptr: Ints
    links: Ints
    weights: Floats
    reachable: Bools


@dataclass(frozen=True, eq=False)
class Usage:
    """The total weight of many pairs of hosts on each link they use.

    Parameters
    ----------
    links, weights : arrays, shape (used links,)
        Links in ascending order and the sum of the pairs' shares on each.
    reachable : bool array, shape (pairs,)
        Whether each pair has living paths.
    """

    links: Ints
    weights: Floats
    reachable: Bools


def usual_policy(fabric: Fabric) -> Policy:
    """Return the policy of a fabric for which none is asked.

    In a graph without switches the hosts are routers, as in a torus: nobody hashes, and where several ways are as short
    traffic takes all of them.
    """
    if fabric.kind == "graph" and not (fabric.level > 0).any():
        return "spray"
    return ALLOWED[fabric.kind][0]


def check_routing(fabric: Fabric, routing: Routing) -> None:
    """Raise InputError when the fabric does not have this policy."""
    allowed = ALLOWED[fabric.kind]
    if routing.policy not in allowed:
        problem = f"a fabric of kind {fabric.kind} has no such routing"
        raise InputError(problem, key="policy", found=repr(routing.policy), allowed=", ".join(allowed))


def flow_keys(source: Ints, target: Ints, seed: int) -> Ints:
    """Return a well-mixed non-negative number per flow that stands for its addresses and ports.

    Two flows with the same ends get the same key: hashing is by address, as for one queue pair.
    """
    mixed = (
        source.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        ^ (target.astype(np.uint64) + np.uint64(1)) * np.uint64(0xC2B2AE3D27D4EB4F)
        ^ np.uint64(seed * 0x165667B19E3779F9 % 2**64)  # scalars would warn where arrays wrap
    )
    return _mixed(mixed)


def _mixed(numbers: NDArray[np.uint64]) -> Ints:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    keys: Ints = ((numbers ^ (numbers >> np.uint64(31))) >> np.uint64(2)).astype(np.int64)
    return keys


def plane_keys(keys: Ints, planes: int) -> Ints:
    """Return the keys of the flows that pairs of hosts open, one in each plane, shape (pairs, planes).

    The first flow has the key of its pair. The others are hashed on their own, but into the planes that follow:
    collective libraries open several connections over disjoint paths (HPN, SIGCOMM 2024); that there is one over each
    port of a NIC is an assumption.
    """
    if planes == 1:
        return keys[:, np.newaxis]
    number = np.arange(planes, dtype=np.int64)
    mixed = _mixed(keys.astype(np.uint64)[:, np.newaxis] + number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    mixed[:, 0] = keys
    fixed: Ints = mixed - mixed % planes + (keys[:, np.newaxis] + number) % planes
    return fixed


def routes(
    fabric: Fabric,
    source: ArrayLike,
    target: ArrayLike,
    routing: Routing,
    left: ArrayLike | None = None,
    keys: Ints | None = None,
) -> Routes:
    """Return the links of every flow, each of them one connection.

    Parameters
    ----------
    fabric : Fabric
        The network.
    source, target : int arrays, shape (flows,)
        Hosts. A flow inside a scale-up domain takes its links; one from a host to itself takes none.
    routing : Routing
        The policy.
    left : array, shape (links,), optional
        Share of its capacity that each link is known to have left, 0 for a dead one; all of it by default.
    keys : int array, shape (flows,), optional
        Hash of each flow, 0 or more; by default that of its ends and the routing's seed.

    Returns
    -------
    Routes

    Raises
    ------
    InputError
        A policy that the fabric does not have, or a host that does not exist.
    """
    check_routing(fabric, routing)
    start, end = _hosts(fabric, source), _hosts(fabric, target)
    key = flow_keys(start, end, routing.seed) if keys is None else keys
    up = _alive(fabric, left)
    if fabric.kind == "graph":
        return Routes(*graph_rows(fabric, start, end, key, routing.policy == "spray", _shares(fabric, left)))
    if fabric.kind != "clos":
        return _direct(fabric, start, end, routing, key, up)
    clos = clos_of(fabric)
    if routing.policy == "spray":
        return Routes(*clos_spray_rows(clos, start, end, _shares(fabric, left)))
    capacity = fabric.capacity if left is None else fabric.capacity * _shares(fabric, left)
    indptr, links, reachable = clos_rows(clos, start, end, key, _CLOS_MODES[routing.policy], up, capacity)
    return Routes(indptr, links, np.ones(len(links)), reachable)


def _direct(fabric: Fabric, source: Ints, target: Ints, routing: Routing, keys: Ints, up: Bools) -> Routes:
    if fabric.kind == "torus":
        found = Routes(*torus_rows(fabric, source, target, up))
    else:
        if fabric.kind == "hypercube":
            indptr, links, reachable = hypercube_rows(fabric, source, target, up)
        else:
            indptr, links, reachable = dragonfly_rows(fabric, source, target, keys, routing.policy == "valiant", up)
        found = Routes(indptr, links, np.ones(len(links)), reachable)
    size = fabric.scale_up_size
    inside = (source // size == target // size) & (source != target)
    return _with_domains(fabric, source, target, inside, found, up) if size > 1 else found


def _with_domains(fabric: Fabric, source: Ints, target: Ints, inside: Bools, found: Routes, up: Bools) -> Routes:
    """Return the routes with flows inside a scale-up domain sent over its switch."""
    counts = np.where(inside, 2, np.diff(found.indptr))
    fresh = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    links, weights = np.empty(fresh[-1], np.int64), np.ones(fresh[-1])
    outside, kept = np.repeat(~inside, counts), np.repeat(~inside, np.diff(found.indptr))
    links[outside], weights[outside] = found.links[kept], found.weights[kept]
    first = fabric.first_scale_up_link
    pair = np.stack((first + source[inside], first + fabric.hosts + target[inside]), axis=1)
    links[~outside] = pair.ravel()
    reachable = found.reachable.copy()
    reachable[inside] = up[pair].all(axis=1)
    return Routes(fresh, links, weights, reachable)


def usage(
    fabric: Fabric,
    source: ArrayLike,
    target: ArrayLike,
    routing: Routing,
    left: ArrayLike | None = None,
    demand: ArrayLike | None = None,
) -> Usage:
    """Return the total weight on every link of pairs of hosts that move bytes together, as one activity.

    Parameters
    ----------
    fabric, source, target, routing, left
        As in ``routes``. On a fabric of several planes each pair has a flow in each of them: hashed ones share its
        bytes evenly, as the channels of a collective do, adaptive ones as the planes can carry them.
    demand : array, shape (pairs,), optional
        Weight of each pair; 1 by default.

    Returns
    -------
    Usage

    Raises
    ------
    InputError
        As ``routes``.
    """
    start, end = _hosts(fabric, source), _hosts(fabric, target)
    weight = np.ones(len(start)) if demand is None else np.ascontiguousarray(demand, dtype=np.float64)
    if fabric.kind == "clos":
        check_routing(fabric, routing)
        total, reachable = _clos_usage(fabric, start, end, routing, left, weight)
    else:
        rows = routes(fabric, start, end, routing, left)
        each = np.repeat(weight, np.diff(rows.indptr)) * rows.weights
        total, reachable = np.bincount(rows.links, each, fabric.links).astype(np.float64), rows.reachable
    links = np.flatnonzero(total)
    return Usage(links, total[links], reachable)


def _clos_usage(
    fabric: Fabric, source: Ints, target: Ints, routing: Routing, left: ArrayLike | None, demand: Floats
) -> tuple[Floats, Bools]:
    clos, shape = clos_of(fabric), fabric.shape
    assert isinstance(shape, ClosShape)
    up = _alive(fabric, left)
    # Arrays of all links take longer than the routes of a few flows: none is made that nobody reads.
    is_seen = left is not None and routing.policy in _SEE_CAPACITY
    shares = _shares(fabric, left) if is_seen else np.empty(0)
    if routing.policy == "spray":
        return clos_spray_usage(clos, source, target, demand, up, shares, shape.pods)
    keys = plane_keys(flow_keys(source, target, routing.seed), shape.planes)
    mode = _CLOS_MODES[routing.policy]
    capacity = fabric.capacity * shares if is_seen else fabric.capacity
    return clos_usage(clos, source, target, demand, keys, mode, up, shares, capacity)


def _alive(fabric: Fabric, left: ArrayLike | None) -> Bools:
    return np.ones(fabric.links, np.bool_) if left is None else np.asarray(left) > 0.0


def _shares(fabric: Fabric, left: ArrayLike | None) -> Floats:
    return np.ones(fabric.links) if left is None else np.asarray(left, dtype=np.float64)


def _hosts(fabric: Fabric, hosts: ArrayLike) -> Ints:
    array: Ints = np.ascontiguousarray(hosts, dtype=np.int64)
    if len(array) and (array.min() < 0 or array.max() >= fabric.hosts):
        found = array.min() if array.min() < 0 else array.max()
        raise InputError("no such host", key="hosts", found=str(found), allowed=f"0 to {fabric.hosts - 1}")
    return array

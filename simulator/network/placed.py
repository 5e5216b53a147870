"""Collectives on a fabric: where the ranks are decides what each link carries, and the slowest decides the time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from simulator.errors import InputError
from simulator.network import collectives
from simulator.network.collectives import HIERARCHICAL, HIERARCHICAL_TREE, TORUS, Op, Phase, Schedule, bus_factor
from simulator.network.fabric import SCALE_UP, Fabric, Floats, Ints, TorusShape
from simulator.network.routing import ALLOWED, Routing, routes, usage
from simulator.network.transport import IDEAL, Protocol, Transport


@dataclass(frozen=True, eq=False)
class PlacedPhase:
    """One phase on the links of a fabric, as one activity.

    Parameters
    ----------
    links, weights : arrays, shape (used links,)
        Bytes on each link for one byte through the busiest port of the phase.
    share : float
        Bytes through that port as a fraction of the message.
    steps_up, steps_out : float
        Latency steps inside and between scale-up domains.
    path_s : float
        Latency of the links of the longest path.
    """

    links: Ints
    weights: Floats
    share: float
    steps_up: float
    steps_out: float
    path_s: float

    @property
    def steps(self) -> float:
        """All latency steps."""
        return self.steps_up + self.steps_out

    def rate(self, capacity: Floats) -> float:
        """Return the bytes/s through the busiest port when nothing else is on the links."""
        return float(np.min(capacity[self.links] / self.weights, initial=np.inf))


@dataclass(frozen=True, eq=False)
class PlacedCollective:
    """A collective on the links of a fabric.

    Parameters
    ----------
    plan : Schedule
        What is done.
    phases : tuple of PlacedPhase
        Where it is done.
    """

    plan: Schedule
    phases: tuple[PlacedPhase, ...]

    def carried_s(self, message_bytes: float, rates: Sequence[float]) -> float:
        """Return the time of the bytes at these rates of the phases."""
        times = [
            phase.share * message_bytes / rate if rate > 0.0 else math.inf
            for phase, rate in zip(self.phases, rates, strict=True)
        ]
        return max(times) if self.plan.is_pipelined else sum(times)

    def time(self, protocol: Protocol, message_bytes: float, rates: Sequence[float]) -> float:
        """Return the time of a message with this protocol at these rates of the phases."""
        return self.time_of(protocol, self.carried_s(message_bytes, rates))

    def time_of(self, protocol: Protocol, carried_s: float) -> float:
        """Return the time of a message whose bytes alone take ``carried_s``."""
        up, out = (sum(getattr(phase, key) for phase in self.phases) for key in ("steps_up", "steps_out"))
        path_s = sum(phase.steps * phase.path_s for phase in self.phases)
        return protocol.time(up, out, carried_s, path_s)


@dataclass(frozen=True, eq=False)
class CollectiveTimes:
    """Times of a collective by message size, as nccl-tests prints them.

    Parameters
    ----------
    op : str
        Operation.
    ranks : int
        How many took part.
    sizes, time_s : arrays, shape (sizes,)
        Message bytes and seconds.
    algorithm, protocol : lists of str
        What was used for each size.
    """

    op: Op
    ranks: int
    sizes: Floats
    time_s: Floats
    algorithm: list[str]
    protocol: list[str]

    @property
    def algbw(self) -> Floats:
        """Algorithm bandwidth: message bytes / time, bytes/s."""
        return self.sizes / self.time_s

    @property
    def busbw(self) -> Floats:
        """Bus bandwidth: what the ports of a ring would carry, bytes/s."""
        return self.algbw * bus_factor(self.op, self.ranks)


def place_phase(fabric: Fabric, phase: Phase, routing: Routing) -> tuple[PlacedPhase, bool]:
    """Return a phase on a healthy fabric, and whether all its flows have paths; its ranks are hosts."""
    used = usage(fabric, phase.source, phase.target, routing)
    size = fabric.scale_up_size
    crossing = phase.source // size != phase.target // size if size > 1 else phase.source != phase.target
    steps_out = phase.steps * (float(np.mean(crossing)) if len(crossing) else 0.0)
    path_s = _longest_path(fabric, phase, routing)
    placed = PlacedPhase(
        used.links, used.weights * phase.weight, phase.share, phase.steps - steps_out, steps_out, path_s
    )
    return placed, bool(used.reachable.all())


def reroute(
    fabric: Fabric, phase: Phase, healthy: PlacedPhase, routing: Routing, left: Floats
) -> tuple[PlacedPhase, bool]:
    """Return a phase after links have died or grown weak, and whether all its flows still have paths.

    A phase that uses none of these links stays as it is: no flow prefers a path that has got worse.
    """
    weak = np.flatnonzero(left < 1.0)
    worse = weak[routing.noticed(left[weak]) < 1.0]
    at = np.minimum(np.searchsorted(healthy.links, worse), max(len(healthy.links) - 1, 0))
    if len(healthy.links) == 0 or not (healthy.links[at] == worse).any():
        return healthy, True
    used = usage(fabric, phase.source, phase.target, routing, left)
    moved = replace(healthy, links=used.links, weights=used.weights * phase.weight)
    return moved, bool(used.reachable.all())


def _longest_path(fabric: Fabric, phase: Phase, routing: Routing) -> float:
    """Return the largest sum of link latencies over the flows; sprayed paths are as long as hashed ones."""
    if not fabric.latency.any():
        return 0.0
    policy = "ecmp" if routing.policy in ALLOWED["clos"] else routing.policy
    rows = routes(fabric, phase.source, phase.target, Routing(policy, routing.seed))
    total = np.concatenate((np.zeros(1), np.cumsum(fabric.latency[rows.links])))
    return float(np.max(total[rows.indptr[1:]] - total[rows.indptr[:-1]], initial=0.0))


def place(
    fabric: Fabric, plan: Schedule, groups: Ints, routing: Routing, left: Floats | None = None
) -> tuple[PlacedCollective, bool]:
    """Return a collective that every group does at the same time, on the links of a fabric.

    Parameters
    ----------
    fabric : Fabric
        The network.
    plan : Schedule
        Over as many ranks as a group has members.
    groups : int array, shape (groups, ranks)
        Hosts of each group in rank order.
    routing : Routing
        How flows find their way.
    left : array, shape (links,), optional
        Share of its capacity that each link is known to have left; all of it by default.

    Returns
    -------
    PlacedCollective, bool
        And whether all flows have living paths.
    """
    placed = []
    for phase in plan.phases:
        flows = collectives.replicate(phase, groups)
        healthy, arrives = place_phase(fabric, flows, routing)
        placed.append((healthy, arrives) if left is None else reroute(fabric, flows, healthy, routing, left))
    return PlacedCollective(plan, tuple(each for each, _ in placed)), all(arrives for _, arrives in placed)


def schedules(
    fabric: Fabric, groups: Ints, op: Op, algorithm: str = "auto", transport: Transport = IDEAL
) -> Iterator[Schedule]:
    """Yield the schedules that a library would consider for groups of hosts, or the one asked for.

    Raises
    ------
    InputError
        An unknown algorithm, or one that the operation, the number of ranks or the fabric does not allow.
    """
    collectives.check_op(op)
    n, domain = groups.shape[1], domain_size(fabric, groups)
    reduces = bool(transport.serving(True))
    if algorithm not in ("auto", *collectives.ALGORITHMS):
        raise collectives.unknown("algorithm", algorithm, ["auto", *collectives.ALGORITHMS], "unknown algorithm")
    if algorithm == TORUS:
        yield _on_torus(fabric, groups, op)
        return
    if algorithm in (HIERARCHICAL, HIERARCHICAL_TREE):
        if domain < 2 or domain == n or op in ("broadcast", "send_recv"):
            problem = "hierarchical collectives need whole scale-up domains, several of them"
            found = f"{op} of {n} ranks, {domain} consecutive ones in each domain"
            raise InputError(problem, key="algorithm", found=found, allowed=_flat(op, n))
        if algorithm == HIERARCHICAL_TREE and op != "all_reduce":
            raise InputError("only all_reduce goes by trees", key="algorithm", found=algorithm, allowed=HIERARCHICAL)
        inner: Literal["ring", "in_network"] = "in_network" if reduces and op != "all_to_all" else "ring"
        yield collectives.hierarchical(op, domain, n // domain, inner, "tree" if algorithm != HIERARCHICAL else "ring")
        return
    if algorithm != "auto":
        if algorithm == "in_network" and (domain != n or not reduces):
            problem = "switches reduce only inside one scale-up domain, where the transport can"
            raise InputError(problem, key="algorithm", found=algorithm, allowed=_flat(op, n))
        yield collectives.schedule(op, algorithm, n)
        return
    if 2 <= domain < n and op not in ("broadcast", "send_recv"):
        for name in (HIERARCHICAL, HIERARCHICAL_TREE) if op == "all_reduce" else (HIERARCHICAL,):
            if transport.algorithms and name not in transport.algorithms:
                continue
            yield from schedules(fabric, groups, op, name, transport)
    knows_torus = not transport.algorithms or TORUS in transport.algorithms
    if knows_torus and op in collectives.TORUS_OPS and is_whole_torus(fabric, groups):
        yield _on_torus(fabric, groups, op)
    impossible = {"in_network"} if domain != n or not reduces else set[str]()
    if n > collectives.MOST_PAIRWISE:
        impossible.add("pairwise")
    for name in collectives.algorithms_for(op, n):
        if name not in impossible and (not transport.algorithms or name in transport.algorithms):
            yield collectives.schedule(op, name, n)


def _flat(op: Op, n: int) -> str:
    return ", ".join(name for name in collectives.algorithms_for(op, n) if name != "in_network")


def _on_torus(fabric: Fabric, groups: Ints, op: Op) -> Schedule:
    shape = fabric.shape
    if not isinstance(shape, TorusShape) or op not in collectives.TORUS_OPS:
        allowed = _flat(op, groups.shape[1])
        raise InputError("rings in all dimensions need a torus and a reduction or gather", found=TORUS, allowed=allowed)
    if not is_whole_torus(fabric, groups):
        found = f"{groups.shape[1]} ranks"
        raise InputError("rings in all dimensions use the whole torus", found=found, allowed=f"{fabric.hosts} in order")
    return collectives.torus_multi_ring(op, shape.dims)


def is_whole_torus(fabric: Fabric, groups: Ints) -> bool:
    """Return whether there is one group, which is all hosts of a torus in order, so that its rings follow the links."""
    whole = isinstance(fabric.shape, TorusShape) and groups.shape == (1, fabric.hosts)
    return whole and bool((groups[0] == np.arange(fabric.hosts)).all())


def domain_size(fabric: Fabric, groups: Ints) -> int:
    """Return the largest number of consecutive ranks such that every such block of every group shares a domain.

    Where a group fills scale-up domains unevenly, several blocks lie in one domain: 72 and 48 ranks are five blocks of
    24. 1 where no two ranks share a domain.
    """
    size, n = fabric.scale_up_size, groups.shape[1]
    if size == 1:
        return 1
    domain = groups // size
    changes = np.flatnonzero((domain[:, 1:] != domain[:, :-1]).any(axis=0)) + 1
    return math.gcd(n, *changes.tolist())


def protocol_shares(fabric: Fabric, protocol: Protocol) -> Floats:
    """Return the share of a link's capacity that a protocol makes use of, by tier."""
    share = np.full(len(fabric.tiers), protocol.scale_out.efficiency)
    if SCALE_UP in fabric.tiers:
        share[fabric.tiers.index(SCALE_UP)] = protocol.scale_up.efficiency
    return share


def more_ranks(ranks: int, hosts: int) -> InputError:
    """Return the error for more ranks than there are GPUs."""
    problem, allowed = "more ranks than the machine has GPUs", f"at most {hosts}"
    return InputError(problem, key="ranks", found=f"{ranks} ranks", allowed=allowed)


def collective_times(
    fabric: Fabric,
    ranks: ArrayLike,
    op: Op,
    sizes: ArrayLike,
    algorithm: str = "auto",
    routing: Routing | None = None,
    transport: Transport = IDEAL,
    left: ArrayLike | None = None,
) -> CollectiveTimes:
    """Return the time of a collective by message size on an otherwise idle fabric.

    Parameters
    ----------
    fabric : Fabric
        The network.
    ranks : int array, shape (ranks,)
        Host of each rank, in rank order.
    op : str
        all_reduce, all_gather, reduce_scatter, broadcast, all_to_all or send_recv.
    sizes : array
        Message bytes: the vector (all_reduce, broadcast), the gathered or scattered vector, the send buffer of a rank.
    algorithm : str
        One of ``collectives.ALGORITHMS``, or ``auto`` for the fastest by size.
    routing : Routing, optional
        The fabric's usual policy by default.
    transport : Transport
        Protocols; ideal ones by default.
    left : array, shape (links,), optional
        Share of its capacity that each link is known to have left; all of it by default.

    Returns
    -------
    CollectiveTimes

    Raises
    ------
    InputError
        A host that does not exist or is named twice, an impossible algorithm, or ranks that no living path joins.
    """
    group = np.atleast_2d(np.asarray(ranks, dtype=np.int64))
    if group.shape[1] > fabric.hosts:
        raise more_ranks(group.shape[1], fabric.hosts)
    if len(np.unique(group)) != group.shape[1]:
        raise InputError("a host is named twice", key="ranks")
    chosen = Routing(ALLOWED[fabric.kind][0]) if routing is None else routing
    message = np.asarray(sizes, dtype=np.float64)
    best = np.full(len(message), np.inf)
    names, protocols = [""] * len(message), [""] * len(message)
    known = None if left is None else np.asarray(left, dtype=np.float64)
    capacity = fabric.capacity if known is None else fabric.capacity * known
    for plan in schedules(fabric, group, op, algorithm, transport):
        placed, arrives = place(fabric, plan, group, chosen, known)
        if not arrives:
            raise InputError("no living path joins the ranks", key="ranks", found=f"{group.shape[1]} ranks")
        for protocol in transport.serving(plan.in_network):
            carries = capacity * protocol_shares(fabric, protocol)[fabric.tier]
            rates = [phase.rate(carries) for phase in placed.phases]
            for i, size in enumerate(message.tolist()):
                time_s = placed.time(protocol, size, rates)
                if time_s < best[i]:
                    best[i], names[i], protocols[i] = time_s, plan.algorithm, protocol.name
    return CollectiveTimes(op, group.shape[1], message, best, names, protocols)

"""Collectives on a fabric: where the ranks are decides what each link carries, and the slowest decides the time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from simulator.errors import InputError
from simulator.network import collectives
from simulator.network.collectives import HIERARCHICAL, HIERARCHICAL_TREE, TORUS, Op, Phase, Schedule, bus_factor
from simulator.network.fabric import SCALE_UP, Bools, ClosShape, Fabric, Floats, Ints, TorusShape
from simulator.network.hierarchical import TREE_OPS, Inner, Layout, Outer, hierarchical_schedules, layout
from simulator.network.routing import ALLOWED, Routing, Usage, routes, usage, usual_policy
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
    used = _used(fabric, phase, routing)
    size = fabric.scale_up_size
    crossing = phase.source // size != phase.target // size if size > 1 else phase.source != phase.target
    path_s = _longest_path(fabric, phase, routing)
    out = _steps_between(phase, crossing)
    placed = PlacedPhase(used.links, used.weights, phase.share, phase.steps - out, out, path_s)
    return placed, bool(used.reachable.all())


def _used(fabric: Fabric, phase: Phase, routing: Routing, left: Floats | None = None) -> Usage:
    """Return the links of a phase and the bytes on each for one byte through its busiest port."""
    if not isinstance(phase.weight, float):
        return usage(fabric, phase.source, phase.target, routing, left, phase.weight)
    used = usage(fabric, phase.source, phase.target, routing, left)
    return replace(used, weights=used.weights * phase.weight)


def _steps_between(phase: Phase, crossing: Bools) -> float:
    """Return how many of the steps that follow one another go between domains, for the slowest piece, pair or rank.

    A piece goes over all flows of a ring one after another; what has one step waits for its slowest pair. Of several
    groups the slowest counts.
    """
    if len(crossing) == 0:
        return 0.0
    if phase.is_by_rank:
        return float(np.max(np.sum(crossing.reshape(-1, phase.steps), axis=1)))
    share = float(np.max(np.mean(crossing.reshape(phase.copies, -1), axis=1)))
    return float(min(math.ceil(phase.steps * share - 1e-9), phase.steps))


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
    used = _used(fabric, phase, routing, left)
    moved = replace(healthy, links=used.links, weights=used.weights)
    return moved, bool(used.reachable.all())


def _longest_path(fabric: Fabric, phase: Phase, routing: Routing) -> float:
    """Return the largest sum of link latencies over the flows; sprayed paths are as long as hashed ones.

    Where a flow goes two ways its links count by its share on them.
    """
    if not fabric.latency.any():
        return 0.0
    source, target = phase.source, phase.target
    if isinstance(fabric.shape, ClosShape):
        source, target = _one_of_each_length(fabric, fabric.shape, source, target)
    policy = "ecmp" if routing.policy in ALLOWED["clos"] else routing.policy
    rows = routes(fabric, source, target, Routing(policy, routing.seed))
    total = np.concatenate((np.zeros(1), np.cumsum(fabric.latency[rows.links] * rows.weights)))
    return float(np.max(total[rows.indptr[1:]] - total[rows.indptr[:-1]], initial=0.0))


def _one_of_each_length(fabric: Fabric, shape: ClosShape, source: Ints, target: Ints) -> tuple[Ints, Ints]:
    """Return a flow inside a domain, one under a leaf, one inside a pod and one between pods, of those there are.

    In a Clos network all links of a tier have one latency, so that flows that meet at the same height take as long.
    """
    leaf = fabric.leaf
    size, pod = fabric.scale_up_size, shape.leaves_per_pod
    one, other = leaf[source], leaf[target]
    far = np.where(source // size == target // size, 0, 1 + (one != other) + (one // pod != other // pod))
    first = [int(np.argmax(far == length)) for length in range(4)]
    kept = [at for length, at in enumerate(first) if len(far) and far[at] == length]
    return source[kept], target[kept]


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
    return next(place_all(fabric, [plan], groups, routing, left))


def place_all(
    fabric: Fabric, plans: Iterable[Schedule], groups: Ints, routing: Routing, left: Floats | None = None
) -> Iterator[tuple[PlacedCollective, bool]]:
    """Yield what `place` returns for several plans; flows that are in several of them are routed once."""
    known: dict[int, tuple[Phase, PlacedPhase, bool]] = {}
    for plan in plans:
        placed, arrives = [], True
        for phase in plan.phases:
            flows = id(phase.source)
            if flows not in known:
                known[flows] = (phase, *_place_now(fabric, plan.on(groups, phase), routing, left))
            first, where, reaches = known[flows]
            if phase is not first:  # ways of going inside a domain, or between: no flow of them does both
                out = phase.steps if where.steps_out else 0
                where = replace(where, share=phase.share, steps_up=phase.steps - out, steps_out=out)
            placed.append(where)
            arrives &= reaches
        yield PlacedCollective(plan, tuple(placed)), arrives


def _place_now(fabric: Fabric, flows: Phase, routing: Routing, left: Floats | None) -> tuple[PlacedPhase, bool]:
    healthy, arrives = place_phase(fabric, flows, routing)
    return (healthy, arrives) if left is None else reroute(fabric, flows, healthy, routing, left)


def schedules(
    fabric: Fabric, groups: Ints, op: Op, algorithm: str = "auto", transport: Transport = IDEAL
) -> Iterator[Schedule]:
    """Yield the schedules that a library would consider for groups of hosts, or those of the algorithm asked for.

    Raises
    ------
    InputError
        An unknown algorithm, or one that the operation, the number of ranks or the fabric does not allow.
    """
    collectives.check_op(op)
    n = groups.shape[1]
    if algorithm not in ("auto", *collectives.ALGORITHMS):
        raise collectives.unknown("algorithm", algorithm, ["auto", *collectives.ALGORITHMS], "unknown algorithm")
    if algorithm == TORUS:
        yield _on_torus(fabric, groups, op)
        return
    if algorithm in collectives.algorithms_for(op, n) and algorithm != "in_network":
        yield collectives.schedule(op, algorithm, n)
        return
    where = layout(groups // fabric.scale_up_size)
    reduces = bool(transport.serving(True)) and where.domains == 1
    if algorithm in (HIERARCHICAL, HIERARCHICAL_TREE):
        yield from _named_hierarchical(op, where, algorithm, transport)
        return
    if algorithm != "auto":
        if algorithm == "in_network" and not reduces:
            problem = "switches reduce only inside one scale-up domain, where the transport can"
            raise InputError(problem, key="algorithm", found=algorithm, allowed=_flat(op, n))
        yield collectives.schedule(op, algorithm, n)
        return
    known = transport.algorithms or collectives.ALGORITHMS
    between = [name for name in _between_domains(op, where) if name in known]
    yield from _hierarchical(op, where, between, transport)
    if TORUS in known and op in collectives.TORUS_OPS and is_whole_torus(fabric, groups):
        yield _on_torus(fabric, groups, op)
    impossible = {"in_network"} if not reduces else set[str]()
    if n > collectives.MOST_PAIRWISE:
        impossible.add("pairwise")
    for name in collectives.algorithms_for(op, n):
        if name not in impossible and name in known:
            yield collectives.schedule(op, name, n)


def _between_domains(op: Op, where: Layout) -> list[str]:
    """Return the algorithms that go inside and between scale-up domains, where they are no flat ones.

    Between ranks that share no domain with others rings along rails are a flat ring; trees are none of the flat ones.
    """
    if op == "send_recv" or where.domains == 1:
        return []
    found = [HIERARCHICAL] if where.most > 1 else []
    return [*found, HIERARCHICAL_TREE] if op in TREE_OPS else found


def _hierarchical(op: Op, where: Layout, names: Sequence[str], transport: Transport) -> list[Schedule]:
    reduces = bool(transport.serving(True)) and where.most > 1 and op != "all_to_all"
    inners: tuple[Inner, ...] = ("ring", "in_network") if reduces else ("ring",)
    outers: list[Outer] = ["tree" if name == HIERARCHICAL_TREE else "ring" for name in names]
    return hierarchical_schedules(op, where, inners, outers) if names else []


def _named_hierarchical(op: Op, where: Layout, name: str, transport: Transport) -> list[Schedule]:
    allowed = _between_domains(op, where)
    if name in allowed:
        return _hierarchical(op, where, [name], transport)
    n = where.order.shape[1]
    if allowed:
        problem = "only all_reduce and broadcast go by trees"
        raise InputError(problem, key="algorithm", found=name, allowed=", ".join(allowed))
    problem = "hierarchical collectives need several scale-up domains, and several ranks in one of them"
    found = f"{op} of {n} ranks, {where.most} at most in each of {where.domains}"
    raise InputError(problem, key="algorithm", found=found, allowed=_flat(op, n))


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
    chosen = Routing(usual_policy(fabric)) if routing is None else routing
    message = np.asarray(sizes, dtype=np.float64)
    best = np.full(len(message), np.inf)
    names, protocols = [""] * len(message), [""] * len(message)
    known = None if left is None else np.asarray(left, dtype=np.float64)
    capacity = fabric.capacity if known is None else fabric.capacity * known
    plans = schedules(fabric, group, op, algorithm, transport)
    for placed, arrives in place_all(fabric, plans, group, chosen, known):
        plan = placed.plan
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

"""A training step on a fabric: the collectives of its groups on the links between the nodes a job holds."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from simulator.errors import InputError
from simulator.network import sharing
from simulator.network.collectives import Phase, Schedule
from simulator.network.fabric import SCALE_UP, ClosShape, Fabric, Floats, Ints
from simulator.network.hierarchical import layout
from simulator.network.placed import (
    PlacedCollective,
    PlacedPhase,
    is_whole_torus,
    place_all,
    place_phase,
    protocol_shares,
    reroute,
    schedules,
)
from simulator.network.routing import Routing
from simulator.network.transport import Protocol, Transport
from simulator.workload.plans import Group, ParallelPlan, groups
from simulator.workload.training import Communication, StepDemand, step_parts

Choice = tuple[Schedule, Protocol]

MOST_REMEMBERED = 64
"""Placements of a step whose healthy routes are kept."""


@dataclass(frozen=True, eq=False)
class PlacedStep:
    """The traffic of a step on the links of a fabric.

    Parameters
    ----------
    traffic : Traffic
        One activity for each phase of each communication.
    collectives : tuple of (PlacedCollective, Protocol)
        The communications in the order of the step's demand; their phases follow one another in the traffic.
    arrives : bool
        Whether all flows have living paths.
    links : int array
        All links in use, ascending.
    """

    traffic: sharing.Traffic
    collectives: tuple[tuple[PlacedCollective, Protocol], ...]
    arrives: bool
    links: Ints

    def uses(self, links: Ints) -> bool:
        """Return whether the job's traffic crosses one of the links."""
        at = np.minimum(np.searchsorted(self.links, links), len(self.links) - 1)
        return len(self.links) > 0 and bool((self.links[at] == links).any())


@dataclass(frozen=True, eq=False)
class _Healthy:
    """A step on a healthy fabric, and the flows of each phase of each communication."""

    step: PlacedStep
    flows: tuple[tuple[Phase, ...], ...]


@dataclass(frozen=True)
class TrainingStep:
    """A step of a training job, ready to be placed.

    Parameters
    ----------
    demand : StepDemand
        What it asks for.
    plan : ParallelPlan
        Which ranks communicate.
    straggler : float
        How much longer the slowest rank computes than the mean.
    nominal : tuple of (part, seconds)
        Parts of the step on an idle, healthy fabric without oversubscription.
    nominal_mfu : float
        Model FLOPs of that step divided by what the GPUs could do.
    """

    demand: StepDemand
    plan: ParallelPlan
    straggler: float = 1.0
    nominal: tuple[tuple[str, float], ...] = ()
    nominal_mfu: float = 0.0
    _choices: dict[tuple[int, bytes, bool], Choice] = field(default_factory=dict, compare=False, repr=False)
    _healthy: dict[bytes, _Healthy] = field(default_factory=dict, compare=False, repr=False)

    @property
    def nominal_parts_s(self) -> dict[str, float]:
        """Parts of the nominal step, seconds."""
        return dict(self.nominal)

    @functools.cached_property
    def nominal_s(self) -> float:
        """Nominal step time."""
        return sum(seconds for _, seconds in self.nominal)

    def place(
        self, fabric: Fabric, routing: Routing, transport: Transport, nodes: Ints, left: Floats | None = None
    ) -> PlacedStep:
        """Return the step's traffic when the job holds these nodes, in the order of its ranks.

        Parameters
        ----------
        fabric, routing, transport
            The network.
        nodes : int array
            Node ids; rank ``i`` is GPU ``i % g`` of the ``i // g``-th node.
        left : array, shape (links,), optional
            Share of its capacity that each link is known to have left; all of it by default.
        """
        healthy = self._healthy_step(fabric, routing, transport, nodes)
        if left is None:
            return healthy.step
        collectives, activities, arrives = [], list(healthy.step.traffic.communications), True
        at = 0
        for each, flows, (whole, protocol) in zip(
            self.demand.communications, healthy.flows, healthy.step.collectives, strict=True
        ):
            phases = []
            for phase, old in zip(flows, whole.phases, strict=True):
                new, reaches = reroute(fabric, phase, old, routing, left)
                if new is not old:
                    activities[at] = _activity(fabric, new, protocol, each.message_bytes)
                phases.append(new)
                arrives &= reaches
                at += 1
            collectives.append((PlacedCollective(whole.plan, tuple(phases)), protocol))
        traffic = replace(healthy.step.traffic, communications=tuple(activities))
        if traffic.communications == healthy.step.traffic.communications:
            return healthy.step
        return PlacedStep(traffic, tuple(collectives), arrives, _union(fabric, activities))

    def _healthy_step(self, fabric: Fabric, routing: Routing, transport: Transport, nodes: Ints) -> _Healthy:
        key = nodes.tobytes()
        if key in self._healthy:
            return self._healthy[key]
        if len(self._healthy) >= MOST_REMEMBERED:
            self._healthy.clear()
        g = fabric.gpus_per_node
        hosts = (nodes[:, np.newaxis] * g + np.arange(g)).ravel()[: self.plan.gpus]
        collectives, flows, arrives = [], [], True
        for i, each in enumerate(self.demand.communications):
            members = hosts[groups(self.plan, each.group)]
            tuned = (i, layout(members // fabric.scale_up_size).key, is_whole_torus(fabric, members))
            if tuned not in self._choices:
                # Libraries tune when they are set up: the choice is made once, on a healthy fabric.
                self._choices[tuned] = _fastest(fabric, each, members, routing, transport)
            plan, protocol = self._choices[tuned]
            flows.append(tuple(plan.on(members, phase) for phase in plan.phases))
            placed = [place_phase(fabric, phase, routing) for phase in flows[-1]]
            collectives.append((PlacedCollective(plan, tuple(phase for phase, _ in placed)), protocol))
            arrives &= all(reaches for _, reaches in placed)
        activities, counts = [], []
        for each, (where, protocol) in zip(self.demand.communications, collectives, strict=True):
            activities += [_activity(fabric, phase, protocol, each.message_bytes) for phase in where.phases]
            counts += [each.count] * len(where.phases)
        traffic = sharing.Traffic(tuple(activities), tuple(counts), 0.0)
        step = PlacedStep(traffic, tuple(collectives), arrives, _union(fabric, activities))
        alone = sharing.alone_times(fabric.capacity, traffic)
        rest_s = sum(self.parts(step, alone).values()) - float(np.dot(counts, alone)) if arrives else self.nominal_s
        step = replace(step, traffic=replace(traffic, other_s=rest_s))
        self._healthy[key] = _Healthy(step, tuple(flows))
        return self._healthy[key]

    def parts(self, placed: PlacedStep, seconds: Floats, read_s: float = 0.0) -> dict[str, float]:
        """Return the parts of a step when the phases of its communications last so long; empty when one never ends.

        Parameters
        ----------
        placed : PlacedStep
            Where it runs.
        seconds : array
            Time of the bytes of each activity of its traffic.
        read_s : float
            Time of reading the data of a step from storage, ahead of it.
        """
        if not placed.arrives or not np.isfinite(seconds).all():
            return {}
        times: dict[Group, float] = {}
        at = 0
        for each, (collective, protocol) in zip(self.demand.communications, placed.collectives, strict=True):
            mine = seconds[at : at + len(collective.phases)]
            at += len(mine)
            carried_s = float(mine.max() if collective.plan.is_pipelined else mine.sum())
            times[each.group] = collective.time_of(protocol, carried_s)
        return step_parts(self.demand, times, self.straggler, read_s)

    def rate(self, parts_s: Mapping[str, float]) -> float:
        """Return the speed of the job relative to its nominal step, at most 1; 0 when it stands still."""
        return min(self.nominal_s / sum(parts_s.values()), 1.0) if parts_s else 0.0


def _activity(fabric: Fabric, phase: PlacedPhase, protocol: Protocol, message_bytes: float) -> sharing.Communication:
    """Return a phase as an activity whose weights say how much of each wire a byte takes with this protocol."""
    weights = phase.weights / protocol_shares(fabric, protocol)[fabric.tier[phase.links]]
    return sharing.Communication(phase.links, weights, phase.share * message_bytes, np.inf)


def _union(fabric: Fabric, activities: Sequence[sharing.Communication]) -> Ints:
    used = np.zeros(fabric.links, np.bool_)
    for each in activities:
        used[each.links] = True
    return np.flatnonzero(used)


def _fastest(
    fabric: Fabric, communication: Communication, group: Ints, routing: Routing, transport: Transport
) -> Choice:
    best: Choice | None = None
    least_s = np.inf
    plans = schedules(fabric, group, communication.op, "auto", transport)
    for placed, _ in place_all(fabric, plans, group, routing):
        plan = placed.plan
        for protocol in transport.serving(plan.in_network):
            capacity = fabric.capacity * protocol_shares(fabric, protocol)[fabric.tier]
            rates = [phase.rate(capacity) for phase in placed.phases]
            seconds = placed.time(protocol, communication.message_bytes, rates)
            if seconds < least_s:
                best, least_s = (plan, protocol), seconds
    if best is None:
        found = f"{communication.op} of {group.shape[1]} ranks"
        raise InputError(f"transport {transport.name} has no algorithm for this", found=found)
    return best


def reference(
    step: TrainingStep, fabric: Fabric, routing: Routing, transport: Transport, read_s: float = 0.0
) -> dict[str, float]:
    """Return the parts of a step on the nodes 0, 1, ... of a healthy fabric whose upper tiers never hold anybody back.

    That is the step a job is measured against. Where hosts are routers themselves the fabric is taken as it is.
    ``read_s`` is the time of reading the data of a step from storage that nobody else uses.
    """
    nodes = np.arange(-(-step.plan.gpus // fabric.gpus_per_node), dtype=np.int64)
    placed = step.place(fabric, routing, transport, nodes)
    capacity = fabric.capacity
    if isinstance(fabric.shape, ClosShape):
        lowest = [fabric.tiers.index(tier) for tier in fabric.tiers if tier in ("host", SCALE_UP)]
        capacity = np.where(np.isin(fabric.tier, lowest), capacity, np.inf)
    return step.parts(placed, sharing.alone_times(capacity, placed.traffic), read_s)

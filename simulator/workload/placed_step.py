"""A training step on a fabric: the collectives of its groups on the links between the nodes a job holds."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from simulator.errors import InputError
from simulator.network import sharing
from simulator.network.collectives import Schedule
from simulator.network.fabric import SCALE_UP, Bools, ClosShape, Fabric, Floats, Ints
from simulator.network.placed import PlacedCollective, domain_size, effective_capacity, place, schedules
from simulator.network.routing import Routing
from simulator.network.transport import Protocol, Transport
from simulator.workload.plans import Group, ParallelPlan, groups
from simulator.workload.training import Communication, StepDemand, step_parts

Choice = tuple[Schedule, Protocol]


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
    _choices: dict[tuple[int, ...], tuple[Choice, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def nominal_parts_s(self) -> dict[str, float]:
        """Parts of the nominal step, seconds."""
        return dict(self.nominal)

    @functools.cached_property
    def nominal_s(self) -> float:
        """Nominal step time."""
        return sum(seconds for _, seconds in self.nominal)

    def place(
        self, fabric: Fabric, routing: Routing, transport: Transport, nodes: Ints, up: Bools | None = None
    ) -> PlacedStep:
        """Return the step's traffic when the job holds these nodes, in the order of its ranks.

        Parameters
        ----------
        fabric, routing, transport
            The network.
        nodes : int array
            Node ids; rank ``i`` is GPU ``i % g`` of the ``i // g``-th node.
        up : bool array, optional
            False for links known to be dead.
        """
        g = fabric.gpus_per_node
        hosts = (nodes[:, np.newaxis] * g + np.arange(g)).ravel()[: self.plan.gpus]
        members = [hosts[groups(self.plan, each.group)] for each in self.demand.communications]
        key = tuple(domain_size(fabric, group) for group in members)
        if key not in self._choices:
            # Libraries tune when they are set up: the choice is made once, on a healthy fabric.
            chosen = zip(self.demand.communications, members, strict=True)
            self._choices[key] = tuple(_fastest(fabric, each, group, routing, transport) for each, group in chosen)
        collectives, activities, counts, arrives = [], [], [], True
        for each, group, (plan, protocol) in zip(self.demand.communications, members, self._choices[key], strict=True):
            placed, reaches = place(fabric, plan, group, routing, up)
            arrives &= reaches
            collectives.append((placed, protocol))
            factor = 1.0 / effective_capacity(fabric, protocol, np.ones(fabric.links))
            for phase in placed.phases:
                weights = phase.weights * factor[phase.links]
                activities.append(sharing.Communication(phase.links, weights, phase.share * each.message_bytes, np.inf))
                counts.append(each.count)
        traffic = sharing.Traffic(tuple(activities), tuple(counts), 0.0)
        busy_s = float(np.dot(counts, sharing.alone_times(fabric.capacity, traffic))) if counts else 0.0
        rest_s = max(self.nominal_s - busy_s, 0.0) if np.isfinite(busy_s) else self.nominal_s
        links = np.unique(np.concatenate([each.links for each in activities])) if activities else np.empty(0, np.int64)
        traffic = sharing.Traffic(tuple(activities), tuple(counts), rest_s)
        return PlacedStep(traffic, tuple(collectives), arrives, links)

    def parts(self, placed: PlacedStep, seconds: Floats) -> dict[str, float]:
        """Return the parts of a step when the phases of its communications last so long; empty when one never ends.

        Parameters
        ----------
        placed : PlacedStep
            Where it runs.
        seconds : array
            Time of the bytes of each activity of its traffic.
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
        return step_parts(self.demand, times, self.straggler)

    def rate(self, parts_s: Mapping[str, float]) -> float:
        """Return the speed of the job relative to its nominal step, at most 1; 0 when it stands still."""
        return min(self.nominal_s / sum(parts_s.values()), 1.0) if parts_s else 0.0


def _fastest(
    fabric: Fabric, communication: Communication, group: Ints, routing: Routing, transport: Transport
) -> Choice:
    best: Choice | None = None
    least_s = np.inf
    for plan in schedules(fabric, group, communication.op, "auto", transport):
        placed, _ = place(fabric, plan, group, routing)
        for protocol in transport.serving(plan.in_network):
            capacity = effective_capacity(fabric, protocol, fabric.capacity)
            rates = [phase.rate(capacity) for phase in placed.phases]
            seconds = placed.time(protocol, communication.message_bytes, rates)
            if seconds < least_s:
                best, least_s = (plan, protocol), seconds
    if best is None:
        found = f"{communication.op} of {group.shape[1]} ranks"
        raise InputError(f"transport {transport.name} has no algorithm for this", found=found)
    return best


def reference(step: TrainingStep, fabric: Fabric, routing: Routing, transport: Transport) -> dict[str, float]:
    """Return the parts of a step on the nodes 0, 1, ... of a healthy fabric whose upper tiers never hold anybody back.

    That is the step a job is measured against. Where hosts are routers themselves the fabric is taken as it is.
    """
    nodes = np.arange(-(-step.plan.gpus // fabric.gpus_per_node), dtype=np.int64)
    placed = step.place(fabric, routing, transport, nodes)
    capacity = fabric.capacity
    if isinstance(fabric.shape, ClosShape):
        lowest = [fabric.tiers.index(tier) for tier in fabric.tiers if tier in ("host", SCALE_UP)]
        capacity = np.where(np.isin(fabric.tier, lowest), capacity, np.inf)
    return step.parts(placed, sharing.alone_times(capacity, placed.traffic))

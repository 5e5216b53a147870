"""Expected numbers of a variant in closed form, before anything is simulated."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulator.engine.runs import plan_for, stop_rate_per_s
from simulator.engine.world import JobProfile, World
from simulator.faults.catalogue import FaultClass
from simulator.workload.checkpoints import efficiency
from simulator.workload.restart import Source


@dataclass(frozen=True)
class TierExpectation:
    """The interval a tier's policy chooses.

    Parameters
    ----------
    name : str
        Name of the tier.
    interval_s : float
        Useful work between two checkpoints, infinite for never.
    """

    name: str
    interval_s: float


@dataclass(frozen=True)
class JobExpectation:
    """What awaits one job.

    Parameters
    ----------
    nodes : int
        Whole nodes it holds.
    mtti_s : float
        Mean time between its interruptions, infinite when nothing stops it.
    restart_s : float
        Mean time from a fault to productive work, loading included, waiting for nodes not.
    tiers : tuple of TierExpectation
        Chosen intervals.
    ettr : float
        Long-run share of useful time when replacements are always there, NaN where no closed form holds.
    without_ettr : str
        Why there is no closed form, "" where there is one.
    """

    nodes: int
    mtti_s: float
    restart_s: float
    tiers: tuple[TierExpectation, ...]
    ettr: float
    without_ettr: str


def loaded_share(world: World) -> float:
    """Return the share of nodes that jobs hold when all of them run at once, at most the nodes that are no spares."""
    usable = world.machine.nodes - world.machine.spare_nodes
    return min(int(world.jobs.nodes.sum()), usable) / world.machine.nodes


def faults_per_s(world: World, kind: FaultClass) -> float:
    """Return the rate of a class over the whole machine, 1/s; under load only the nodes of jobs count."""
    share = loaded_share(world) if kind.clock == "under_load" else 1.0
    return kind.rate_per_s * world.machine.population(kind.scope) * share


def nodes_out(world: World) -> float:
    """Return the mean number of nodes out of service, with technicians always free.

    Notes
    -----
    Little's law: events per second x nodes per event x mean time out. A repair that fails is visited again, so the mean
    number of visits is 1 / (1 - failure probability).
    """
    total = 0.0
    for kind in world.faults:
        if kind.repair is None or kind.is_of_fabric:
            continue
        nodes = world.machine.nodes / world.machine.population(kind.scope)
        visits = 1.0 / (1.0 - kind.repair.failure_probability)
        out_s = visits * (kind.repair.mean_time_s + kind.repair.verify.mean_s)
        total += faults_per_s(world, kind) * nodes * out_s
    return total


def job_expectation(world: World, profile: JobProfile, nodes: int) -> JobExpectation:
    """Return what awaits a job of ``nodes`` nodes.

    Notes
    -----
    The share of useful time is Daly's exact expression (``workload.checkpoints.efficiency``) with failures during a
    restart. It holds for one tier in use, exponential faults, checkpoints usable at once and after every fault.
    """
    rates = {kind.name: stop_rate_per_s(world, kind, nodes) for kind in world.faults}
    rate = sum(rates.values())
    plan = plan_for(world, profile, nodes)
    tiers = tuple(
        TierExpectation(tier.name, interval_s) for tier, interval_s in zip(plan.tiers, plan.intervals_s, strict=True)
    )
    used = [index for index, tier in enumerate(tiers) if math.isfinite(tier.interval_s)]
    load_s = plan.tiers[used[0]].load_s if used else 0.0
    restart_s = load_s + sum(
        rates[kind.name] / rate * _until_loaded_s(world, profile, kind, nodes)
        for kind in world.faults
        if rates[kind.name] > 0.0
    )
    mtti_s = math.inf if rate == 0.0 else 1.0 / rate
    without = _no_closed_form(world, profile, used)
    ettr = math.nan
    if rate == 0.0:
        ettr, without = 1.0, ""
    elif not without:
        tier = plan.tiers[used[0]]
        ettr = efficiency(tiers[used[0]].interval_s, tier.blocking_s, restart_s, mtti_s)
    return JobExpectation(nodes, mtti_s, restart_s, tiers, ettr, without)


def _until_loaded_s(world: World, profile: JobProfile, kind: FaultClass, nodes: int) -> float:
    """Return the mean time from a fault of this class to productive work, loading and waiting left out."""
    source: Source = "same"
    if kind.takes_node_out:
        source = world.machine.spare_kind if world.machine.spare_nodes else "repaired"
    phases = profile.restart
    seen_s = kind.detect.mean_s + kind.localise.mean_s
    return seen_s + phases.tear_down_s + phases.reallocate_s(source) + phases.first_start_s(nodes)


def _no_closed_form(world: World, profile: JobProfile, used: list[int]) -> str:
    if not used:
        return "no checkpoint is taken"
    if len(used) > 1:
        return "more than one checkpoint tier"
    tier = profile.tiers[used[0]]
    if tier.persist_s > 0.0:
        return "checkpoints persist in the background"
    stopping = [kind for kind in world.faults if kind.stops_job]
    if any(kind.hazard.family != "exponential" for kind in stopping):
        return "faults age"
    if any(not tier.is_usable_after(kind.reach) for kind in stopping):
        return "some faults destroy the checkpoints"
    return ""

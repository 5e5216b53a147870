"""A job while the clock runs: where it is, what it has saved, and when it will be done."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulator.engine.segment import Segment
from simulator.faults.catalogue import FaultClass
from simulator.policies.views import CheckpointView
from simulator.workload.checkpoints import CheckpointPlan, Transfer
from simulator.workload.restart import Source

if TYPE_CHECKING:
    from simulator.engine.incidents import Incident
    from simulator.engine.world import JobProfile, World

NO_NODES = np.empty(0, dtype=np.int64)


@dataclass(slots=True, eq=False)
class Run:
    """One job during the run.

    Parameters
    ----------
    job : int
        Index in the job table.
    nodes, gpus : int
        Whole nodes wanted now, and GPUs asked for on them.
    shares : bool
        Whether it takes only its GPUs of one node.
    work_s : float
        Productive seconds to do in all.
    fails_at_s : float
        Work at which a fault of its own ends every attempt.
    profile : JobProfile
        How it saves its work and recovers.
    plan : CheckpointPlan
        Tiers with chosen intervals.
    """

    job: int
    nodes: int
    gpus: int
    shares: bool
    work_s: float
    fails_at_s: float
    profile: JobProfile
    plan: CheckpointPlan
    saved_s: list[float]
    state: str = "idle"  # ledger state of its GPUs
    ids: NDArray[np.int64] = field(default_factory=lambda: NO_NODES)
    version: int = 0
    start_s: float = math.nan
    end_s: float = math.nan
    outcome: str = "pending"
    reason: str = ""
    expected_end_s: float = math.inf
    attempts: int = 0
    interruptions: int = 0
    without_progress: int = 0
    requeues: int = 0
    preemptions: int = 0
    resizes: int = 0
    migrations: int = 0
    done_s: float = 0.0  # work done and not lost, full-rate seconds
    restored_s: float = 0.0  # work restored at the last restart
    lost_s: float = 0.0
    lost_gpu_s: float = 0.0
    busy_gpu_s: float = 0.0  # useful GPU-seconds, at the widths it had
    slowed_gpu_s: float = 0.0  # GPU-seconds that a rate below 1 cost
    wall_gpu_s: float = 0.0  # GPU-seconds since its first start, up to ``walled_until_s``
    walled_until_s: float = math.nan
    speed: float = 1.0  # of its present width relative to its nominal one
    is_leaving: bool = False  # told to go, its grace runs
    is_holding: bool = False  # has some of its nodes and waits for the others, without a gang
    segment: Segment | None = None  # while it runs
    phases: tuple[tuple[str, float], ...] = ()
    phases_start_s: float = math.nan
    loads: Transfer | None = None  # what this restart reads from shared storage
    pending_isolations: int = 0
    source: Source = "same"
    lacking: list[int] = field(default_factory=list)  # nodes lost and not replaced yet
    replaced: list[int] = field(default_factory=list)  # nodes lost, not back in service, in whose place it holds others
    has_new_nodes: bool = False  # since it last worked
    cordons: list[Incident] = field(default_factory=list)
    recovering_from: list[Incident] = field(default_factory=list)

    def gpus_held(self, gpus_per_node: int) -> int:
        """Return the GPUs it uses on the nodes it holds; the unused part of its last node is left out first."""
        if self.shares:
            return self.gpus if len(self.ids) else 0
        unused = self.nodes * gpus_per_node - self.gpus
        return max(len(self.ids) * gpus_per_node - unused, 0)

    def count_wall(self, now_s: float) -> None:
        """Count the time since its first start at its present width; before it changes, and at the end."""
        if not math.isnan(self.start_s):
            since_s = self.start_s if math.isnan(self.walled_until_s) else self.walled_until_s
            self.wall_gpu_s += (now_s - since_s) * self.gpus
            self.walled_until_s = now_s

    def why_given_up(self) -> str:
        """Return the reason in the table of jobs."""
        causes = dict.fromkeys(incident.kind.name for incident in self.recovering_from)
        return f"given up after {' and '.join(causes) or 'a fault of its own'}"

    def drop(self, ids: NDArray[np.int64]) -> None:
        """Strike nodes off its list."""
        self.ids = self.ids[self.ids != ids[0]] if len(ids) == 1 else self.ids[~np.isin(self.ids, ids)]


def plan_for(world: World, profile: JobProfile, nodes: int) -> CheckpointPlan:
    """Return the checkpoint plan of a job: each tier's policy chooses an interval from the operator's estimates.

    A tier has to repair the failures that no cheaper tier survives, so its estimate of the mean time between
    failures counts only those.
    """
    intervals = []
    for index, (tier, policy) in enumerate(zip(profile.tiers, profile.checkpointing, strict=True)):
        cheaper = profile.tiers[:index]
        rate = sum(
            stop_rate_per_s(world, fault, nodes)
            for fault in world.faults
            if not any(other.is_usable_after(fault.reach) for other in cheaper)
        )
        restart_s = profile.restart.tear_down_s + profile.restart.first_start_s(nodes) + tier.load_s
        mtti_s = 1.0 / rate if rate > 0 else math.inf
        intervals.append(policy.interval_s(CheckpointView(tier.blocking_s, mtti_s, restart_s)))
    return CheckpointPlan(profile.tiers, tuple(intervals))


def stop_rate_per_s(world: World, fault: FaultClass, nodes: int) -> float:
    """Return the nominal rate at which a fault class stops a job of ``nodes`` nodes, 1/s."""
    if not fault.stops_job:
        return 0.0
    units = world.machine.population(fault.scope)
    share = nodes / world.machine.nodes
    # A domain of d nodes is touched by a job of n > 1 nodes at least n/d times; contiguous placement is assumed.
    return fault.rate_per_s * (nodes if fault.scope == "node" else max(units * share, 1.0))

"""Tiny named worlds for tests: one-job clusters, pools of single-node jobs, queues."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from simulator.cluster.inventory import Machine, SpareKind, contiguous_domains
from simulator.distributions import ZERO, Duration
from simulator.engine import JobProfile, World
from simulator.engine.simulation import Simulation
from simulator.faults.catalogue import FaultClass, RepairMix, RepairTier
from simulator.faults.draws import FaultDraws, Origin
from simulator.policies.checkpointing.intervals import Fixed
from simulator.policies.placement.first_fit import FirstFit
from simulator.policies.recovery.ladder import ReplaceNodes
from simulator.policies.scheduling.fifo import Fifo
from simulator.workload.checkpoints import CheckpointTier
from simulator.workload.job import JobTable
from simulator.workload.job import job_table as plain_table
from simulator.workload.restart import RestartPhases

DAY_S = 86400.0
HOUR_S = 3600.0


def machine(nodes: int, gpus_per_node: int = 8, spares: int = 0, kind: SpareKind = "hot", switch: int = 32) -> Machine:
    return Machine(nodes, gpus_per_node, "test", spares, kind, {"switch": contiguous_domains(nodes, switch)})


def repair(family: Any = "exponential", mean_s: float = 18.7 * HOUR_S, cv: float = 1.0, **more: Any) -> RepairMix:
    needs = more.pop("needs_technician", False)
    return RepairMix("test", (RepairTier("swap", 1.0, Duration(family, mean_s, cv), needs),), **more)


def fault(rate_per_s: float, name: str = "gpu", **more: Any) -> FaultClass:
    more.setdefault("repair", repair() if more.get("takes_node_out", True) else None)
    return FaultClass(name, "GPU", rate_per_s, **more)


def job_table(nodes: list[int], work_s: list[float], submit_s: list[float] | None = None, **more: Any) -> JobTable:
    n = len(nodes)
    g = more.pop("gpus_per_node", 8)
    columns: dict[str, Any] = {
        "job": np.array([f"job-{i}" for i in range(n)], dtype=object),
        "submit_s": np.zeros(n) if submit_s is None else np.array(submit_s, dtype=float),
        "nodes": np.array(nodes, dtype=np.int64),
        "gpus": np.array(more.pop("gpus", [k * g for k in nodes]), dtype=np.int64),
        "work_s": np.array(work_s, dtype=float),
    }
    return plain_table(**columns, **{name: np.asarray(column) for name, column in more.items()})


def profile(interval_s: float = math.inf, blocking_s: float = 0.0, restart_s: float = 0.0, **tier: Any) -> JobProfile:
    tiers, policies = (), ()
    if math.isfinite(interval_s):
        tiers, policies = (CheckpointTier("remote", blocking_s, **tier),), (Fixed(interval_s),)
    return JobProfile("test", tiers, policies, RestartPhases(tear_down_s=restart_s), ReplaceNodes())


def world(machine: Machine, jobs: JobTable, profile: JobProfile, *faults: FaultClass, **more: Any) -> World:
    base = World(
        machine=machine,
        faults=tuple(faults),
        technicians=None,
        jobs=jobs,
        profiles=(profile,),
        scheduling=Fifo(),
        placement=FirstFit(),
        network=None,
        storage=None,
        price_usd_per_gpu_s=None,
        horizon_s=None,
        warm_up_s=0.0,
        sample_every_s=None,
        seed=1,
        replication=0,
    )
    return replace(base, **more)


def story(world: Any, strikes: list[tuple[float, int, int]]) -> Any:
    """Run a world in which only the given faults (time, class, unit) happen, with the class's fixed durations."""
    simulation = Simulation(world, guards=True)
    draws = [FaultDraws(Origin(kind, index, seed=0, replication=0)) for index, kind in enumerate(world.faults)]
    made = [draws[index].fault(time_s, unit) for time_s, index, unit in strikes]
    simulation._start_faults = lambda: simulation.env.process(simulation._strike(iter(made)))  # type: ignore[method-assign]
    return simulation.run()


def ledger(outcome: Any) -> dict[str, float]:
    table = outcome.tables["ledger"]
    return dict(zip(table["bucket"], table["gpu_s"], strict=True))


__all__ = ["DAY_S", "HOUR_S", "ZERO", "fault", "job_table", "ledger", "machine", "profile", "repair", "story", "world"]

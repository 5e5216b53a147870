"""One replication of one variant, from the first event to its outcome."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from simulator.accounting.outcome import Outcome
from simulator.engine.ageing import AgeingClock
from simulator.engine.dispatcher import Dispatcher
from simulator.engine.fabric_incidents import FabricIncidents
from simulator.engine.fleet import FREE, Fleet
from simulator.engine.incidents import Incidents
from simulator.engine.interconnect import Interconnect
from simulator.engine.job_rows import JobRows
from simulator.engine.jobs import Jobs
from simulator.engine.moves import Moves
from simulator.engine.records import outcome_of
from simulator.engine.runs import Run, plan_for
from simulator.engine.sampling import Sampler
from simulator.engine.spans import Spans
from simulator.engine.standstill import Standstill
from simulator.engine.windows import Windows
from simulator.engine.world import World
from simulator.faults.catalogue import Clock, FaultClass
from simulator.faults.draws import Fault
from simulator.faults.sources import ageing_sources, merged, poisson_sources
from simulator.telemetry.submissions import submissions
from simulator.workload.checkpoints import CheckpointPlan


class Simulation:
    """The running world: SimPy's clock and the parts that act on it.

    Parameters
    ----------
    world : World
        What to simulate.
    guards : bool
        Check every decision of a policy in full (on in tests, off in production, where cheap checks remain).
    """

    def __init__(self, world: World, guards: bool = False) -> None:
        self.world = world
        self.guards = guards
        self.env = simpy.Environment(initial_time=0.0)
        saves = np.array([bool(profile.tiers) for profile in world.profiles], dtype=np.bool_)[world.jobs.profile]
        self.known = submissions(world.jobs, world.machine.gpus_per_node, saves, world.curves)
        self.shares_nodes = bool(world.jobs.shares.any())
        self.fleet = Fleet(world.machine, world.warm_up_s, self.shares_nodes)
        self.technicians = None if world.technicians is None else simpy.Resource(self.env, world.technicians)
        self.runs: dict[int, Run] = {}  # jobs that have started and not ended
        self.rows = JobRows(len(world.jobs))
        self.dispatcher = Dispatcher(self)
        self.windows = Windows(self)
        self.jobs = Jobs(self)
        self.moves = Moves(self)
        self.incidents = Incidents(self)
        self.interconnect = Interconnect(self)
        self.fabric_incidents = FabricIncidents(self)
        self.sampler = Sampler(self)
        self.spans = Spans(self)
        self.standstill = Standstill(self)
        self._plans: dict[tuple[int, int], CheckpointPlan] = {}
        self._ended = 0
        self._all_ended = self.env.event()
        self._cold = world.machine.spare_kind == "cold"

    @property
    def now(self) -> float:
        """Simulated time, seconds."""
        now: float = self.env.now
        return now

    def run(self) -> Outcome:
        """Run to the horizon, or to the end of the last job, and return the outcome."""
        self.env.process(self.dispatcher.arrivals())
        self._start_faults()
        self.env.process(self.sampler.sample())
        if self.world.horizon_s is None and not len(self.world.jobs):
            self.end()
        self.env.run(until=self._all_ended if self.world.horizon_s is None else self.world.horizon_s)
        self.interconnect.close()
        self.standstill.close()
        for run in self.runs.values():
            self.jobs.books.settle(run)
            self.rows.write(run)
        self.fleet.close(self.now)
        self.dispatcher.note_wanted(0)
        return outcome_of(self)

    def run_of(self, job: int) -> Run:
        """Return the state of a job, made at its first start."""
        run = self.runs.get(job)
        if run is None:
            jobs = self.world.jobs
            profile_id, nodes = int(jobs.profile[job]), int(jobs.nodes[job])
            profile = self.world.profiles[profile_id]
            plan = self._plans.get((profile_id, nodes))
            if plan is None:
                plan = self._plans[profile_id, nodes] = plan_for(self.world, profile, nodes)
            saved = [0.0] * len(profile.tiers)
            shares, gpus = bool(jobs.shares[job]), int(jobs.gpus[job])
            work_s, fails_at_s = float(jobs.work_s[job]), float(jobs.fails_at_s[job])
            run = Run(job, nodes, gpus, shares, work_s, fails_at_s, profile, plan, saved)
            self.runs[job] = run
        return run

    def reject(self, job: int, reason: str) -> None:
        """End a job that can never run."""
        self.rows.reject(job, reason)
        self._note_end()

    def close(self, run: Run) -> None:
        """Write down what became of a job that has ended, and forget the rest."""
        self.rows.write(run)
        del self.runs[run.job]
        self._note_end()

    def end(self) -> None:
        """End a run without a horizon before its last job has ended, because nothing will happen any more."""
        if not self._all_ended.triggered:
            self._all_ended.succeed()

    def _note_end(self) -> None:
        """Count a job that has ended; without a horizon the last one ends the run."""
        self._ended += 1
        if self._ended == len(self.world.jobs) and self.world.horizon_s is None:
            self._all_ended.succeed()

    def members(self, kind: FaultClass, unit: int) -> NDArray[np.int64]:
        """Return the nodes of a unit of the class's scope."""
        if kind.scope == "node":
            return np.array([unit])
        assert self.world.machine.domains is not None
        return np.flatnonzero(self.world.machine.domains[kind.scope] == unit)

    def is_on_clock(self, clock: Clock, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each node whether the time of a hazard clock passes for it now."""
        fleet = self.fleet
        if clock == "under_load":
            on: NDArray[np.bool_] = fleet.holder[nodes] != FREE
            return on
        in_service: NDArray[np.bool_] = fleet.out[nodes] == 0
        if clock == "powered" and self._cold:
            return in_service & ~fleet.spare[nodes]
        return in_service

    def _start_faults(self) -> None:
        world = self.world
        poisson = poisson_sources(world.faults, world.machine, world.seed, world.replication)
        if poisson:
            self.env.process(self._strike(merged(poisson)))
        for source in ageing_sources(world.faults, world.machine, world.seed, world.replication):
            AgeingClock(self, source)

    def _strike(self, faults: Any) -> Generator[Any, Any, None]:
        end_s = math.inf if self.world.horizon_s is None else self.world.horizon_s
        kinds = self.world.faults
        fault: Fault
        for fault in faults:
            if fault.time_s >= end_s:
                return
            yield self.env.timeout(max(fault.time_s - self.env.now, 0.0))
            self.incidents.strike(fault, kinds[fault.class_index])


def run(world: World, guards: bool = False) -> Outcome:
    """Simulate one replication of one variant.

    Parameters
    ----------
    world : World
        What to simulate.
    guards : bool
        Check every decision of a policy in full.

    Returns
    -------
    Outcome
        Tables and metrics.

    Raises
    ------
    PolicyError
        A policy returned a decision that cannot be carried out.
    InvariantError
        The ledger does not sum.
    """
    return Simulation(world, guards).run()

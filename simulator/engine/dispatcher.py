"""Arrivals and scheduling passes: at one instant all completions, then all arrivals, then one pass."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from simpy.events import Event, EventPriority

from simulator.engine.queue import RunningJobs, WaitingJobs
from simulator.errors import PolicyError
from simulator.policies.decisions import Start
from simulator.policies.protocols import PlacementView, SchedulerView

if TYPE_CHECKING:
    from simulator.engine.runs import Run
    from simulator.engine.simulation import Simulation

AFTER_EVERYTHING = EventPriority(2)
"""SimPy priority of a scheduling pass: after the ordinary events (priority 1) of the same instant."""


class Dispatcher:
    """Queues jobs and asks the scheduling policy which of them start.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.
    """

    def __init__(self, simulation: Simulation) -> None:
        world = simulation.world
        self._sim = simulation
        self.waiting = WaitingJobs(world.jobs)
        self.running = RunningJobs(world.machine.nodes)
        self._pass_is_due = False

    def arrivals(self) -> Generator[Any, Any, None]:
        """Submit every job at its time; one that can never run is rejected with the reason."""
        sim = self._sim
        nodes = sim.world.jobs.nodes.tolist()
        most = sim.world.machine.nodes - sim.world.machine.spare_nodes
        for job, submit_s in enumerate(sim.world.jobs.submit_s.tolist()):
            if submit_s > sim.env.now:
                yield sim.env.timeout(submit_s - sim.env.now)
            if nodes[job] > most:
                sim.reject(job, f"asks for {nodes[job]} nodes; the machine has {most} without its spares")
            else:
                self.submit(job)

    def submit(self, job: int) -> None:
        """Put a job in the queue, new or again."""
        self.waiting.add(job)
        self.request_pass()

    def request_pass(self) -> None:
        """Ask for a scheduling pass at the end of this instant; many requests make one pass."""
        if self._pass_is_due or len(self.waiting) == 0:
            return
        self._pass_is_due = True
        event = Event(self._sim.env)
        event.callbacks.append(self._pass)
        event._ok, event._value = True, None
        self._sim.env.schedule(event, AFTER_EVERYTHING)

    def _pass(self, _: Event) -> None:
        self._pass_is_due = False
        sim = self._sim
        if sim.fleet.n_free == 0 or len(self.waiting) == 0:
            return
        job, nodes, requested_s = self.waiting.columns()
        running_nodes, running_end_s = self.running.columns(sim.env.now)
        submit_s = sim.world.jobs.submit_s[job]
        view = SchedulerView(
            sim.env.now, sim.fleet.n_free, job, nodes, requested_s, submit_s, running_nodes, running_end_s
        )
        starts = sim.world.scheduling.schedule(view)
        if starts:
            self._apply(starts)

    def _apply(self, starts: Any) -> None:
        sim = self._sim
        wanted = [start.job for start in starts if isinstance(start, Start)]
        waiting = set(self.waiting.columns()[0].tolist()) if sim.guards else None
        if len(wanted) != len(starts) or (waiting is not None and not waiting.issuperset(wanted)):
            self._refuse("only queued jobs can be started, by Start decisions")
        for job in wanted:
            run = sim.run_of(job)
            if run.nodes > sim.fleet.n_free:
                self._refuse(f"job {job} wants {run.nodes} nodes, {sim.fleet.n_free} are free")
            ids = self.nodes_for(run, run.nodes)
            if len(ids) == 0:
                return  # it waits for better nodes, and nobody overtakes it in this pass
            self.waiting.remove([job])
            sim.jobs.start(run, ids)

    def nodes_for(self, run: Run, count: int) -> NDArray[np.int64]:
        """Return free nodes for a job as the placement policy chooses them: ``count``, or none to let it wait."""
        sim = self._sim
        view = PlacementView(sim.fleet.free, count, run.job, run.ids, sim.world.machine.tiers)
        ids = sim.world.placement.place(view)
        if len(ids) == 0 and len(run.ids) == 0:
            return ids
        if len(ids) != count or (sim.guards and (len(np.unique(ids)) != count or not sim.fleet.free[ids].all())):
            self._refuse("placement returned nodes that are not free, or not as many as asked for")
        return ids

    def _refuse(self, reason: str) -> None:
        raise PolicyError(type(self._sim.world.scheduling).__name__, self._sim.env.now, reason)

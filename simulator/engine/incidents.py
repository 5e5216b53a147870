"""From the onset of a fault to the return of the node, as the operator's run-book reads."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.faults.catalogue import FaultClass
from simulator.faults.draws import Fault
from simulator.faults.repairs import Visit, visits_of

if TYPE_CHECKING:
    from simulator.engine.runs import Run
    from simulator.engine.simulation import Simulation
    from simulator.policies.protocols import HealthPolicy


@dataclass(slots=True, eq=False)
class Incident:
    """One fault from onset to return; times are NaN until they happen."""

    fault: Fault
    kind: FaultClass
    nodes: NDArray[np.int64]
    onset_s: float
    detected_s: float = math.nan
    localised_s: float = math.nan
    isolated_s: float = math.nan
    repair_started_s: float = math.nan
    repaired_s: float = math.nan
    returned_s: float = math.nan
    productive_again_s: float = math.nan
    repair_tier: str = ""
    repair_visits: int = 0
    effect: str = "none"
    lost_work_gpu_s: float = 0.0
    hit: list[Run] = field(default_factory=list)
    waiting: list[Run] = field(default_factory=list)  # runs that wait for the isolation


class Incidents:
    """Opens incidents for faults and follows each to its end.

    Parameters
    ----------
    simulation : Simulation
        The run they belong to.

    Attributes
    ----------
    quarantines : int
        How often the health policy kept a repaired node out of service; the ledger counts it as down meanwhile.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self.rows: list[Incident] = []
        self._open_on_node: dict[int, list[Incident]] = {}
        self._stops: dict[int, list[float]] = {}  # when a node stopped a job, as far as that was localised
        self.quarantines = 0
        self._dormant: dict[int, list[tuple[Fault, FaultClass]]] = {}  # uncured, waiting for their clock to go on
        simulation.fleet.watchers.append(self._wake)

    def strike(self, fault: Fault, kind: FaultClass) -> bool:
        """Let a fault happen now; return False when it is discarded (its unit is not on the hazard's clock).

        A fault on an absent or already failed node is discarded, and so is one that only stops a job where there
        is no job.
        """
        sim = self._sim
        if kind.is_of_fabric:
            sim.fabric_incidents.strike(fault, kind)
            return True
        nodes = sim.members(kind, fault.unit)
        if not self._is_exposed(kind, nodes):
            return False
        runs = [run for job in sim.fleet.jobs_on(nodes) if not (run := sim.runs[job]).is_holding]
        if not kind.takes_node_out and not runs:
            return False
        incident = Incident(fault, kind, nodes, sim.now)
        self.rows.append(incident)
        for node in nodes.tolist():
            self._open_on_node.setdefault(node, []).append(incident)
        if kind.stops_job:
            for run in runs:
                self._hit(incident, run)
        sim.env.process(self._follow(incident))
        return True

    def meet(self, run: Run) -> None:
        """Interrupt a job that has just been given nodes with faults nobody has noticed yet."""
        if not self._open_on_node:
            return
        for node in set(self._open_on_node).intersection(run.ids.tolist()):
            for incident in self._open_on_node[node]:
                if incident.kind.stops_job and run not in incident.waiting:
                    self._hit(incident, run)

    def _is_exposed(self, kind: FaultClass, nodes: NDArray[np.int64]) -> bool:
        fleet = self._sim.fleet
        if kind.scope == "node":
            node = int(nodes[0])
            if node in self._open_on_node or fleet.out[node]:
                return False
            on_clock = self._sim.is_on_clock(kind.clock, nodes)
            return bool(on_clock[0])
        return bool(np.any(self._sim.is_on_clock(kind.clock, nodes)))

    def _hit(self, incident: Incident, run: Run) -> None:
        incident.hit.append(run)
        incident.waiting.append(run)
        incident.effect = "interrupted"
        run.pending_isolations += 1
        run.recovering_from.append(incident)
        incident.lost_work_gpu_s += self._sim.jobs.interrupt(run, incident.kind.reach)

    def _follow(self, incident: Incident) -> Generator[Any, Any, None]:
        sim, fault, kind = self._sim, incident.fault, incident.kind
        incident.detected_s = incident.onset_s + fault.detect_s
        if fault.detect_s + fault.localise_s > 0:
            yield sim.env.timeout(fault.detect_s + fault.localise_s)
        incident.localised_s = sim.now
        if kind.takes_node_out and kind.scope == "node" and incident.hit:
            self._stops.setdefault(int(incident.nodes[0]), []).append(incident.onset_s)
        if not kind.takes_node_out:
            self._close_on_nodes(incident)
            self._release_runs(incident)
            return
        # From here on other faults may strike the node again: a cordoned node goes on ageing under its job.
        self._close_on_nodes(incident)
        if not incident.hit:
            incident.effect = "lost_while_idle"
        while not kind.stops_job and sim.jobs.cordon(incident):
            incident.effect = "cordoned"
            yield from sim.jobs.wait_until_let_go(incident)
        incident.isolated_s = sim.now
        sim.jobs.lose_nodes(incident.nodes)
        sim.fleet.take_out(incident.nodes, sim.now)
        self._release_runs(incident)
        sim.dispatcher.request_pass()
        strikes_again_after_s = yield from self._repair(incident)
        if strikes_again_after_s is not None:
            yield sim.env.timeout(strikes_again_after_s)
            self._strike_again(fault, kind)

    def _strike_again(self, fault: Fault, kind: FaultClass) -> None:
        """Let an uncured fault strike, or lie dormant until its node is on the hazard's clock again."""
        if not self.strike(fault.again(self._sim.now), kind):
            node = int(self._sim.members(kind, fault.unit)[0])
            self._dormant.setdefault(node, []).append((fault, kind))

    def _wake(self, nodes: NDArray[np.int64], now_s: float) -> None:
        if self._dormant:
            for node in set(self._dormant).intersection(nodes.tolist()):
                for fault, kind in self._dormant.pop(node):
                    self._sim.env.process(self._rouse(fault, kind))

    def _rouse(self, fault: Fault, kind: FaultClass) -> Generator[Any, Any, None]:
        yield self._sim.env.timeout(0)  # after the change that woke it is complete
        self._strike_again(fault, kind)

    def _repair(self, incident: Incident) -> Generator[Any, Any, float | None]:
        """Repair until verification passes; return the time until an uncured fault strikes again, or None."""
        sim = self._sim
        visits = visits_of(incident.fault, incident.kind)
        for visit in visits:
            yield from self.visit(incident, visit)
            incident.repaired_s = sim.now
            incident.repair_visits += 1
            sim.fleet.start_test(incident.nodes, sim.now)
            if visit.verify_s > 0:
                yield sim.env.timeout(visit.verify_s)
            if visit is not visits[-1]:
                sim.fleet.fail_test(incident.nodes, sim.now)
        if sim.world.health is not None:
            yield from self._quarantine(incident, sim.world.health)
        incident.returned_s = sim.now
        sim.jobs.receive(sim.fleet.put_back(incident.nodes, sim.now))
        return visits[-1].strikes_again_after_s

    def _quarantine(self, incident: Incident, health: HealthPolicy) -> Generator[Any, Any, None]:
        """Keep a repaired node that is suspected to be a lemon down for a time."""
        sim, stops = self._sim, self._stops.get(int(incident.nodes[0]))
        if incident.kind.scope != "node" or not stops:
            return
        length_s = health.quarantine_s(np.array(sorted(stops)), sim.now)
        if length_s > 0.0:
            self.quarantines += 1
            sim.fleet.fail_test(incident.nodes, sim.now)
            yield sim.env.timeout(length_s)
            sim.fleet.start_test(incident.nodes, sim.now)

    def visit(self, incident: Incident, visit: Visit) -> Generator[Any, Any, None]:
        """Repair once, with a technician where one is needed."""
        sim = self._sim
        incident.repair_tier = visit.tier
        if visit.needs_technician and sim.technicians is not None:
            with sim.technicians.request() as turn:
                yield turn
                self._note_start(incident)
                yield sim.env.timeout(visit.duration_s)
            return
        self._note_start(incident)
        if visit.duration_s > 0:
            yield sim.env.timeout(visit.duration_s)

    def _note_start(self, incident: Incident) -> None:
        if math.isnan(incident.repair_started_s):
            incident.repair_started_s = self._sim.now

    def _close_on_nodes(self, incident: Incident) -> None:
        for node in incident.nodes.tolist():
            others = self._open_on_node[node]
            others.remove(incident)
            if not others:
                del self._open_on_node[node]

    def _release_runs(self, incident: Incident) -> None:
        for run in incident.waiting:
            run.pending_isolations -= 1
            if run.pending_isolations == 0:
                self._sim.jobs.decide(run)
        incident.waiting = []

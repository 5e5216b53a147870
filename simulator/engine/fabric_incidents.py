"""Faults of links and switches, from onset to the return of the link, and what they do to jobs and nodes."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.engine.fleet import FREE
from simulator.engine.incidents import Incident
from simulator.faults.catalogue import FaultClass
from simulator.faults.draws import Fault
from simulator.faults.repairs import visits_of
from simulator.network.parts import cables_of_part, cut_off, hosts_of_cables

if TYPE_CHECKING:
    from simulator.engine.runs import Run
    from simulator.engine.simulation import Simulation

Ints = NDArray[np.int64]


class FabricIncidents:
    """Opens incidents for faults of the fabric and follows each to its end.

    Parameters
    ----------
    simulation : Simulation
        The run they belong to.

    Notes
    -----
    A fault takes its share of capacity at onset and gives it back when it is repaired; jobs go slower or stand still
    meanwhile. A job that stands still for longer than its collectives wait is interrupted, and the faults it met are
    blamed. Nodes that no link reaches leave service once the fault is localised and no job holds them, and come back
    with the link.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._open: dict[Incident, Ints] = {}  # with the cables of each
        self._cut_off: set[int] = set()  # nodes that no link reaches and the operator knows of
        self._taken_out: set[int] = set()
        if simulation.world.network is not None:
            self._fabric = simulation.world.network.fabric
            simulation.fleet.watchers.append(self._watch)

    def strike(self, fault: Fault, kind: FaultClass) -> None:
        """Let a fault of the fabric happen now."""
        sim = self._sim
        cables = cables_of_part(self._fabric, kind.scope, fault.unit)
        nodes = np.unique(hosts_of_cables(self._fabric, cables) // self._fabric.gpus_per_node)
        incident = Incident(fault, kind, nodes[nodes < sim.world.machine.nodes], sim.now)
        incident.hit = sim.interconnect.users_of(cables)
        incident.effect = "slowed" if incident.hit else "none"
        sim.incidents.rows.append(incident)
        self._open[incident] = cables
        sim.interconnect.weaken(cables, kind.capacity_left)
        sim.env.process(self._follow(incident))

    def _follow(self, incident: Incident) -> Generator[Any, Any, None]:
        sim, fault = self._sim, incident.fault
        incident.detected_s = incident.onset_s + fault.detect_s
        if fault.detect_s + fault.localise_s > 0:
            yield sim.env.timeout(fault.detect_s + fault.localise_s)
        incident.localised_s = sim.now
        self._note_cut_off(incident)
        for visit in visits_of(fault, incident.kind):
            yield from sim.incidents.visit(incident, visit)
            incident.repaired_s = sim.now
            incident.repair_visits += 1
            if visit.verify_s > 0:
                yield sim.env.timeout(visit.verify_s)
        incident.returned_s = sim.now
        sim.interconnect.restore(self._open.pop(incident), incident.kind.capacity_left)
        self._bring_back()

    # --- jobs that wait too long ---------------------------------------------------------------------------------

    def time_out(self, run: Run) -> None:
        """Interrupt a job whose traffic has not got through for too long."""
        dead = [incident for incident in self._open if incident.kind.capacity_left == 0.0]
        blamed = [each for each in dead if run in each.hit or np.isin(each.nodes, run.ids).any()] or dead
        if not blamed:
            return  # the links are back, and routes will know in a moment
        for incident in blamed:
            incident.effect = "interrupted"
            if run not in incident.hit:
                incident.hit.append(run)
        run.recovering_from.extend(blamed)
        run.pending_isolations += 1
        blamed[0].lost_work_gpu_s += self._sim.jobs.interrupt(run, "process")
        self._sim.env.process(self._release(run, blamed))

    def _release(self, run: Run, blamed: list[Incident]) -> Generator[Any, Any, None]:
        sim = self._sim
        known_s = max(each.onset_s + each.fault.detect_s + each.fault.localise_s for each in blamed)
        if known_s > sim.now:
            yield sim.env.timeout(known_s - sim.now)
        for incident in blamed:
            self._note_cut_off(incident)
        mine = np.array(sorted(self._cut_off.intersection(run.ids.tolist())), dtype=np.int64)
        if len(mine):
            sim.jobs.lose_nodes(mine)
            self._take_out(mine)
        run.pending_isolations -= 1
        if run.pending_isolations == 0:
            sim.jobs.decide(run)

    # --- nodes that no link reaches ------------------------------------------------------------------------------

    def _note_cut_off(self, incident: Incident) -> None:
        if incident not in self._open or len(incident.nodes) == 0:
            return
        g = self._fabric.gpus_per_node
        hosts = (incident.nodes[:, np.newaxis] * g + np.arange(g)).ravel()
        lost = cut_off(self._fabric, self._sim.interconnect.states.capacity, hosts)
        nodes = np.unique(lost // g)
        if len(nodes):
            self._cut_off.update(nodes.tolist())
            if np.isnan(incident.isolated_s):
                incident.isolated_s = self._sim.now
            self._take_out(nodes[self._sim.fleet.holder[nodes] == FREE])

    def _take_out(self, nodes: Ints) -> None:
        """Take nodes out of service that no job holds, unless the fabric has done so before."""
        fresh = np.array(sorted(set(nodes.tolist()) - self._taken_out), dtype=np.int64)
        if len(fresh):
            self._taken_out.update(fresh.tolist())
            self._sim.fleet.take_out(fresh, self._sim.now)

    def _watch(self, nodes: Ints, now_s: float) -> None:
        """Notice nodes that a job lets go of while no link reaches them."""
        if self._cut_off and not (self._cut_off - self._taken_out).isdisjoint(nodes.tolist()):
            self._sim.env.process(self._take_out_later())

    def _take_out_later(self) -> Generator[Any, Any, None]:
        yield self._sim.env.timeout(0)  # after the change that was noticed is complete
        nodes = np.array(sorted(self._cut_off - self._taken_out), dtype=np.int64)
        self._take_out(nodes[self._sim.fleet.holder[nodes] == FREE])

    def _bring_back(self) -> None:
        """Return nodes to service that links reach again."""
        sim, g = self._sim, self._fabric.gpus_per_node
        nodes = np.array(sorted(self._cut_off), dtype=np.int64)
        hosts = (nodes[:, np.newaxis] * g + np.arange(g)).ravel()
        lost = set((cut_off(self._fabric, sim.interconnect.states.capacity, hosts) // g).tolist())
        reached = self._cut_off - lost
        self._cut_off -= reached
        back = np.array(sorted(reached & self._taken_out), dtype=np.int64)
        self._taken_out -= reached
        if len(back):
            sim.fleet.start_test(back, sim.now)
            sim.jobs.receive(sim.fleet.put_back(back, sim.now))

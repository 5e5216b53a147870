"""The fabric while the clock runs: what its links can carry now, and how fast that lets every job step."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from simpy.events import Event, EventPriority

from simulator.network.sharing import alone_times, shared_times
from simulator.workload.placed_step import PlacedStep, TrainingStep

if TYPE_CHECKING:
    from simulator.engine.runs import Run
    from simulator.engine.simulation import Simulation
    from simulator.engine.world import Network

AFTER_THE_PASS = EventPriority(3)
"""SimPy priority of an update: after the scheduling pass of the same instant, which starts jobs."""

MOST_REMEMBERED = 512
"""Placements kept in memory; far more than run at once, little enough for machines of 100,000 GPUs."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Member:
    """A running job that communicates over the fabric.

    Parameters
    ----------
    run : Run
        The job.
    step : TrainingStep
        What it computes and communicates in a step.
    placed : PlacedStep
        The links it uses, with the routes as they are now.
    since_s : float
        Since when its present rate holds.
    parts_s : dict of str to float
        Parts of its step at that rate; empty while it stands still.
    steps : float
        Steps made on the present routes.
    still_since_s : float
        When it last came to stand still.
    """

    run: Run
    step: TrainingStep
    placed: PlacedStep
    since_s: float
    parts_s: dict[str, float]
    steps: float = 0.0
    still_since_s: float = math.nan

    @property
    def stands_still(self) -> bool:
        """Whether its traffic does not get through."""
        return not self.parts_s


@dataclass(slots=True)
class StepRecord:
    """What became of the steps of one job.

    Parameters
    ----------
    nominal_s : dict of str to float
        Parts of its step on an idle, healthy fabric without oversubscription.
    part_s : dict of str to float
        Total time of each part over all its steps.
    steps : float
        How many steps it made, lost ones included.
    stepped_s, stood_still_s : float
        Time it stepped, and time it stood still because its traffic did not get through.
    timeouts : int
        Interruptions because a standstill lasted too long.
    """

    nominal_s: dict[str, float]
    part_s: dict[str, float]
    steps: float = 0.0
    stepped_s: float = 0.0
    stood_still_s: float = 0.0
    timeouts: int = 0


class LinkStates:
    """What the faults leave of every link, and what routing knows of it.

    Parameters
    ----------
    network : Network
        The fabric of the machine.

    Attributes
    ----------
    capacity : float array, shape (links,)
        Bytes/s that each link carries now.
    known_up : bool array, shape (links,)
        Links that routes may use; behind the truth by the reroute time.
    """

    def __init__(self, network: Network) -> None:
        fabric = network.fabric
        self._fabric = fabric
        self._faults: dict[int, list[float]] = {}
        self.capacity = fabric.capacity.copy()
        self.known_up = np.ones(len(fabric.capacity), np.bool_)

    def weaken(self, cables: Ints, left: float) -> None:
        """Open a fault that leaves this share of the capacity of cables."""
        for cable in cables.tolist():
            self._faults.setdefault(cable, []).append(left)
        self._renew(cables)

    def restore(self, cables: Ints, left: float) -> None:
        """Close a fault."""
        for cable in cables.tolist():
            self._faults[cable].remove(left)
            if not self._faults[cable]:
                del self._faults[cable]
        self._renew(cables)

    def learn(self, cables: Ints) -> bool:
        """Let routing know the state of cables; return whether that is news."""
        links = self._fabric.links_of_cables(cables)
        up = self.capacity[links] > 0.0
        news = bool((self.known_up[links] != up).any())
        self.known_up[links] = up
        return news

    def _renew(self, cables: Ints) -> None:
        links = self._fabric.links_of_cables(cables)
        share = np.array([math.prod(self._faults.get(cable, ())) for cable in self._fabric.cable[links].tolist()])
        self.capacity[links] = self._fabric.capacity[links] * share


class Interconnect:
    """Follows the state of every link and gives each running job its rate.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.

    Attributes
    ----------
    records : dict of int to StepRecord
        Steps of every job that has communicated, by its index.
    load_bytes : float array, shape (links,)
        Bytes that crossed each link so far.

    Notes
    -----
    A link that fails carries nothing from that instant on; routes avoid it after the reroute time, and use it again
    as long after it is back. All changes of an instant are solved once, and only for the jobs that share a link with
    a changed one, directly or through others. Solutions are remembered by who runs where and the state of the links.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._members: dict[int, Member] = {}
        self._changed: set[int] = set()
        self._update_is_due = False
        self.records: dict[int, StepRecord] = {}
        self._placed: dict[tuple[Any, ...], PlacedStep] = {}
        self._solved: dict[tuple[Any, ...], list[Floats]] = {}
        if simulation.world.network is not None:
            self.network = simulation.world.network
            self.states = LinkStates(self.network)
            self.load_bytes = np.zeros(len(self.states.capacity))

    # --- jobs come and go -----------------------------------------------------------------------------------------

    def admit(self, run: Run) -> None:
        """Let the traffic of a job that has begun to run share the fabric."""
        step = run.profile.step
        if step is None:
            return
        placed = self._place(step, run)
        if run.job not in self.records:
            self.records[run.job] = StepRecord(dict(step.nominal_parts_s), dict.fromkeys(step.nominal_parts_s, 0.0))
        self._members[run.job] = Member(run, step, placed, self._sim.now, dict(step.nominal_parts_s))
        self._changed.add(run.job)
        self._request_update()

    def dismiss(self, run: Run) -> None:
        """Take the traffic of a job that runs no longer off the fabric."""
        member = self._members.get(run.job)
        if member is not None:
            self._note(member)
            self._unload(member)
            # Those that met it are solved again; it is still among the members when they are looked for.
            self._changed |= self._neighbours({run.job}) - {run.job}
            del self._members[run.job]
            self._changed.discard(run.job)
            self._request_update()

    def close(self) -> None:
        """Book the time up to the end of the run."""
        for member in self._members.values():
            self._note(member)
            self._unload(member)

    def _unload(self, member: Member) -> None:
        """Book the bytes of the steps made on the present routes."""
        traffic = member.placed.traffic
        for each, count in zip(traffic.communications, traffic.counts, strict=True):
            self.load_bytes[each.links] += each.weights * (each.flow_bytes * count * member.steps)
        member.steps = 0.0

    def _place(self, step: TrainingStep, run: Run) -> PlacedStep:
        up = self.states.known_up
        key = (id(step), run.ids.tobytes(), np.flatnonzero(~up).tobytes())
        placed = self._placed.get(key)
        if placed is None:
            if len(self._placed) >= MOST_REMEMBERED:
                self._placed.clear()
                self._solved.clear()  # it knows placements by identity, which may now be taken again
            network = self.network
            placed = step.place(network.fabric, network.routing, network.transport, run.ids, None if up.all() else up)
            self._placed[key] = placed
        return placed

    # --- links fail and return ------------------------------------------------------------------------------------

    def users_of(self, cables: Ints) -> list[Run]:
        """Return the jobs whose traffic crosses one of the cables, by job index."""
        links = self.network.fabric.links_of_cables(cables)
        return [member.run for _, member in sorted(self._members.items()) if member.placed.uses(links)]

    def weaken(self, cables: Ints, left: float) -> None:
        """Let a fault leave a share of the capacity of cables, 0 for nothing."""
        self.states.weaken(cables, left)
        self._links_changed(cables)

    def restore(self, cables: Ints, left: float) -> None:
        """End a fault of cables."""
        self.states.restore(cables, left)
        self._links_changed(cables)

    def _links_changed(self, cables: Ints) -> None:
        links = self.network.fabric.links_of_cables(cables)
        self._changed |= {job for job, member in self._members.items() if member.placed.uses(links)}
        self._request_update()
        self._sim.env.process(self._reroute(cables))

    def _reroute(self, cables: Ints) -> Generator[Any, Any, None]:
        yield self._sim.env.timeout(self.network.routing.reroute_s)
        if not self.states.learn(cables):
            return
        for job, member in self._members.items():
            placed = self._place(member.step, member.run)
            if placed is not member.placed:
                self._note(member)
                self._unload(member)
                self._changed |= self._neighbours({job})
                member.placed = placed
                self._changed.add(job)
        self._request_update()

    # --- the rates ------------------------------------------------------------------------------------------------

    def _request_update(self) -> None:
        if not self._update_is_due:
            self._update_is_due = True
            event = Event(self._sim.env)
            event.callbacks.append(self._update)
            event._ok, event._value = True, None
            self._sim.env.schedule(event, AFTER_THE_PASS)

    def _neighbours(self, jobs: set[int]) -> set[int]:
        """Return the jobs that share a link with one of these, directly or through others, themselves included."""
        found = {job for job in jobs if job in self._members}
        marked = np.zeros(len(self.states.capacity), np.bool_)
        for job in found:
            marked[self._members[job].placed.links] = True
        others = [job for job in self._members if job not in found]
        while True:
            fresh = [job for job in others if marked[self._members[job].placed.links].any()]
            if not fresh:
                return found
            for job in fresh:
                marked[self._members[job].placed.links] = True
            found.update(fresh)
            others = [job for job in others if job not in found]

    def _update(self, _: Event) -> None:
        """Solve what has changed in this instant and give the jobs their new rates."""
        self._update_is_due = False
        jobs = sorted(self._neighbours(self._changed))
        self._changed = set()
        members = [self._members[job] for job in jobs]
        times = self._solve(members)
        for member, seconds in zip(members, times, strict=True):
            self._note(member)
            was_still = member.stands_still
            member.parts_s = member.step.parts(member.placed, seconds)
            self._sim.jobs.change_rate(member.run, member.step.rate(member.parts_s))
            if member.stands_still and not was_still:
                member.still_since_s = self._sim.now
                self._sim.env.process(self._watch(member))

    def _solve(self, members: list[Member]) -> list[Floats]:
        capacity = self.states.capacity
        if len(members) == 1:
            return [alone_times(capacity, members[0].placed.traffic)]
        weak = np.flatnonzero(capacity != self.network.fabric.capacity)
        key = (tuple(id(member.placed) for member in members), weak.tobytes(), capacity[weak].tobytes())
        if key not in self._solved:
            self._solved[key] = shared_times(capacity, [member.placed.traffic for member in members])
        return self._solved[key]

    def _note(self, member: Member) -> None:
        """Book the time since the last change of a job's rate."""
        record, now = self.records[member.run.job], self._sim.now
        elapsed_s = now - member.since_s
        member.since_s = now
        if member.stands_still:
            record.stood_still_s += elapsed_s
            return
        steps = elapsed_s / sum(member.parts_s.values())
        record.stepped_s += elapsed_s
        record.steps += steps
        member.steps += steps
        for part, seconds in member.parts_s.items():
            record.part_s[part] += seconds * steps

    def _watch(self, member: Member) -> Generator[Any, Any, None]:
        """Interrupt a job whose standstill lasts longer than its collectives wait."""
        run, segment, began_s = member.run, member.run.segment, self._sim.now
        yield self._sim.env.timeout(self.network.stall_timeout_s)
        if run.segment is segment and member.stands_still and member.still_since_s == began_s:
            self.records[run.job].timeouts += 1
            self._sim.fabric_incidents.time_out(run)

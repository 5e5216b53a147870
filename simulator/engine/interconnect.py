"""The fabric and the storage while the clock runs: what they carry now, and how fast that lets every job go on."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from simpy.events import Event, EventPriority

from simulator.engine.link_states import LinkStates
from simulator.engine.members import Loading, Member, StepRecord
from simulator.network.fabric import Floats, Ints
from simulator.network.sharing import alone_times, shared_times
from simulator.workload.placed_step import PlacedStep, TrainingStep
from simulator.workload.storage import Ways, ways

if TYPE_CHECKING:
    from simulator.engine.runs import Run
    from simulator.engine.simulation import Simulation

AFTER_THE_PASS = EventPriority(3)
"""SimPy priority of an update: after the scheduling pass of the same instant, which starts jobs."""

MOST_REMEMBERED = 512
"""Placements kept in memory; far more than run at once, little enough for machines of 100,000 GPUs."""


class Interconnect:
    """Follows the state of every link and gives each running job its pace.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.

    Attributes
    ----------
    records : dict of int to StepRecord
        What became of every job that has communicated, by its index.
    load_bytes : float array, shape (links + 2,)
        Bytes that crossed each link of the fabric so far, then those written to and read from storage.

    Notes
    -----
    A link that fails carries nothing from that instant on; routes avoid it after the reroute time, and use it again
    as long after it is back. All changes of an instant are solved once, and only for the jobs that share a link with
    a changed one, directly or through others. Solutions are remembered by who runs where and the state of the links.
    The storage system counts as two more links, one for writing and one for reading.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._members: dict[int, Member | Loading] = {}
        self._changed: set[int] = set()
        self._update_is_due = False
        self.records: dict[int, StepRecord] = {}
        self._placed: dict[tuple[Any, ...], PlacedStep] = {}
        self._ways: dict[tuple[Any, ...], Ways] = {}
        self._solved: dict[tuple[Any, ...], tuple[Any, list[Floats]]] = {}
        world = simulation.world
        self._storage = world.storage
        self._behind = np.empty(0) if world.storage is None else world.storage.rates
        self._fabric_links = 0
        if world.network is not None:
            self.network = world.network
            self.states = LinkStates(self.network)
            self._fabric_links = world.network.fabric.links
        self._healthy = self._behind
        if world.network is not None:
            self._healthy = np.concatenate((world.network.fabric.capacity, self._behind))
        self.load_bytes = np.zeros(len(self._healthy))

    # --- jobs come and go -----------------------------------------------------------------------------------------

    def admit(self, run: Run) -> None:
        """Let the traffic of a job that has begun to run share fabric and storage."""
        step = run.profile.step
        moves = any(tier.transfer is not None for tier in run.plan.tiers) or run.profile.data_rate > 0.0
        if step is None and not moves:
            return
        found = self._ways_of(run) if moves else None
        placed = None if step is None else self._place(step, run)
        if run.job not in self.records:
            nominal = {} if step is None else dict(step.nominal_parts_s)
            self.records[run.job] = StepRecord(nominal, dict.fromkeys(nominal, 0.0))
        self._join(run.job, Member(run, step, placed, found, self._sim.now))

    def load(self, run: Run, size_bytes: float) -> Event:
        """Return the event of a checkpoint having been read from storage by a job that restarts."""
        loading = Loading(run, self._ways_of(run), size_bytes, self._sim.now, Event(self._sim.env))
        if run.job not in self.records:
            self.records[run.job] = StepRecord({}, {})
        self._join(run.job, loading)
        return loading.done

    def dismiss(self, run: Run) -> None:
        """Take the traffic of a job that goes on no longer off the fabric."""
        member = self._members.get(run.job)
        if member is not None:
            self._note(member)
            member.unload(self.load_bytes)
            # Those that met it are solved again; it is still among the members when they are looked for.
            self._changed |= self._neighbours({run.job}) - {run.job}
            del self._members[run.job]
            self._changed.discard(run.job)
            self._request_update()

    def close(self) -> None:
        """Book the time up to the end of the run."""
        for member in self._members.values():
            self._note(member)
            member.unload(self.load_bytes)

    def _join(self, job: int, member: Member | Loading) -> None:
        self._members[job] = member
        self._changed.add(job)
        self._request_update()

    def _avoided(self) -> tuple[bytes, bytes]:
        weak = np.flatnonzero(self.states.known_left < 1.0)
        return weak.tobytes(), self.states.known_left[weak].tobytes()

    def _place(self, step: TrainingStep, run: Run) -> PlacedStep:
        left = self.states.known_left
        key = (id(step), run.ids.tobytes(), self._avoided())
        placed = self._placed.get(key)
        if placed is None:
            self._make_room(self._placed)
            network = self.network
            known = None if (left >= 1.0).all() else left
            placed = step.place(network.fabric, network.routing, network.transport, run.ids, known)
            self._placed[key] = placed
        return placed

    def _ways_of(self, run: Run) -> Ways:
        storage, machine = self._storage, self._sim.world.machine
        assert storage is not None, "checked when the scenario was loaded"
        on_fabric = storage.servers > 0
        key = (run.ids.tobytes(), self._avoided() if on_fabric else None)
        found = self._ways.get(key)
        if found is None:
            self._make_room(self._ways)
            network = self._sim.world.network
            if network is None:
                found = ways(storage, run.ids, machine.gpus_per_node, machine.nodes)
            else:
                left = self.states.known_left
                known = (network.fabric, network.routing, None if (left >= 1.0).all() else left)
                found = ways(storage, run.ids, machine.gpus_per_node, machine.nodes, *known)
            self._ways[key] = found
        return found

    @staticmethod
    def _make_room(remembered: dict[Any, Any]) -> None:
        if len(remembered) >= MOST_REMEMBERED:
            remembered.clear()

    # --- links fail and return ------------------------------------------------------------------------------------

    def users_of(self, cables: Ints) -> list[Run]:
        """Return the jobs whose traffic crosses one of the cables, by job index."""
        links = self.network.fabric.links_of_cables(cables)
        return [member.run for _, member in sorted(self._members.items()) if member.uses(links)]

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
        self._changed |= {job for job, member in self._members.items() if member.uses(links)}
        self._request_update()
        self._sim.env.process(self._reroute(cables))

    def _reroute(self, cables: Ints) -> Generator[Any, Any, None]:
        yield self._sim.env.timeout(self.network.routing.reroute_s)
        if not self.states.learn(cables):
            return
        for job, member in self._members.items():
            placed = None if member.step is None else self._place(member.step, member.run)
            found = None if member.ways is None else self._ways_of(member.run)
            if placed is not member.placed or found is not member.ways:
                self._note(member)
                member.unload(self.load_bytes)
                self._changed |= self._neighbours({job})
                member.move(placed, found)
                self._changed.add(job)
        self._request_update()

    # --- the pace -------------------------------------------------------------------------------------------------

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
        marked = np.zeros(len(self._healthy), np.bool_)
        for job in found:
            marked[self._members[job].links] = True
        others = [job for job in self._members if job not in found]
        while True:
            fresh = [job for job in others if marked[self._members[job].links].any()]
            if not fresh:
                return found
            for job in fresh:
                marked[self._members[job].links] = True
            found.update(fresh)
            others = [job for job in others if job not in found]

    def _update(self, _: Event) -> None:
        """Solve what has changed in this instant and give the jobs their new pace."""
        self._update_is_due = False
        jobs = sorted(self._neighbours(self._changed))
        self._changed = set()
        members = [self._members[job] for job in jobs]
        times = self._solve(members)
        for member, seconds in zip(members, times, strict=True):
            self._note(member)
            was_still = member.is_still
            if isinstance(member, Loading):
                member.pace(seconds)
                self._arm(member)
            else:
                plan = member.pace(seconds)
                self._sim.jobs.change_pace(member.run, member.rate, plan)
            if member.is_still and not was_still:
                member.still_since_s = self._sim.now
                self._sim.env.process(self._watch(member))

    def _solve(self, members: list[Member | Loading]) -> list[list[Floats]]:
        """Return for each member the seconds of each communication of each of its traffics."""
        traffics = [each for member in members for each in member.traffics]
        # Entries keep what they know by identity alive, so that no other object can take its place.
        known = [each for member in members for each in member.identity]
        capacity = self._healthy
        key: tuple[Any, ...] = tuple(id(each) for each in known)
        if self._fabric_links:
            weak = self.states.weak
            capacity = np.concatenate((self.states.capacity, self._behind)) if len(weak) else self._healthy
            key = (*key, weak.tobytes(), capacity[weak].tobytes())
        if len(traffics) == 1:
            solved = [alone_times(capacity, traffics[0])]
        else:
            if key not in self._solved:
                self._make_room(self._solved)
                owners = [owner for member in members for owner in member.owners]
                self._solved[key] = (known, shared_times(capacity, traffics, owners))
            solved = self._solved[key][1]
        ends = np.cumsum([len(member.traffics) for member in members]).tolist()
        return [solved[end - len(member.traffics) : end] for member, end in zip(members, ends, strict=True)]

    def _note(self, member: Member | Loading) -> None:
        """Book the time since the last change of a job's pace."""
        member.note(self.records[member.run.job], self._sim.now)

    def _arm(self, loading: Loading) -> None:
        loading.version += 1
        left_s = loading.left_s
        if math.isfinite(left_s):
            self._sim.env.process(self._finish(loading, loading.version, left_s))

    def _finish(self, loading: Loading, version: int, left_s: float) -> Generator[Any, Any, None]:
        yield self._sim.env.timeout(left_s)
        if loading.version == version and self._members.get(loading.run.job) is loading:
            self.dismiss(loading.run)
            loading.done.succeed()

    def _watch(self, member: Member | Loading) -> Generator[Any, Any, None]:
        """Interrupt a job whose standstill lasts longer than its collectives wait."""
        run, began_s = member.run, self._sim.now
        yield self._sim.env.timeout(self.network.stall_timeout_s)
        if self._members.get(run.job) is member and member.is_still and member.still_since_s == began_s:
            self.records[run.job].timeouts += 1
            self._sim.fabric_incidents.time_out(run)

"""Arrivals and scheduling passes: at one instant all completions, then all arrivals, then the pass."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from simpy.events import Event, EventPriority

from simulator.engine.feasibility import impossible
from simulator.engine.queue import RunningColumns, WaitingJobs
from simulator.errors import PolicyError
from simulator.policies.decisions import Hold, Migrate, Preempt, Resize, Scheduling, Start, Wake
from simulator.policies.views import NodesView, PlacementView, QueuedJobs, RunningJobs, SchedulerView
from simulator.telemetry.usage import UsageMeter

if TYPE_CHECKING:
    from simulator.engine.runs import Run
    from simulator.engine.simulation import Simulation

AFTER_EVERYTHING = EventPriority(2)
"""SimPy priority of a scheduling pass: after the ordinary events (priority 1) of the same instant."""

MOST_IDLE_PASSES = 100
"""Passes of one instant that change nothing, after which a policy is taken to ask without end."""

Ids = NDArray[np.int64]
NONE = np.empty(0, dtype=np.int64)


class Dispatcher:
    """Queues jobs and asks the scheduling policy which of them start.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.

    Attributes
    ----------
    started_s, leaving, preempted : arrays, shape (jobs,)
        Start of the present attempt, whether the job has been told to go, and how often it has been.
    holding : dict of int to Run
        Jobs that wait and hold some of their nodes, without a gang.
    all_arrived : bool
        Whether no job is still to be submitted for the first time.
    """

    def __init__(self, simulation: Simulation) -> None:
        world, known = simulation.world, simulation.known
        self._sim = simulation
        self.waiting = WaitingJobs(known)
        most = world.machine.gpus if simulation.shares_nodes else world.machine.nodes
        self.running = RunningColumns(most)
        self.started_s = np.full(len(known.job), np.nan)
        self.leaving = np.zeros(len(known.job), dtype=np.bool_)
        self.preempted = np.zeros(len(known.job), dtype=np.int64)
        self.holding: dict[int, Run] = {}
        self.all_arrived = False
        policy = world.scheduling
        self._memory = policy.remember() if hasattr(policy, "remember") else None
        self._meter: UsageMeter | None = None
        if hasattr(policy, "usage_half_life_s"):
            self._meter = UsageMeter(len(known.accounts), policy.usage_half_life_s)
        self._acts_always = bool(getattr(policy, "acts_always", False))
        self._nodes: NodesView | None = None
        self._ended_early = False
        self._pass_is_due = False
        self._wakes_at: set[float] = set()
        self._last_pass: tuple[object, ...] = ()
        self._idle_passes = 0
        self._wanted = (0.0, 0)  # since when the waiting jobs want so many GPUs
        self.wanted_gpu_s = 0.0
        self._keeps = getattr(world.placement, "keeps", None)
        self.uneven_placements = 0

    # --- the queue ------------------------------------------------------------------------------------------------

    def arrivals(self) -> Generator[Any, Any, None]:
        """Submit every job at its time; one that can never run is rejected with the reason."""
        sim = self._sim
        never = impossible(sim.world, sim.known)
        for job, submit_s in enumerate(sim.known.submit_s.tolist()):
            now = sim.now
            if submit_s > now:
                yield sim.env.timeout(submit_s - now)
            if job in never:
                sim.reject(job, never[job])
            else:
                self.submit(job)
        self.all_arrived = True
        self.request_pass()

    def submit(self, job: int) -> None:
        """Put a job in the queue, new or again."""
        self.waiting.add(job)
        self.note_wanted(int(self._sim.known.gpus[job]))
        self.request_pass()

    def note_wanted(self, more: int) -> None:
        """Integrate the GPUs that waiting jobs want, and let them be more or fewer from now on."""
        since_s, gpus = self._wanted
        now = self._sim.now
        self.wanted_gpu_s += gpus * (now - since_s)
        self._wanted = (now, gpus + more)

    @property
    def wanted_gpus(self) -> int:
        """GPUs that all waiting jobs want together."""
        return self._wanted[1]

    def left(self, run: Run, gpus: int) -> None:
        """Note that a job no longer holds its nodes."""
        sim = self._sim
        self.running.remove(run.job, run.expected_end_s)
        self.leaving[run.job] = False
        self._ended_early |= run.expected_end_s > sim.now
        self.change_usage(run.job, -gpus)

    def change_usage(self, job: int, gpus: int) -> None:
        """Note that the account of a job holds more GPUs from now on, or fewer when ``gpus`` is negative."""
        if self._meter is not None:
            self._meter.change(int(self._sim.known.account[job]), gpus, self._sim.now)

    def expect_end(self, run: Run, gpus: int, end_s: float) -> None:
        """Move the expected end of a running job."""
        self.running.remove(run.job, run.expected_end_s)
        self._sim.fleet.expect_end(run.ids, run.job, end_s)
        run.expected_end_s = end_s
        self.running.add(run.job, gpus, end_s)

    def request_pass(self) -> None:
        """Ask for a scheduling pass at the end of this instant; many requests make one pass."""
        if self._pass_is_due or (len(self.waiting) == 0 and not self._acts_always):
            return
        self._pass_is_due = True
        event = Event(self._sim.env)
        event.callbacks.append(self._pass)
        event._ok, event._value = True, None
        self._sim.env.schedule(event, AFTER_EVERYTHING)

    def wake_at(self, time_s: float) -> None:
        """Ask for a scheduling pass at a later time, or for another one in this instant."""
        if math.isnan(time_s):
            self._refuse("it asks to be woken at nan")
        if time_s <= self._sim.now:
            self.request_pass()
        elif time_s not in self._wakes_at and time_s < math.inf:
            self._wakes_at.add(time_s)
            self._sim.env.timeout(time_s - self._sim.now, time_s).callbacks.append(self._wake)

    @property
    def is_woken_later(self) -> bool:
        """Whether another pass has been asked for."""
        return bool(self._wakes_at) or self._pass_is_due

    def _wake(self, event: Event) -> None:
        self._wakes_at.discard(event.value)
        self.request_pass()

    # --- the pass -------------------------------------------------------------------------------------------------

    def _pass(self, _: Event) -> None:
        self._pass_is_due = False
        sim = self._sim
        while self._acts_always or (sim.fleet.n_free_gpus > 0 and len(self.waiting) > 0):
            self._note_pass()
            decisions = sim.world.scheduling.schedule(self._view())
            if decisions is None:
                self._refuse("schedule returned None; it returns a sequence of decisions, an empty one for none")
            self._ended_early = False
            if not decisions or not self._apply(decisions):
                break
        if len(self.waiting) > 0 and (len(self.running) == 0 or self.holding):
            sim.standstill.look()

    def _note_pass(self) -> None:
        """Refuse a policy that has itself woken at one instant again and again, and nothing changes."""
        sim = self._sim
        state = (sim.now, len(self.waiting), len(self.running), sim.fleet.n_free_gpus, sim.moves.preemptions)
        self._idle_passes = self._idle_passes + 1 if state == self._last_pass else 0
        self._last_pass = state
        if self._idle_passes > MOST_IDLE_PASSES:
            self._refuse(f"it has asked to be woken at this instant {MOST_IDLE_PASSES} times, and nothing changes")

    def _view(self) -> SchedulerView:
        sim, fleet = self._sim, self._sim.fleet
        job, gpus, requested_s = self.waiting.columns()
        running, held, end_s = self.running.columns(sim.env.now)
        if self._nodes is None:
            self._nodes = self._view_of_nodes()
        self._nodes.windows = sim.windows.columns
        return SchedulerView(
            sim.env.now,
            fleet.n_free_gpus,
            fleet.n_free,
            (sim.world.machine.nodes - fleet.n_out - fleet.n_spare) * sim.world.machine.gpus_per_node,
            QueuedJobs(sim.known, job, gpus, requested_s, self._held()),
            RunningJobs(sim.known, running, held, end_s, self.started_s, self.leaving, self.preempted),
            self._nodes,
            sim.shares_nodes,
            sim.windows.are_open,
            self._ended_early,
            None if self._meter is None else self._meter.read(sim.env.now),
            self._memory,
        )

    def _view_of_nodes(self) -> NodesView:
        """Return the nodes as policies see them; only the contents of the arrays, and the windows, change in a run."""
        fleet, windows = self._sim.fleet, self._sim.windows
        return NodesView(
            fleet.gpus_per_node,
            fleet.free_gpus,
            fleet.free_at_s,
            fleet.holder,
            fleet.tenant_end_s,
            fleet.tenant_gpus,
            fleet.tenant_job,
            windows.columns,
        )

    def _held(self) -> dict[int, int]:
        return {job: len(run.ids) for job, run in self.holding.items()}

    def _apply(self, decisions: Sequence[Scheduling]) -> bool:
        """Carry decisions out; return whether to ask again, because the nodes did not serve a job as was thought."""
        sim = self._sim
        started = 0
        for decision in decisions:
            match decision:
                case Start(job, avoid, nodes):
                    served = self._start(job, avoid, nodes)
                    if served is None:
                        return started > 0
                    if not served:
                        return False
                    started += 1
                case Hold(job, nodes):
                    self._hold(job, nodes)
                case Preempt():
                    sim.moves.preempt(self._running(decision.job), decision)
                case Resize(job, nodes, gives):
                    sim.moves.resize(self._running(job), nodes, gives)
                case Migrate(job, avoid):
                    sim.moves.migrate(self._running(job), avoid)
                case Wake(time_s):
                    self.wake_at(time_s)
                case _:
                    self._refuse(f"unknown decision {decision!r}")
        return False

    def _start(self, job: int, avoid: Any, nodes: int | None) -> bool | None:
        """Start a queued job; return False to let it and the others wait, None when its nodes are not there."""
        sim = self._sim
        if not self.waiting.has(job):
            self._refuse(f"job {job} is not in the queue")
        run = sim.run_of(job)
        nodes = int(sim.known.nodes[job]) if nodes is None else nodes
        if nodes != run.nodes:
            self._set_width(run, nodes)
        wanted = run.nodes - len(run.ids)
        if run.shares:
            if run.gpus > sim.fleet.n_free_gpus:
                self._refuse(f"job {job} wants {run.gpus} GPUs, {sim.fleet.n_free_gpus} are free")
        elif wanted > sim.fleet.n_free:
            if sim.shares_nodes or sim.windows.are_open:
                return None
            self._refuse(f"job {job} wants {wanted} nodes, {sim.fleet.n_free} are free")
        ids = self.nodes_for(run, wanted, avoid)
        if len(ids) == 0:
            return None if run.shares or sim.windows.are_open or avoid is not None else False
        self.waiting.remove(job)
        self.note_wanted(-int(sim.known.gpus[job]))
        self.change_usage(job, sim.jobs.gpus_taken(run))
        sim.jobs.start(run, ids)
        return True

    def _hold(self, job: int, nodes: int) -> None:
        sim = self._sim
        if not self.waiting.has(job):
            self._refuse(f"job {job} is not in the queue")
        run, is_exact = sim.run_of(job), not (sim.shares_nodes or sim.windows.are_open)
        if run.nodes != sim.known.nodes[job]:  # it went on with fewer before it was queued again
            self._set_width(run, int(sim.known.nodes[job]))
        if run.shares or nodes < 1 or len(run.ids) + nodes >= run.nodes or (is_exact and nodes > sim.fleet.n_free):
            self._refuse(f"job {job} cannot hold {nodes} more nodes: it wants {run.nodes} and has {len(run.ids)}")
        ids = self.nodes_for(run, nodes) if nodes <= sim.fleet.n_free else NONE
        if len(ids):
            sim.jobs.hold(run, ids)

    def _set_width(self, run: Run, nodes: int) -> None:
        known = self._sim.known
        if not known.fewest[run.job] <= nodes <= known.most[run.job]:
            span = f"{int(known.fewest[run.job])} to {int(known.most[run.job])} nodes"
            self._refuse(f"job {run.job} cannot have {nodes} nodes: it takes {span}")
        self._sim.moves.set_width(run, nodes)

    def _running(self, job: int) -> Run:
        run = self._sim.runs.get(job)
        if run is None or run.outcome != "running":
            self._refuse(f"job {job} does not run")
        assert run is not None
        return run

    def nodes_for(self, run: Run, count: int, avoid: Any = None) -> Ids:
        """Return nodes for a job as the placement policy chooses them: ``count``, or none to let it wait."""
        sim, fleet = self._sim, self._sim.fleet
        free, free_gpus = fleet.free, fleet.free_gpus
        if sim.windows.are_open:
            kept = sim.windows.kept_from(run, sim.now)
            free, free_gpus = free & ~kept, np.where(kept, 0, free_gpus)
        if avoid is not None:
            free, free_gpus = free & ~avoid, np.where(avoid, 0, free_gpus)
        if (sim.windows.are_open or avoid is not None) and not self._fit(run, count, free, free_gpus):
            return NONE
        if run.shares and not (free_gpus >= run.gpus).any():
            return NONE
        return self._placed(run, count, free, free_gpus)

    def spares_for(self, run: Run, count: int) -> Ids:
        """Return spares for a job that lacks so many nodes, as many as there are, as the placement policy chooses."""
        sim, free = self._sim, self._sim.fleet.spare
        if sim.windows.are_open:
            free = free & ~sim.windows.kept_from(run, sim.now)
        count = min(count, int(np.count_nonzero(free)))
        g = sim.world.machine.gpus_per_node
        return self._placed(run, count, free, np.where(free, g, 0)) if count else NONE

    def _placed(self, run: Run, count: int, free: NDArray[np.bool_], free_gpus: Ids) -> Ids:
        """Return the nodes, out of free ones, that the placement policy gives a job."""
        sim, machine, gpus = self._sim, self._sim.world.machine, run.gpus if run.shares else 0
        view = PlacementView(free, free_gpus, count, gpus, run.job, run.ids, machine.tiers, machine.scale_up)
        ids: Ids = sim.world.placement.place(view)
        if not isinstance(ids, np.ndarray):
            ids = self._as_ids(ids, len(free))
        if len(ids) == 0 and len(run.ids) == 0:
            return ids
        if len(ids) != count:
            self._refuse_placement()
        if run.shares:
            if free_gpus[ids[0]] < gpus:
                self._refuse_placement()
        elif sim.guards and (len(np.unique(ids)) != count or not free[ids].all()):
            self._refuse_placement()
        return ids

    def note_placement(self, run: Run) -> None:
        """Count a start or a replacement after which a job's nodes are not as the placement policy means them to be."""
        if self._keeps is None or run.shares:
            return
        fleet, machine = self._sim.fleet, self._sim.world.machine
        view = PlacementView(fleet.free, fleet.free_gpus, 0, 0, run.job, run.ids, machine.tiers, machine.scale_up)
        self.uneven_placements += not self._keeps(view)

    def ranked(self, run: Run) -> Ids:
        """Return the nodes of a job in the order in which a start on just these numbers its ranks.

        Where the placement policy would not start it on these nodes they follow the groups of the network.
        """
        machine, ids = self._sim.world.machine, run.ids
        free = np.zeros(machine.nodes, dtype=np.bool_)
        free[ids] = True
        free_gpus = np.where(free, machine.gpus_per_node, 0)
        view = PlacementView(free, free_gpus, len(ids), 0, run.job, NONE, machine.tiers, machine.scale_up)
        found: Ids = self._as_ids(self._sim.world.placement.place(view), machine.nodes)
        if np.array_equal(np.sort(found), np.sort(ids)):
            return found
        return ids[np.lexsort((ids, machine.scale_up[ids], *machine.tiers[:, ids]))]

    def _as_ids(self, found: Any, nodes: int) -> Ids:
        """Return what a placement policy has returned as an array of nodes."""
        try:
            ids = np.array(found, dtype=np.int64).reshape(-1)
        except (TypeError, ValueError):
            self._refuse_placement()
        if ids.size and not 0 <= ids.min() <= ids.max() < nodes:
            self._refuse_placement()
        return ids

    @staticmethod
    def _fit(run: Run, count: int, free: NDArray[np.bool_], free_gpus: Ids) -> bool:
        return bool((free_gpus >= run.gpus).any()) if run.shares else int(np.count_nonzero(free)) >= count

    def _refuse_placement(self) -> None:
        name = type(self._sim.world.placement).__name__
        reason = "placement returned nodes that are not free, or not as many as asked for"
        raise PolicyError(name, self._sim.env.now, reason)

    def _refuse(self, reason: str) -> None:
        raise PolicyError(type(self._sim.world.scheduling).__name__, self._sim.env.now, reason)

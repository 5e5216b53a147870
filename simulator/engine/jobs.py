"""Jobs while they run: attempts, interruptions, decisions after them, and the nodes they gain and lose."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.ledger import RUNNING
from simulator.engine.fleet import FREE, SHARED
from simulator.engine.incidents import Incident
from simulator.engine.job_books import JobBooks
from simulator.engine.runs import NO_NODES, Run
from simulator.engine.segment import Segment
from simulator.errors import PolicyError
from simulator.policies.decisions import Fail, Replace, Requeue, Shrink
from simulator.policies.views import InterruptionView
from simulator.workload.checkpoints import CheckpointPlan, Reach
from simulator.workload.restart import Source

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation

Ids = NDArray[np.int64]


class Jobs:
    """Carries jobs from their start to their end.

    Parameters
    ----------
    simulation : Simulation
        The run they belong to.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._gpus_per_node = simulation.world.machine.gpus_per_node
        self._short: list[Run] = []  # gangs that wait for nodes, first come first served
        self._let_go: dict[int, tuple[Incident, Any]] = {}
        self._lost_by: dict[int, Run] = {}  # which job has lost a node that is not back yet
        self.held_back = 0  # jobs that go back to the queue only after a time
        self.books = JobBooks(simulation)

    # --- start and end -------------------------------------------------------------------------------------------

    def start(self, run: Run, ids: Ids) -> None:
        """Start an attempt of a queued job on free nodes, besides those it may hold already."""
        sim = self._sim
        first = run.attempts == 0
        run.attempts += 1
        run.outcome = "running"
        run.expected_end_s = sim.now + float(sim.known.requested_s[run.job]) / run.speed
        self._occupy(run, ids)
        held, run.ids = run.ids, ids
        if run.is_holding:
            self.books.phase("wait_for_nodes", sim.now - run.phases_start_s)
            run.ids = held
            self.books.enter(run, "idle")  # with its new nodes it goes on as one
            sim.fleet.expect_end(held, run.job, run.expected_end_s)
            run.ids, run.is_holding = np.concatenate((held, ids)), False
            run.ids = sim.dispatcher.ranked(run)
            del sim.dispatcher.holding[run.job]
        sim.dispatcher.note_placement(run)
        sim.dispatcher.running.add(run.job, self.gpus_taken(run), run.expected_end_s)
        sim.dispatcher.started_s[run.job] = sim.now
        run.loads = None
        if first:
            run.start_s = sim.now
            self._restart(run, _first_phases(run))
        else:
            phases = run.profile.restart
            self._restart(run, (("reallocate", phases.reallocate_s("queue")), *self._common_phases(run)))
        sim.incidents.meet(run)

    def hold(self, run: Run, ids: Ids) -> None:
        """Give a queued job some of its nodes, which it keeps while it waits for the others."""
        sim = self._sim
        if not run.is_holding:
            run.is_holding, run.state = True, "waiting_for_nodes"
            run.phases_start_s = sim.now
            sim.dispatcher.holding[run.job] = run
        before = run.gpus_held(self._gpus_per_node)
        sim.fleet.take(ids, run.job, math.inf, sim.now)
        run.ids = np.concatenate((run.ids, ids))
        used = run.gpus_held(self._gpus_per_node) - before
        sim.fleet.ledger.move(used, "idle", "waiting_for_nodes", sim.now)

    def drop_held(self, run: Run) -> None:
        """Take back the nodes of a job that waits for others without a gang."""
        self.books.phase("wait_for_nodes", self._sim.now - run.phases_start_s)
        self.books.enter(run, "idle")
        ids, run.ids, run.is_holding = run.ids, NO_NODES, False
        del self._sim.dispatcher.holding[run.job]
        self._sim.fleet.give_back(ids, self._sim.now)

    def exchange(self, run: Run, ids: Ids, nodes: int | None = None, is_torn_down: bool = False) -> None:
        """Go on with other nodes, all of them free or its own, after a stop."""
        sim = self._sim
        self.books.enter(run, "idle")
        sim.dispatcher.running.remove(run.job, run.expected_end_s)
        old = run.ids
        if run.shares:
            sim.fleet.give_back_part(int(old[0]), run.job, run.gpus, sim.now)
        if nodes is not None:
            sim.dispatcher.change_usage(run.job, (nodes - run.nodes) * self._gpus_per_node)
            left_s = (run.expected_end_s - sim.now) * run.speed
            sim.moves.set_width(run, nodes)
            run.expected_end_s = sim.now + left_s / run.speed
        if run.shares:
            sim.fleet.take_part(int(ids[0]), run.job, run.gpus, run.expected_end_s, sim.now)
        else:
            gone, more = np.setdiff1d(old, ids), np.setdiff1d(ids, old)
            if len(gone):
                sim.fleet.give_back(gone, sim.now)
            if len(more):
                sim.fleet.take(more, run.job, run.expected_end_s, sim.now)
            sim.fleet.expect_end(ids, run.job, run.expected_end_s)
        run.ids = ids
        sim.dispatcher.running.add(run.job, self.gpus_taken(run), run.expected_end_s)
        has_new = len(np.setdiff1d(ids, old)) > 0
        self.restart_in_place(run, "repaired" if has_new else "same", is_torn_down)
        sim.incidents.meet(run)
        sim.dispatcher.request_pass()

    def _occupy(self, run: Run, ids: Ids) -> None:
        fleet, now = self._sim.fleet, self._sim.now
        if run.shares:
            fleet.take_part(int(ids[0]), run.job, run.gpus, run.expected_end_s, now)
        else:
            fleet.take(ids, run.job, run.expected_end_s, now)

    def gpus_taken(self, run: Run) -> int:
        """Return the GPUs that nobody else can have while it runs."""
        return run.gpus if run.shares else run.nodes * self._gpus_per_node

    def _restart(self, run: Run, phases: tuple[tuple[str, float], ...]) -> None:
        run.version += 1
        run.phases = tuple(phase for phase in phases if phase[1] > 0)
        run.phases_start_s = self._sim.now
        if run.loads is None and not run.phases:
            self._work(run)
            return
        self.books.enter(run, "restarting")
        if run.loads is None:
            self._after(sum(seconds for _, seconds in run.phases), self._begin_work, run)
        else:
            self._sim.env.process(self._load(run, run.version))

    def _after(self, delay_s: float, action: Callable[[Run], None], run: Run) -> None:
        """Let something happen to a run after a time, unless a later version of it makes that stale."""
        self._sim.env.timeout(delay_s, (action, run, run.version)).callbacks.append(_act)

    def _load(self, run: Run, version: int) -> Generator[Any, Any, None]:
        """Go through the phases of a restart that reads its checkpoint from shared storage."""
        sim, transfer = self._sim, run.loads
        assert transfer is not None
        before = [name for name, _ in run.phases].index("load")
        yield sim.env.timeout(sum(seconds for _, seconds in run.phases[:before]))
        if run.version != version:
            return
        began_s = sim.now
        yield sim.interconnect.load(run, transfer.size_bytes)
        loaded = ("load", sim.now - began_s + transfer.load_s)
        run.phases = (*run.phases[:before], loaded, *run.phases[before + 1 :])
        left_s = transfer.load_s + sum(seconds for _, seconds in run.phases[before + 1 :])
        self._after(left_s, self._begin_work, run)

    def _begin_work(self, run: Run) -> None:
        self.books.phases(run)
        self._work(run)

    def _work(self, run: Run) -> None:
        now = self._sim.now
        self.books.enter(run, RUNNING)
        run.source = "same"  # all nodes are in place; until now the slowest of their sources counted
        run.segment = Segment(run.plan, now, 1.0)
        self._sim.interconnect.admit(run)
        for incident in run.recovering_from:
            incident.productive_again_s = now
        run.recovering_from = []
        self._wait_for_end(run)

    def _wait_for_end(self, run: Run) -> None:
        """Wait until the work is done at the present rate; a change of rate makes this wait stale."""
        segment = run.segment
        assert segment is not None
        is_sound = run.work_s <= run.fails_at_s
        left_s = segment.time_left(self._sim.now, (min(run.work_s, run.fails_at_s) - run.done_s) / run.speed)
        if math.isfinite(left_s):
            self._after(left_s, self._complete if is_sound else self._fail_by_itself, run)

    def change_pace(self, run: Run, rate: float, plan: CheckpointPlan) -> None:
        """Let a running job go on at another rate (useful seconds per second, 0 to 1) and with other times of saves."""
        segment = run.segment
        assert segment is not None
        if rate != segment.rate or (plan is not segment.plan and plan.tiers != segment.plan.tiers):
            segment.change(self._sim.now, rate, plan)
            run.version += 1
            self._wait_for_end(run)

    def _complete(self, run: Run) -> None:
        self.books.segment(run)
        run.done_s = run.work_s
        self._end(run, "completed")

    def _fail_by_itself(self, run: Run) -> None:
        """Let a job meet the fault in its own program: it is localised at once, and no node is to blame."""
        self.interrupt(run, "process")
        self.decide(run)

    def _end(self, run: Run, outcome: str, reason: str = "") -> None:
        run.version += 1
        run.outcome, run.reason = outcome, reason
        run.end_s = self._sim.now
        run.count_wall(run.end_s)
        self.let_go(run)
        self._sim.close(run)

    def cancel(self, run: Run, reason: str) -> None:
        """End a job that has been stopped before its work was done."""
        self._end(run, "failed", reason)

    def let_go(self, run: Run) -> None:
        """Give all nodes of a job back and let others have them."""
        sim = self._sim
        sim.dispatcher.left(run, self.gpus_taken(run))
        self.books.enter(run, "idle")
        self._release_cordons(run)
        ids, run.ids = run.ids, NO_NODES
        run.is_leaving = False
        self._forget_lost(run)
        if run.shares:
            for node in ids.tolist():
                sim.fleet.give_back_part(node, run.job, run.gpus, sim.now)
        else:
            sim.fleet.give_back(ids, sim.now)
        self.serve_short()
        sim.dispatcher.request_pass()

    # --- interruption and recovery -------------------------------------------------------------------------------

    def interrupt(self, run: Run, reach: Reach) -> float:
        """Stop a job now; return the work it loses, GPU-seconds.

        While the job restarts, detects or waits, the interruption counts, the restart begins again, and no further
        work is lost except checkpoints that a wider failure destroys.
        """
        run.interruptions += 1
        self.stop(run)
        if run.state != "detecting":
            run.phases_start_s = self._sim.now
            self.books.enter(run, "detecting")
        return self.lose_work(run, reach)

    def stop(self, run: Run) -> None:
        """End what a job is doing and book it."""
        run.version += 1
        self._sim.dispatcher.leaving[run.job] = run.is_leaving  # a change of width ends before it is done
        if run.state == RUNNING:
            self.books.segment(run)
        elif run.state == "restarting":
            self._sim.interconnect.dismiss(run)
            self.books.phases(run)
        elif run.state == "waiting_for_nodes":
            self.books.phase("wait_for_nodes", self._sim.now - run.phases_start_s)
            self._short.remove(run)

    def lose_work(self, run: Run, reach: Reach) -> float:
        """Fall back to what is saved and survives; return the work that is lost, GPU-seconds."""
        for index, tier in enumerate(run.plan.tiers):
            if not tier.is_usable_after(reach):
                run.saved_s[index] = 0.0
        restored_s = max(run.saved_s, default=0.0)
        lost_s = run.done_s - restored_s
        if lost_s <= 0.0:
            return 0.0
        # Work done at several widths is lost in proportion.
        lost_gpu_s = run.busy_gpu_s * lost_s / run.done_s if run.resizes else lost_s * run.gpus
        run.busy_gpu_s -= lost_gpu_s
        run.done_s = restored_s
        run.lost_s += lost_s
        run.lost_gpu_s += lost_gpu_s
        self._sim.fleet.ledger.book(lost_gpu_s, "productive", "lost_work")
        return lost_gpu_s

    def decide(self, run: Run) -> None:
        """Carry out what the recovery policy decides once every cause is isolated."""
        sim = self._sim
        self.books.phase("detect", sim.now - run.phases_start_s)
        run.without_progress = 0 if run.done_s > run.restored_s else run.without_progress + 1
        run.restored_s = run.done_s
        self._release_cordons(run)
        view = InterruptionView(
            now_s=sim.now,
            job=run.job,
            lost_nodes=run.nodes - len(run.ids),
            nodes_left=len(run.ids),
            fewest_nodes=int(sim.known.fewest[run.job]),
            spares_free=sim.fleet.n_spare,
            idle_nodes=sim.fleet.n_free,
            interruptions=run.interruptions,
            interruptions_without_progress=run.without_progress,
            requeues=run.requeues,
        )
        decision = run.profile.recovery.recover(view)
        if run.is_leaving and isinstance(decision, Replace | Shrink):
            decision = Requeue()  # its nodes are promised to somebody
        match decision:
            case Replace():
                self.books.enter(run, "waiting_for_nodes")
                run.phases_start_s = sim.now
                self._short.append(run)
                self.serve_short()
            case Requeue(delay_s):
                # Copies on the nodes go with the nodes; what outlives a whole domain stays.
                lost_gpu_s = self.lose_work(run, "domain")
                if run.recovering_from:
                    run.recovering_from[-1].lost_work_gpu_s += lost_gpu_s
                run.requeues += 1
                self.tear_down(run, lambda run: self.requeue(run, delay_s))
            case Shrink():
                if not 0 < view.fewest_nodes <= view.nodes_left:
                    reason = f"job {run.job} cannot go on with {view.nodes_left} nodes: it takes {view.fewest_nodes}"
                    raise PolicyError(type(run.profile.recovery).__name__, sim.now, reason)
                self.exchange(run, run.ids, len(run.ids))
                for node in run.lacking:  # it goes on without them
                    del self._lost_by[node]
                run.lacking = []
            case Fail():
                self._end(run, "failed", run.why_given_up())
            case _:
                raise PolicyError(type(run.profile.recovery).__name__, sim.now, f"unknown decision {decision!r}")

    def tear_down(self, run: Run, then: Callable[[Run], None], leaves_all: bool = True) -> None:
        """Let a stopped job leave all of its nodes or some in order, which takes its time, and do something then."""
        seconds = run.profile.restart.tear_down_s if len(run.ids) else 0.0
        if seconds <= 0.0:
            then(run)
            return
        run.version += 1
        run.phases, run.phases_start_s, run.loads = (("tear_down", seconds),), self._sim.now, None
        run.is_leaving = leaves_all
        self._sim.dispatcher.leaving[run.job] = True
        if leaves_all:
            self._sim.dispatcher.expect_end(run, self.gpus_taken(run), self._sim.now + seconds)
        self.books.enter(run, "restarting")

        def gone(run: Run) -> None:
            self.books.phases(run)
            run.is_leaving = False
            self._sim.dispatcher.leaving[run.job] = False
            then(run)

        self._after(seconds, gone, run)

    def requeue(self, run: Run, delay_s: float = 0.0) -> None:
        """Give all nodes back and put the job in the queue again after a time."""
        self.let_go(run)
        run.outcome = "pending"
        if delay_s > 0.0:
            self.held_back += 1
            self._after(delay_s, self._submit_again, run)
        else:
            self._sim.dispatcher.submit(run.job)

    def _submit_again(self, run: Run) -> None:
        self.held_back -= 1
        self._sim.dispatcher.submit(run.job)

    def serve_short(self) -> None:
        """Give spares and idle nodes to gangs that lack nodes; a gang that is complete restarts."""
        sim = self._sim
        if not self._short and sim.fleet.is_shelf_full:
            return
        for run in list(self._short):
            sources: tuple[Source, ...] = ("repaired",) if run.shares else (sim.world.machine.spare_kind, "repaired")
            for source in sources:
                if len(run.ids) < run.nodes:
                    self._fill(run, source)
            if len(run.ids) < run.nodes:
                continue
            if run.has_new_nodes:
                sim.dispatcher.note_placement(run)
                run.has_new_nodes = False
            self._short.remove(run)
            waited_s = sim.now - run.phases_start_s
            if waited_s > 0:
                self.books.phase("wait_for_nodes", waited_s)
            self.restart_in_place(run, run.source)
            sim.incidents.meet(run)
        sim.fleet.refill(sim.now)

    def restart_in_place(self, run: Run, source: Source, is_torn_down: bool = False) -> None:
        """Begin the phases of a restart on the nodes a job holds, which get their ranks anew."""
        restart = run.profile.restart
        if run.profile.step is not None:
            run.ids = self._sim.dispatcher.ranked(run)
        tear_down_s = 0.0 if is_torn_down else restart.tear_down_s
        phases = (("tear_down", tear_down_s), ("reallocate", restart.reallocate_s(source)))
        self._restart(run, (*phases, *self._common_phases(run)))

    def _fill(self, run: Run, source: Source) -> None:
        sim, lacking = self._sim, run.nodes - len(run.ids)
        if run.shares:
            ids = sim.dispatcher.nodes_for(run, 1)
            if len(ids):
                self._occupy(run, ids)
                run.ids = ids
                sim.fleet.ledger.move(run.gpus, "idle", run.state, sim.now)
                run.source = source
            return
        shelf = "idle" if source == "repaired" else "spare"
        if shelf == "spare":
            ids = sim.dispatcher.spares_for(run, lacking) if sim.fleet.n_spare else NO_NODES
        else:
            ids = sim.dispatcher.nodes_for(run, min(lacking, sim.fleet.n_free)) if sim.fleet.n_free else NO_NODES
        if len(ids) == 0:
            return
        before = run.gpus_held(self._gpus_per_node)
        sim.fleet.take(ids, run.job, run.expected_end_s, sim.now)
        run.ids = np.concatenate((run.ids, ids))
        run.has_new_nodes = True
        self._replace_lost(run, len(ids))
        if shelf == "spare":
            sim.fleet.ledger.move(len(ids) * self._gpus_per_node, "spare", "idle", sim.now)
        used = run.gpus_held(self._gpus_per_node) - before
        sim.fleet.ledger.move(used, "idle", run.state, sim.now)
        # A node that a gang had to wait for has just been repaired, wherever it lay for an instant.
        source = "repaired" if sim.now > run.phases_start_s else source
        run.source = max(run.source, source, key=lambda name: run.profile.restart.reallocate_s(name))

    def _common_phases(self, run: Run) -> tuple[tuple[str, float], ...]:
        restart, saved = run.profile.restart, run.saved_s
        restored_s = max(saved, default=0.0)
        load_s, run.loads = 0.0, None
        if restored_s > 0:
            tier = run.plan.tiers[saved.index(restored_s)]
            # How long reading from shared storage takes shows when it is done.
            load_s, run.loads = tier.load_s if tier.transfer is None else math.inf, tier.transfer
        return (
            ("image", restart.image_s),
            ("dependencies", restart.dependencies_s),
            ("init", restart.initialise_s(run.nodes)),
            ("load", load_s),
            ("warm_up", restart.warm_up_s),
        )

    # --- nodes lost, returned, cordoned --------------------------------------------------------------------------

    def lose_nodes(self, ids: Ids) -> None:
        """Take nodes away from the jobs that hold them; their GPUs are booked as down."""
        sim, g = self._sim, self._gpus_per_node
        holder = sim.fleet.holder[ids]
        for node in ids[holder == SHARED].tolist():
            self._lose_shared(node)
        for job in sorted(set(holder.tolist()) - {FREE, SHARED}):
            run = sim.runs[job]
            gone = ids[holder == job]
            before = run.gpus_held(g)
            self._lose(run, gone)
            used = before - run.gpus_held(g)
            sim.fleet.ledger.move(used, run.state, "down", sim.now)
            sim.fleet.ledger.move(len(gone) * g - used, "idle", "down", sim.now)
            sim.fleet.holder[gone] = FREE

    def _lose(self, run: Run, ids: Ids) -> None:
        """Take nodes that a job loses off its list; others will be held in their place."""
        run.drop(ids)
        run.lacking += ids.tolist()
        self._lost_by.update(dict.fromkeys(ids.tolist(), run))

    def _replace_lost(self, run: Run, count: int) -> None:
        """Note that a job has got so many nodes, in place of the first that it lost."""
        replaced, run.lacking = run.lacking[:count], run.lacking[count:]
        run.replaced += replaced
        self._sim.fleet.note_replacements(len(replaced), self._sim.now)

    def _find_again(self, ids: Ids) -> None:
        """Note that lost nodes are back in service, so that nothing is held in their place any more."""
        for node in ids.tolist():
            run = self._lost_by.pop(node, None)
            if run is None:
                continue
            if node in run.replaced:
                run.replaced.remove(node)
                self._sim.fleet.note_replacements(-1, self._sim.now)
            else:
                run.lacking.remove(node)

    def _forget_lost(self, run: Run) -> None:
        """Note that a job holds nothing in place of lost nodes any more."""
        for node in (*run.lacking, *run.replaced):
            del self._lost_by[node]
        if run.replaced:
            self._sim.fleet.note_replacements(-len(run.replaced), self._sim.now)
        run.lacking, run.replaced = [], []

    def _lose_shared(self, node: int) -> None:
        """Take a shared node away from all jobs on it."""
        sim, rest = self._sim, self._gpus_per_node
        for job in list(sim.fleet.tenants[node]):
            run = sim.runs[job]
            sim.fleet.ledger.move(run.gpus, run.state, "down", sim.now)
            sim.fleet.lose_tenant(node, job)
            run.ids = NO_NODES
            rest -= run.gpus
        sim.fleet.ledger.move(rest, "idle", "down", sim.now)

    def receive(self, ids: Ids) -> None:
        """Put nodes that are back in service to use: gangs that lack nodes first, then spares, then the queue."""
        if len(ids):
            sim = self._sim
            self._find_again(ids)
            sim.fleet.shelve(ids, sim.now)
            self.serve_short()
            sim.dispatcher.request_pass()

    def cordon(self, incident: Incident) -> bool:
        """Mark held nodes to leave when their jobs let go, keep the others aside; return whether any job holds one."""
        self._sim.fleet.put_aside(incident.nodes, self._sim.now)
        jobs = [self._sim.runs[job] for job in self._sim.fleet.jobs_on(incident.nodes)]
        for run in jobs:
            if run.is_holding:  # nothing runs there that would have to end first
                self._put_aside(run, incident.nodes[self._sim.fleet.holder[incident.nodes] == run.job])
            else:
                run.cordons.append(incident)
        return not all(run.is_holding for run in jobs)

    def wait_until_let_go(self, incident: Incident) -> Generator[Any, Any, None]:
        """Wait until no job holds the incident's nodes."""
        while any(incident in self._sim.runs[job].cordons for job in self._sim.fleet.jobs_on(incident.nodes)):
            event = self._sim.env.event()
            self._let_go[id(incident)] = (incident, event)
            yield event

    def _release_cordons(self, run: Run) -> None:
        for incident in run.cordons:
            held = incident.nodes[self._sim.fleet.holder[incident.nodes] == run.job]
            if len(held):
                self._put_aside(run, held)
            _, event = self._let_go.pop(id(incident), (None, None))
            if event is not None:
                event.succeed()
        run.cordons = []

    def _put_aside(self, run: Run, ids: Ids) -> None:
        """Take cordoned nodes from their job at once, so that nobody else gets them meanwhile."""
        sim, g = self._sim, self._gpus_per_node
        before = run.gpus_held(g)
        self._lose(run, ids)
        sim.fleet.ledger.move(before - run.gpus_held(g), run.state, "idle", sim.now)
        sim.fleet.holder[ids] = FREE
        sim.fleet.put_aside(ids, sim.now)

    # --- booking -------------------------------------------------------------------------------------------------


def _act(event: Any) -> None:
    """Do what was to happen to a run unless that is stale."""
    action, run, version = event._value
    if run.version == version:
        action(run)


def _first_phases(run: Run) -> tuple[tuple[str, float], ...]:
    restart = run.profile.restart
    return (
        ("image", restart.image_s),
        ("dependencies", restart.dependencies_s),
        ("init", restart.initialise_s(run.nodes)),
        ("warm_up", restart.warm_up_s),
    )

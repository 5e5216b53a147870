"""Jobs while they run: attempts, interruptions, decisions after them, and the nodes they gain and lose."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.ledger import RUNNING
from simulator.engine.fleet import FREE
from simulator.engine.incidents import Incident
from simulator.engine.runs import NO_NODES, Run
from simulator.engine.segment import Segment
from simulator.errors import PolicyError
from simulator.policies.decisions import Fail, Replace, Requeue
from simulator.policies.protocols import InterruptionView
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
        self.phase_s: dict[str, float] = {}
        self.phase_times: dict[str, int] = {}

    # --- start and end -------------------------------------------------------------------------------------------

    def start(self, run: Run, ids: Ids) -> None:
        """Start an attempt of a queued job on free nodes."""
        sim = self._sim
        first = run.attempts == 0
        run.attempts += 1
        run.outcome = "running"
        run.ids = ids
        sim.fleet.take(ids, run.job, sim.now)
        run.expected_end_s = sim.now + float(sim.world.jobs.requested_s[run.job])
        sim.dispatcher.running.add(run.job, run.nodes, run.expected_end_s)
        self._enter(run, "restarting", before="idle")
        run.loads = None
        if first:
            run.start_s = sim.now
            self._restart(run, _first_phases(run))
        else:
            phases = run.profile.restart
            self._restart(run, (("reallocate", phases.reallocate_s("queue")), *self._common_phases(run)))
        sim.incidents.meet(run)

    def _restart(self, run: Run, phases: tuple[tuple[str, float], ...]) -> None:
        run.version += 1
        run.phases = tuple(phase for phase in phases if phase[1] > 0)
        run.phases_start_s = self._sim.now
        self._sim.env.process(self._attempt(run, run.version))

    def _attempt(self, run: Run, version: int) -> Generator[Any, Any, None]:
        """Go through the restart phases and the work; a later version of the run makes this attempt stale."""
        sim = self._sim
        transfer = run.loads
        if transfer is not None:
            before = [name for name, _ in run.phases].index("load")
            yield sim.env.timeout(sum(seconds for _, seconds in run.phases[:before]))
            if run.version != version:
                return
            began_s = sim.now
            yield sim.interconnect.load(run, transfer.size_bytes)
            loaded = ("load", sim.now - began_s + transfer.load_s)
            run.phases = (*run.phases[:before], loaded, *run.phases[before + 1 :])
        restart_s = sum(seconds for _, seconds in run.phases) - (sim.now - run.phases_start_s)
        if restart_s > 0:
            yield sim.env.timeout(restart_s)
        if run.version != version:
            return
        self._book_phases(run)
        self._work(run)
        yield from self._finish(run, version)

    def _work(self, run: Run) -> None:
        now = self._sim.now
        self._enter(run, RUNNING)
        run.source = "same"  # all nodes are in place; until now the slowest of their sources counted
        run.segment = Segment(run.plan, now, 1.0)
        self._sim.interconnect.admit(run)
        for incident in run.recovering_from:
            incident.productive_again_s = now
        run.recovering_from = []

    def _finish(self, run: Run, version: int) -> Generator[Any, Any, None]:
        """Wait until the work is done at the present rate; a change of rate makes this wait stale."""
        segment = run.segment
        assert segment is not None
        left_s = segment.time_left(self._sim.now, run.work_s - run.done_s)
        if math.isinf(left_s):
            return
        yield self._sim.env.timeout(left_s)
        if run.version == version:
            self._complete(run)

    def change_pace(self, run: Run, rate: float, plan: CheckpointPlan) -> None:
        """Let a running job go on at another rate (useful seconds per second, 0 to 1) and with other times of saves."""
        segment = run.segment
        assert segment is not None
        if rate != segment.rate or (plan is not segment.plan and plan.tiers != segment.plan.tiers):
            segment.change(self._sim.now, rate, plan)
            run.version += 1
            self._sim.env.process(self._finish(run, run.version))

    def _complete(self, run: Run) -> None:
        self._book_segment(run)
        run.done_s = run.work_s
        self._end(run, "completed")

    def _end(self, run: Run, outcome: str, reason: str = "") -> None:
        run.version += 1
        run.outcome, run.reason = outcome, reason
        run.end_s = self._sim.now
        self._let_all_go(run)
        self._sim.note_end()

    def _let_all_go(self, run: Run) -> None:
        sim = self._sim
        sim.dispatcher.running.remove(run.job, run.expected_end_s)
        self._enter(run, "idle")
        self._release_cordons(run)
        ids, run.ids = run.ids, NO_NODES
        sim.fleet.give_back(ids, sim.now)
        self._serve_short()
        sim.dispatcher.request_pass()

    # --- interruption and recovery -------------------------------------------------------------------------------

    def interrupt(self, run: Run, reach: Reach) -> float:
        """Stop a job now; return the work it loses, GPU-seconds.

        While the job restarts, detects or waits, the interruption counts, the restart begins again, and no further
        work is lost except checkpoints that a wider failure destroys.
        """
        run.interruptions += 1
        run.version += 1
        if run.state == RUNNING:
            self._book_segment(run)
        elif run.state == "restarting":
            self._sim.interconnect.dismiss(run)
            self._book_phases(run)
        elif run.state == "waiting_for_nodes":
            self._book("wait_for_nodes", self._sim.now - run.phases_start_s)
            self._short.remove(run)
        if run.state != "detecting":
            run.phases_start_s = self._sim.now
            self._enter(run, "detecting")
        return self._lose_work(run, reach)

    def _lose_work(self, run: Run, reach: Reach) -> float:
        for index, tier in enumerate(run.plan.tiers):
            if not tier.is_usable_after(reach):
                run.saved_s[index] = 0.0
        restored_s = max(run.saved_s, default=0.0)
        lost_s = run.done_s - restored_s
        run.done_s = restored_s
        run.lost_s += lost_s
        self._sim.fleet.ledger.book(lost_s * run.gpus, "productive", "lost_work")
        return lost_s * run.gpus

    def decide(self, run: Run) -> None:
        """Carry out what the recovery policy decides once every cause is isolated."""
        sim = self._sim
        self._book("detect", sim.now - run.phases_start_s)
        run.without_progress = 0 if run.done_s > run.restored_s else run.without_progress + 1
        run.restored_s = run.done_s
        self._release_cordons(run)
        decision = run.profile.recovery.recover(
            InterruptionView(
                now_s=sim.now,
                job=run.job,
                lost_nodes=run.nodes - len(run.ids),
                spares_free=sim.fleet.n_spare,
                idle_nodes=sim.fleet.n_free,
                interruptions=run.interruptions,
                interruptions_without_progress=run.without_progress,
            )
        )
        match decision:
            case Replace():
                self._enter(run, "waiting_for_nodes")
                run.phases_start_s = sim.now
                self._short.append(run)
                self._serve_short()
            case Requeue():
                # Copies on the nodes go with the nodes; what outlives a whole domain stays.
                run.recovering_from[-1].lost_work_gpu_s += self._lose_work(run, "domain")
                self._let_all_go(run)
                run.outcome = "pending"
                sim.dispatcher.submit(run.job)
            case Fail():
                self._end(run, "failed", "the recovery policy gave up")
            case _:
                raise PolicyError(type(run.profile.recovery).__name__, sim.now, f"unknown decision {decision!r}")

    def _serve_short(self) -> None:
        """Give spares and idle nodes to gangs that lack nodes; a gang that is complete restarts."""
        sim = self._sim
        for run in list(self._short):
            for source in (sim.world.machine.spare_kind, "repaired"):
                if len(run.ids) < run.nodes:
                    self._fill(run, source)
            if len(run.ids) < run.nodes:
                continue
            self._short.remove(run)
            waited_s = sim.now - run.phases_start_s
            if waited_s > 0:
                self._book("wait_for_nodes", waited_s)
            self._enter(run, "restarting")
            restart = run.profile.restart
            phases = (
                ("tear_down", restart.tear_down_s),
                ("reallocate", restart.reallocate_s(_source(run.source))),
            )
            self._restart(run, (*phases, *self._common_phases(run)))
            sim.incidents.meet(run)
        sim.fleet.refill(sim.now)

    def _fill(self, run: Run, source: str) -> None:
        sim, lacking = self._sim, run.nodes - len(run.ids)
        shelf = "idle" if source == "repaired" else "spare"
        available = sim.fleet.n_free if shelf == "idle" else sim.fleet.n_spare
        count = min(lacking, available)
        if count == 0:
            return
        ids = sim.dispatcher.nodes_for(run, count) if shelf == "idle" else sim.fleet.spares(count)
        before = run.gpus_held(self._gpus_per_node)
        sim.fleet.take(ids, run.job, sim.now)
        run.ids = np.concatenate((run.ids, ids))
        if shelf == "spare":
            sim.fleet.ledger.move(count * self._gpus_per_node, "spare", "idle", sim.now)
        used = run.gpus_held(self._gpus_per_node) - before
        sim.fleet.ledger.move(used, "idle", run.state, sim.now)
        # A node that a gang had to wait for has just been repaired, wherever it lay for an instant.
        source = "repaired" if sim.now > run.phases_start_s else source
        run.source = max(run.source, source, key=lambda name: run.profile.restart.reallocate_s(_source(name)))

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
        holders = sim.fleet.holder[ids]
        for job in sorted(set(holders.tolist()) - {FREE}):
            run = sim.runs[job]
            gone = ids[holders == job]
            before = run.gpus_held(g)
            run.drop(gone)
            used = before - run.gpus_held(g)
            sim.fleet.ledger.move(used, run.state, "down", sim.now)
            sim.fleet.ledger.move(len(gone) * g - used, "idle", "down", sim.now)
            sim.fleet.holder[gone] = FREE

    def receive(self, ids: Ids) -> None:
        """Put nodes that are back in service to use: gangs that lack nodes first, then spares, then the queue."""
        if len(ids):
            sim = self._sim
            sim.fleet.shelve(ids, sim.now)
            self._serve_short()
            sim.dispatcher.request_pass()

    def cordon(self, incident: Incident) -> bool:
        """Mark held nodes to leave when their jobs let go, keep the others aside; return whether any job holds one."""
        self._sim.fleet.put_aside(incident.nodes, self._sim.now)
        holders = self._sim.fleet.holder[incident.nodes]
        jobs = set(holders.tolist()) - {FREE}
        for job in jobs:
            self._sim.runs[job].cordons.append(incident)
        return bool(jobs)

    def wait_until_let_go(self, incident: Incident) -> Generator[Any, Any, None]:
        """Wait until no job holds the incident's nodes."""
        while any(incident in run.cordons for run in self._holders(incident)):
            event = self._sim.env.event()
            self._let_go[id(incident)] = (incident, event)
            yield event

    def _holders(self, incident: Incident) -> list[Run]:
        holders = set(self._sim.fleet.holder[incident.nodes].tolist()) - {FREE}
        return [self._sim.runs[job] for job in sorted(holders)]

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
        run.drop(ids)
        sim.fleet.ledger.move(before - run.gpus_held(g), run.state, "idle", sim.now)
        sim.fleet.holder[ids] = FREE
        sim.fleet.put_aside(ids, sim.now)

    # --- booking -------------------------------------------------------------------------------------------------

    def _enter(self, run: Run, state: str, before: str | None = None) -> None:
        held = run.gpus_held(self._gpus_per_node)
        self._sim.fleet.ledger.move(held, before or run.state, state, self._sim.now)
        run.state = state

    def _book_segment(self, run: Run) -> None:
        """Split the running time since the last restart into useful work, checkpoints and what a slow rate cost."""
        segment, now, ledger = run.segment, self._sim.now, self._sim.fleet.ledger
        assert segment is not None
        elapsed_s = now - segment.start_s
        self._sim.interconnect.dismiss(run)
        useful_s, stood_s = segment.progress(now)
        productive_s = useful_s if segment.was_slow else elapsed_s - stood_s
        ledger.book(productive_s * run.gpus, RUNNING, "productive")
        ledger.book(stood_s * run.gpus, RUNNING, "checkpointing")
        if segment.was_slow:
            ledger.book((elapsed_s - productive_s - stood_s) * run.gpus, RUNNING, "degraded")
            run.slowed_s += elapsed_s - productive_s - stood_s
        for tier in range(len(run.plan.tiers)):
            saved_s = segment.usable_work(now, tier)
            if saved_s > 0:
                run.saved_s[tier] = run.done_s + saved_s
        run.done_s += useful_s
        run.segment = None

    def _book_phases(self, run: Run) -> None:
        left_s = self._sim.now - run.phases_start_s
        for phase, seconds in run.phases:
            if left_s <= 0:
                break
            self._book(phase, min(seconds, left_s))
            left_s -= seconds

    def _book(self, phase: str, seconds: float) -> None:
        self.phase_s[phase] = self.phase_s.get(phase, 0.0) + seconds
        self.phase_times[phase] = self.phase_times.get(phase, 0) + 1

    def close(self, run: Run) -> None:
        """Book what a job has done when the simulated time ends."""
        if run.state == RUNNING:
            self._book_segment(run)
        elif run.state == "restarting":
            self._book_phases(run)
        elif run.state in ("waiting_for_nodes", "detecting"):
            self._book("detect" if run.state == "detecting" else "wait_for_nodes", self._sim.now - run.phases_start_s)


def _first_phases(run: Run) -> tuple[tuple[str, float], ...]:
    restart = run.profile.restart
    return (
        ("image", restart.image_s),
        ("dependencies", restart.dependencies_s),
        ("init", restart.initialise_s(run.nodes)),
        ("warm_up", restart.warm_up_s),
    )


def _source(name: str) -> Source:
    return name  # type: ignore[return-value]

"""Planned stops: jobs that are taken off their nodes, move, or go on with another width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.ledger import RUNNING
from simulator.engine.runs import NO_NODES, Run
from simulator.errors import PolicyError
from simulator.policies.decisions import Preempt

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation


class Moves:
    """Carries out what the scheduler decides about running jobs.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.

    Attributes
    ----------
    preemptions, second_order : int
        Jobs taken off their nodes; and those of them taken off for a job that an interruption had sent back to the
        queue.
    second_order_gpu_s : float
        Work that the latter lost.

    Notes
    -----
    A planned stop saves all work where the job has a checkpoint tier and is given the time that a save blocks; with
    less time, or no tier, it falls back to what was saved before. The save is the last that the job does on its nodes:
    it takes the time that it blocks out of the work done until then.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self.preemptions = self.second_order = 0
        self.second_order_gpu_s = 0.0

    # --- off the nodes --------------------------------------------------------------------------------------------

    def preempt(self, run: Run, decision: Preempt) -> None:
        """Tell a running job to go; it is gone when its grace is over, at once without one."""
        by, grace_s = decision.by, decision.grace_s
        if run.is_leaving:
            return
        sim = self._sim
        run.is_leaving = True
        sim.dispatcher.leaving[run.job] = True
        sim.dispatcher.preempted[run.job] += 1
        self.preemptions += 1
        run.preemptions += 1
        cause = None if by is None else sim.runs.get(by)
        second = cause is not None and cause.requeues > 0
        self.second_order += second
        if grace_s <= 0.0:
            self._leave(run, decision, second)
            return
        gone_s = sim.now + grace_s + run.profile.restart.tear_down_s
        sim.dispatcher.expect_end(run, sim.jobs.gpus_taken(run), min(run.expected_end_s, gone_s))
        attempt = run.attempts
        sim.env.timeout(grace_s).callbacks.append(lambda _: self._grace_is_over(run, attempt, decision, second))

    def _grace_is_over(self, run: Run, attempt: int, decision: Preempt, second: bool) -> None:
        if run.is_leaving and run.attempts == attempt and run.outcome == "running":
            self._leave(run, decision, second)

    def _leave(self, run: Run, decision: Preempt, second: bool) -> None:
        if run.pending_isolations > 0:
            return  # an interruption has come first, and decides in its turn
        lost_gpu_s = self._stop(run, decision.grace_s)
        if second:
            self.second_order_gpu_s += lost_gpu_s
        jobs = self._sim.jobs
        for_whom = "" if decision.by is None else f" for job {self._sim.known.job[decision.by]}"
        if decision.comes_back:
            jobs.tear_down(run, jobs.requeue)
        else:
            jobs.tear_down(run, lambda run: jobs.cancel(run, f"cancelled by preemption{for_whom}"))

    def stop_for_window(self, run: Run) -> None:
        """Take a job off nodes that are kept from it from now on; the time was known, so it has saved its work."""
        if run.is_holding:
            self._sim.jobs.drop_held(run)
        elif run.pending_isolations == 0:
            self._stop(run, np.inf, run.profile.restart.tear_down_s)
            self._sim.jobs.requeue(run)

    def _stop(self, run: Run, grace_s: float, left_before_s: float = 0.0) -> float:
        """End what a job is doing, with all work saved if there is time; return what it loses, GPU-seconds.

        ``left_before_s`` is how long before now it began to leave its nodes, where the time of the stop was known.
        """
        jobs = self._sim.jobs
        was_running = run.state == RUNNING
        jobs.stop(run)
        tiers = run.plan.tiers
        if was_running and tiers and tiers[-1].blocking_s <= grace_s:
            self._spend(run, left_before_s, "restarting")
            self._spend(run, tiers[-1].blocking_s, "checkpointing")
            run.saved_s[-1] = run.done_s
        return jobs.lose_work(run, "process")

    def _spend(self, run: Run, seconds: float, bucket: str) -> None:
        """Let the last seconds of unsaved work have been spent on something else before a stop."""
        since_saved_s = run.done_s - max(run.saved_s)
        spent_s = min(seconds, since_saved_s / run.speed)
        gpu_s = spent_s * run.gpus
        run.done_s -= spent_s * run.speed
        run.busy_gpu_s -= gpu_s
        self._sim.fleet.ledger.book(gpu_s, "productive", bucket)

    # --- to other nodes, or another number of them ----------------------------------------------------------------

    def migrate(self, run: Run, avoid: object) -> None:
        """Move a running job to other nodes at once, by way of its checkpoint."""
        sim = self._sim
        if run.is_leaving or run.state != RUNNING:
            return
        held, run.ids = run.ids, NO_NODES
        ids = sim.dispatcher.nodes_for(run, len(held), avoid)
        run.ids = held
        if len(ids) < len(held):
            return  # there is no better place
        self._check_saves(run, "migrate")
        self._stop(run, np.inf)
        run.migrations += 1
        sim.jobs.exchange(run, ids)

    def resize(self, run: Run, nodes: int, gives: NDArray[np.bool_] | None = None) -> None:
        """Let an elastic job go on with another width; a narrower one keeps what it should not give up first."""
        sim, known = self._sim, self._sim.known
        if not known.fewest[run.job] <= nodes <= known.most[run.job]:
            span = f"{int(known.fewest[run.job])} to {int(known.most[run.job])} nodes"
            self._refuse(f"job {run.job} cannot have {nodes} nodes: it takes {span}")
        if nodes == run.nodes or run.is_leaving or run.state != RUNNING:
            return
        if nodes - run.nodes > sim.fleet.n_free:
            self._refuse(f"job {run.job} wants {nodes - run.nodes} more nodes, {sim.fleet.n_free} are free")
        self._check_saves(run, "change its width")
        more = sim.dispatcher.nodes_for(run, nodes - run.nodes) if nodes > run.nodes else NO_NODES
        if nodes > run.nodes and len(more) == 0:
            return
        if nodes > run.nodes:
            ids = np.concatenate((run.ids, more))
        elif gives is None:
            ids = run.ids[:nodes]
        else:
            ids = run.ids[np.sort(np.argsort(gives[run.ids], kind="stable")[:nodes])]
        self._stop(run, np.inf)
        if nodes > run.nodes:
            sim.jobs.exchange(run, ids, nodes)
        else:  # others can have its nodes once it has left them
            sim.jobs.tear_down(run, lambda run: sim.jobs.exchange(run, ids, nodes, True), leaves_all=False)

    def set_width(self, run: Run, nodes: int) -> None:
        """Give a job that holds nothing another width."""
        world = self._sim.world
        run.count_wall(self._sim.now)
        run.nodes, run.gpus = nodes, nodes * world.machine.gpus_per_node
        nominal = int(world.jobs.nodes[run.job])
        curve = world.curves[int(world.jobs.width[run.job])]
        run.speed = curve.speed(nodes) / curve.speed(nominal)
        run.resizes += 1

    def _check_saves(self, run: Run, what: str) -> None:
        if not run.plan.tiers:
            self._refuse(f"job {run.job} cannot {what}: it saves nothing")

    def _refuse(self, reason: str) -> None:
        raise PolicyError(type(self._sim.world.scheduling).__name__, self._sim.now, reason)

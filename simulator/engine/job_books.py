"""What the time of jobs is booked as: in the ledger, and by phase of their restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.accounting.ledger import RUNNING
from simulator.engine.runs import Run

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation


class JobBooks:
    """Books the time of jobs.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.

    Attributes
    ----------
    phase_s, phase_times : dict
        Seconds that jobs have spent in each phase between an interruption and useful work, and how often.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._gpus_per_node = simulation.world.machine.gpus_per_node
        self.phase_s: dict[str, float] = {}
        self.phase_times: dict[str, int] = {}

    def enter(self, run: Run, state: str) -> None:
        """Let a job be in another state from now on."""
        held = run.gpus_held(self._gpus_per_node)
        self._sim.fleet.ledger.move(held, run.state, state, self._sim.now)
        run.state = state

    def segment(self, run: Run) -> None:
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
            run.slowed_gpu_s += (elapsed_s - productive_s - stood_s) * run.gpus
        for tier in range(len(run.plan.tiers)):
            saved_s = segment.usable_work(now, tier)
            if saved_s > 0:
                run.saved_s[tier] = run.done_s + saved_s * run.speed
        run.done_s += useful_s * run.speed
        run.busy_gpu_s += productive_s * run.gpus
        run.segment = None

    def phases(self, run: Run) -> None:
        """Book the phases of a restart as far as they have gone."""
        left_s = self._sim.now - run.phases_start_s
        for name, seconds in run.phases:
            if left_s <= 0:
                break
            self.phase(name, min(seconds, left_s))
            left_s -= seconds

    def phase(self, name: str, seconds: float) -> None:
        """Book time of a phase between an interruption and useful work."""
        self.phase_s[name] = self.phase_s.get(name, 0.0) + seconds
        self.phase_times[name] = self.phase_times.get(name, 0) + 1

    def settle(self, run: Run) -> None:
        """Book what a job has done when the simulated time ends."""
        run.count_wall(self._sim.now)
        if run.state == RUNNING:
            self.segment(run)
        elif run.state == "restarting":
            self.phases(run)
        elif run.state in ("waiting_for_nodes", "detecting"):
            self.phase("detect" if run.state == "detecting" else "wait_for_nodes", self._sim.now - run.phases_start_s)

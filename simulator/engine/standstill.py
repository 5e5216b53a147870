"""Deadlocks: jobs that hold nodes and wait for each other's, and queues in which nothing will ever start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation


class Standstill:
    """Notices that nothing runs although jobs wait.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.

    Attributes
    ----------
    deadlocks : int
        How often all jobs that held nodes were waiting for more, with every node in service.
    deadlock_s : float
        How long that lasted together.

    Notes
    -----
    A deadlock can end: a fault takes a node from the job that holds it, and another gets it after its repair. A run
    without a horizon does not wait for that. It ends when nothing runs, nobody is still to arrive or to be queued
    again, every node is in service, no window is ahead and the scheduler has not asked to be woken.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self.deadlocks = 0
        self.deadlock_s = 0.0
        self._since_s: float | None = None

    def look(self) -> None:
        """Look whether jobs wait for ever; called after a pass that leaves jobs waiting and none running."""
        sim = self._sim
        if not self._is_locked():
            self._book()
        elif self._since_s is None:
            self._since_s = sim.now
            self.deadlocks += 1
        if sim.world.horizon_s is None and self._is_final():
            for job in sim.dispatcher.waiting.columns()[0].tolist():
                if job not in sim.dispatcher.holding:
                    sim.rows.reason[job] = "waits for ever: nothing runs, and the scheduler does not start it"
            sim.end()

    def close(self) -> None:
        """Say of the jobs in a deadlock at the end of the run that they are."""
        if self._since_s is not None:
            for run in self._sim.dispatcher.holding.values():
                run.reason = f"deadlock: holds {len(run.ids)} of {run.nodes} nodes for ever"
        self._book()

    def _book(self) -> None:
        if self._since_s is not None:
            self.deadlock_s += self._sim.now - self._since_s
            self._since_s = None

    def _is_locked(self) -> bool:
        dispatcher = self._sim.dispatcher
        return len(dispatcher.running) == 0 and bool(dispatcher.holding) and self._sim.fleet.n_out == 0

    def _is_final(self) -> bool:
        sim, dispatcher = self._sim, self._sim.dispatcher
        if len(dispatcher.running) > 0 or not dispatcher.all_arrived or dispatcher.is_woken_later:
            return False
        return sim.jobs.held_back == 0 and sim.fleet.n_out == 0 and not sim.windows.are_open

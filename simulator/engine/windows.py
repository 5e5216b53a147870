"""Times in which nodes are kept for somebody: reservations of an account, and maintenance."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.engine.fleet import FREE

if TYPE_CHECKING:
    from simulator.engine.runs import Run
    from simulator.engine.simulation import Simulation
    from simulator.engine.world import Window

NOBODY = -1


class Windows:
    """Follows the windows of the scenario.

    Parameters
    ----------
    simulation : Simulation
        The run they belong to.

    Attributes
    ----------
    start_s, end_s : float arrays, shape (nodes,)
        Next window of every node, or the one that is open now; infinite where there is none.
    account : int array, shape (nodes,)
        Account it is for, -1 for nobody.
    are_open : bool
        Whether any node has a window ahead or open.

    Notes
    -----
    A job may start on a node only if its estimate ends before the node's next window, or if the window is for its
    account. At the begin of maintenance whatever still runs on its nodes is stopped as planned and queued again, and
    the nodes leave service until its end; jobs that overstay at the begin of a reservation are left alone.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        n = simulation.world.machine.nodes
        self.start_s, self.end_s = np.full(n, np.inf), np.full(n, np.inf)
        self.account = np.full(n, NOBODY, dtype=np.int64)
        self._left = sorted(simulation.world.windows, key=lambda window: (window.start_s, window.name))
        self.are_open = bool(self._left)
        number = {name: i for i, name in enumerate(simulation.known.accounts) if name}  # "" is nobody
        self._accounts = {window.name: number.get(window.account, NOBODY) for window in self._left}
        self._renew()
        for window in self._left:
            simulation.env.process(self._follow(window))

    def kept_from(self, run: Run, now_s: float) -> NDArray[np.bool_]:
        """Return which nodes a job must not take now, because it would meet a window that is not for it."""
        known = self._sim.known
        end_s = now_s + float(known.requested_s[run.job])
        kept: NDArray[np.bool_] = (end_s > self.start_s) & (self.account != known.account[run.job])
        return kept

    def _renew(self) -> None:
        """Find the next window of every node."""
        self.start_s[:], self.end_s[:], self.account[:] = np.inf, np.inf, NOBODY
        for window in reversed(self._left):
            self.start_s[window.nodes], self.end_s[window.nodes] = window.start_s, window.end_s
            self.account[window.nodes] = self._accounts[window.name]
        self.are_open = bool(self._left)

    def _follow(self, window: Window) -> Generator[Any, Any, None]:
        sim = self._sim
        if window.start_s > sim.now:
            yield sim.env.timeout(window.start_s - sim.now)
        if window.is_maintenance:
            for job in sim.fleet.jobs_on(window.nodes):
                sim.moves.stop_for_maintenance(sim.runs[job])
            free = window.nodes[sim.fleet.holder[window.nodes] == FREE]
            sim.fleet.take_out(free, sim.now)
        sim.dispatcher.request_pass()
        yield sim.env.timeout(window.end_s - sim.now)
        self._left.remove(window)
        self._renew()
        if window.is_maintenance:
            sim.fleet.start_test(free, sim.now)
            sim.jobs.receive(sim.fleet.put_back(free, sim.now))
        sim.dispatcher.request_pass()

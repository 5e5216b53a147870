"""Times in which nodes are kept for somebody: reservations of an account, and maintenance."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.engine.fleet import FREE
from simulator.scheduling.windows import NOBODY, WindowColumns, no_windows, open_nodes

if TYPE_CHECKING:
    from simulator.engine.runs import Run
    from simulator.engine.simulation import Simulation
    from simulator.engine.world import Window


class Windows:
    """Follows the windows of the scenario.

    Parameters
    ----------
    simulation : Simulation
        The run they belong to.

    Attributes
    ----------
    columns : WindowColumns
        Those that are open or ahead.
    are_open : bool
        Whether any node has a window ahead or open.

    Notes
    -----
    A job may start on a node only if every window that it would meet there by its estimate is for its account. At the
    begin of maintenance whatever still runs on its nodes is stopped as planned and queued again, and the nodes leave
    service until its end. At the begin of a reservation jobs that overstay are left alone; those without an estimate,
    which were let in because nobody knew when they would end, are stopped.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self._left = sorted(simulation.world.windows, key=lambda window: (window.start_s, window.name))
        self.are_open = bool(self._left)
        number = {name: i for i, name in enumerate(simulation.known.accounts) if name}  # "" is nobody
        self._all = window_columns(self._left, number, simulation.world.machine.nodes)
        self._renew()
        for window in self._left:
            simulation.env.process(self._follow(window))

    def kept_from(self, run: Run, now_s: float) -> NDArray[np.bool_]:
        """Return which nodes a job must not take now, because it would meet a window that is not for it."""
        known = self._sim.known
        end_s = now_s + float(known.requested_s[run.job])
        return ~open_nodes(now_s, end_s, int(known.account[run.job]), self.columns)

    def _renew(self) -> None:
        """Leave out windows that are over."""
        ahead = self._all.end_s > self._sim.now
        found = self._all
        self.columns = WindowColumns(
            found.begin_s[ahead], found.end_s[ahead], found.account[ahead], found.group[ahead], found.members
        )
        self.are_open = bool(self._left)

    def _follow(self, window: Window) -> Generator[Any, Any, None]:
        sim = self._sim
        if window.start_s > sim.now:
            yield sim.env.timeout(window.start_s - sim.now)
        if window.is_maintenance:
            yield sim.env.timeout(0)  # after the jobs that end at this instant by themselves
            for job in sim.fleet.jobs_on(window.nodes):
                sim.moves.stop_for_window(sim.runs[job])
            free = window.nodes[sim.fleet.holder[window.nodes] == FREE]
            sim.fleet.take_out(free, sim.now)
        else:
            yield sim.env.timeout(0)
            known = sim.known
            for job in sim.fleet.jobs_on(window.nodes):
                if known.requested_s[job] == np.inf and known.accounts[known.account[job]] != window.account:
                    sim.moves.stop_for_window(sim.runs[job])
            sim.fleet.reserve(window.nodes, sim.now)
        sim.dispatcher.request_pass()
        yield sim.env.timeout(window.end_s - sim.now)
        self._left.remove(window)
        self._renew()
        if window.is_maintenance:
            sim.fleet.start_test(free, sim.now)
            sim.jobs.receive(sim.fleet.put_back(free, sim.now))
        else:
            sim.fleet.release(window.nodes)
            sim.jobs.serve_short()  # nodes are open to them again
        sim.dispatcher.request_pass()


def window_columns(windows: Sequence[Window], number: Mapping[str, int], nodes: int) -> WindowColumns:
    """Return windows in order of their begin as columns; those with the same nodes share a row of members."""
    if not windows:
        return no_windows(nodes)
    group_of: dict[bytes, int] = {}
    groups = [group_of.setdefault(window.nodes.tobytes(), len(group_of)) for window in windows]
    members = np.zeros((len(group_of), nodes), dtype=np.bool_)
    for window, group in zip(windows, groups, strict=True):
        members[group, window.nodes] = True
    return WindowColumns(
        np.array([window.start_s for window in windows], dtype=np.float64),
        np.array([window.end_s for window in windows], dtype=np.float64),
        np.array([number.get(window.account, NOBODY) for window in windows], dtype=np.int64),
        np.array(groups, dtype=np.int64),
        members,
    )

"""Who had which node when, for a chart of small machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.engine.fleet import FREE, SHARED

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation

MOST_NODES = 64
MOST_SPANS = 20_000
"""Beyond these a chart shows nothing any more, and nothing is written down unless that is asked for."""

OUT = "out of service"


class Spans:
    """Writes down every time that a job has a node, or a node is out of service.

    Parameters
    ----------
    simulation : Simulation
        The run they belong to.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        nodes = simulation.world.machine.nodes
        self._most = np.inf if simulation.world.keeps_spans else MOST_SPANS
        watches = nodes <= MOST_NODES or simulation.world.keeps_spans
        self._open: list[dict[str, tuple[float, int]]] = [{} for _ in range(nodes if watches else 0)]
        self.rows: list[tuple[int, str, int, float, float]] = []
        if watches:
            simulation.fleet.watchers.append(self._note)

    def _note(self, nodes: NDArray[np.int64], now_s: float) -> None:
        for node in nodes.tolist():
            now, before = self._state(node), self._open[node]
            for who in [who for who in before if now.get(who) != before[who][1]]:
                since_s, gpus = before.pop(who)
                if now_s > since_s and len(self.rows) < self._most:
                    self.rows.append((node, who, gpus, since_s, now_s))
            for who, gpus in now.items():
                before.setdefault(who, (now_s, gpus))

    def _state(self, node: int) -> dict[str, int]:
        fleet, names, g = self._sim.fleet, self._sim.known.job, self._sim.world.machine.gpus_per_node
        holder = int(fleet.holder[node])
        if holder == SHARED:
            return {str(names[job]): self._sim.runs[job].gpus for job in fleet.tenants[node]}
        if holder != FREE:
            return {str(names[holder]): g}
        return {OUT: g} if fleet.out[node] else {}

    def table(self, end_s: float) -> dict[str, NDArray[Any]]:
        """Return all spans up to the end of the run."""
        left = [(n, who, gpus, since_s, end_s) for n, o in enumerate(self._open) for who, (since_s, gpus) in o.items()]
        rows = sorted([*self.rows, *(row for row in left if row[4] > row[3])], key=lambda row: (row[0], row[3]))
        kinds = (("node", np.int64), ("job", object), ("gpus", np.int64), ("start_s", float), ("end_s", float))
        return {name: np.array([row[i] for row in rows], dtype=kind) for i, (name, kind) in enumerate(kinds)}

"""Keeps the clocks of ageing components in step with their nodes and strikes when one reaches its age."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simulator.faults.ageing import AgeingSource

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation


class AgeingClock:
    """One alarm for the next failure of one ageing fault class, set again whenever clocks start or stop.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.
    source : AgeingSource
        Ages of all components of the class.
    """

    def __init__(self, simulation: Simulation, source: AgeingSource) -> None:
        self._sim = simulation
        self._source = source
        self._kind = simulation.world.faults[source.class_index]
        self._version = 0
        everything = np.arange(simulation.world.machine.population(self._kind.scope))
        source.start(self._clock_of(everything), simulation.now)
        simulation.fleet.watchers.append(self._on_change)
        self._set_alarm()

    def _clock_of(self, units: NDArray[np.int64]) -> NDArray[np.bool_]:
        if self._kind.scope == "node":
            return self._sim.is_on_clock(self._kind.clock, units)
        members = [self._sim.members(self._kind, unit) for unit in units.tolist()]
        return np.array([bool(self._sim.is_on_clock(self._kind.clock, ids).any()) for ids in members], dtype=bool)

    def _on_change(self, nodes: NDArray[np.int64], now_s: float) -> None:
        units = nodes
        if self._kind.scope != "node":
            domains = self._sim.world.machine.domains
            assert domains is not None
            units = np.unique(domains[self._kind.scope][nodes])
        on = self._clock_of(units)
        self._source.set_clock(units[on], True, now_s)
        self._source.set_clock(units[~on], False, now_s)
        self._set_alarm()

    def _set_alarm(self) -> None:
        self._version += 1
        time_s, _ = self._source.next_time()
        if math.isfinite(time_s):
            delay = max(time_s - self._sim.now, 0.0)
            self._sim.env.timeout(delay, self._version).callbacks.append(self._ring)

    def _ring(self, event: Any) -> None:
        if event.value != self._version:
            return
        fault = self._source.pop(self._sim.now)
        self._sim.incidents.strike(fault, self._kind)
        self._set_alarm()

"""Samples the state of all GPUs at regular times for the ``series`` table."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simulator.accounting.ledger import STATES

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation

SAMPLES = 400
DAY_S = 86400.0


class Sampler:
    """Takes the samples.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        self.times: list[float] = []
        self.gpus: list[tuple[int, ...]] = []

    def sample(self) -> Generator[Any, Any, None]:
        """Sample at 0 and then at equal distances: as the scenario says, else a 400th of the horizon, else a day."""
        world = self._sim.world
        step_s = world.sample_every_s
        if step_s is None:
            step_s = DAY_S if world.horizon_s is None else world.horizon_s / SAMPLES
        ledger = self._sim.fleet.ledger
        while True:
            self.times.append(self._sim.now)
            self.gpus.append(tuple(ledger.gpus[state] for state in STATES))
            yield self._sim.env.timeout(step_s)

"""Samples the state of all GPUs at regular times for the ``series`` table."""

from __future__ import annotations

from collections.abc import Generator
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from simpy.events import Event, EventPriority

from simulator.accounting.ledger import STATES

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation

LAST = EventPriority(3)
"""SimPy priority of a sample: it shows an instant as it ends, after the scheduling pass (priority 2)."""
SAMPLES = 400
DAY_S = 86400.0

_in_order = itemgetter(*STATES)


class Sampler:
    """Takes the samples.

    Parameters
    ----------
    simulation : Simulation
        The run it belongs to.

    Attributes
    ----------
    times : list of float
        Of each sample.
    gpus : list of int
        GPUs of each sample in every state of ``ledger.STATES``, one sample after the other.
    queue : list of int
        Waiting jobs, their GPUs, running jobs, free GPUs and those on partly held nodes of each sample, likewise.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._sim = simulation
        # Flat: an array is made of one long list in half the time that many short ones take.
        self.times: list[float] = []
        self.gpus: list[int] = []
        self.queue: list[int] = []

    def sample(self) -> Generator[Any, Any, None]:
        """Sample at 0 and then at equal distances: as the scenario says, else a 400th of the horizon, else a day."""
        world = self._sim.world
        step_s = world.sample_every_s
        if step_s is None:
            step_s = DAY_S if world.horizon_s is None else world.horizon_s / SAMPLES
        ledger = self._sim.fleet.ledger
        env = self._sim.env
        delay_s = 0.0
        while True:
            event = Event(env)
            event._ok, event._value = True, None
            env.schedule(event, LAST, delay_s)
            yield event
            delay_s = step_s
            self.times.append(env.now)
            self.gpus.extend(_in_order(ledger.gpus))
            self.queue.extend(self._queue())

    def _queue(self) -> tuple[int, int, int, int, int]:
        """Return waiting jobs and their GPUs, running jobs, free GPUs and those on partly held nodes."""
        dispatcher, fleet = self._sim.dispatcher, self._sim.fleet
        waiting, running, free = len(dispatcher.waiting), len(dispatcher.running), fleet.n_free_gpus
        return waiting, dispatcher.wanted_gpus, running, free, free - fleet.n_free * fleet.gpus_per_node

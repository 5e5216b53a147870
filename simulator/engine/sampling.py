"""Samples the state of all GPUs at regular times for the ``series`` table."""

from __future__ import annotations

from collections.abc import Generator
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from simpy.events import Event, EventPriority

from simulator.accounting.ledger import STATES

if TYPE_CHECKING:
    from simulator.engine.simulation import Simulation

LAST = EventPriority(3)
"""SimPy priority of a sample: it shows an instant as it ends, after the scheduling pass (priority 2)."""
SAMPLES = 400
"""Samples of a run, where the scenario does not say how often; up to twice as many without a horizon."""
SHORTEST_S = 1.0
QUEUE_COLUMNS = 5
"""Numbers of the queue in each sample."""

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
        """Sample at 0 and then at equal distances: as the scenario says, else a 400th of the horizon.

        Without a horizon nobody knows how long the run will be. It begins with a 400th of the time in which jobs come
        and the longest of them works, and drops every second sample whenever there are twice as many as wanted.
        """
        world = self._sim.world
        wanted_s = world.sample_every_s
        step_s = self._first_step_s() if wanted_s is None else wanted_s
        ledger = self._sim.fleet.ledger
        env = self._sim.env
        delay_s = 0.0
        while True:
            event = Event(env)
            event._ok, event._value = True, None
            env.schedule(event, LAST, delay_s)
            yield event
            if wanted_s is None and world.horizon_s is None and len(self.times) == 2 * SAMPLES:
                # The next sample in the coarser rhythm is this one: the last one kept lies a coarse step back.
                self.times, step_s = self.times[::2], 2.0 * step_s
                self.gpus, self.queue = _every_second(self.gpus, len(STATES)), _every_second(self.queue, QUEUE_COLUMNS)
            delay_s = step_s
            self.times.append(env.now)
            self.gpus.extend(_in_order(ledger.gpus))
            self.queue.extend(self._queue())

    def _first_step_s(self) -> float:
        world = self._sim.world
        if world.horizon_s is not None:
            return world.horizon_s / SAMPLES
        jobs = world.jobs
        longest_s = jobs.work_s[np.isfinite(jobs.work_s)].max(initial=0.0)
        return max(float(jobs.submit_s.max(initial=0.0) + longest_s) / SAMPLES, SHORTEST_S)

    def _queue(self) -> tuple[int, int, int, int, int]:
        """Return waiting jobs and their GPUs, running jobs, free GPUs and those on partly held nodes."""
        dispatcher, fleet = self._sim.dispatcher, self._sim.fleet
        waiting, running, free = len(dispatcher.waiting), len(dispatcher.running), fleet.n_free_gpus
        return waiting, dispatcher.wanted_gpus, running, free, free - fleet.n_free * fleet.gpus_per_node


def _every_second(flat: list[int], columns: int) -> list[int]:
    """Return the first, third, ... row of a table that is kept as one list."""
    found: list[int] = np.array(flat, dtype=np.int64).reshape(-1, columns)[::2].reshape(-1).tolist()
    return found

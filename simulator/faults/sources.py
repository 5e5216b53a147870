"""Where faults come from: one superposed stream for each memoryless class, ages of components for the others."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from simulator.cluster.inventory import Machine
from simulator.faults.ageing import AgeingSource
from simulator.faults.catalogue import FaultClass
from simulator.faults.draws import BLOCK, Fault, FaultDraws, Origin
from simulator.faults.hazards import frailty_multipliers
from simulator.streams import generator

__all__ = ["AgeingSource", "Fault", "PoissonSource", "ageing_sources", "merged", "poisson_sources"]


class PoissonSource:
    """Faults of a class with an exponential hazard, for all units together, in order of time.

    The sum of many Poisson streams is one Poisson stream whose events pick a unit in proportion to its rate. It
    runs on calendar time as if every unit were always on the class's clock; whoever lets the faults happen discards
    those whose unit is not, which is exact because nothing ages. Iterating twice gives the same faults.

    Parameters
    ----------
    origin : Origin
        Class and streams.
    multipliers : float array, shape (units,)
        How many times as often as the mean each unit fails; their mean is 1.
    """

    def __init__(self, origin: Origin, multipliers: NDArray[np.float64]) -> None:
        self.class_index = origin.class_index
        self._origin = origin
        self._n_units = len(multipliers)
        # The multipliers' mean is 1; their sum would bring its rounding into the times of all faults.
        self._mean_gap_s = 1.0 / (origin.kind.rate_per_s * len(multipliers))
        # With equal units the unit is a scaled uniform number, which saves the search.
        self._shares = None if origin.kind.frailty is None else np.cumsum(multipliers) / multipliers.sum()

    def __iter__(self) -> Iterator[Fault]:
        draws = FaultDraws(self._origin)
        onsets = draws.stream("onsets")
        time_s = 0.0
        while True:
            times_s = time_s + np.cumsum(onsets.standard_exponential(BLOCK) * self._mean_gap_s)
            units = self._units(onsets.random(BLOCK))
            time_s = float(times_s[-1])
            for at_s, unit in zip(times_s.tolist(), units.tolist(), strict=True):
                yield draws.fault(at_s, unit)

    def _units(self, uniform: NDArray[np.float64]) -> NDArray[np.int64]:
        if self._shares is None:
            return (uniform * self._n_units).astype(np.int64)
        found = np.searchsorted(self._shares, uniform, side="right")
        return np.minimum(found, self._n_units - 1)  # the last share may round to just below 1


def poisson_sources(faults: Sequence[FaultClass], machine: Machine, seed: int, replication: int) -> list[PoissonSource]:
    """Return a source for each class with an exponential hazard and a positive rate.

    Parameters
    ----------
    faults : sequence of FaultClass
        All classes of the world.
    machine : Machine
        Gives the number of units of each scope.
    seed, replication : int
        Keys of the streams.
    """
    return [
        PoissonSource(origin, _multipliers(origin, machine))
        for origin in _origins(faults, seed, replication)
        if origin.kind.hazard.family == "exponential"
    ]


def ageing_sources(faults: Sequence[FaultClass], machine: Machine, seed: int, replication: int) -> list[AgeingSource]:
    """Return a source for each class whose components age and whose rate is positive; see `poisson_sources`."""
    return [
        AgeingSource(origin, _multipliers(origin, machine))
        for origin in _origins(faults, seed, replication)
        if origin.kind.hazard.family != "exponential"
    ]


def merged(sources: Iterable[Iterable[Fault]]) -> Iterator[Fault]:
    """Return the faults of all sources in order of time; equal times by class, then number."""
    return heapq.merge(*sources)


def _origins(faults: Sequence[FaultClass], seed: int, replication: int) -> list[Origin]:
    return [Origin(kind, index, seed, replication) for index, kind in enumerate(faults) if kind.rate_per_s > 0.0]


def _multipliers(origin: Origin, machine: Machine) -> NDArray[np.float64]:
    """Return the units' frailty; its streams belong to the scope, so that classes agree on who the lemons are."""
    kind = origin.kind
    n_units = machine.population(kind.scope)
    if kind.frailty is None:
        return np.ones(n_units)
    purpose = f"faults/frailty/{kind.scope}"
    lemon_rng = generator(origin.seed, origin.replication, f"{purpose}/lemons")
    gamma_rng = generator(origin.seed, origin.replication, f"{purpose}/gamma")
    return frailty_multipliers(kind.frailty, n_units, lemon_rng, gamma_rng)

"""Faults with all that chance decides about them, drawn with the fault and never when somebody asks.

The k-th fault of a class has the same draws in every variant. Each purpose has its own stream, read in blocks of a
fixed size, so that neither the horizon nor a policy nor the distribution of another purpose changes a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulator.distributions import Duration
from simulator.errors import InputError
from simulator.faults.catalogue import FaultClass, RepairMix
from simulator.streams import generator

BLOCK = 64
"""Faults drawn at once. Part of what a seed means: another size gives other numbers."""

Stream = Callable[[str], np.random.Generator]
"""Gives the generator of a purpose."""


@dataclass(frozen=True)
class Origin:
    """Where the faults of a class come from: the class and the keys of its random streams.

    Parameters
    ----------
    kind : FaultClass
        The class.
    class_index : int
        Its index in the world's fault classes.
    seed, replication : int
        Keys of all streams.
    """

    kind: FaultClass
    class_index: int
    seed: int
    replication: int

    def __post_init__(self) -> None:
        mix = self.kind.repair
        if mix is None:
            if self.kind.takes_node_out:
                raise InputError("a fault class that takes the node out needs repairs", found=self.kind.name)
        elif mix.failure_probability * (1.0 - mix.escape_probability) >= 1.0:
            raise InputError(
                f"repairs of fault class {self.kind.name!r} never end: each one fails and each failure is caught",
                found=f"failure {mix.failure_probability}, escape {mix.escape_probability}",
                allowed="failure_probability * (1 - escape_probability) below 1",
            )

    def generator(self, purpose: str, *indices: int) -> np.random.Generator:
        """Return the generator of a purpose of this class."""
        return generator(self.seed, self.replication, f"faults/{self.kind.name}/{purpose}", *indices)


class RepairDraw(NamedTuple):
    """What chance decides about one visit to the repair shop.

    Parameters
    ----------
    tier : int
        Index of the repair tier in the mix.
    repair_s, verify_s : float
        Time of the repair and of the verification.
    outcome : float
        Uniform number that decides whether the repair cured the fault and whether verification noticed.
    """

    tier: int
    repair_s: float
    verify_s: float
    outcome: float


class Fault(NamedTuple):
    """One fault; tuples of faults sort by time, then class, then number.

    Parameters
    ----------
    time_s : float
        Onset.
    class_index : int
        Index of the class in the world's fault classes.
    number : int
        It is the number-th fault of its class, from 0.
    strike : int
        0 for the first strike, n for the n-th return of a fault that escaped its repair.
    unit : int
        Node, or domain of the class's scope.
    component : int
        Component of the unit, for ageing hazards; 0 otherwise.
    detect_s, localise_s : float
        Onset to alarm, alarm to knowing the unit.
    repair : RepairDraw or None
        The first visit to the repair shop; None for a class without repairs.
    origin : Origin
        Class and streams, for further visits and returns.
    """

    time_s: float
    class_index: int
    number: int
    strike: int
    unit: int
    component: int
    detect_s: float
    localise_s: float
    repair: RepairDraw | None
    origin: Origin

    def again(self, time_s: float) -> Fault:
        """Return the next strike of this fault, at ``time_s``, with draws of its own."""
        strike = self.strike + 1
        kind = self.origin.kind

        def stream(purpose: str) -> np.random.Generator:
            return self.origin.generator(f"again/{purpose}", self.number, strike)

        (detect_s,) = durations(kind.detect, 1, "detect", stream)
        (localise_s,) = durations(kind.localise, 1, "localise", stream)
        repair = None if kind.repair is None else next(repair_draws(kind.repair, 1, stream))
        return self._replace(time_s=time_s, strike=strike, detect_s=detect_s, localise_s=localise_s, repair=repair)


class FaultDraws:
    """The draws of a class's faults, in order of their number.

    Parameters
    ----------
    origin : Origin
        Class and streams.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._generators: dict[str, np.random.Generator] = {}
        self._rows = self._blocks()
        self._number = 0

    def fault(self, time_s: float, unit: int, component: int = 0) -> Fault:
        """Return the next fault of the class, which strikes a unit at ``time_s``."""
        detect_s, localise_s, repair = next(self._rows)
        number = self._number
        self._number += 1
        origin = self._origin
        return Fault(time_s, origin.class_index, number, 0, unit, component, detect_s, localise_s, repair, origin)

    def stream(self, purpose: str) -> np.random.Generator:
        """Return the one generator that this class reads on and on for a purpose."""
        found = self._generators.get(purpose)
        if found is None:
            found = self._generators[purpose] = self._origin.generator(purpose)
        return found

    def _blocks(self) -> Iterator[tuple[float, float, RepairDraw | None]]:
        kind = self._origin.kind
        while True:
            detect = durations(kind.detect, BLOCK, "detect", self.stream)
            localise = durations(kind.localise, BLOCK, "localise", self.stream)
            if kind.repair is None:
                for detect_s, localise_s in zip(detect, localise, strict=True):
                    yield detect_s, localise_s, None
            else:
                yield from zip(detect, localise, repair_draws(kind.repair, BLOCK, self.stream), strict=True)


def durations(duration: Duration, n: int, purpose: str, stream: Stream) -> list[float]:
    """Return ``n`` draws of a duration; a fixed one needs no stream, and making one is most of the cost."""
    if duration.family == "fixed" or duration.mean_s == 0.0:
        return [duration.mean_s] * n
    drawn: list[float] = duration.draw(stream(purpose), n).tolist()
    return drawn


def repair_draws(mix: RepairMix, n: int, stream: Stream) -> Iterator[RepairDraw]:
    """Yield the draws of ``n`` visits to the repair shop.

    Purposes: ``repair/choices`` (tier and outcome), ``repair/time`` (a draw of each tier for each visit, tier after
    tier, of which the visit takes one) and ``repair/verify``.
    """
    tiers, outcomes = [0] * n, [1.0] * n
    if len(mix.tiers) > 1 or mix.failure_probability > 0.0:
        tier_choice, outcome = stream("repair/choices").random((2, n))
        shares = np.cumsum([tier.probability for tier in mix.tiers[:-1]])
        tiers, outcomes = np.searchsorted(shares, tier_choice, side="right").tolist(), outcome.tolist()
    times = [durations(tier.time, n, "repair/time", stream) for tier in mix.tiers]
    verify = durations(mix.verify, n, "repair/verify", stream)
    for row in range(n):
        tier = tiers[row]
        yield RepairDraw(tier, times[tier][row], verify[row], outcomes[row])

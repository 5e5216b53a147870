"""Components that age: each fails at its own age, on the clock of the unit it sits in.

A unit's clock ticks only while the unit is on it. A component keeps its age when another one fails; the one that
failed starts again at age 0. The j-th life of a component is the same number whatever happens elsewhere.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.errors import InvariantError
from simulator.faults.draws import Fault, FaultDraws, Origin
from simulator.faults.hazards import first_life_s, life_s

_CHUNK = 4096
"""Component lives drawn at once. Part of what a seed means: another size gives other numbers."""


@kernel
def _switch(
    units: NDArray[np.int64],
    on: bool,
    now_s: float,
    clock_s: NDArray[np.float64],
    since_s: NDArray[np.float64],
    fails_at_s: NDArray[np.float64],
    due_s: NDArray[np.float64],
) -> None:
    """Start or stop the clocks of units; the last four arrays, by unit, are as in `AgeingSource`.

    ``clock_s``, ``since_s`` and ``due_s`` are modified in place. A clock that already is as wanted is left alone.
    """
    for unit in units:
        is_on = not np.isnan(since_s[unit])
        if on and not is_on:
            since_s[unit] = now_s
            due_s[unit] = now_s + (fails_at_s[unit] - clock_s[unit])
        elif is_on and not on:
            clock_s[unit] += now_s - since_s[unit]
            since_s[unit] = np.nan
            due_s[unit] = np.inf


class AgeingSource:
    """Faults of a class whose components age (Weibull, lognormal).

    Parameters
    ----------
    origin : Origin
        Class and streams.
    multipliers : float array, shape (units,)
        How many times as often as the mean each unit fails; its lives are divided by it.

    Notes
    -----
    Kept for each unit: the reading of its clock when it last stopped or started (``_clock_s``), when it was started
    (``_since_s``, NaN while it stands), the reading at which its next component fails (``_fails_at_s``), and the
    calendar time of that if the clock goes on ticking (``_due_s``, infinite while it stands).
    """

    def __init__(self, origin: Origin, multipliers: NDArray[np.float64]) -> None:
        kind = origin.kind
        n_units, n_components = len(multipliers), kind.components_per_unit
        self.class_index = origin.class_index
        self._origin = origin
        self._mean_s = n_components / kind.rate_per_s
        self._multipliers = multipliers
        self._draws = FaultDraws(origin)
        self._renewals = np.zeros((n_units, n_components), dtype=np.int64)
        self._lives: dict[tuple[int, int], NDArray[np.float64]] = {}
        self._component_fails_at_s = self._first_lives() / multipliers[:, np.newaxis]
        self._fails_at_s = self._component_fails_at_s.min(axis=1)
        self._clock_s = np.zeros(n_units)
        self._since_s = np.full(n_units, np.nan)
        self._due_s = np.full(n_units, np.inf)

    def start(self, units_on: NDArray[np.bool_], now_s: float) -> None:
        """Start the clocks of the units for which ``units_on``, shape (units,), is true."""
        self.set_clock(np.flatnonzero(units_on), True, now_s)

    def set_clock(self, unit_ids: NDArray[np.int64], on: bool, now_s: float) -> None:
        """Start (or stop) the clocks of units; those that tick (or stand) already are left alone."""
        _switch(unit_ids, on, now_s, self._clock_s, self._since_s, self._fails_at_s, self._due_s)

    def next_time(self) -> tuple[float, int]:
        """Return when and where the next fault strikes if all clocks stay as they are; infinite for never."""
        unit = int(self._due_s.argmin())
        return float(self._due_s[unit]), unit

    def pop(self, now_s: float) -> Fault:
        """Let the next fault strike now and renew its component.

        Raises
        ------
        InvariantError
            When no fault is due at ``now_s``.
        """
        due_s, unit = self.next_time()
        if due_s > now_s and not math.isclose(due_s, now_s, rel_tol=1e-12):
            raise InvariantError(f"no fault of {self._origin.kind.name!r} is due at {now_s} s, but at {due_s} s")
        ages_out_at_s = self._component_fails_at_s[unit]
        component = int(ages_out_at_s.argmin())
        reading_s = float(ages_out_at_s[component])
        ages_out_at_s[component] = reading_s + self._next_life(unit, component)
        self._fails_at_s[unit] = ages_out_at_s.min()
        self._clock_s[unit] = reading_s
        self._since_s[unit] = now_s
        self._due_s[unit] = now_s + (self._fails_at_s[unit] - reading_s)
        return self._draws.fault(now_s, unit, component)

    def exposure_s(self, now_s: float) -> float:
        """Return the time all clocks have ticked until now, unit-seconds."""
        running_s = np.nan_to_num(now_s - self._since_s, nan=0.0)
        return float(self._clock_s.sum() + running_s.sum())

    def _first_lives(self) -> NDArray[np.float64]:
        n_slots = self._renewals.size
        chunks = [
            first_life_s(self._origin.kind.hazard, self._mean_s, self._origin.generator("lives", 0, chunk), _CHUNK)
            for chunk in range(-(-n_slots // _CHUNK))
        ]
        return np.concatenate(chunks)[:n_slots].reshape(self._renewals.shape)

    def _next_life(self, unit: int, component: int) -> float:
        self._renewals[unit, component] += 1
        generation = int(self._renewals[unit, component])
        chunk, place = divmod(unit * self._renewals.shape[1] + component, _CHUNK)
        lives = self._lives.get((generation, chunk))
        if lives is None:
            rng = self._origin.generator("lives", generation, chunk)
            lives = life_s(self._origin.kind.hazard, self._mean_s, rng, _CHUNK)
            self._lives[generation, chunk] = lives
        return float(lives[place] / self._multipliers[unit])

"""How many replications a wanted precision needs: batches, decided by results alone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.columns import METRICS
from simulator.errors import InputError, SimulatorError
from simulator.experiments.statistics import mean_interval

FIRST_BATCH = 20
"""Replications before the first look: with fewer, the estimated spread itself is too uncertain to stop on."""

MOST_REPLICATIONS = 10_000
"""Where a study stops even if the precision has not been reached; it then says so."""

FRACTIONS = frozenset(metric.name for metric in METRICS if metric.most == 1.0)
"""Metrics between 0 and 1; their precision is absolute (0.01 is one point), that of all others relative to the mean."""


def demand_valid(precision: float) -> None:
    """Refuse a precision that is not between 0 and 1."""
    if not 0.0 < precision < 1.0:
        raise InputError(
            "precision out of range", key="precision", found=f"{precision:g}", allowed="between 0 and 1, e.g. 0.01"
        )


def half_width(metric: str, values: NDArray[np.float64]) -> float:
    """Return the half-width of the 95 % interval, absolute for fractions and relative to the mean for all others.

    Raises
    ------
    SimulatorError
        When fewer than two replications have a value, so that no number of them promises an answer.
    """
    interval = mean_interval(values)
    if interval.count < 2:
        raise SimulatorError(f"the metric {metric!r} has no value in this scenario, so no precision can be reached")
    if metric in FRACTIONS or interval.half_width == 0.0:
        return interval.half_width
    return math.inf if interval.mean == 0.0 else interval.half_width / abs(interval.mean)


def next_total(precision: float, metric: str, done: int, samples: Iterable[NDArray[np.float64]]) -> int:
    """Return how many replications to have next; ``done`` when the precision is reached by all variants or never will.

    Parameters
    ----------
    precision : float
        Wanted half-width.
    metric : str
        The metric of the answer.
    done : int
        Replications so far.
    samples : iterable of float arrays, shape (done,)
        Its values, for each variant.

    Notes
    -----
    The half-width falls with the root of the number, so ``done * (half-width / precision)^2`` replications should
    do; 10 % more, at least 10 and at most three times as many avoid both endless small batches and a jump on a poor
    estimate. Looking again after each batch makes the true coverage of the interval slightly less than 95 %
    (Chow and Robbins 1965: it tends to 95 % as the precision tends to 0).
    """
    worst = max(half_width(metric, values) for values in samples)
    if worst <= precision:
        return done
    wanted = math.inf if math.isinf(worst) else 1.1 * done * (worst / precision) ** 2
    return min(math.ceil(min(max(wanted, done + 10), 3 * done)), MOST_REPLICATIONS)

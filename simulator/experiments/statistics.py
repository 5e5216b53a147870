"""What replications say together: means with intervals, paired differences, quantiles.

All functions take one number per replication, ignore NaN (a metric without a value in that replication) and are
deterministic: equal numbers in equal order give equal bytes.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.columns import METRICS, Metric

CONFIDENCE = 0.95
"""Confidence of every interval that a study reports."""

MOST_MORE = 1000
"""Replications to add beyond which a study does not say how many would decide."""


@dataclass(frozen=True)
class Interval:
    """A mean with its two-sided Student t interval.

    Parameters
    ----------
    mean : float
        Mean of the values that are not NaN; NaN when there are none.
    low, high : float
        Ends of the interval; NaN with fewer than two values.
    count : int
        Values that are not NaN.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def half_width(self) -> float:
        """Half of the distance between the ends."""
        return (self.high - self.low) / 2

    def within(self, least: float, most: float) -> Interval:
        """Return the interval without what lies outside of what its mean can be.

        Parameters
        ----------
        least, most : float
            What each value can be; infinite where there is no bound.
        """
        # MUST HOLD: the mean stays inside, also where rounding puts it just outside of a bound.
        low, high = max(self.low, min(least, self.mean)), min(self.high, max(most, self.mean))
        return replace(self, low=low, high=high)


@dataclass(frozen=True)
class SummaryRow:
    """One row of ``summary.csv``."""

    variant: str
    metric: str
    unit: str
    mean: float
    ci_low: float
    ci_high: float
    p05: float
    p50: float
    p95: float
    replications: int


@dataclass(frozen=True)
class DifferenceRow:
    """One row of ``differences.csv``: variant minus baseline."""

    variant: str
    baseline: str
    metric: str
    mean_difference: float
    ci_low: float
    ci_high: float
    probability_better: float


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function, by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1.0 / max(1.0 - (a + b) * x / (a + 1.0), tiny)
    value = d
    for m in range(1, 10_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + numerator / c
            c = c if abs(c) > tiny else tiny
            value *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return value


def incomplete_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    References
    ----------
    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5.8.
    """
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast only on the other side
        return 1.0 - incomplete_beta(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _continued_fraction(x, a, b) / a


@lru_cache(maxsize=4096)
def student_t_quantile(probability: float, degrees: int) -> float:
    """Return the quantile of Student's t distribution.

    Parameters
    ----------
    probability : float
        Between 0.5 and 1, both excluded.
    degrees : int
        Degrees of freedom, at least 1.

    Notes
    -----
    Solves P(T > t) = I_y(degrees / 2, 1 / 2) / 2 with y = degrees / (degrees + t^2) by bisection to the last bit, so
    that a study needs no statistics library (its import takes longer than many a study).
    """

    def tail(t: float) -> float:
        # 1 - y = t^2 / (degrees + t^2), given directly because 1 - y cancels for small t.
        return 0.5 * (1.0 - incomplete_beta(t * t / (degrees + t * t), 0.5, degrees / 2))

    wanted = 1.0 - probability
    low, high = 0.0, 1.0
    while tail(high) > wanted:
        low, high = high, high * 2.0
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if tail(middle) > wanted else (low, middle)
    return high


def mean_interval(values: NDArray[np.float64], confidence: float = CONFIDENCE) -> Interval:
    """Return mean and Student t interval of independent values.

    Parameters
    ----------
    values : float array, shape (replications,)
    confidence : float
        Two-sided confidence, 0 to 1.
    """
    kept = values[~np.isnan(values)]
    count = len(kept)
    if count == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    if count == 1:
        return Interval(float(kept[0]), math.nan, math.nan, 1)
    # MUST HOLD: equal values have exactly that mean and an interval of exactly 0, so that a variant that changes
    # nothing differs by exactly 0; rounding in the sum must not spoil it.
    if kept.min() == kept.max():
        return Interval(float(kept[0]), float(kept[0]), float(kept[0]), count)
    mean = math.fsum(kept) / count
    variance = math.fsum((kept - mean) ** 2) / (count - 1)
    half = student_t_quantile(0.5 + confidence / 2, count - 1) * math.sqrt(variance / count)
    return Interval(mean, mean - half, mean + half, count)


def difference_interval(differences: NDArray[np.float64], metric: Metric) -> Interval:
    """Return mean and interval of paired differences in a metric, within what two of its values can differ by."""
    most = metric.most - metric.least
    return mean_interval(differences).within(-most, most)


def more_to_decide(differences: NDArray[np.float64]) -> float:
    """Return how many more pairs would leave 0 out of the interval of their mean difference.

    Parameters
    ----------
    differences : float array, shape (replications,)
        Paired differences, NaN where a pair lacks a value.

    Returns
    -------
    float
        A whole number, 0 where 0 is left out already; infinite above ``MOST_MORE``, also where the mean is 0; NaN
        with fewer than two pairs, and where all differences are equal, so that nothing says how they spread.

    Notes
    -----
    The smallest N with t(N - 1) s / sqrt(N) < |d|: the half-width of Student's interval of N pairs with the mean d
    and the standard deviation s of those there are. Both are estimates; were they true, N pairs would leave 0 out in
    about half of all studies (``tests/unit/test_statistics.py``).

    References
    ----------
    Law, Simulation Modeling and Analysis, 5th edition, 2015, section 9.4.1, equation 9.2: the number of replications
    for a given half-width, here the mean, with the variance as estimated so far.
    """
    interval = mean_interval(differences)
    if not interval.half_width > 0.0:
        return math.nan
    count = interval.count
    deviation = interval.half_width / _half_width_of_unit(count)
    more = bisect_left(
        range(MOST_MORE + 1), True, key=lambda more: deviation * _half_width_of_unit(count + more) < abs(interval.mean)
    )
    return more if more <= MOST_MORE else math.inf


def _half_width_of_unit(count: int) -> float:
    """Return the half-width of the interval of so many values with standard deviation 1; it falls with the count."""
    return student_t_quantile(0.5 + CONFIDENCE / 2, count - 1) / math.sqrt(count)


def quantiles(values: NDArray[np.float64], probabilities: Sequence[float]) -> list[float]:
    """Return quantiles over replications (linear between order statistics), NaN without values."""
    kept = values[~np.isnan(values)]
    if len(kept) == 0:
        return [math.nan] * len(probabilities)
    return [float(q) for q in np.quantile(kept, probabilities)]


def probability_better(variant: NDArray[np.float64], baseline: NDArray[np.float64], metric: Metric) -> float:
    """Return the share of paired replications in which the variant is better, ties counting one half.

    NaN for a metric without direction and where no replication has both values.
    """
    both = ~(np.isnan(variant) | np.isnan(baseline))
    if metric.goal == "none" or not both.any():
        return math.nan
    gain = variant[both] - baseline[both]
    if metric.goal == "min":
        gain = -gain
    return float(((gain > 0).sum() + 0.5 * (gain == 0).sum()) / both.sum())


Runs = Mapping[str, Mapping[str, NDArray[np.float64]]]
"""Values by variant, then metric: one per replication, in order of replication."""


def summary_rows(runs: Runs) -> list[SummaryRow]:
    """Return one row per variant and metric, in the order of the variants and of the data dictionary."""
    rows = []
    for variant, values in runs.items():
        for metric in METRICS:
            interval = mean_interval(values[metric.name]).within(metric.least, metric.most)
            p05, p50, p95 = quantiles(values[metric.name], (0.05, 0.5, 0.95))
            rows.append(
                SummaryRow(
                    variant, metric.name, metric.unit, interval.mean, interval.low, interval.high, p05, p50, p95,
                    interval.count,
                )
            )  # fmt: skip
    return rows


def difference_rows(runs: Runs) -> list[DifferenceRow]:
    """Return one row per variant after the first and metric: the difference from the first, paired by replication."""
    baseline, *others = runs
    rows = []
    for variant in others:
        for metric in METRICS:
            ours, theirs = runs[variant][metric.name], runs[baseline][metric.name]
            interval = difference_interval(ours - theirs, metric)
            rows.append(
                DifferenceRow(
                    variant, baseline, metric.name, interval.mean, interval.low, interval.high,
                    probability_better(ours, theirs, metric),
                )
            )  # fmt: skip
    return rows

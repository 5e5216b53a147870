"""A positive random variable given by its quantiles: robust for heavy tails, drawn by inverting uniform numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from simulator.errors import InputError

Floats = NDArray[np.float64]

_KNOTS = (0.01, 0.02, 0.05, *np.arange(0.1, 0.9, 0.1).round(1).tolist(), 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
_TAIL = 0.9
_LARGEST_SIGMA = 8.0


@dataclass(frozen=True)
class LogQuantiles:
    """A distribution between its least and its greatest value, its logarithm linear between quantiles.

    Parameters
    ----------
    probabilities : tuple of float
        Ascending, from 0 to 1.
    values : tuple of float
        Quantiles, positive, never descending.
    """

    probabilities: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, probability: Floats) -> Floats:
        """Return the quantiles of probabilities between 0 and 1."""
        logarithms = np.interp(probability, self.probabilities, np.log(self.values))
        return np.exp(logarithms)

    @property
    def median(self) -> float:
        """The value that half of all draws do not reach."""
        return float(self.at(np.array([0.5]))[0])

    @property
    def mean(self) -> float:
        """The mean: a piece between a and b of weight p adds p (b - a) / ln(b / a)."""
        low, high = np.array(self.values[:-1]), np.array(self.values[1:])
        ratio = np.log(high / low)
        flat = ratio < 1e-9
        pieces = np.where(flat, low, (high - low) / np.where(flat, 1.0, ratio))
        return float(np.dot(np.diff(self.probabilities), pieces))


def quantiles_of(sample: Floats, mean: float | None = None) -> LogQuantiles:
    """Return the distribution of a positive sample, with a given mean.

    Quantiles up to 0.9 are those of the sample. Above, v becomes v9 (v / v9)^g, at most the greatest of the sample,
    with v9 the quantile at 0.9 and g such that the mean is met: for jobs, the load. Where no g does, all quantiles are
    scaled. Nothing exceeds the greatest of the sample: a limit of the log stays one.

    Parameters
    ----------
    sample : float array, shape (n,)
        At least one positive value.
    mean : float, optional
        Mean of the distribution, that of the sample if absent, not above its greatest; jobs are weighted by their GPUs.
    """
    inner = [p for p in _KNOTS if min(p, 1 - p) * len(sample) >= 1]
    probabilities = np.array([0.0, *inner, 1.0])
    values = np.maximum.accumulate(np.quantile(sample, probabilities))
    start = np.flatnonzero(probabilities <= _TAIL)[-1]
    # A sample of few values has no knot near 0.9: its tail is all that lies above the last knot below.
    tail = values[start:] / values[start]

    def bent(power: float) -> LogQuantiles:
        upper = np.minimum(values[start] * tail**power, values[-1])
        return _rounded(probabilities, np.concatenate([values[:start], upper]))

    def scaled(factor: float) -> LogQuantiles:
        return _rounded(probabilities, np.minimum(np.array(result.values) * factor, values[-1]))

    wanted = float(np.mean(sample)) if mean is None else mean
    result = _with_mean(bent, wanted, 0.0, 4.0)
    if np.isclose(result.mean, wanted, rtol=1e-5):
        return result
    return _with_mean(scaled, wanted, 0.0, float(values[-1] / result.values[0]))


def lognormal_quantiles(median: float, mean: float, greatest: float) -> LogQuantiles:
    """Return a lognormal cut off at its greatest value, with the median and the mean that are given.

    What the lognormal puts above ``greatest`` lies at ``greatest``, as with jobs that are killed at a limit. Its sigma
    follows from the mean: without the cut, mean = median exp(sigma^2 / 2).

    Raises
    ------
    InputError
        No sigma gives this mean.
    """
    if not 0 < median <= mean < greatest:
        found = f"median {median:g}, mean {mean:g}, greatest {greatest:g}"
        raise InputError("not a lognormal", found=found, allowed="0 < median <= mean < greatest")
    scores = np.linspace(-5.0, 5.0, 81)
    probabilities = np.concatenate([[0.0], [NormalDist().cdf(score) for score in scores], [1.0]])
    scores = np.concatenate([scores[:1] - 0.5, scores, scores[-1:] + 0.5])

    def cut(sigma: float) -> LogQuantiles:
        return _rounded(probabilities, np.minimum(median * np.exp(sigma * scores), greatest))

    # The mean grows with sigma until more is lost at the cut than is won below it.
    sigmas = np.linspace(0.0, _LARGEST_SIGMA, 161)
    means = [cut(sigma).mean for sigma in sigmas]
    peak = int(np.argmax(means))
    if means[peak] < mean * (1.0 - 1e-3):
        raise InputError("no lognormal has this mean", found=f"{mean:g}", allowed=f"at most {means[peak]:g}")
    return _with_mean(cut, mean, 0.0, float(sigmas[peak]))


def _with_mean(family: Callable[[float], LogQuantiles], mean: float, low: float, high: float) -> LogQuantiles:
    """Return the member of a family with a mean that grows with its parameter, or the nearest one."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if family(middle).mean < mean else (low, middle)
    return family(high)


def _rounded(probabilities: Floats, values: Floats) -> LogQuantiles:
    """Return a distribution whose numbers have six digits, so that people can read it and files keep it."""
    return LogQuantiles(tuple(map(_six_digits, probabilities)), tuple(map(_six_digits, values)))


def _six_digits(value: float) -> float:
    return float(f"{value:.6g}")

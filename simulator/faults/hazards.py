"""Lives of components: new, seen at a random moment of a long-running fleet, and different from node to node."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simulator.faults.catalogue import Frailty, Hazard


def life_s(hazard: Hazard, mean_s: float, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return the lives of ``n`` new components, seconds, shape (n,).

    Parameters
    ----------
    hazard : Hazard
        Family and shape.
    mean_s : float
        Mean life, seconds, positive.
    rng : numpy.random.Generator
        Where the numbers come from.
    n : int
        How many.

    Notes
    -----
    Weibull: ``scale * E**(1/k)`` with E standard exponential and ``scale = mean / gamma(1 + 1/k)``. Lognormal: the
    logarithm has the standard deviation ``shape`` and the mean ``log(mean) - shape**2 / 2``.
    """
    if hazard.family == "weibull":
        k = hazard.shape
        return rng.standard_exponential(n) ** (1.0 / k) * _weibull_scale_s(mean_s, k)
    if hazard.family == "lognormal":
        return _lognormal_s(mean_s, hazard.shape, -0.5, rng, n)
    return rng.standard_exponential(n) * mean_s


def stationary_residual_s(hazard: Hazard, mean_s: float, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return the remaining lives of ``n`` components of a long-running fleet, seconds, shape (n,).

    A random moment falls into a life with a probability proportional to its length, and is uniform within it. So
    the remaining life is a uniform fraction of a life drawn from the length-biased distribution, whose density is
    ``x f(x) / mean``. Parameters are those of `life_s`.

    Notes
    -----
    Length-biased Weibull: ``scale * G**(1/k)`` with G gamma-distributed with shape ``1 + 1/k`` (substitute
    ``g = (x / scale)**k``). Length-biased lognormal: the mean of the logarithm rises by ``shape**2``. An
    exponential component does not age: its remaining life is a new life.

    References
    ----------
    D. R. Cox, "Renewal Theory", Methuen 1962, section 5.4 (length-biased sampling).
    """
    if hazard.family == "weibull":
        k = hazard.shape
        met_s = rng.standard_gamma(1.0 + 1.0 / k, n) ** (1.0 / k) * _weibull_scale_s(mean_s, k)
        return met_s * rng.random(n)
    if hazard.family == "lognormal":
        return _lognormal_s(mean_s, hazard.shape, 0.5, rng, n) * rng.random(n)
    return rng.standard_exponential(n) * mean_s


def first_life_s(hazard: Hazard, mean_s: float, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Return how long ``n`` components live from the start of the scenario, by the hazard's ``initial_age``."""
    draw = life_s if hazard.initial_age == "new" else stationary_residual_s
    return draw(hazard, mean_s, rng, n)


def frailty_multipliers(
    frailty: Frailty, n: int, lemon_rng: np.random.Generator, gamma_rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how many times as often as its mean each of ``n`` units fails, shape (n,), with a mean of 1.

    Lemons are whole units, the share rounded and at least one when it is positive, in random places; a larger share
    keeps the lemons of a smaller one. Lemon factor and gamma multiplier are multiplied, then all are scaled so that
    the mean is 1.

    Parameters
    ----------
    frailty : Frailty
        What differs between units.
    n : int
        Number of units.
    lemon_rng, gamma_rng : numpy.random.Generator
        Where the places of the lemons and the gamma multipliers come from.
    """
    multipliers = np.ones(n)
    if frailty.lemon_fraction > 0.0:
        lemons = max(1, round(frailty.lemon_fraction * n))
        multipliers[lemon_rng.permutation(n)[:lemons]] = frailty.lemon_factor
    if frailty.gamma_cv > 0.0:
        multipliers *= gamma_rng.standard_gamma(1.0 / frailty.gamma_cv**2, n)
    scaled: NDArray[np.float64] = multipliers * (n / multipliers.sum())
    return scaled


def _weibull_scale_s(mean_s: float, k: float) -> float:
    return mean_s / math.gamma(1.0 + 1.0 / k)


def _lognormal_s(mean_s: float, sigma: float, shift: float, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    return np.exp(math.log(mean_s) + shift * sigma**2 + sigma * rng.standard_normal(n))

"""Durations as random variables: a family, a mean and a spread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Family = Literal["fixed", "exponential", "lognormal", "gamma", "uniform"]


@dataclass(frozen=True)
class Duration:
    """A random duration given by its family, mean and coefficient of variation.

    Parameters
    ----------
    family : {"fixed", "exponential", "lognormal", "gamma", "uniform"}
        Shape of the distribution.
    mean_s : float
        Mean, seconds, zero or positive.
    cv : float
        Standard deviation divided by the mean. Ignored by ``fixed`` (0) and ``exponential`` (1); at most
        1/sqrt(3) for ``uniform``, which lies symmetrically around the mean.
    """

    family: Family
    mean_s: float
    cv: float = 1.0

    def draw(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        """Return ``n`` independent draws, seconds, shape (n,)."""
        if self.family == "fixed" or self.mean_s == 0.0:
            return np.full(n, self.mean_s)
        if self.family == "exponential":
            return rng.standard_exponential(n) * self.mean_s
        if self.family == "lognormal":
            variance = math.log1p(self.cv**2)
            return np.exp(math.log(self.mean_s) - variance / 2 + math.sqrt(variance) * rng.standard_normal(n))
        if self.family == "gamma":
            shape = 1.0 / self.cv**2
            return rng.standard_gamma(shape, n) * (self.mean_s / shape)
        half_width = math.sqrt(3.0) * self.cv
        return self.mean_s * (1.0 + half_width * (2.0 * rng.random(n) - 1.0))


ZERO = Duration("fixed", 0.0)

"""Lemon exclusion: nodes that stop jobs again and again are kept out of service for a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.policies.fields import parameter

DAY_S = 86400.0


@dataclass(frozen=True)
class Strikes:
    """Keep a node out of service when it has stopped jobs too often of late, asked when it comes back from repair.

    Faults that take no node out of service lead to no repair, and so to no question.

    The defaults are assumptions; what pays depends on how many lemons there are and what a stop costs.
    """

    strikes: int = parameter(3, "stops of jobs that are too many when the node comes back from repair", at_least=1)
    window: float = parameter(7 * DAY_S, "how long a stop counts", unit="duration", at_least=1e-6)
    quarantine: float = parameter(30 * DAY_S, "how long the node stays out of service", unit="duration", at_least=1e-6)

    def quarantine_s(self, stops: NDArray[np.float64], now_s: float) -> float:
        """Return how long a node is kept out of service."""
        recent = int(np.count_nonzero(stops > now_s - self.window))
        return self.quarantine if recent >= self.strikes else 0.0

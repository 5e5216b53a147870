"""Intervals from the literature: Young, Daly, the exact optimum; a fixed one; none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simulator.policies.fields import parameter
from simulator.policies.views import CheckpointView
from simulator.workload.checkpoints import daly_interval, exact_interval, young_interval


@dataclass(frozen=True)
class Young:
    """Young's first-order optimum, sqrt(2 C M)."""

    def interval_s(self, view: CheckpointView) -> float:
        """Return the useful work between checkpoints, seconds."""
        return _or_never(young_interval(view.blocking_s, view.expected_mtti_s), view)


@dataclass(frozen=True)
class Daly:
    """Daly's higher-order optimum."""

    def interval_s(self, view: CheckpointView) -> float:
        """Return the useful work between checkpoints, seconds."""
        return _or_never(daly_interval(view.blocking_s, view.expected_mtti_s), view)


@dataclass(frozen=True)
class Exact:
    """The exact optimum for exponential failures, by Lambert's W."""

    def interval_s(self, view: CheckpointView) -> float:
        """Return the useful work between checkpoints, seconds."""
        return _or_never(exact_interval(view.blocking_s, view.expected_mtti_s), view)


@dataclass(frozen=True)
class Fixed:
    """The same useful work between any two checkpoints."""

    interval: float = parameter(3600.0, "useful work between two checkpoints", unit="duration", at_least=1e-6)

    def interval_s(self, view: CheckpointView) -> float:
        """Return the useful work between checkpoints, seconds."""
        return self.interval


@dataclass(frozen=True)
class Never:
    """No checkpoint is taken."""

    def interval_s(self, view: CheckpointView) -> float:
        """Return infinity."""
        return math.inf


def _or_never(interval_s: float, view: CheckpointView) -> float:
    return interval_s if math.isfinite(view.expected_mtti_s) else math.inf

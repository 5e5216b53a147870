"""The engine: SimPy is the clock; jobs, incidents, repairs and the scheduler act on it."""

from simulator.engine.simulation import run
from simulator.engine.world import JobProfile, World

__all__ = ["JobProfile", "World", "run"]

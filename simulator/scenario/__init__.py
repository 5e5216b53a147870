"""Scenarios: reading, validating and resolving the files users write, and making worlds of them."""

from simulator.scenario.resolved import Scenario, load

__all__ = ["Scenario", "load"]

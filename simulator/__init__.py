"""Discrete-event simulator of GPU clusters: failures, recovery, scheduling and what each policy is worth.

The public face. Everything is loaded when it is first used, so that importing the package costs nothing::

    import simulator as sim

    scenario = sim.load("scenarios/quickstart.yaml")
    result = sim.run(scenario, seed=1)
    study = sim.compare(scenario, replications=30, workers=2)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator import errors as errors
    from simulator import network as network
    from simulator import policies as policies
    from simulator import scheduling as scheduling
    from simulator.api import Study as Study
    from simulator.api import compare as compare
    from simulator.api import draw_fabric as draw_fabric
    from simulator.api import load_fabric as load_fabric
    from simulator.errors import InputError as InputError
    from simulator.errors import InvariantError as InvariantError
    from simulator.errors import PolicyError as PolicyError
    from simulator.errors import SimulatorError as SimulatorError
    from simulator.errors import UnitError as UnitError
    from simulator.experiments.collectives import collective as collective
    from simulator.experiments.results import RunResult as RunResult
    from simulator.experiments.results import run as run
    from simulator.scenario.resolved import Scenario as Scenario
    from simulator.scenario.resolved import load as load

_HOMES = {
    "load": "simulator.scenario.resolved",
    "Scenario": "simulator.scenario.resolved",
    "run": "simulator.experiments.results",
    "RunResult": "simulator.experiments.results",
    "compare": "simulator.api",
    "load_fabric": "simulator.api",
    "draw_fabric": "simulator.api",
    "collective": "simulator.experiments.collectives",
    "Study": "simulator.api",
    "SimulatorError": "simulator.errors",
    "InputError": "simulator.errors",
    "UnitError": "simulator.errors",
    "PolicyError": "simulator.errors",
    "InvariantError": "simulator.errors",
}
_MODULES = ("errors", "network", "policies", "scheduling")

__all__ = [
    "InputError",
    "InvariantError",
    "PolicyError",
    "RunResult",
    "Scenario",
    "SimulatorError",
    "Study",
    "UnitError",
    "collective",
    "compare",
    "draw_fabric",
    "errors",
    "load",
    "load_fabric",
    "network",
    "policies",
    "run",
    "scheduling",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("simulator")
    if name in _MODULES:
        return importlib.import_module(f"simulator.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'simulator' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

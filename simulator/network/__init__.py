"""The interconnect: fabrics, routes, collectives, and links shared by activities and by flows that come and go."""

from __future__ import annotations

from simulator.network.contention import max_min_rates
from simulator.network.facts import FabricFacts, facts
from simulator.network.flows import simulate_flows
from simulator.network.graphs import from_networkx
from simulator.network.placed import collective_times
from simulator.network.routing import Routing, routes
from simulator.network.sharing import Communication, Traffic, shared_times
from simulator.network.topologies import Ports, ScaleUp, clos, dragonfly, fat_tree, hypercube, leaf_spine, torus

__all__ = [
    "Communication",
    "FabricFacts",
    "Ports",
    "Routing",
    "ScaleUp",
    "Traffic",
    "clos",
    "collective_times",
    "dragonfly",
    "facts",
    "fat_tree",
    "from_networkx",
    "hypercube",
    "leaf_spine",
    "max_min_rates",
    "routes",
    "shared_times",
    "simulate_flows",
    "torus",
]


def __dir__() -> list[str]:
    return __all__

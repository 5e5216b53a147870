"""The interconnect: fabrics, routes, collectives, and links shared by activities and by flows that come and go."""

from __future__ import annotations

from simulator.network.contention import max_min_rates
from simulator.network.flows import simulate_flows
from simulator.network.graphs import from_networkx
from simulator.network.topologies import Ports

__all__ = ["Ports", "from_networkx", "max_min_rates", "simulate_flows"]

"""The interconnect: fabrics, routes, collectives, and links shared by activities and by flows that come and go."""

from __future__ import annotations

from simulator.network.contention import max_min_rates
from simulator.network.flows import simulate_flows

__all__ = ["max_min_rates", "simulate_flows"]

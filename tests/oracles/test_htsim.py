"""The fluid model beside packets: completion times of htsim (figures of another program, measured by us)."""

from __future__ import annotations

import numpy as np
import pytest

from simulator.network import max_min_rates, simulate_flows
from simulator.network.routing import Routing, routes
from simulator.network.topologies import Ports, fat_tree

EFFICIENCY = 0.92
"""Share of a link's rate that carries data: headers, acknowledgements and the gaps of congestion control. The one
factor for all transports; chosen by hand, not fitted to each."""

HOP_S = 1e-6
RATE = 100e9 / 8.0
HTSIM_US = {  # 1,024 flows of 2 MB on one ECMP path each: mean, p99
    "RoCE": (522.0, 994.2),
    "HPCC": (463.4, 941.0),
}
SPRAYED_P50_US = 1762.0  # 128 flows of 20 MB, EQDS


def permutation(hosts, seed):
    order = np.random.default_rng(seed).permutation(hosts)
    return np.where(order == np.arange(hosts), (order + 1) % hosts, order)


@pytest.fixture(scope="module")
def hashed():
    """Completion times (us) of 20 permutations of 1,024 hosts, shape (20, 1024)."""
    fabric = fat_tree(16, Ports(RATE * EFFICIENCY, HOP_S))
    times = []
    for seed in range(20):
        rows = routes(fabric, np.arange(1024), permutation(1024, seed), Routing("ecmp", seed))
        finish = simulate_flows(
            fabric.capacity, rows.indptr, rows.links, np.full(1024, 2e6), np.zeros(1024), fabric.latency
        )
        times.append(finish * 1e6)
    return np.array(times)


@pytest.mark.parametrize("transport", HTSIM_US)
def test_mean_and_tail_of_hashed_flows(hashed, transport):
    mean, p99 = HTSIM_US[transport]
    ours = hashed.mean(axis=1).mean(), np.percentile(hashed, 99, axis=1).mean()
    assert ours[0] == pytest.approx(mean, rel=0.10)
    assert ours[1] == pytest.approx(p99, rel=0.15)


def test_sprayed_flows():
    fabric = fat_tree(8, Ports(RATE * EFFICIENCY, HOP_S))
    half = []
    for seed in range(20):
        rows = routes(fabric, np.arange(128), permutation(128, seed), Routing("spray"))
        rates = max_min_rates(fabric.capacity, rows.indptr, rows.links, rows.weights)
        half.append(np.median(20e6 / rates + 6 * HOP_S) * 1e6)
    assert np.mean(half) == pytest.approx(SPRAYED_P50_US, rel=0.05)

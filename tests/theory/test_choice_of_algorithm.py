"""The automatic choice is never slower than any algorithm asked for by name, and takes the rings of a torus."""

from __future__ import annotations

import numpy as np
import pytest

import simulator as sim
from simulator.network.collectives import ALGORITHMS, OPS
from simulator.network.placed import collective_times
from simulator.network.topologies import Ports, ScaleUp, clos, dragonfly, hypercube, torus

PORTS = Ports(50e9, 1e-6)
NODES = Ports(50e9, 1e-6, 8, ScaleUp(8, 450e9))
FABRICS = {
    "torus 4x4x4": torus((4, 4, 4), PORTS),
    "torus 3x5": torus((3, 5), PORTS),
    "torus 2x6": torus((2, 6), PORTS),
    "hypercube": hypercube(4, PORTS),
    "dragonfly": dragonfly(2, 2, 1, PORTS),
    "rail": clos(32, 2, NODES, layout="rail"),
    "oversubscribed": clos(32, 8, NODES, oversubscription=(4.0, 1.0)),
}
SIZES = 2.0 ** np.arange(3, 34, 5)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("name", FABRICS)
def test_auto_is_never_slower_than_a_named_algorithm(name, op):
    fabric = FABRICS[name]
    ranks = np.arange(fabric.hosts)
    best = collective_times(fabric, ranks, op, SIZES).time_s
    named = []
    for algorithm in ALGORITHMS:
        try:
            named.append(collective_times(fabric, ranks, op, SIZES, algorithm).time_s)
        except sim.InputError:  # not of this operation, size or fabric
            continue
    np.testing.assert_array_equal(best, np.min(named, axis=0))


@pytest.mark.parametrize("op", ["all_reduce", "all_gather", "reduce_scatter"])
@pytest.mark.parametrize("dims", [(4, 4), (5, 5), (3, 3, 3), (16, 16, 16)])
def test_rings_along_all_dimensions_of_a_torus_fill_its_links(dims, op):
    times = collective_times(torus(dims, Ports(300e9)), np.arange(np.prod(dims)), op, [2.0**30])
    assert times.algorithm == ["torus_multi_ring"]
    # Two ways in each of d dimensions: all 2 d links of each host are always busy, together with its rate.
    assert times.busbw[0] == pytest.approx(300e9, rel=1e-12)


def test_a_part_of_a_torus_or_another_order_has_no_rings_along_its_dimensions():
    fabric = torus((4, 4), PORTS)
    for ranks in (np.arange(8), np.arange(16)[::-1]):
        assert collective_times(fabric, ranks, "all_reduce", [2.0**30]).algorithm != ["torus_multi_ring"]
        with pytest.raises(sim.InputError, match="whole torus"):
            collective_times(fabric, ranks, "all_reduce", [2.0**30], "torus_multi_ring")

"""Diameters and mean distances in closed form against a search of all shortest paths."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest

from simulator.network.facts import facts
from simulator.network.topologies import Ports, ScaleUp, clos, dragonfly, fat_tree, hypercube, torus

PORTS = Ports(1.0)
FABRICS = [
    *(dragonfly(a, p, h, PORTS) for a, p, h in itertools.product((1, 2, 3, 5), (1, 2), (1, 2, 4))),
    *(torus(dims, PORTS) for dims in [(2, 2), (2, 5), (4, 4), (3, 5), (2, 2, 2), (3, 4, 5)]),
    *(hypercube(dimension, PORTS) for dimension in range(1, 6)),
    clos(7, 8, PORTS),
    clos(10, 4, Ports(1.0, 0.0, 2, ScaleUp(2, 9.0)), planes=2),
    fat_tree(4, PORTS),
]


@pytest.mark.parametrize("fabric", FABRICS, ids=lambda fabric: f"{fabric.name}, {fabric.hosts} hosts")
def test_distances_are_those_of_a_search(fabric):
    graph = fabric.to_networkx()
    graph.remove_nodes_from(np.flatnonzero(fabric.level < 0).tolist())  # switches of scale-up domains
    hops = dict(nx.all_pairs_shortest_path_length(graph))
    found = [hops[a][b] for a, b in itertools.permutations(range(fabric.hosts), 2)]
    known = facts(fabric)
    assert known.diameter == max(found)
    if known.mean_links is not None:
        assert known.mean_links == pytest.approx(np.mean(found))

"""Bisections in closed form against the least cut over all halves of the hosts of small fabrics."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
import pytest

from simulator.network.facts import facts
from simulator.network.topologies import Ports, ScaleUp, clos, fat_tree, hypercube, torus

PORTS = Ports(4.0)


def least_cut(fabric, weight):
    """Return the least cut between two halves of the hosts, over all halves: a maximum flow for each."""
    graph = nx.DiGraph()
    for tail, head, rate in zip(fabric.tail.tolist(), fabric.head.tolist(), weight.tolist(), strict=True):
        before = graph.get_edge_data(tail, head, {"capacity": 0.0})["capacity"]
        graph.add_edge(tail, head, capacity=before + rate)
    hosts = range(fabric.hosts)
    cuts = []
    for half in combinations(hosts, fabric.hosts // 2):
        for host in hosts:
            graph.remove_edges_from([("s", host), (host, "t")])
            graph.add_edge(*(("s", host) if host in half else (host, "t")))  # without a capacity: no limit
        cuts.append(nx.maximum_flow_value(graph, "s", "t"))
    return min(cuts)


CLOS = {
    "one leaf": clos(6, 8, PORTS),
    "one leaf, planes": clos(4, 4, PORTS, planes=2),
    "two leaves": clos(8, 4, PORTS),
    "four leaves": clos(8, 2, PORTS),
    "oversubscribed": clos(8, 2, PORTS, oversubscription=(2.0, 1.0)),
    "rails, a quarter filled": clos(8, 8, Ports(4.0, 0.0, 2), layout="rail"),
    "pods": fat_tree(2, PORTS),
    "two pods": clos(8, 2, PORTS, leaves_per_pod=2),
    "two pods, oversubscribed": clos(8, 2, PORTS, leaves_per_pod=2, oversubscription=(1.0, 4.0)),
    "three pods": clos(6, 1, PORTS, leaves_per_pod=2),
    "three pods, oversubscribed": clos(6, 1, PORTS, leaves_per_pod=2, oversubscription=(1.0, 2.0)),
    "two planes": clos(6, 3, PORTS, planes=2, oversubscription=(3.0, 1.0)),
    "hypercube": hypercube(3, PORTS),
}


@pytest.mark.parametrize("name", CLOS)
def test_bisection_of_a_network_of_switches_is_its_least_cut(name):
    fabric = CLOS[name]
    known = facts(fabric)
    assert known.bisection_rate == pytest.approx(least_cut(fabric, fabric.capacity), rel=1e-9)
    assert known.bisection_cables == pytest.approx(least_cut(fabric, np.ones(fabric.links)), rel=1e-9)


@pytest.mark.parametrize("name", ["uneven leaves", "uneven pods", "three leaves"])
def test_unevenly_filled_networks_have_no_closed_form(name):
    uneven = {"uneven leaves": clos(6, 4, PORTS), "uneven pods": clos(6, 1, PORTS, leaves_per_pod=4)}
    known = facts(uneven.get(name, clos(6, 2, PORTS)))
    assert known.bisection_cables is None
    assert known.bisection_rate is None


def cables_cut(fabric):
    """Return the fewest cables cut by any half, hosts being routers: no search for paths is needed."""
    half = np.array(list(combinations(range(1, fabric.hosts), fabric.hosts // 2 - 1)))
    inside = np.zeros((len(half), fabric.hosts), dtype=bool)
    inside[:, 0] = True
    inside[np.arange(len(half))[:, np.newaxis], half] = True
    cut = np.zeros(len(half), dtype=np.int64)
    for tail, head in zip(fabric.tail.tolist(), fabric.head.tolist(), strict=True):
        cut += inside[:, tail] & ~inside[:, head]
    return cut.min()


@pytest.mark.parametrize(
    "dims",
    [(2, 2), (2, 4), (3, 4), (4, 4), (2, 6), (3, 6), (2, 8), (2, 2, 2), (2, 2, 4), (4, 2, 2)],
    ids=str,
)
def test_bisection_of_a_torus_is_its_least_cut(dims):
    fabric = torus(dims, PORTS)
    known = facts(fabric)
    assert known.bisection_cables == cables_cut(fabric)
    links_of_a_host = sum(1 if length == 2 else 2 for length in dims)
    assert known.bisection_rate == known.bisection_cables * (4.0 / links_of_a_host)


@pytest.mark.parametrize(("dims", "least"), [((2, 7), 5), ((2, 3), 3), ((4, 5), 10), ((2, 5), 5), ((2, 2, 3), 6)])
def test_a_torus_whose_longest_side_is_odd_has_no_closed_form(dims, least):
    fabric = torus(dims, PORTS)
    assert cables_cut(fabric) == least
    assert facts(fabric).bisection_cables is None


def test_facts_of_a_partly_filled_network_are_those_of_the_filled_part():
    ports = Ports(50e9, 0.0, 8, ScaleUp(8, 450e9))
    known = facts(clos(64, 32, ports, layout="rail"))
    assert known.leaf_ports == 256
    assert known.bisection_cables == 32
    assert known.bisection_rate == 32 * 50e9
    assert known.oversubscription == {"leaf_spine": pytest.approx(0.25)}
    full = facts(clos(256, 32, ports, layout="rail"))
    assert full.bisection_rate == 128 * 50e9
    assert full.oversubscription == {"leaf_spine": pytest.approx(1.0)}

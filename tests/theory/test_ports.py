"""Ports that are weak, dead or several, and what their rate means: closed forms, and the greatest flow."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from simulator.network.facts import facts
from simulator.network.graphs import from_networkx
from simulator.network.placed import collective_times
from simulator.network.routing import ALLOWED, Routing, flow_keys, plane_keys, usage
from simulator.network.topologies import Ports, ScaleUp, clos, dragonfly, fat_tree, hypercube, torus
from simulator.scenario.describe import rates_of_links
from simulator.scenario.fabrics import load_fabric

RATE = 80e9
PLANES = clos(64, 8, Ports(RATE, gpus_per_node=8), planes=8)
RAILS = clos(256, 8, Ports(RATE, gpus_per_node=8), leaves_per_pod=16, planes=2, layout="rail")
TREE = fat_tree(8, Ports(RATE))


def drawn(fabric):
    """The same network as a graph of networkx, in which routes are found by search."""
    graph = fabric.to_networkx()
    for vertex in graph:
        graph.nodes[vertex]["kind"] = "host" if vertex < fabric.hosts else "switch"
    return from_networkx(graph, Ports(RATE))


def left_of(fabric, share, *ends):
    """Capacities left where the cables between these pairs of vertices keep a share of theirs."""
    left = np.ones(fabric.links)
    for one, other in ends:
        left[((fabric.tail == one) & (fabric.head == other)) | ((fabric.tail == other) & (fabric.head == one))] = share
    return left


def rate(fabric, source, target, policy, left):
    """Bytes/s of each pair when all of them move together."""
    used = usage(fabric, source, target, Routing(policy), left)
    assert used.reachable.all()
    return float(np.min(fabric.capacity[used.links] * left[used.links] / used.weights))


def most(fabric, source, target, left):
    graph = nx.DiGraph()
    for link in range(fabric.links):
        graph.add_edge(int(fabric.tail[link]), int(fabric.head[link]), capacity=fabric.capacity[link] * left[link])
    graph.remove_nodes_from(set(range(fabric.hosts)) - {source, target})  # hosts do not forward
    return nx.maximum_flow_value(graph, source, target)


def leaf(fabric, host, plane=0):
    return int(fabric.head[(fabric.tail == host) & (fabric.plane == plane)][0])


@pytest.mark.parametrize("policy", ["spray", "adaptive"])
@pytest.mark.parametrize(("share", "expected"), [(1.0, 1.0), (0.5, 7.5 / 8.0), (0.01, 7.01 / 8.0), (0.0, 7.0 / 8.0)])
def test_one_port_of_eight_costs_what_it_lacks(policy, share, expected):
    ring = np.arange(0, 64, 8)
    left = left_of(PLANES, share, (8, leaf(PLANES, 8)))
    assert rate(PLANES, ring, np.roll(ring, -1), policy, left) == pytest.approx(expected * RATE, rel=1e-9)


def test_one_port_of_eight_costs_what_it_lacks_in_a_drawn_graph():
    fabric, ring = drawn(PLANES), np.arange(0, 64, 8)
    for share in (1.0, 0.5, 0.01, 0.0):
        left = left_of(fabric, share, (8, leaf(PLANES, 8)))
        expected = (7.0 + share) / 8.0 * RATE
        assert rate(fabric, ring, np.roll(ring, -1), "spray", left) == pytest.approx(expected, rel=1e-9)


# Several weak links on the way of one pair: the port of the source and that of the target, and links above them.
WAYS = [((0, leaf(PLANES, 0)),), ((63, leaf(PLANES, 63, 5)),), ((0, leaf(PLANES, 0)), (63, leaf(PLANES, 63, 5)))]


@pytest.mark.parametrize("ends", WAYS, ids=["source", "target", "both"])
@pytest.mark.parametrize("share", [0.75, 0.5, 0.1, 0.0])
def test_a_sprayed_pair_moves_the_greatest_flow(ends, share):
    for fabric in (PLANES, drawn(PLANES)):
        left = left_of(fabric, share, *ends)
        found = rate(fabric, np.array([0]), np.array([63]), "spray", left)
        assert found == pytest.approx(most(fabric, 0, 63, left), rel=1e-9)


@pytest.mark.parametrize("share", [0.75, 0.5, 0.1, 0.0])
def test_all_hosts_of_a_leaf_share_what_its_uplinks_have_left(share):
    """One of 4 uplinks is weak: 4 hosts that all send through them get (3 + share) / 4 each."""
    spine = int(TREE.head[(TREE.tail == leaf(TREE, 0)) & (TREE.level[TREE.head] == 2)][0])
    source, target = np.arange(4), np.arange(4) + 4
    for fabric in (TREE, drawn(TREE)):
        left = left_of(fabric, share, (leaf(TREE, 0), spine))
        assert rate(fabric, source, target, "spray", left) == pytest.approx((3.0 + share) / 4.0 * RATE, rel=1e-9)


@pytest.mark.parametrize("name", ["planes", "rails", "tree"])
@pytest.mark.parametrize("policy", ["spray", "adaptive"])
def test_a_weak_link_is_never_worse_than_a_dead_one(name, policy):
    fabric = {"planes": PLANES, "rails": RAILS, "tree": TREE}[name]
    rng = np.random.default_rng(11)
    for _ in range(40):
        source, target = rng.integers(0, fabric.hosts, 2)
        mine = usage(fabric, [source], [target], Routing("spray")).links
        is_hit = np.isin(fabric.cable, fabric.cable[rng.choice(mine, 1)] if len(mine) else [])
        dead = usage(fabric, [source], [target], Routing(policy), ~is_hit)
        if source == target or not dead.reachable.all():
            continue
        rates = [rate(fabric, [source], [target], policy, np.where(is_hit, share, 1.0)) for share in (0.0, 0.05, 0.5)]
        assert rates[0] <= rates[1] * (1 + 1e-9)
        assert rates[1] <= rates[2] * (1 + 1e-9)


@pytest.mark.parametrize("policy", ["ecmp", "spray"])
def test_no_host_forwards_for_others(policy):
    """Host 0 hangs on both leaves: the way from leaf to leaf is as long through it as through the spine."""
    graph = nx.Graph()
    graph.add_edges_from([("a", "left"), ("b", "left"), ("b", "right"), ("c", "right")])
    graph.add_edges_from([("left", "spine"), ("right", "spine")])
    nx.set_node_attributes(graph, dict.fromkeys("abc", "host"), "kind")
    fabric = from_networkx(graph, Ports(RATE))
    a, b, c = 0, 1, 2
    for seed in range(8):
        used = usage(fabric, [a], [c], Routing(policy, seed))
        assert b not in fabric.head[used.links].tolist()


@pytest.mark.parametrize("policy", ["ecmp", "per_plane", "adaptive", "spray"])
@pytest.mark.parametrize("planes", [1, 2, 8])
def test_a_pair_uses_its_whole_nic_under_every_routing(policy, planes):
    """Below one leaf of each plane no two flows can meet, so that hashing costs nothing."""
    fabric = clos(64, 64, Ports(RATE), planes=planes)
    ring = np.arange(64)
    assert rate(fabric, ring, np.roll(ring, -1), policy, np.ones(fabric.links)) == pytest.approx(RATE, rel=1e-9)


def test_flows_of_a_pair_lie_in_all_planes_and_are_hashed_apart():
    keys = plane_keys(flow_keys(np.arange(4000), np.arange(4000) + 1, 0), 4)
    assert keys.min() >= 0
    assert (np.sort(keys % 4, axis=1) == np.arange(4)).all()
    spine = keys // 4 % 16
    # Of 4,000 pairs one sixteenth agree by chance, 250 with a standard deviation of 15.
    assert abs((spine[:, 0] == spine[:, 1]).sum() - 250) < 60


@pytest.mark.parametrize(("name", "ranks"), [("dual_tor_400g", 256), ("multi_plane_800g", 256)])
def test_hashing_leaves_a_collective_the_whole_nic_where_no_flows_meet(name, ranks):
    network, _ = load_fabric(name, ranks)
    times = {
        policy: collective_times(
            network.fabric, np.arange(ranks), "all_reduce", [4.3e9], "auto", Routing(policy), network.transport
        ).time_s[0]
        for policy in ("ecmp", "spray")
    }
    assert set(times) <= set(ALLOWED["clos"])
    assert times["ecmp"] == pytest.approx(times["spray"], rel=1e-9)
    if name == "dual_tor_400g":
        assert times["ecmp"] == pytest.approx(25.5e-3, rel=0.01)  # 49.5 ms over one port alone


def two_leaves():
    graph = nx.complete_bipartite_graph(6, 2)
    nx.set_node_attributes(graph, dict.fromkeys(range(6), "host"), "kind")
    return graph


BUILT = {
    "clos": lambda ports: clos(64, 8, ports, oversubscription=(3.0,)),
    "planes": lambda ports: clos(64, 8, ports, planes=4, layout="rail"),
    "three tiers": lambda ports: fat_tree(4, ports),
    "dragonfly": lambda ports: dragonfly(4, 2, 2, ports),
    "torus 4x4": lambda ports: torus((4, 4), ports),
    "torus 2x3": lambda ports: torus((2, 3), ports),
    "torus 4x2x5": lambda ports: torus((4, 2, 5), ports),
    "hypercube": lambda ports: hypercube(5, ports),
    "ring": lambda ports: from_networkx(nx.cycle_graph(8), ports),
    "two leaves": lambda ports: from_networkx(two_leaves(), ports),
}


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize("scale_up", [ScaleUp(), ScaleUp(2, 900e9)], ids=["alone", "pairs"])
def test_rate_is_what_a_gpu_sends_and_receives_on_every_fabric(name, scale_up):
    fabric = BUILT[name](Ports(RATE, 0.0, 2, scale_up))
    outside = fabric.tier != (fabric.tiers.index("scale_up") if "scale_up" in fabric.tiers else -1)
    for ends in (fabric.tail, fabric.head):
        total = np.bincount(ends[outside], fabric.capacity[outside])[: fabric.hosts]
        assert total == pytest.approx(RATE, rel=1e-12)
    assert facts(fabric).host_rates == pytest.approx((RATE, RATE), rel=1e-12)


@pytest.mark.parametrize("name", BUILT)
@pytest.mark.parametrize("algorithm", ["auto", "ring"])
def test_no_all_reduce_is_faster_than_the_ports_of_a_gpu(name, algorithm):
    """Every GPU sends at least 2 (n - 1) / n of the message (Patarasu and Yuan, 2009), at most at its rate."""
    fabric = BUILT[name](Ports(200e9))
    n = fabric.hosts
    times = collective_times(fabric, np.arange(n), "all_reduce", [64.0 * 2**20], algorithm)
    assert times.time_s[0] >= 2.0 * (n - 1) / n * 64.0 * 2**20 / 200e9 * (1 - 1e-9)


def test_all_reduce_of_64_mib_on_a_torus_of_16_takes_629_us():
    times = collective_times(torus((4, 4), Ports(200e9)), np.arange(16), "all_reduce", [64.0 * 2**20])
    assert times.time_s[0] == pytest.approx(629.1456e-6, rel=1e-9)


def test_capacities_of_a_graph_go_before_the_rate_of_the_ports():
    graph = nx.Graph()
    graph.add_edge("a", "left", capacity=30e9)
    graph.add_edges_from([("a", "right"), ("b", "left"), ("b", "right"), ("left", "right")])
    nx.set_node_attributes(graph, dict.fromkeys("ab", "host"), "kind")
    fabric = from_networkx(graph, Ports(RATE))
    rates = {(int(t), int(h)): c for t, h, c in zip(fabric.tail, fabric.head, fabric.capacity, strict=True)}
    assert [rates[0, 2], rates[0, 3], rates[1, 2], rates[1, 3]] == [30e9, RATE / 2, RATE / 2, RATE / 2]
    assert rates[2, 3] == RATE
    assert facts(fabric).host_rates == (70e9, RATE)
    assert facts(fabric).link_rates == {"host": (30e9, RATE / 2), "switch": (RATE, RATE)}


def test_the_rate_of_one_link_is_printed():
    assert rates_of_links(facts(torus((4, 4), Ports(200e9)))) == "400 Gbit/s"
    assert rates_of_links(facts(clos(64, 8, Ports(50e9), planes=2, oversubscription=(2.0,)))) == "200 Gbit/s"
    tree = clos(64, 8, Ports(50e9), oversubscription=(3.0,))
    assert rates_of_links(facts(tree)) == "host 400 Gbit/s, leaf_spine 355.6 Gbit/s"
    ring = nx.cycle_graph(4)
    ring.add_edge(0, 1, capacity="100 Gbit/s")
    assert rates_of_links(facts(from_networkx(ring, Ports(50e9)))) == "100 Gbit/s to 200 Gbit/s"

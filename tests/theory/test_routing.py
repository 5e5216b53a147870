"""Routes: connected, shortest, alive; sprayed weights; what hashing and oversubscription cost."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

import simulator as sim
from simulator.network import max_min_rates, simulate_flows
from simulator.network.graphs import from_networkx
from simulator.network.routing import ALLOWED, Routing, flow_keys, plane_keys, routes, usage, usual_policy
from simulator.network.topologies import Ports, ScaleUp, clos, dragonfly, fat_tree, hypercube, torus

PORTS = Ports(50e9, 1e-6, 8, ScaleUp(8, 450e9, 1e-6))
PLAIN = Ports(50e9)
FABRICS = [
    fat_tree(8, PORTS),
    clos(1000, 16, PORTS, leaves_per_pod=8, oversubscription=(1, 3), planes=4, layout="rail"),
    clos(256, 8, PORTS, planes=2),
    dragonfly(4, 2, 2, PLAIN),
    dragonfly(8, 4, 4, PORTS),
    torus((4, 4, 4), PLAIN),
    torus((2, 5, 3), PLAIN),
    hypercube(6, PLAIN),
]
CASES = [(fabric, policy) for fabric in FABRICS for policy in ALLOWED[fabric.kind]]


def flows(fabric, n=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, fabric.hosts, n), rng.integers(0, fabric.hosts, n)


def walked(fabric, rows, f, source):
    at = source
    for link in rows.links[rows.indptr[f] : rows.indptr[f + 1]]:
        assert fabric.tail[link] == at
        at = fabric.head[link]
    return at


def left_over(fabric, rows, source, target):
    """Return by flow and vertex what arrives less what leaves, without the whole that goes from source to target."""
    flow = np.repeat(np.arange(len(source)), np.diff(rows.indptr))
    net = np.zeros((len(source), fabric.vertices))
    np.add.at(net, (flow, fabric.head[rows.links]), rows.weights)
    np.add.at(net, (flow, fabric.tail[rows.links]), -rows.weights)
    net[np.arange(len(source)), source] += 1.0
    net[np.arange(len(source)), target] -= 1.0
    return net


@pytest.mark.parametrize(("fabric", "policy"), CASES, ids=lambda value: getattr(value, "name", value))
def test_routes_lead_from_source_to_target_and_add_up_to_usage(fabric, policy):
    source, target = flows(fabric)
    rows = routes(fabric, source, target, Routing(policy, 3))
    assert rows.reachable.all()
    assert left_over(fabric, rows, source, target) == pytest.approx(0.0, abs=1e-12)
    if policy != "spray":  # one path, but for those half way round a ring of a torus
        whole = [f for f in range(len(source)) if (rows.weights[rows.indptr[f] : rows.indptr[f + 1]] == 1.0).all()]
        assert len(whole) == len(source) or fabric.kind == "torus"
        assert all(walked(fabric, rows, f, source[f]) == target[f] for f in whole)
    total = np.bincount(rows.links, rows.weights, fabric.links)
    used = usage(fabric, source, target, Routing(policy, 3))
    if policy in ("ecmp", "per_plane"):  # a pair has a flow in each plane
        keys = plane_keys(flow_keys(source, target, 3), int(fabric.plane.max()) + 1)
        assert (keys[:, 0] == flow_keys(source, target, 3)).all()
        each = [routes(fabric, source, target, Routing(policy), keys=np.ascontiguousarray(key)) for key in keys.T]
        total = sum(np.bincount(rows.links, rows.weights, fabric.links) for rows in each) / len(each)
    if policy != "adaptive":  # the same greedy choice, added up in another order
        assert total[used.links] == pytest.approx(used.weights)
    assert total.sum() == pytest.approx(used.weights.sum())


@pytest.mark.parametrize(("fabric", "policy"), CASES, ids=lambda value: getattr(value, "name", value))
def test_dead_links_are_avoided_and_lost_hosts_are_told(fabric, policy):
    source, target = flows(fabric)
    rng = np.random.default_rng(5)
    up = np.ones(fabric.links, bool)
    dead = rng.choice(int(fabric.cable.max()) + 1, 3, replace=False)
    up[fabric.links_of_cables(dead)] = False
    lost = int(source[0])
    up[(fabric.tail == lost) | (fabric.head == lost)] = False
    rows = routes(fabric, source, target, Routing(policy, 3), up)
    assert up[rows.links].all()
    gone = ((source == lost) | (target == lost)) & (source != target)
    assert not rows.reachable[gone].any()
    if policy != "per_plane":  # which stays in its plane
        assert rows.reachable[~gone].mean() > 0.95
    used = usage(fabric, source, target, Routing(policy, 3), up)
    if policy != "per_plane":  # where a pair with a flow in each plane needs them all
        assert (used.reachable == rows.reachable).all()
    assert up[used.links].all()


def test_a_flow_keeps_its_path_when_others_die():
    fabric = fat_tree(8, PORTS)
    source, target = flows(fabric)
    before = routes(fabric, source, target, Routing("ecmp", 1))
    up = np.ones(fabric.links, bool)
    up[before.links[before.indptr[7] + 1]] = False
    after = routes(fabric, source, target, Routing("ecmp", 1), up)
    for f in range(len(source)):
        old = before.links[before.indptr[f] : before.indptr[f + 1]]
        new = after.links[after.indptr[f] : after.indptr[f + 1]]
        assert (len(old) == len(new) and (old == new).all()) == bool(up[old].all())


@pytest.mark.parametrize("ratio", [1.0, 2.0, 3.0, 7.0])
def test_oversubscription_slows_a_cross_pod_permutation_by_its_ratio_under_spraying(ratio):
    fabric = clos(512, 16, PLAIN, leaves_per_pod=8, oversubscription=(1.0, ratio))
    source = np.arange(512)
    rows = routes(fabric, source, (source + 128) % 512, Routing("spray"))
    rates = max_min_rates(fabric.capacity, rows.indptr, rows.links, rows.weights)
    assert rates == pytest.approx(50e9 / ratio, rel=1e-9)


def test_neighbour_shifts_on_a_torus_have_every_link_to_themselves():
    fabric = torus((4, 4, 4), PLAIN)
    host = np.arange(64)
    for stride, length in ((1, 4), (4, 4), (16, 4)):
        at = host // stride % length
        used = usage(fabric, host, host + np.where(at == 3, -3 * stride, stride), Routing("dimension_order"))
        assert (used.weights == 1.0).all()
        assert len(used.links) == 64


def loads_of_all_to_all(fabric):
    """Return the load of every link when each host sends one byte to each other one."""
    source, target = np.divmod(np.arange(fabric.hosts**2), fabric.hosts)
    used = usage(fabric, source, target, Routing(usual_policy(fabric)))
    load = np.zeros(fabric.links)
    load[used.links] = used.weights
    return load


def load_of_a_ring(length):
    """Return the bytes that cross each link of a ring in one direction: half of all hops go that way."""
    return sum(min(hops, length - hops) for hops in range(length)) / 2.0


@pytest.mark.parametrize("length", [3, 4, 5, 6, 7, 8, 10, 12])
def test_an_all_to_all_loads_all_links_of_a_ring_alike(length):
    ring = from_networkx(nx.cycle_graph(length), PLAIN)
    assert loads_of_all_to_all(ring) == pytest.approx(load_of_a_ring(length))
    for dims in ((length, 4), (length, length), (3, length, 4)):
        fabric = torus(dims, PLAIN)
        for tier, along in enumerate(dims):
            expected = load_of_a_ring(along) * fabric.hosts / along
            assert loads_of_all_to_all(fabric)[fabric.tier == tier] == pytest.approx(expected)


@pytest.mark.parametrize("dims", [(4, 4), (6, 4), (4, 4, 4)])
def test_a_torus_drawn_as_a_graph_carries_an_all_to_all_as_the_torus_does(dims):
    drawn = from_networkx(nx.grid_graph(dims[::-1], periodic=True), PLAIN)
    assert loads_of_all_to_all(drawn).max() == pytest.approx(loads_of_all_to_all(torus(dims, PLAIN)).max())


def test_half_way_round_a_ring_the_living_way_carries_all():
    fabric = torus((4, 3), PLAIN)
    before = routes(fabric, [0], [2], Routing("dimension_order"))
    assert before.weights.tolist() == [0.5] * 4
    up = np.ones(fabric.links, bool)
    up[before.links[0]] = False
    after = routes(fabric, [0], [2], Routing("dimension_order"), up)
    assert (len(after.links), after.weights.tolist()) == (2, [1.0, 1.0])
    assert set(after.links) == set(before.links[2:])


def test_hashing_is_for_graphs_with_switches():
    assert usual_policy(from_networkx(nx.cycle_graph(4), PLAIN)) == "spray"
    assert usual_policy(from_networkx(nx.star_graph(4), PLAIN)) == "ecmp"


def test_valiant_doubles_the_load_of_global_links():
    fabric = dragonfly(8, 4, 4, PLAIN)
    source, target = flows(fabric, 20_000)
    away = fabric.pod[source] != fabric.pod[target]
    across = fabric.tier == fabric.tiers.index("global")

    def crossings(policy):
        used = usage(fabric, source[away], target[away], Routing(policy))
        return used.weights[across[used.links]].sum() / away.sum()

    assert crossings("minimal") == pytest.approx(1.0)
    assert crossings("valiant") == pytest.approx(2.0)


def permutation(hosts, seed):
    order = np.random.default_rng(seed).permutation(hosts)
    return np.where(order == np.arange(hosts), (order + 1) % hosts, order)


def test_one_hashed_path_takes_two_and_a_half_times_as_long_as_spraying():
    fabric = fat_tree(16, PLAIN)
    source, size = np.arange(1024), np.full(1024, 100e6)
    ratios = []
    for seed in range(20):
        rows = routes(fabric, source, permutation(1024, seed), Routing("ecmp", seed))
        finish = simulate_flows(fabric.capacity, rows.indptr, rows.links, size, np.zeros(1024))
        spread = routes(fabric, source, permutation(1024, seed), Routing("spray"))
        rates = max_min_rates(fabric.capacity, spread.indptr, spread.links, spread.weights)
        ratios.append(finish.mean() / np.mean(size / rates))
    assert 2.5 <= np.mean(ratios) <= 2.8


def test_a_policy_that_the_fabric_lacks_and_a_host_that_is_not_there_are_refused():
    with pytest.raises(sim.InputError, match="no such routing"):
        routes(torus((4, 4), PLAIN), [0], [1], Routing("ecmp"))
    with pytest.raises(sim.InputError, match="no such host"):
        routes(torus((4, 4), PLAIN), [0], [16], Routing("dimension_order"))

"""Tables t08 (collectives) and t09 (topologies), exact; t10 (hash collisions) exact and by our routing."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from tables import published

from simulator.network.collectives import algorithms_for, idle_time, schedule
from simulator.network.facts import facts
from simulator.network.routing import Routing, routes
from simulator.network.topologies import Ports, clos, dragonfly, fat_tree, hypercube, leaf_spine, torus

PORTS = Ports(50e9)
ALPHA_S, RATE = 5e-6, 50e9
COLLECTIVES = {
    "ring_allreduce_us": ("all_reduce", "ring"),
    "recursive_doubling_allreduce_us": ("all_reduce", "recursive_doubling"),
    "rabenseifner_allreduce_us": ("all_reduce", "halving_doubling"),
    "double_tree_allreduce_us": ("all_reduce", "double_binary_tree"),
    "ring_allgather_us": ("all_gather", "ring"),
    "pairwise_alltoall_us": ("all_to_all", "pairwise"),
    "binomial_broadcast_us": ("broadcast", "binomial"),
}


@pytest.mark.parametrize(
    "row", published("t08_collectives_alpha_beta"), ids=lambda r: f"{r['ranks']}x{r['message_bytes']}"
)
def test_t08_collectives_on_an_idle_switch(row):
    ranks, size = int(row["ranks"]), float(row["message_bytes"])
    times = {}
    for column, (op, algorithm) in COLLECTIVES.items():
        times[column] = idle_time(schedule(op, algorithm, ranks), size, ALPHA_S, RATE) * 1e6
        assert times[column] == pytest.approx(float(row[column]), rel=1e-6), column
    names = {"ring": "ring", "recursive_doubling": "recursive_doubling", "halving_doubling": "rabenseifner"}
    reduces = {names[a]: times[c] for c, (op, a) in COLLECTIVES.items() if op == "all_reduce" and a in names}
    reduces["double_tree"] = times["double_tree_allreduce_us"]
    assert min(reduces, key=lambda name: reduces[name]) == row["best_allreduce"]
    assert "ring" in algorithms_for("all_reduce", ranks)


def built(row):
    sizes = dict(part.split("=") for part in row["parameters"].split() if "=" in part)
    match row["topology"]:
        case "fat_tree_3level":
            return fat_tree(int(sizes["k"]), PORTS)
        case "leaf_spine_2level":
            return leaf_spine(int(sizes["radix"]), PORTS)
        case "dragonfly_canonical":
            return dragonfly(int(sizes["a"]), int(sizes["p"]), int(sizes["h"]), PORTS)
        case "hypercube":
            return hypercube(int(sizes["d"]), PORTS)
        case "torus":
            return torus(tuple(int(k) for k in row["parameters"].split("x")), PORTS)


@pytest.mark.parametrize("row", published("t09_topology_counts"), ids=lambda r: f"{r['topology']} {r['parameters']}")
def test_t09_counts_of_topologies(row):
    known = facts(built(row))
    assert known.hosts == int(row["hosts"])
    assert known.switches == int(row["switches"])
    assert known.cables == int(row["links_including_host_links"])
    assert known.diameter == int(row["diameter_links_host_to_host"])
    if row["bisection_links"]:
        assert known.bisection_cables == int(row["bisection_links"])
    if row["mean_links_between_hosts"]:
        assert known.mean_links == pytest.approx(float(row["mean_links_between_hosts"]), rel=1e-8)


def fullest(flows: int, uplinks: int) -> tuple[float, float]:
    """Return P(no uplink has two flows) and the expected flows on the fullest, exactly.

    The chance that no uplink has more than m flows is F! / L^F times the coefficient of x^F in (sum_k<=m x^k/k!)^L.
    """
    below = [0.0]
    for most in range(1, flows + 1):
        each = np.array([1.0 / math.factorial(k) for k in range(most + 1)])
        total = np.array([1.0])
        for _ in range(uplinks):
            total = np.convolve(total, each)[: flows + 1]
        coefficient = total[flows] if len(total) > flows else 0.0
        below.append(coefficient * math.factorial(flows) / uplinks**flows)
    return below[1], sum(1.0 - chance for chance in below[:flows])


@pytest.mark.parametrize("row", published("t10_ecmp_collisions"), ids=lambda r: f"{r['flows']} on {r['uplinks']}")
def test_t10_hash_collisions(row):
    flows, uplinks = int(row["flows"]), int(row["uplinks"])
    alone, most = fullest(flows, uplinks)
    assert alone == pytest.approx(float(row["prob_no_collision"]), rel=1e-7, abs=1e-12)
    assert most == pytest.approx(float(row["expected_flows_on_fullest_link"]), rel=1e-7)
    # Our hash on a real fabric: one leaf sends to another; 2,000 seeds, four standard errors.
    fabric = clos(
        2 * flows, flows, Ports(1.0), oversubscription=(flows / uplinks, 1.0) if flows > uplinks else (1.0, 1.0)
    )
    if fabric.shape.spines_per_pod != uplinks:
        pytest.skip("more uplinks than hosts: only the enumeration")
    counts = []
    for seed in range(2000):
        rows = routes(fabric, np.arange(flows), np.arange(flows) + flows, Routing("ecmp", seed))
        up = rows.links[rows.indptr[:-1] + 1]
        counts.append(np.unique(up, return_counts=True)[1].max())
    error = np.std(counts) / math.sqrt(len(counts))
    assert abs(np.mean(counts) - most) <= 4.0 * error


def test_enumeration_is_right_for_a_case_that_can_be_listed():
    placed = [max(np.bincount(choice, minlength=3)) for choice in product(range(3), repeat=4)]
    assert fullest(4, 3)[1] == pytest.approx(np.mean(placed))

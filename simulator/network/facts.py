"""What is known of a fabric by counting: switches, cables, diameter, bisection, oversubscription."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from simulator.network.fabric import (
    SCALE_UP,
    ClosShape,
    DragonflyShape,
    Fabric,
    Floats,
    GraphShape,
    HypercubeShape,
    Ints,
    TorusShape,
)

MOST_SEARCHED = 4096
"""Hosts up to which the distances of an arbitrary graph are searched."""


@dataclass(frozen=True)
class FabricFacts:
    """Facts of a fabric; scale-up domains are left out.

    Parameters
    ----------
    hosts, switches, planes : int
        Of all planes together.
    cables : int
        Cables, those of the hosts included.
    switch_cables : int
        Cables between switches (between hosts where those are routers).
    diameter : int or None
        Links on the longest shortest path between hosts; None where it was not searched.
    mean_links : float or None
        Mean of that over all pairs of distinct hosts.
    bisection_cables, bisection_rate : float or None
        Fewest cables, and bytes/s in one direction, between two halves of the hosts; None where there is no closed
        form. Of all planes together, hosts that are missing left out.
    host_rates : tuple of float
        Bytes/s in one direction over all links of a host, of the slowest and of the fastest one.
    link_rates : dict of str to (float, float)
        Bytes/s of the slowest and of the fastest link in one direction, by tier.
    oversubscription : dict of str to float
        Capacity into the switches below a tier divided by its own, by tier; of the fullest switches.
    leaf_ports : int or None
        Hosts that the leaves of a Clos network could hold.
    """

    hosts: int
    switches: int
    planes: int
    cables: int
    switch_cables: int
    diameter: int | None
    mean_links: float | None
    bisection_cables: float | None
    bisection_rate: float | None
    host_rates: tuple[float, float]
    link_rates: dict[str, tuple[float, float]]
    oversubscription: dict[str, float]
    leaf_ports: int | None


def facts(fabric: Fabric) -> FabricFacts:
    """Return the facts of a fabric, in closed form where its kind has one."""
    scale_up = fabric.tier == _scale_up_tier(fabric)
    cables = len(np.unique(fabric.cable[~scale_up]))
    at_hosts = len(np.unique(fabric.cable[~scale_up & ((fabric.tail < fabric.hosts) ^ (fabric.head < fabric.hosts))]))
    sent: Floats = np.bincount(fabric.tail[~scale_up], fabric.capacity[~scale_up]).astype(np.float64)
    diameter, mean_links = _distances(fabric)
    shape = fabric.shape
    cut_cables, cut_rate = _bisection(fabric)
    return FabricFacts(
        hosts=fabric.hosts,
        switches=int(np.count_nonzero(fabric.level > 0)),
        planes=int(fabric.plane.max()) + 1,
        cables=cables,
        switch_cables=cables - at_hosts,
        diameter=diameter,
        mean_links=mean_links,
        bisection_cables=cut_cables,
        bisection_rate=cut_rate,
        host_rates=_ends(sent[: fabric.hosts]),
        link_rates=_link_rates(fabric),
        oversubscription=_oversubscription(fabric),
        leaf_ports=shape.leaves * shape.hosts_per_leaf if isinstance(shape, ClosShape) else None,
    )


def _distances(fabric: Fabric) -> tuple[int | None, float | None]:
    n, shape = fabric.hosts, fabric.shape
    match shape:
        case ClosShape():
            return _clos_distances(fabric, shape)
        case DragonflyShape(routers):
            return 5 if routers > 1 else 3, None  # host, local, global, local, host; one router has no local links
        case TorusShape(dims):
            # Mean distance on a ring of even length k is k/4, of odd length (k^2 - 1) / 4k, a host itself counted.
            total = sum(k / 4.0 if k % 2 == 0 else (k * k - 1) / (4.0 * k) for k in dims)
            return sum(k // 2 for k in dims), total * n / (n - 1)
        case HypercubeShape(dimension):
            return dimension, dimension / 2.0 * n / (n - 1)
        case GraphShape():
            return _searched(fabric)


def _clos_distances(fabric: Fabric, shape: ClosShape) -> tuple[int, float]:
    in_leaf = _on_leaves(fabric, shape).astype(float)
    in_pod = np.bincount(np.arange(shape.leaves) // shape.leaves_per_pod, in_leaf)
    n = float(fabric.hosts)
    same_leaf, same_pod = float(np.sum(in_leaf**2) - n), float(np.sum(in_pod**2) - np.sum(in_leaf**2))
    across = n * (n - 1.0) - same_leaf - same_pod
    diameter = 6 if across > 0 else 4 if same_pod > 0 else 2
    return diameter, (2.0 * same_leaf + 4.0 * same_pod + 6.0 * across) / (n * (n - 1.0))


def _searched(fabric: Fabric) -> tuple[int | None, float | None]:
    if fabric.hosts > MOST_SEARCHED:
        return None, None
    import networkx as nx

    graph = fabric.to_networkx()
    graph.remove_nodes_from([vertex for vertex in range(fabric.vertices) if fabric.level[vertex] < 0])
    longest, total = 0, 0
    for host in range(fabric.hosts):
        hops = nx.single_source_shortest_path_length(graph, host)
        mine = [hops[other] for other in range(fabric.hosts)]
        longest, total = max(longest, *mine), total + sum(mine)
    return longest, total / (fabric.hosts * (fabric.hosts - 1))


def _rate_of(fabric: Fabric, tier: str) -> float:
    """Return the capacity of one link of a tier of a Clos network; they are all alike."""
    return float(fabric.capacity[fabric.tier == fabric.tiers.index(tier)][0])


def _link_rates(fabric: Fabric) -> dict[str, tuple[float, float]]:
    rates = {}
    for number, tier in enumerate(fabric.tiers):
        mine = fabric.capacity[fabric.tier == number]
        if tier != SCALE_UP and len(mine):
            rates[tier] = _ends(mine)
    return rates


def _ends(rates: Floats) -> tuple[float, float]:
    return float(rates.min()), float(rates.max())


def _on_leaves(fabric: Fabric, shape: ClosShape) -> Ints:
    """Return the hosts on each leaf of a plane."""
    return np.bincount(fabric.leaf, minlength=shape.leaves)


def _oversubscription(fabric: Fabric) -> dict[str, float]:
    shape = fabric.shape
    if not isinstance(shape, ClosShape):
        return {}
    up = _rate_of(fabric, "leaf_spine")
    below = float(_on_leaves(fabric, shape).max()) * _rate_of(fabric, "host")
    ratios = {"leaf_spine": below / (shape.spines_per_pod * up)}
    if shape.cores_per_spine:
        leaves = min(shape.leaves_per_pod, shape.leaves)
        ratios["spine_core"] = leaves * up / (shape.cores_per_spine * _rate_of(fabric, "spine_core"))
    return ratios


def _bisection(fabric: Fabric) -> tuple[float | None, float | None]:
    """Return the fewest cables, and the least bytes/s, between two halves of the hosts."""
    cables: float | None
    match fabric.shape:
        case ClosShape() as shape:
            on_leaf = _on_leaves(fabric, shape)
            core = _rate_of(fabric, "spine_core") if shape.cores_per_spine else 0.0
            rates = (_rate_of(fabric, "host"), _rate_of(fabric, "leaf_spine"), core)
            return _clos_bisection(shape, on_leaf, 1.0, 1.0, 1.0), _clos_bisection(shape, on_leaf, *rates)
        case TorusShape(dims):
            cables = _torus_bisection(dims)
        case HypercubeShape(dimension):
            cables = 2.0 ** (dimension - 1)
        case _:
            cables = None
    slowest = float(fabric.capacity[fabric.tier != _scale_up_tier(fabric)].min())
    return cables, None if cables is None else cables * slowest


def _clos_bisection(shape: ClosShape, on_leaf: Ints, host: float, up: float, core: float) -> float | None:
    """Return the least cut between two halves of the hosts where all leaves, and all pods, hold the same number.

    A leaf is cut off at its hosts or its uplinks, a pod at its leaves or its cores. Given who belongs to which half, a
    least cut is a minimum of linear functions of the hosts of each leaf, hence concave: it is least where leaves and
    pods are whole, all but one pod.
    """
    hosts = int(on_leaf[0])
    if shape.leaves == 1:
        return shape.planes * (hosts // 2) * host
    per_pod = shape.leaves_per_pod if shape.pods > 1 else shape.leaves
    if (on_leaf != hosts).any() or shape.leaves % 2 or shape.leaves != shape.pods * per_pod:
        return None
    leaf = min(hosts * host, shape.spines_per_pod * up)
    cores = shape.spines_per_pod * shape.cores_per_spine * core

    def cut_of_pod(leaves: int) -> float:
        return min(leaves * leaf, (per_pod - leaves) * leaf + cores)

    whole, rest = divmod(shape.leaves // 2, per_pod)
    return shape.planes * (whole * cut_of_pod(per_pod) + cut_of_pod(rest))


def _torus_bisection(dims: tuple[int, ...]) -> float | None:
    """Return the cables across the middle of the longest side and round its back; None where that side is odd.

    A torus whose longest side is odd is cut least along a staircase (of 2 x 7 five cables, not seven).
    """
    longest = max((k for k in dims if k % 2 == 0), default=0)
    if longest < max(dims):
        return None
    return math.prod(dims) / longest * (2.0 if longest > 2 else 1.0)


def _scale_up_tier(fabric: Fabric) -> int:
    return fabric.tiers.index(SCALE_UP) if SCALE_UP in fabric.tiers else -1

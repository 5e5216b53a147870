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
    GraphShape,
    HypercubeShape,
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
        form. Of all planes together; for a partly filled Clos network that of the full one.
    oversubscription : dict of str to float
        Capacity into the switches below a tier divided by its own, by tier; full switches.
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
    oversubscription: dict[str, float]


def facts(fabric: Fabric) -> FabricFacts:
    """Return the facts of a fabric, in closed form where its kind has one."""
    scale_up = fabric.tier == (fabric.tiers.index(SCALE_UP) if SCALE_UP in fabric.tiers else -1)
    cables = len(np.unique(fabric.cable[~scale_up]))
    at_hosts = len(np.unique(fabric.cable[~scale_up & ((fabric.tail < fabric.hosts) ^ (fabric.head < fabric.hosts))]))
    diameter, mean_links = _distances(fabric)
    bisection = _bisection(fabric)
    shape = fabric.shape
    rate = None if bisection is None else bisection * float(fabric.capacity[~scale_up].min())
    ratios: dict[str, float] = {}
    if isinstance(shape, ClosShape):
        uplinks, host = fabric.tiers.index("leaf_spine"), fabric.tiers.index("host")
        port = float(fabric.capacity[fabric.tier == host][0])
        up = float(fabric.capacity[fabric.tier == uplinks][0])
        ratios["leaf_spine"] = shape.hosts_per_leaf * port / (shape.spines_per_pod * up)
        crossing = up * shape.spines_per_pod * shape.leaves / 2.0
        if shape.cores_per_spine:
            core = float(fabric.capacity[fabric.tier == fabric.tiers.index("spine_core")][0])
            ratios["spine_core"] = shape.leaves_per_pod * up / (shape.cores_per_spine * core)
            crossing = core * shape.cores_per_spine * shape.spines_per_pod * shape.pods / 2.0
        rate = crossing * shape.planes if shape.leaves > 1 else None
    return FabricFacts(
        hosts=fabric.hosts,
        switches=int(np.count_nonzero(fabric.level > 0)),
        planes=int(fabric.plane.max()) + 1,
        cables=cables,
        switch_cables=cables - at_hosts,
        diameter=diameter,
        mean_links=mean_links,
        bisection_cables=bisection,
        bisection_rate=rate,
        oversubscription=ratios,
    )


def _distances(fabric: Fabric) -> tuple[int | None, float | None]:
    n, shape = fabric.hosts, fabric.shape
    match shape:
        case ClosShape():
            return _clos_distances(fabric, shape)
        case DragonflyShape():
            return 5, None  # host, local, global, local, host
        case TorusShape(dims):
            # Mean distance on a ring of even length k is k/4, of odd length (k^2 - 1) / 4k, a host itself counted.
            total = sum(k / 4.0 if k % 2 == 0 else (k * k - 1) / (4.0 * k) for k in dims)
            return sum(k // 2 for k in dims), total * n / (n - 1)
        case HypercubeShape(dimension):
            return dimension, dimension / 2.0 * n / (n - 1)
        case GraphShape():
            return _searched(fabric)


def _clos_distances(fabric: Fabric, shape: ClosShape) -> tuple[int, float]:
    from simulator.network.topologies import leaf_of_host

    leaf = leaf_of_host(fabric)
    in_leaf = np.bincount(leaf).astype(float)
    in_pod = np.bincount(leaf // shape.leaves_per_pod).astype(float)
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


def _bisection(fabric: Fabric) -> float | None:
    match fabric.shape:
        case ClosShape() as shape:
            if shape.leaves == 1:
                return None
            links = shape.spines_per_pod * (shape.leaves if not shape.cores_per_spine else 0)
            links += shape.spines_per_pod * shape.cores_per_spine * shape.pods
            return shape.planes * links / 2.0
        case TorusShape(dims):
            even = [k for k in dims if k % 2 == 0]
            if not even:
                return None
            longest = max(even)
            return math.prod(dims) / longest * (2.0 if longest > 2 else 1.0)
        case HypercubeShape(dimension):
            return 2.0 ** (dimension - 1)
        case _:
            return None

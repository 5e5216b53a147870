"""The parts of a fabric that fail as one: links by tier, NICs, switches by level, and the cables each takes along."""

from __future__ import annotations

import functools

import numpy as np

from simulator.network.contention import Floats, Ints
from simulator.network.fabric import SCALE_UP, Fabric

_LEVELS = ("", "leaf", "spine", "core")


def part_counts(fabric: Fabric) -> dict[str, int]:
    """Return how many parts of each kind there are: ``host_link``, ``leaf_spine_link``, ``nic``, ``leaf_switch``, ...

    A link is a cable, both directions together. A NIC is all cables of one host, which are several where the fabric
    has planes. Scale-up links and switches belong to the node and are left out.
    """
    counts = {f"{tier}_link": len(_cables_of_tier(fabric, tier)) for tier in _tiers(fabric)}
    counts["nic"] = fabric.hosts
    for level in _switch_levels(fabric):
        counts[_switch_name(fabric, level)] = int(np.count_nonzero(fabric.level == level))
    return counts


def cables_of_part(fabric: Fabric, kind: str, number: int) -> Ints:
    """Return the cables that fail with a part.

    Parameters
    ----------
    fabric : Fabric
        The fabric.
    kind : str
        A key of ``part_counts``.
    number : int
        Which of them, from 0.
    """
    if kind.endswith("_link"):
        return _cables_of_tier(fabric, kind.removesuffix("_link"))[number : number + 1]
    if kind == "nic":
        vertex = number
    else:
        level = next(level for level in _switch_levels(fabric) if _switch_name(fabric, level) == kind)
        vertex = int(np.flatnonzero(fabric.level == level)[number])
    touching = (fabric.tail == vertex) | (fabric.head == vertex)
    return np.unique(fabric.cable[touching & (fabric.tier != _scale_up(fabric))])


def hosts_of_cables(fabric: Fabric, cables: Ints) -> Ints:
    """Return the hosts that these cables reach directly, ascending."""
    links = fabric.links_of_cables(cables)
    ends = np.concatenate((fabric.tail[links], fabric.head[links]))
    return np.unique(ends[ends < fabric.hosts])


def cut_off(fabric: Fabric, capacity: Floats, hosts: Ints) -> Ints:
    """Return those of the hosts that no link of the fabric reaches, at these capacities of the links."""
    alive = (capacity > 0.0) & (fabric.tier != _scale_up(fabric))
    reached = np.zeros(fabric.vertices, np.bool_)
    reached[fabric.tail[alive]] = True
    return hosts[~reached[hosts]]


def groups_of_nodes(fabric: Fabric, nodes: int) -> Ints:
    """Return the group of each node on every tier of the fabric, the narrowest first, shape (tiers, nodes).

    Nodes whose first GPUs hang off the same leaf are a group, then those of the same pod. A tier that holds all nodes
    in one group, or each in its own, tells a placement nothing and is left out; so are fabrics without leaves.
    """
    first = np.arange(nodes, dtype=np.int64) * fabric.gpus_per_node
    groups = [fabric.leaf[first], fabric.pod[first].astype(np.int64)] if fabric.kind == "clos" else []
    numbered = [np.unique(group, return_inverse=True)[1].astype(np.int64) for group in groups]
    telling = [group for group in numbered if 0 < int(group.max()) < nodes - 1]
    return np.array(telling, dtype=np.int64).reshape(len(telling), nodes)


def _scale_up(fabric: Fabric) -> int:
    return fabric.tiers.index(SCALE_UP) if SCALE_UP in fabric.tiers else -1


def _tiers(fabric: Fabric) -> list[str]:
    return [tier for tier in fabric.tiers if tier != SCALE_UP]


@functools.lru_cache(maxsize=64)
def _cables_of_tier(fabric: Fabric, tier: str) -> Ints:
    return np.unique(fabric.cable[fabric.tier == fabric.tiers.index(tier)])


def _switch_levels(fabric: Fabric) -> list[int]:
    return [int(level) for level in np.unique(fabric.level) if level > 0]


def _switch_name(fabric: Fabric, level: int) -> str:
    return f"{_LEVELS[level]}_switch" if fabric.kind == "clos" else "switch"


def loads_by_tier(fabric: Fabric, load: Floats) -> list[tuple[str, int, int, float, float]]:
    """Return the load of the links by tier and pod, from the hosts up.

    Parameters
    ----------
    fabric : Fabric
        The fabric.
    load : array, shape (links,)
        Bytes/s on each link.

    Returns
    -------
    list of (tier, pod, links, mean, most)
        Loads are shares of the healthy capacity. A link belongs to the pod of its lower end; -1 where there is none.
    """
    share = load / fabric.capacity
    lower = np.where(fabric.level[fabric.tail] <= fabric.level[fabric.head], fabric.tail, fabric.head)
    pod = fabric.pod[lower]
    rows = []
    for tier in _tiers(fabric):
        in_tier = fabric.tier == fabric.tiers.index(tier)
        for group in np.unique(pod[in_tier]).tolist():
            mine = share[in_tier & (pod == group)]
            rows.append((tier, int(group), len(mine), float(mine.mean()), float(mine.max())))
    return rows

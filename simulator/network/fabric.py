"""A fabric as arrays: directed links with capacity and latency between hosts and switches."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SCALE_UP = "scale_up"
"""Tier of the links between GPUs and the switch of their scale-up domain."""


@dataclass(frozen=True)
class ClosShape:
    """A folded Clos network of two or three levels, one copy per plane.

    Parameters
    ----------
    planes : int
        Independent copies; a host has one port in each.
    leaves, pods : int
        Of one plane.
    hosts_per_leaf, leaves_per_pod : int
        Down ports of a full leaf, leaves of a full pod.
    spines_per_pod, cores_per_spine : int
        Uplinks of a leaf, one to each spine of its pod; uplinks of a spine, one to each core of its group; 0 for two
        levels.
    is_rail : bool
        Whether a leaf holds the GPUs of one position of its nodes (rail-optimised) instead of whole nodes.
    """

    planes: int
    leaves: int
    pods: int
    hosts_per_leaf: int
    leaves_per_pod: int
    spines_per_pod: int
    cores_per_spine: int
    is_rail: bool


@dataclass(frozen=True)
class DragonflyShape:
    """Groups of routers, all routers of a group joined, all groups joined.

    Parameters
    ----------
    routers, hosts, globals_ : int
        a routers in a group, p hosts and h global links on each router; a h + 1 groups.
    """

    routers: int
    hosts: int
    globals_: int

    @property
    def groups(self) -> int:
        """Number of groups, so that each pair has one global link."""
        return self.routers * self.globals_ + 1


@dataclass(frozen=True)
class TorusShape:
    """A torus whose hosts are routers.

    Parameters
    ----------
    dims : tuple of int
        Length of each dimension, the first one fastest.
    """

    dims: tuple[int, ...]


@dataclass(frozen=True)
class HypercubeShape:
    """A hypercube whose hosts are routers.

    Parameters
    ----------
    dimension : int
        Number of dimensions d; 2**d hosts.
    """

    dimension: int


@dataclass(frozen=True)
class GraphShape:
    """Any other graph; routes are found by search."""


Shape = ClosShape | DragonflyShape | TorusShape | HypercubeShape | GraphShape


@dataclass(frozen=True, eq=False)
class Fabric:
    """The network of a machine.

    Vertices are numbered hosts first (host ``i`` is GPU ``i`` with its share of the NICs), then switches, then the
    switches of the scale-up domains.

    Parameters
    ----------
    name : str
        For reports.
    kind : {"clos", "dragonfly", "torus", "hypercube", "graph"}
        Family of topologies.
    hosts, vertices : int
        Number of hosts, and of hosts and switches.
    tail, head : int arrays, shape (links,)
        Vertices a directed link leaves and enters.
    cable : int array, shape (links,)
        Cable of each link; both directions share it.
    capacity : float array, shape (links,)
        Bytes/s.
    latency : float array, shape (links,)
        Seconds.
    tier : int array, shape (links,)
        Index into ``tiers``.
    tiers : tuple of str
        Names of the tiers from the hosts up, ``scale_up`` last where there is one.
    plane : int array, shape (links,)
        Plane of each link, 0 where there is one plane.
    level, pod, rail : int arrays, shape (vertices,)
        Level of a vertex (0 host, 1 leaf, ...; -1 scale-up switch), its pod and its rail; -1 where it has none.
    gpus_per_node, scale_up_size : int
        Consecutive hosts that form a node, and a scale-up domain (1: there is none).
    shape : Shape
        What closed-form routing needs.
    """

    name: str
    kind: str
    hosts: int
    vertices: int
    tail: Ints
    head: Ints
    cable: Ints
    capacity: Floats
    latency: Floats
    tier: NDArray[np.int8]
    tiers: tuple[str, ...]
    plane: NDArray[np.int16]
    level: NDArray[np.int8]
    pod: NDArray[np.int32]
    rail: NDArray[np.int32]
    gpus_per_node: int
    scale_up_size: int
    shape: Shape

    def __repr__(self) -> str:
        """Return name, topology and size."""
        return f"Fabric({self.name!r}, {self.kind}, {self.hosts:,} GPUs, {self.links // 2:,} cables)"

    @property
    def links(self) -> int:
        """Number of directed links."""
        return len(self.capacity)

    @property
    def first_scale_up_link(self) -> int:
        """Link from host 0 to its scale-up switch; those of the other hosts follow, then the ones back."""
        return self.links - 2 * self.hosts if self.scale_up_size > 1 else self.links

    @functools.cached_property
    def leaf(self) -> Ints:
        """Leaf of every host in the first plane of a Clos network, numbered from 0, shape (hosts,)."""
        shape = self.shape
        assert isinstance(shape, ClosShape)
        host = np.arange(self.hosts, dtype=np.int64)
        if shape.is_rail:
            g = self.gpus_per_node
            return (host // g // shape.hosts_per_leaf) * g + host % g
        return host // shape.hosts_per_leaf

    def links_of_cables(self, cables: Ints) -> Ints:
        """Return the directed links of cables, ascending."""
        if len(cables) > 8:
            return np.flatnonzero(np.isin(self.cable, cables))
        parts = [np.flatnonzero(self.cable == cable) for cable in cables.tolist()]
        return np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)

    def to_networkx(self) -> Any:
        """Return a networkx ``DiGraph`` for people and pictures.

        Edges carry ``capacity`` (bytes/s, parallel links added up), ``latency`` (s) and ``tier``; vertices ``level``,
        ``pod`` and ``rail``.
        """
        import networkx as nx

        graph = nx.DiGraph(name=self.name)
        for vertex in range(self.vertices):
            graph.add_node(
                vertex, level=int(self.level[vertex]), pod=int(self.pod[vertex]), rail=int(self.rail[vertex])
            )
        columns = zip(
            self.tail.tolist(),
            self.head.tolist(),
            self.capacity.tolist(),
            self.latency.tolist(),
            self.tier.tolist(),
            strict=True,
        )
        for tail, head, capacity, latency, tier in columns:
            if graph.has_edge(tail, head):
                graph.edges[tail, head]["capacity"] += capacity
            else:
                graph.add_edge(tail, head, capacity=capacity, latency=latency, tier=self.tiers[tier])
        return graph

    def spring_positions(self) -> Floats:
        """Return where the vertices lie when links are springs, shape (vertices, 2); for pictures of any graph."""
        import networkx as nx

        spring = nx.spring_layout(self.to_networkx().to_undirected(), seed=1)
        return np.array([spring[vertex] for vertex in range(self.vertices)], dtype=np.float64)

"""What the machine consists of, as columns indexed by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SpareKind = Literal["hot", "warm", "cold"]
NO_TIERS = np.empty((0, 0), dtype=np.int64)


@dataclass(frozen=True)
class Machine:
    """A cluster of equal nodes and the domains they fall with.

    Parameters
    ----------
    nodes : int
        Number of nodes, spares included.
    gpus_per_node : int
        GPUs in each node.
    node_type : str
        Name of the node type, for reports.
    spare_nodes : int
        How many of the nodes are kept free as replacements (a target, refilled as nodes come back).
    spare_kind : {"hot", "warm", "cold"}
        Readiness of the spares; decides the reallocation time and whether they are powered.
    domains : mapping of str to int array of shape (nodes,)
        For each kind of failure domain ("rack", "switch") the domain id of every node, counted from 0.
    tiers : int array of shape (tiers, nodes)
        Group of every node on each tier of the fabric, the narrowest first (leaf, pod); no rows without a fabric.
    fabric_units : mapping of str to int
        How many links and switches of each kind the fabric has ("host_link", "leaf_switch").
    scale_up : int array of shape (nodes,)
        Scale-up domain of every node; every node its own where that is not given.
    spare_domain : int array of shape (nodes,), or None
        Domain of every node where spares are kept in each domain, as many in each; one for the machine otherwise.
    """

    nodes: int
    gpus_per_node: int
    node_type: str
    spare_nodes: int = 0
    spare_kind: SpareKind = "warm"
    domains: Mapping[str, NDArray[np.int64]] | None = None
    tiers: NDArray[np.int64] = field(default_factory=lambda: NO_TIERS)
    fabric_units: Mapping[str, int] = field(default_factory=dict)
    scale_up: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    spare_domain: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tiers", self.tiers.reshape(-1, self.nodes))
        if len(self.scale_up) == 0:
            object.__setattr__(self, "scale_up", np.arange(self.nodes, dtype=np.int64))

    @property
    def gpus(self) -> int:
        """All GPUs of the machine."""
        return self.nodes * self.gpus_per_node

    def population(self, scope: str) -> int:
        """Return how many units of a scope there are: nodes, or domains of that kind."""
        if scope == "node":
            return self.nodes
        if scope in self.fabric_units:
            return self.fabric_units[scope]
        assert self.domains is not None
        return int(self.domains[scope].max()) + 1


def contiguous_domains(nodes: int, size: int) -> NDArray[np.int64]:
    """Return domain ids of nodes cut into runs of ``size``, shape (nodes,); the last domain may be smaller."""
    return np.arange(nodes, dtype=np.int64) // size


def spares_at_first(machine: Machine) -> NDArray[np.bool_]:
    """Return which nodes start as spares: the last ones, of the machine or of each domain that keeps its own."""
    spare = np.zeros(machine.nodes, dtype=np.bool_)
    domain = np.zeros(machine.nodes, np.int64) if machine.spare_domain is None else machine.spare_domain
    each = machine.spare_nodes // (int(domain.max()) + 1)
    for number in np.unique(domain).tolist() if each else ():
        spare[np.flatnonzero(domain == number)[-each:]] = True
    return spare

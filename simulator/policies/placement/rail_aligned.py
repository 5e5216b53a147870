"""Rail-aligned placement: equal parts of a job in as few groups of nodes that share their rails as there can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.policies.placement.groups import leaf_of, pod_of
from simulator.policies.views import PlacementView
from simulator.scheduling.placement import are_equal_parts, even_groups, evening_out, least_left


@dataclass(frozen=True)
class RailAligned:
    """Take the same number of nodes of each of as few rail groups as there can be, in rank order, in one pod if it can.

    The nodes of a rail group share a leaf on every rail, so traffic between the same GPU of its nodes stays on that
    leaf. Equal parts let rank i of one group meet rank i of the next, as hierarchical collectives do. Topology-aware
    placement uses no more groups but fills all but the last, so that their parts differ.
    Replacements come from the groups that the job holds already, first from those in which it has lost most; a part of
    a node is a best fit. Starts and replacements that could not keep to equal parts are counted (uneven_placements).
    """

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return equal parts of as few rail groups as there can be."""
        if view.gpus:
            return least_left(view.free_gpus, view.gpus)
        if len(view.held):
            return evening_out(view.free, leaf_of(view), view.tiers, view.held, view.nodes, len(view.free))
        return even_groups(view.free, leaf_of(view), pod_of(view), view.nodes, len(view.free))

    def keeps(self, view: PlacementView) -> bool:
        """Return whether the nodes held are equal parts of rail groups."""
        return are_equal_parts(view.held, leaf_of(view), len(view.free))

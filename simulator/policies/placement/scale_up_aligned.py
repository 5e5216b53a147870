"""Placement by scale-up domains: equal parts of a job in as few of them as there can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.policies.fields import parameter
from simulator.policies.placement.groups import leaf_of
from simulator.policies.views import PlacementView
from simulator.scheduling.placement import are_equal_parts, even_groups, evening_out, least_left


@dataclass(frozen=True)
class ScaleUpAligned:
    """Take the same number of nodes of each of as few scale-up domains as there can be, in one leaf if it can.

    With ``domain_nodes`` a job leaves the rest of every domain alone (16 of the 18 nodes of a 72-GPU rack: 64 of 72),
    as spares for its own faults and room for small jobs, unless it finds no place in that way. Replacements come from
    the domains that the job holds already, first from those in which it has lost most; a part of a node is a best fit.
    Starts and replacements that could not keep to equal parts are counted (the metric uneven_placements).
    """

    domain_nodes: int = parameter(0, "most nodes that a job takes of one scale-up domain; 0: all of them", at_least=0)

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return equal parts of as few scale-up domains as there can be."""
        if view.gpus:
            return least_left(view.free_gpus, view.gpus)
        if len(view.held):
            return evening_out(view.free, view.scale_up, view.tiers, view.held, view.nodes, self._most(view))
        leaf = leaf_of(view)
        ids = even_groups(view.free, view.scale_up, leaf, view.nodes, self._most(view))
        return ids if len(ids) else even_groups(view.free, view.scale_up, leaf, view.nodes, len(view.free))

    def keeps(self, view: PlacementView) -> bool:
        """Return whether the nodes held are equal parts of scale-up domains."""
        return are_equal_parts(view.held, view.scale_up, self._most(view))

    def _most(self, view: PlacementView) -> int:
        return self.domain_nodes or len(view.free)

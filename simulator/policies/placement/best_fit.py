"""Best fit: the one leaf, or the one node, in which least is left over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.policies.placement.groups import leaf_of
from simulator.policies.views import PlacementView
from simulator.scheduling.placement import best_fit, least_left


@dataclass(frozen=True)
class BestFit:
    """Take nodes of the leaf in which fewest are left over, or the node on which fewest GPUs are.

    A job for which no single leaf has room takes the free nodes with the lowest numbers, whatever leaves these lie in;
    topology-aware placement looks beyond one leaf. Without a fabric scale-up domains stand for leaves.
    """

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return the nodes that leave least over."""
        if view.gpus:
            return least_left(view.free_gpus, view.gpus)
        return best_fit(view.free, leaf_of(view), view.nodes)

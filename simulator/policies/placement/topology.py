"""Topology-aware placement: as few tiers of the network as the free nodes allow."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.policies.views import PlacementView
from simulator.scheduling.placement import fewest_groups, least_left, nearest_to


@dataclass(frozen=True)
class TopologyAware:
    """Keep a job in one leaf, else in one pod, else in as few pods as can be; best fit among equals.

    Replacements lie as close as they can to the nodes that the job holds; a part of a node is a best fit.

    Parameters
    ----------
    wait_for_fit : bool
        Wait when the job would spread over more pods than on an empty machine. Replacements never wait.
    """

    wait_for_fit: bool = field(
        default=False,
        metadata={"meaning": "wait when a job would spread over more pods than on an empty machine"},
    )

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return free nodes that lie as close together as they can, close to those the job holds."""
        if view.gpus:
            return least_left(view.free_gpus, view.gpus)
        if len(view.held):
            return nearest_to(view.free, view.tiers, view.held, view.nodes)
        return fewest_groups(view.free, view.tiers, view.nodes, self.wait_for_fit)

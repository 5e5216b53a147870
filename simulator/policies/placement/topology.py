"""Topology-aware placement: as few tiers of the network as the free nodes allow."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.policies.views import PlacementView
from simulator.scheduling.placement import fewest_groups


@dataclass(frozen=True)
class TopologyAware:
    """Keep a job in one leaf, else in one pod, else in as few pods as can be; best fit among equals.

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
        if len(view.held):
            return self._beside(view)
        return fewest_groups(view.free, view.tiers, view.nodes, self.wait_for_fit)

    def _beside(self, view: PlacementView) -> NDArray[np.int64]:
        """Return free nodes in the leaves of the job first, then in its pods, then anywhere."""
        distance = np.full(len(view.free), len(view.tiers), dtype=np.int64)
        for tier in reversed(range(len(view.tiers))):
            group = view.tiers[tier]
            distance[np.isin(group, group[view.held])] = tier
        ids = np.flatnonzero(view.free)
        return ids[np.argsort(distance[ids], kind="stable")][: view.nodes]

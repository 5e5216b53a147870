"""Random nodes: what a scheduler that knows nothing of the network ends up with on a busy machine."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulator.policies.views import PlacementView
from simulator.streams import generator


@dataclass(frozen=True)
class Scattered:
    """Take free nodes at random, or a random node with enough free GPUs.

    Parameters
    ----------
    seed : int
        Key of the choice; the same job meets the same order of nodes in every variant and replication.
    reorder_ranks : bool
        Number the ranks along the network, so that neighbours in a ring lie as close as the nodes allow.
    """

    seed: int = field(default=1, metadata={"meaning": "key of the random choice", "at_least": 0})
    reorder_ranks: bool = field(
        default=False, metadata={"meaning": "number the ranks along the network instead of at random"}
    )

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return random free nodes."""
        order = generator(self.seed, view.job, "placement/scattered").permutation(len(view.free))
        if view.gpus:
            return order[view.free_gpus[order] >= view.gpus][:1]
        ids: NDArray[np.int64] = order[view.free[order]][: view.nodes]
        return np.sort(ids) if self.reorder_ranks else ids

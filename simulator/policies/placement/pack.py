"""Pack: fill up what is nearly full, so that empty leaves stay empty for large jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.policies.placement.groups import leaf_of
from simulator.policies.views import PlacementView
from simulator.scheduling.placement import fullest_first, least_left


@dataclass(frozen=True)
class Pack:
    """Take the free nodes of the fullest leaf, then those of the next fullest, or GPUs of the fullest node with room.

    Unlike best fit it does so whether or not the job fits into one leaf: holes are filled first, at the cost of jobs
    that lie in many leaves. Without a fabric scale-up domains stand for leaves.
    """

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return nodes of the fullest leaves."""
        if view.gpus:
            return least_left(view.free_gpus, view.gpus)
        return fullest_first(view.free, leaf_of(view), view.nodes)

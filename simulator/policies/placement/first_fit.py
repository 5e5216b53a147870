"""First fit: the free nodes with the lowest numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.policies.views import PlacementView
from simulator.scheduling.placement import first_fit, first_room


@dataclass(frozen=True)
class FirstFit:
    """Take the free nodes with the lowest numbers; for a part of a node the first with enough GPUs."""

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return the ids of the first free nodes."""
        if view.gpus:
            return first_room(view.free_gpus, view.gpus)
        return first_fit(view.free, view.nodes)

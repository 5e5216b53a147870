"""Spread: as many leaves as there can be, the emptiest first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.policies.placement.groups import leaf_of
from simulator.policies.views import PlacementView
from simulator.scheduling.placement import emptiest_first, most_left


@dataclass(frozen=True)
class Spread:
    """Take one node of every leaf in turn, beginning with the emptiest, or GPUs of the emptiest node.

    A job then shares its leaves, racks and their faults with as many others as there can be, and one leaf that fails
    takes few of its nodes. Without a fabric scale-up domains stand for leaves.
    """

    def place(self, view: PlacementView) -> NDArray[np.int64]:
        """Return nodes of as many leaves as there can be."""
        if view.gpus:
            return most_left(view.free_gpus, view.gpus)
        return emptiest_first(view.free, leaf_of(view), view.nodes)

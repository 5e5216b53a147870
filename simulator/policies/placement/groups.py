"""What placement policies take for the groups that a job should keep to."""

from __future__ import annotations

import numpy as np

from simulator.policies.views import Ints, PlacementView


def leaf_of(view: PlacementView) -> Ints:
    """Return the group of every node on the narrowest tier of the network; without a fabric its scale-up domain.

    On a rail-optimised fabric the nodes of such a group share a leaf on every rail.
    """
    leaf: Ints = view.tiers[0] if len(view.tiers) else view.scale_up
    return leaf


def pod_of(view: PlacementView) -> Ints:
    """Return the group of every node on the second tier of the network; one group where there is none."""
    pod: Ints = view.tiers[1] if len(view.tiers) > 1 else np.zeros(len(view.free), dtype=np.int64)
    return pod

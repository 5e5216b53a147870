"""A restart is a sum of named phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Source = Literal["same", "hot", "warm", "cold", "repaired", "queue"]


@dataclass(frozen=True)
class RestartPhases:
    """Durations of the phases of a restart after detection, seconds.

    The phase ``detect`` (alarm and localisation) is drawn with the fault and comes first; ``load`` belongs to the
    checkpoint tier that is read. ``reallocate`` depends on where the replacement node comes from.

    Parameters
    ----------
    tear_down_s : float
        Stop the surviving ranks and free the GPUs.
    reallocate_same_s, reallocate_hot_s, reallocate_warm_s : float
    reallocate_cold_s, reallocate_repaired_s, reallocate_queue_s : float
        Put the node list together again: same nodes; a hot, warm or cold spare; a node back from repair or taken
        from the idle ones; a new allocation from the queue.
    image_s, dependencies_s : float
        Pull the image; install and import dependencies.
    init_s, init_per_node_s : float
        Collective initialisation takes ``init_s + init_per_node_s * nodes``.
    warm_up_s : float
        First steps at no useful speed, replay of the data loader.
    """

    tear_down_s: float = 0.0
    reallocate_same_s: float = 0.0
    reallocate_hot_s: float = 0.0
    reallocate_warm_s: float = 0.0
    reallocate_cold_s: float = 0.0
    reallocate_repaired_s: float = 0.0
    reallocate_queue_s: float = 0.0
    image_s: float = 0.0
    dependencies_s: float = 0.0
    init_s: float = 0.0
    init_per_node_s: float = 0.0
    warm_up_s: float = 0.0

    def reallocate_s(self, source: Source) -> float:
        """Return the reallocation time for a source of nodes."""
        return {
            "same": self.reallocate_same_s,
            "hot": self.reallocate_hot_s,
            "warm": self.reallocate_warm_s,
            "cold": self.reallocate_cold_s,
            "repaired": self.reallocate_repaired_s,
            "queue": self.reallocate_queue_s,
        }[source]

    def initialise_s(self, nodes: int) -> float:
        """Return the collective initialisation time of a job of ``nodes`` nodes."""
        return self.init_s + self.init_per_node_s * nodes

    def first_start_s(self, nodes: int) -> float:
        """Return the time from the first allocation to the first productive second (nothing to tear down or load)."""
        return self.image_s + self.dependencies_s + self.initialise_s(nodes) + self.warm_up_s

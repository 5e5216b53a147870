"""What the faults leave of every link of the fabric, and what routing knows of it."""

from __future__ import annotations

import math

import numpy as np

from simulator.engine.world import Network
from simulator.network.fabric import Ints


class LinkStates:
    """The state of every link.

    Parameters
    ----------
    network : Network
        The fabric of the machine.

    Attributes
    ----------
    capacity : float array, shape (links,)
        Bytes/s that each link carries now.
    known_left : float array, shape (links,)
        Share of its capacity by which routes judge each link, 0 for one they avoid; behind the truth by the reroute
        time.
    weak : int array
        Links that do not carry what they should, ascending.
    """

    def __init__(self, network: Network) -> None:
        fabric = network.fabric
        self._fabric, self._routing = fabric, network.routing
        self._faults: dict[int, list[float]] = {}
        self.capacity = fabric.capacity.copy()
        self.known_left = np.ones(len(fabric.capacity))
        self.weak: Ints = np.empty(0, np.int64)

    def weaken(self, cables: Ints, left: float) -> None:
        """Open a fault that leaves this share of the capacity of cables."""
        for cable in cables.tolist():
            self._faults.setdefault(cable, []).append(left)
        self._renew(cables)

    def restore(self, cables: Ints, left: float) -> None:
        """Close a fault."""
        for cable in cables.tolist():
            self._faults[cable].remove(left)
            if not self._faults[cable]:
                del self._faults[cable]
        self._renew(cables)

    def learn(self, cables: Ints) -> bool:
        """Let routing know the state of cables; return whether that is news."""
        links = self._fabric.links_of_cables(cables)
        left = self._routing.noticed(self.capacity[links] / self._fabric.capacity[links])
        news = bool((self.known_left[links] != left).any())
        self.known_left[links] = left
        return news

    def _renew(self, cables: Ints) -> None:
        links = self._fabric.links_of_cables(cables)
        share = np.array([math.prod(self._faults.get(cable, ())) for cable in self._fabric.cable[links].tolist()])
        self.capacity[links] = self._fabric.capacity[links] * share
        self.weak = np.flatnonzero(self.capacity != self._fabric.capacity)

"""How fast an elastic job is when it runs on more or fewer nodes than planned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GoodputCurve:
    """Work per second by width, from a serial share and a cost that grows with the width.

    Parameters
    ----------
    serial_fraction : float
        Share of the work that more nodes do not speed up (Amdahl), 0 to 1.
    cost_per_node : float
        Time that each further node adds to a step, relative to the step of one node.

    Notes
    -----
    ``speed(n) = 1 / (f + (1 - f) / n + c (n - 1))`` in units of one node: Amdahl's law with a linear cost of
    communication. Only ratios of speeds matter.
    """

    serial_fraction: float = 0.0
    cost_per_node: float = 0.0

    def speed(self, nodes: int) -> float:
        """Return the work per second on that many nodes, 1 on one node."""
        f, c = self.serial_fraction, self.cost_per_node
        return 1.0 / (f + (1.0 - f) / nodes + c * (nodes - 1))

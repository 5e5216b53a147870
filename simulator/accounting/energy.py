"""Energy from the ledger: what GPUs draw in each state, with their share of the node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BUSY = ("productive", "lost_work", "degraded")
"""Buckets in which GPUs compute; in the others they wait with the node switched on."""

OFF = ("down",)
"""Buckets in which the node is taken to be off; cold spares are too."""


@dataclass(frozen=True)
class PowerModel:
    """Mean power of one GPU with its share of the node, by what it does.

    Parameters
    ----------
    busy_w, idle_w, off_w : float
        Computing, waiting switched on, and switched off.
    spares_are_off : bool
        Whether spares are switched off (cold).
    """

    busy_w: float
    idle_w: float
    off_w: float = 0.0
    spares_are_off: bool = False

    def energy_j(self, ledger: Mapping[str, float]) -> float:
        """Return the energy of the IT equipment over a run, joules: the sum of GPU-seconds x power over the buckets."""
        off = (*OFF, "spare") if self.spares_are_off else OFF
        watts = dict.fromkeys(BUSY, self.busy_w) | dict.fromkeys(off, self.off_w)
        return sum(gpu_s * watts.get(bucket, self.idle_w) for bucket, gpu_s in ledger.items())

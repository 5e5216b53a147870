"""The goodput ledger: every GPU-second of the machine in exactly one bucket."""

from __future__ import annotations

from simulator.accounting.columns import BUCKETS
from simulator.errors import InvariantError

RUNNING = "running"
"""Inside a run, GPUs whose time is split into productive, checkpointing and degraded when the segment ends."""

STATES: tuple[str, ...] = (*BUCKETS, RUNNING)
"""States a GPU can be in while the clock runs; ``running`` must be empty of time when the ledger is closed."""

RELATIVE_TOLERANCE = 1e-9


class Ledger:
    """Integrates the number of GPUs in each state over time and books running time by what became of it.

    Parameters
    ----------
    gpus : dict of str to int
        GPUs by state at time 0.
    """

    def __init__(self, gpus: dict[str, int]) -> None:
        self.gpus = dict.fromkeys(STATES, 0) | gpus
        self._gpu_s = dict.fromkeys(STATES, 0.0)
        self._since_s = dict.fromkeys(STATES, 0.0)
        self._total = sum(gpus.values())

    def move(self, gpus: int, source: str, target: str, now_s: float) -> None:
        """Move GPUs from one state to another at a time that is not before the previous move."""
        if gpus == 0 or source == target:
            return
        held, gpu_s, since_s = self.gpus, self._gpu_s, self._since_s
        gpu_s[source] += held[source] * (now_s - since_s[source])
        gpu_s[target] += held[target] * (now_s - since_s[target])
        since_s[source] = since_s[target] = now_s
        held[source] -= gpus
        held[target] += gpus
        # MUST HOLD: no state ever holds a negative number of GPUs.
        if held[source] < 0:
            raise InvariantError(f"ledger: {source} would hold {held[source]} GPUs at {now_s} s")

    def book(self, gpu_s: float, source: str, target: str) -> None:
        """Reclassify GPU-seconds that lie in the past."""
        self._gpu_s[source] -= gpu_s
        self._gpu_s[target] += gpu_s

    def close(self, now_s: float) -> dict[str, float]:
        """Return the GPU-seconds of each bucket up to ``now_s``.

        Raises
        ------
        InvariantError
            The buckets do not sum to GPUs x time, a bucket is negative, or running time was not booked; all
            within 1e-9 of the total.
        """
        for state in STATES:
            self._gpu_s[state] += self.gpus[state] * (now_s - self._since_s[state])
            self._since_s[state] = now_s
        total = self._total * now_s
        slack = RELATIVE_TOLERANCE * max(total, 1.0)
        buckets = {bucket: self._gpu_s[bucket] for bucket in BUCKETS}
        # MUST HOLD: the buckets sum to GPUs x horizon.
        if abs(sum(buckets.values()) - total) > slack:
            raise InvariantError(f"ledger sums to {sum(buckets.values())!r} GPU-s instead of {total!r}")
        negative = [bucket for bucket, gpu_s in buckets.items() if gpu_s < -slack]
        if negative:
            raise InvariantError(f"ledger: negative time in {', '.join(negative)}")
        return {bucket: max(gpu_s, 0.0) for bucket, gpu_s in buckets.items()}

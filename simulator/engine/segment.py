"""The running time of a job since its last restart, at a rate that may change."""

from __future__ import annotations

from simulator.workload.checkpoints import CheckpointPlan


class Segment:
    """Useful work and checkpoints of one attempt while the rate of its work changes now and then.

    Parameters
    ----------
    plan : CheckpointPlan
        Tiers with chosen intervals.
    now_s : float
        Begin of the attempt.
    rate : float
        Useful seconds per second of training, 0 (it stands still) to 1 (full rate).

    Attributes
    ----------
    start_s : float
        Begin of the attempt.
    was_slow : bool
        Whether the rate was ever below 1.

    Notes
    -----
    After a change of rate the attempt goes on as if it had always run at the new one: its beginning is moved to
    where the same work and the same checkpoints would have taken until now. While it stands still, so do its
    checkpoints, and a save in the background counts as finished only if it was when the standstill began.
    """

    def __init__(self, plan: CheckpointPlan, now_s: float, rate: float) -> None:
        self._plan = plan
        self.start_s = now_s
        self.rate = rate
        self.was_slow = rate < 1.0
        self._as_if_begun_s = now_s
        self._still: tuple[float, float, tuple[float, ...]] = (0.0, 0.0, (0.0,) * len(plan.tiers))

    def progress(self, now_s: float) -> tuple[float, float]:
        """Return useful work and time stood still for checkpoints since the attempt began, seconds."""
        if self.rate == 0.0:
            return self._still[:2]
        return self._plan.progress(now_s - self._as_if_begun_s, self.rate)

    def usable_work(self, now_s: float, tier: int) -> float:
        """Return the work of this attempt that a tier holds at a failure now, seconds."""
        if self.rate == 0.0:
            return self._still[2][tier]
        return self._plan.usable_work(now_s - self._as_if_begun_s, tier, self.rate)

    def change_rate(self, now_s: float, rate: float) -> None:
        """Go on at another rate from now on."""
        useful_s, stood_s = self.progress(now_s)
        if rate == 0.0:
            tiers = range(len(self._plan.tiers))
            self._still = (useful_s, stood_s, tuple(self.usable_work(now_s, tier) for tier in tiers))
        else:
            self._as_if_begun_s = now_s - (useful_s / rate + stood_s)
        self.rate = rate
        self.was_slow |= rate < 1.0

    def time_left(self, now_s: float, work_s: float) -> float:
        """Return the wall time until ``work_s`` of useful work of this attempt is done; infinite at rate 0."""
        if self.rate == 0.0:
            return float("inf")
        return max(self._plan.wall_to_finish(work_s, self.rate) - (now_s - self._as_if_begun_s), 0.0)

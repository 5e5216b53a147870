"""The running time of a job since its last restart, at a pace that may change."""

from __future__ import annotations

from simulator.workload.checkpoints import CheckpointPlan


class Segment:
    """Useful work and checkpoints of one attempt while the rate of its work, or of its saves, changes now and then.

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
    plan : CheckpointPlan
        Tiers with the times that saves take now, or took when a standstill began.

    Notes
    -----
    After a change the attempt goes on as if it had always run at the new pace: its beginning is moved to where the same
    work and the same checkpoints would have taken until now. What was usable stays usable. While it stands still, so
    do its checkpoints, and a save in the background counts as finished only if it was when the standstill began.
    """

    def __init__(self, plan: CheckpointPlan, now_s: float, rate: float) -> None:
        self.plan = plan
        self.start_s = now_s
        self.rate = rate
        self.was_slow = rate < 1.0
        self._moving_rate = rate  # the last one above 0
        self._as_if_begun_s = now_s
        self._more_stood_s = 0.0  # time really stood still for checkpoints, beyond that of the present pace
        self._usable_s = [0.0] * len(plan.tiers)
        self._still = (0.0, 0.0)

    def progress(self, now_s: float) -> tuple[float, float]:
        """Return useful work and time stood still for checkpoints since the attempt began, seconds."""
        if self.rate == 0.0:
            return self._still
        useful_s, stood_s = self.plan.progress(now_s - self._as_if_begun_s, self.rate)
        return useful_s, stood_s + self._more_stood_s

    def usable_work(self, now_s: float, tier: int) -> float:
        """Return the work of this attempt that a tier holds at a failure now, seconds."""
        if self.rate == 0.0:
            return self._usable_s[tier]
        return max(self.plan.usable_work(now_s - self._as_if_begun_s, tier, self.rate), self._usable_s[tier])

    def change(self, now_s: float, rate: float, plan: CheckpointPlan) -> None:
        """Go on at another rate of work, with saves that take other times at the same intervals, from now on."""
        useful_s, stood_s = self.progress(now_s)
        self._usable_s = [self.usable_work(now_s, tier) for tier in range(len(plan.tiers))]
        self.rate = rate
        self.was_slow |= rate < 1.0
        if rate == 0.0:
            self._still = (useful_s, stood_s)
            return
        as_if_s = useful_s / rate + self._stood_as_if(useful_s, stood_s, rate, plan)
        self._as_if_begun_s = now_s - as_if_s
        self._more_stood_s = stood_s - plan.progress(as_if_s, rate)[1]
        self._moving_rate, self.plan = rate, plan

    def _stood_as_if(self, useful_s: float, stood_s: float, rate: float, plan: CheckpointPlan) -> float:
        """Return the time that the checkpoints until now would have stood in the way with the times of ``plan``."""
        if plan.tiers == self.plan.tiers:
            return stood_s - self._more_stood_s
        old_rate = self._moving_rate
        before_s = self.plan.wall_to_finish(useful_s, old_rate) - useful_s / old_rate
        inside_s = max(stood_s - self._more_stood_s - before_s, 0.0)  # of a save in which training stands now
        if inside_s > 0.0:
            whole_s = self.plan.stall_at(useful_s, old_rate)
            inside_s *= plan.stall_at(useful_s, rate) / whole_s if whole_s > 0.0 else 0.0
        return plan.wall_to_finish(useful_s, rate) - useful_s / rate + inside_s

    def time_left(self, now_s: float, work_s: float) -> float:
        """Return the wall time until ``work_s`` of useful work of this attempt is done; infinite at rate 0."""
        if self.rate == 0.0:
            return float("inf")
        return max(self.plan.wall_to_finish(work_s, self.rate) - (now_s - self._as_if_begun_s), 0.0)

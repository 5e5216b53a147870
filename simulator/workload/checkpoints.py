"""Checkpoints of an attempt: tiers, progress in closed form, and the optimum intervals of the literature.

An attempt begins with the work it restored, ``w = 0``. Tier ``i`` is due after every ``interval`` of useful work;
tiers due at the same work save one after the other, in their order. A checkpoint stops training for ``blocking``
and can be used ``persist`` later. A tier saves one checkpoint at a time: the next one first waits
``max(0, persist - interval / rate)``, and that wait stops training too. (Other tiers' blocking between two saves is
not set against the wait, so that with several tiers it is never too short.) The rate is positive and constant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulator.compiled import kernel
from simulator.errors import InputError

Reach = Literal["process", "node", "domain"]

_END_TOLERANCE = 1e-12
"""A checkpoint due closer to the end of the work than this fraction of it is due at the end (rounding only)."""


@dataclass(frozen=True)
class Transfer:
    """How the checkpoints of a tier reach a storage system that jobs share.

    Parameters
    ----------
    size_bytes : float
        One checkpoint of the job.
    is_blocking : bool
        Whether training stands still until it is written; otherwise it is written in the background.
    blocking_s, persist_s, load_s : float
        What these times of the tier have besides the transfer.
    """

    size_bytes: float
    is_blocking: bool
    blocking_s: float = 0.0
    persist_s: float = 0.0
    load_s: float = 0.0


@dataclass(frozen=True)
class CheckpointTier:
    """One place where checkpoints are kept.

    Parameters
    ----------
    name : str
        Name shown in reports ("peer_ram", "remote").
    blocking_s : float
        Time training stands still for one checkpoint.
    persist_s : float
        Time in the background, after the blocking part, until the checkpoint can be used (asynchronous saving);
        0 for a blocking one. One save at a time: the next checkpoint waits for the previous one to persist.
    load_s : float
        Time to load it in a restart.
    survives : {"process", "node", "domain"}
        Widest failure it survives: the death of the processes, of a node, of a whole domain.
    transfer : Transfer, optional
        For a tier on shared storage; the times above are then those on an idle system.
    """

    name: str
    blocking_s: float
    persist_s: float = 0.0
    load_s: float = 0.0
    survives: Reach = "domain"
    transfer: Transfer | None = None

    def written_in(self, write_s: float) -> CheckpointTier:
        """Return the tier when writing one checkpoint to storage takes so long."""
        moved = self.transfer
        assert moved is not None
        if moved.is_blocking:
            return replace(self, blocking_s=moved.blocking_s + write_s)
        return replace(self, persist_s=moved.persist_s + write_s)

    def is_usable_after(self, reach: Reach) -> bool:
        """Return whether a failure of that reach leaves this tier's checkpoints intact."""
        order = ("process", "node", "domain")
        return order.index(reach) <= order.index(self.survives)


@kernel
def _due_until(work_s: float, interval_s: float, is_inclusive: bool) -> float:
    """Return how many multiples of the interval lie before ``work_s`` (or also at it)."""
    count: float = np.floor(work_s / interval_s)
    if count > 0.0 and count * interval_s > work_s:
        count -= 1.0
    elif (count + 1.0) * interval_s <= work_s:
        count += 1.0
    if not is_inclusive and count > 0.0 and count * interval_s == work_s:
        count -= 1.0
    return count


@kernel
def _stall(count: float, rate: float, interval_s: float, blocking_s: float, persist_s: float) -> float:
    """Return the time training stands still for the first ``count`` checkpoints of a tier, seconds."""
    wait_s = max(0.0, persist_s - interval_s / rate)
    return count * blocking_s + max(0.0, count - 1.0) * wait_s


@kernel
def _elapsed_at(
    count: float,
    own: float,
    tier: int,
    rate: float,
    intervals_s: NDArray[np.float64],
    blockings_s: NDArray[np.float64],
    persists_s: NDArray[np.float64],
) -> float:
    """Return the wall time at the work of checkpoint ``count`` of a tier, ``own`` checkpoints of it behind us."""
    work_s = count * intervals_s[tier]
    elapsed_s: float = work_s / rate
    for other in range(intervals_s.size):
        done = own
        if other != tier:
            done = _due_until(work_s, intervals_s[other], other < tier)
        elapsed_s += _stall(done, rate, intervals_s[other], blockings_s[other], persists_s[other])
    return elapsed_s


@kernel
def _reached(
    elapsed_s: float,
    rate: float,
    intervals_s: NDArray[np.float64],
    blockings_s: NDArray[np.float64],
    persists_s: NDArray[np.float64],
    tier: int,
    is_usable: bool,
) -> float:
    """Return how many checkpoints of a tier are due (or usable) after ``elapsed_s`` of an attempt.

    The wall time of a checkpoint rises with its number and stays between two straight lines, so a binary search
    between these lines finds it.
    """
    interval_s = intervals_s[tier]
    if np.isinf(interval_s):
        return 0.0
    wall_per_work = 1.0 / rate
    slack_s = 0.0
    for other in range(intervals_s.size):
        wait_s = max(0.0, persists_s[other] - intervals_s[other] / rate)
        wall_per_work += (blockings_s[other] + wait_s) / intervals_s[other]
        slack_s += blockings_s[other] + 2.0 * wait_s
    late_s = persists_s[tier] if is_usable else 0.0
    behind = 0.0 if is_usable else 1.0
    # MUST HOLD: checkpoint `low` is reached (0 always is) and `high` is not. The wall time of a checkpoint is at most
    # its work times `wall_per_work`, and less than that by at most `slack_s`; one more on each side for rounding.
    low: float = max(0.0, np.floor((elapsed_s - late_s) / wall_per_work / interval_s) - 1.0)
    high = np.ceil((elapsed_s + slack_s) / wall_per_work / interval_s) + 2.0
    while high - low > 1.0:
        middle = np.floor((low + high) / 2.0)
        at_s = _elapsed_at(middle, middle - behind, tier, rate, intervals_s, blockings_s, persists_s)
        if at_s + late_s <= elapsed_s:
            low = middle
        else:
            high = middle
    return low


@kernel
def progress(
    elapsed_s: float,
    rate: float,
    intervals_s: NDArray[np.float64],
    blockings_s: NDArray[np.float64],
    persists_s: NDArray[np.float64],
) -> tuple[float, float]:
    """Return the useful work done and the time stood still for checkpoints, both in seconds.

    Parameters
    ----------
    elapsed_s : float
        Wall time since the attempt began, seconds, finite.
    rate : float
        Useful seconds per wall second of training, positive and constant.
    intervals_s, blockings_s, persists_s : float arrays, shape (tiers,)
        For each tier the useful work between two checkpoints (infinite for never), the time one blocks training,
        and the time it then takes in the background. Equal work: tiers save in this order.

    Returns
    -------
    useful_s, checkpointing_s : float
        ``useful_s / rate + checkpointing_s == elapsed_s`` up to rounding.
    """
    stood_s = 0.0
    last_s = 0.0
    for tier in range(intervals_s.size):
        begun = _reached(elapsed_s, rate, intervals_s, blockings_s, persists_s, tier, False)
        if begun > 0.0:
            stood_s += _stall(begun, rate, intervals_s[tier], blockings_s[tier], persists_s[tier])
            last_s = max(last_s, begun * intervals_s[tier])
    # Inside a checkpoint the stalls of all that have begun exceed what has passed, and training stands at `last_s`.
    useful_s = max(last_s, (elapsed_s - stood_s) * rate)
    return useful_s, max(0.0, elapsed_s - useful_s / rate)


@kernel
def wall_to_finish(
    work_s: float,
    rate: float,
    intervals_s: NDArray[np.float64],
    blockings_s: NDArray[np.float64],
    persists_s: NDArray[np.float64],
) -> float:
    """Return the wall time from the beginning of an attempt until ``work_s`` of useful work is done, seconds.

    A checkpoint due exactly at the end is not taken: the job is finished. "Exactly" is within a relative 1e-12.
    Infinite work takes infinitely long. Parameters are those of `progress`.
    """
    if np.isinf(work_s):
        return np.inf
    elapsed_s: float = work_s / rate
    before_s = work_s * (1.0 - _END_TOLERANCE)
    for tier in range(intervals_s.size):
        taken = _due_until(before_s, intervals_s[tier], False)
        elapsed_s += _stall(taken, rate, intervals_s[tier], blockings_s[tier], persists_s[tier])
    return elapsed_s


@kernel
def usable_work(
    elapsed_s: float,
    rate: float,
    intervals_s: NDArray[np.float64],
    blockings_s: NDArray[np.float64],
    persists_s: NDArray[np.float64],
    tier: int,
) -> float:
    """Return the useful work of this attempt that a tier holds when a failure strikes after ``elapsed_s``, seconds.

    It is the work of the last checkpoint whose blocking and background parts are over; one that completes at the
    very instant of the failure counts. 0 when this attempt has saved nothing there yet. Parameters are those of
    `progress`; ``tier`` is an index into them.
    """
    usable = _reached(elapsed_s, rate, intervals_s, blockings_s, persists_s, tier, True)
    saved_s: float = usable * intervals_s[tier] if usable > 0.0 else 0.0  # not 0 times infinity
    return saved_s


@dataclass(frozen=True)
class CheckpointPlan:
    """The tiers of a job with the intervals that were chosen for them.

    Parameters
    ----------
    tiers : tuple of CheckpointTier
        Where checkpoints go; empty: nothing is saved.
    intervals_s : tuple of float
        Useful work between two checkpoints of each tier, seconds at full rate, positive; infinite for never.

    Raises
    ------
    InputError
        When an interval is not positive (the optimum of a tier that costs nothing is 0: give it a fixed interval).

    Notes
    -----
    A change of rate within an attempt: with ``useful_s, checkpointing_s`` of the old rate, go on at an elapsed time
    of ``useful_s / new_rate + checkpointing_s``. That is exact for the progress of tiers that never wait; only a
    save in the background at that moment is then timed at the new rate.
    """

    tiers: tuple[CheckpointTier, ...]
    intervals_s: tuple[float, ...]
    _columns: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for tier, interval_s in zip(self.tiers, self.intervals_s, strict=True):
            if not interval_s > 0.0:
                raise InputError(
                    f"checkpoint interval of tier {tier.name!r} is not positive",
                    found=f"{interval_s} s",
                    allowed="a positive time, or infinite for never (a tier that blocks 0 s needs a fixed interval)",
                )
        columns = (
            np.array(self.intervals_s, dtype=np.float64),
            np.array([tier.blocking_s for tier in self.tiers], dtype=np.float64),
            np.array([tier.persist_s for tier in self.tiers], dtype=np.float64),
        )
        object.__setattr__(self, "_columns", columns)

    def progress(self, elapsed_s: float, rate: float = 1.0) -> tuple[float, float]:
        """Return useful work and time stood still for checkpoints after ``elapsed_s``; see the function `progress`."""
        return progress(elapsed_s, rate, *self._columns)

    def wall_to_finish(self, work_s: float, rate: float = 1.0) -> float:
        """Return the wall time until ``work_s`` is done; see the function `wall_to_finish`."""
        return wall_to_finish(work_s, rate, *self._columns)

    def stall_at(self, work_s: float, rate: float = 1.0) -> float:
        """Return the time training stands still for the checkpoints that are due at this very work, seconds."""
        beyond_s = work_s * (1.0 + 4.0 * _END_TOLERANCE)
        return self.wall_to_finish(beyond_s, rate) - self.wall_to_finish(work_s, rate) - (beyond_s - work_s) / rate

    def usable_work(self, elapsed_s: float, tier: int, rate: float = 1.0) -> float:
        """Return the work a tier holds at a failure after ``elapsed_s``; see the function `usable_work`."""
        return usable_work(elapsed_s, rate, *self._columns, tier)


def young_interval(blocking_s: float, mtbf_s: float) -> float:
    """Return Young's first-order optimum, sqrt(2 C M), seconds of useful work between checkpoints.

    Parameters
    ----------
    blocking_s : float
        C, the time training stands still for one checkpoint.
    mtbf_s : float
        M, the mean time between the failures that the checkpoint repairs.

    References
    ----------
    J. W. Young, "A first order approximation to the optimum checkpoint interval", CACM 17(9), 1974.
    """
    return math.sqrt(2.0 * blocking_s * mtbf_s)


def daly_interval(blocking_s: float, mtbf_s: float, order: Literal["first", "higher"] = "higher") -> float:
    """Return Daly's optimum, seconds of useful work between checkpoints.

    Parameters
    ----------
    blocking_s, mtbf_s : float
        C and M as in `young_interval`.
    order : {"first", "higher"}
        ``first``: sqrt(2 C M) - C, positive for C < 2 M only. ``higher``:
        sqrt(2 C M) (1 + sqrt(C / 2M) / 3 + (C / 2M) / 9) - C for C < 2 M, and M beyond.

    References
    ----------
    J. T. Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", FGCS 22(3), 2006,
    equations 13, 20 and 21 in the order of their use here.
    """
    first = math.sqrt(2.0 * blocking_s * mtbf_s)
    if order == "first":
        return first - blocking_s
    if blocking_s >= 2.0 * mtbf_s:
        return mtbf_s
    ratio = blocking_s / (2.0 * mtbf_s)
    return first * (1.0 + math.sqrt(ratio) / 3.0 + ratio / 9.0) - blocking_s


def exact_interval(blocking_s: float, mtbf_s: float) -> float:
    """Return the exact optimum for exponential failures, seconds of useful work between checkpoints.

    ``tau = M (1 + W0(-exp(-C/M - 1)))``: where the derivative of `efficiency` in tau is zero. The time of a restart
    does not move it. Parameters are those of `young_interval`.
    """
    if math.isinf(mtbf_s):
        return math.inf
    return mtbf_s * _one_plus_w0(blocking_s / mtbf_s)


def _one_plus_w0(cost: float) -> float:
    """Return ``y = 1 + W0(-exp(-cost - 1))`` to a few units of rounding, for a cost of 0 or more.

    Lambert's function itself loses half its digits at its branch point, which a small cost approaches; ``y`` is the
    root of ``-log(1 - y) - y = cost``, which does not.
    """
    if cost == 0.0:
        return 0.0
    if cost > 1.0:
        remainder = 0.0  # z = 1 - y solves z = exp(z - cost - 1)
        for _ in range(8):
            value = math.exp(remainder - cost - 1.0)
            remainder -= (remainder - value) / (1.0 - value)
        return 1.0 - remainder
    p = math.sqrt(-2.0 * math.expm1(-cost))
    y = p * (1.0 - p * (1.0 / 3.0 - p * 11.0 / 72.0)) if p < 0.5 else 1.0 - math.exp(-cost - 0.7)
    for _ in range(8):
        y -= (_excess(y) - cost) * (1.0 - y) / y
    return y


def _excess(y: float) -> float:
    """Return ``-log(1 - y) - y`` without cancellation, for 0 < y < 1."""
    if y > 0.1:
        return -math.log1p(-y) - y
    total = 0.0
    for power in range(20, 1, -1):
        total = total * y + 1.0 / power
    return total * y * y


def efficiency(
    interval_s: float,
    blocking_s: float,
    restart_s: float,
    mtbf_s: float,
    failures_during_restart: bool = True,
) -> float:
    """Return the long-run share of wall time that is useful, under exponential failures.

    Parameters
    ----------
    interval_s : float
        tau, useful work between checkpoints; work since the last one is lost.
    blocking_s, restart_s, mtbf_s : float
        C, R and M: checkpoint, restart, mean time between failures. Failures can hit the checkpoint too.
    failures_during_restart : bool
        Whether the failure clock runs during a restart, and a failure there begins the restart again.

    Notes
    -----
    A segment of tau takes ``M exp(R/M) (exp((tau+C)/M) - 1)`` on average if failures strike during a restart, and
    ``(M + R) (exp((tau+C)/M) - 1)`` if they do not (renewal argument; Daly 2006, section 3, for the first).
    """
    repeats = math.expm1((interval_s + blocking_s) / mtbf_s)
    per_failure_s = mtbf_s * math.exp(restart_s / mtbf_s) if failures_during_restart else mtbf_s + restart_s
    return interval_s / (per_failure_s * repeats)


def expected_ettr_rsc(
    nodes: int, rate_per_node_s: float, restart_s: float, blocking_s: float, interval_s: float
) -> float:
    """Return the first-order expected ETTR of a job without queue time.

    ``(1 - N r (u0 + dt/2)) / (1 + w/dt)``; meant for ``N r (u0 + dt/2)`` well below 1 (we hold the engine to it
    below 0.1). A negative value means far outside that range.

    Parameters
    ----------
    nodes : int
        N.
    rate_per_node_s : float
        r, failures of one node per second.
    restart_s : float
        u0, from a failure to productive work.
    blocking_s : float
        w, time one checkpoint blocks.
    interval_s : float
        dt, useful work between checkpoints.

    References
    ----------
    Kokolis et al., "Revisiting Reliability in Large-Scale Machine Learning Research Clusters", HPCA 2025
    (arXiv 2410.21680), expected ETTR.
    """
    lost = nodes * rate_per_node_s * (restart_s + interval_s / 2.0)
    return (1.0 - lost) / (1.0 + blocking_s / interval_s)

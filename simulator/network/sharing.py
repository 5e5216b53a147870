"""How jobs that share links slow each other's communication down, in steady state.

A job's communications follow one another, so at any instant it loads its links with one of them. Two facts decide
how long one takes: the rate it gets when every other job communicates too (weighted max-min over jobs), and how
often that is so (the others' duty, the share of their time in which they communicate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.network.contention import Floats, Ints, max_min_rates

_SETTLED = 1e-9  # change of the duties at which they agree with the times
_MOST_ROUNDS = 50


@dataclass(frozen=True, eq=False)
class Communication:
    """What one job does again and again on the fabric, as one activity.

    Parameters
    ----------
    links, weights : arrays, shape (entries,)
        Links in ascending order, each once, and the bytes that cross each for one byte of a member flow.
    flow_bytes : float
        Bytes that every member flow moves each time.
    cap : float
        Bytes/s of a member flow that has the fabric to itself, where its ports or protocol are slower than the links.
    fixed_s : float
        Latency terms of one time, which no other job changes.
    """

    links: Ints
    weights: Floats
    flow_bytes: float
    cap: float
    fixed_s: float = 0.0

    def alone_rate(self, capacity: Floats) -> float:
        """Return the bytes/s of a member flow without other jobs; 0 when one of its links carries nothing."""
        return min(self.cap, float(np.min(capacity[self.links] / self.weights, initial=np.inf)))

    def seconds(self, rate: float) -> float:
        """Return the time of one communication at a rate; infinite at rate 0."""
        if self.flow_bytes == 0.0:
            return self.fixed_s
        return self.fixed_s + self.flow_bytes / rate if rate > 0.0 else np.inf


@dataclass(frozen=True, eq=False)
class Traffic:
    """The communications of one job and how its time follows from theirs.

    Parameters
    ----------
    communications : tuple of Communication
        One after another in each period.
    counts : tuple of float
        How often each happens in a period.
    other_s : float
        Time of a period besides its communications, for its duty.
    overlaps : bool
        Whether they go on beside the work of the period, so that ``other_s`` is all of it.
    """

    communications: tuple[Communication, ...]
    counts: tuple[float, ...]
    other_s: float
    overlaps: bool = False


def alone_times(capacity: Floats, traffic: Traffic) -> Floats:
    """Return the seconds of each communication of a job that has the fabric to itself, shape (communications,)."""
    return np.array([each.seconds(each.alone_rate(capacity)) for each in traffic.communications])


def shared_times(capacity: Floats, jobs: Sequence[Traffic], owners: Sequence[int] | None = None) -> list[Floats]:
    """Return the mean seconds of each communication of each job while all of them run.

    Parameters
    ----------
    capacity : array, shape (links,)
        Bytes/s; 0 for a dead link.
    jobs : sequence of Traffic
        What runs.
    owners : sequence of int, optional
        Traffics of one owner never go on at the same time, as a job's steps and the checkpoints that interrupt them.

    Returns
    -------
    list of arrays, each of shape (communications of the job,)
        Seconds of one communication; infinite when it crosses a dead link.

    Notes
    -----
    Every job is one activity whose load on a link is the largest of its communications' at the rate they have alone.
    When all jobs communicate at once, a max-min solution, fair between flows, gives the share of that load each job
    keeps. A communication then gets what the others leave on each of its links. With probability ``p`` that at least
    one of the others it meets communicates, its mean time is ``(1 - p) alone + p together``; ``p`` follows from the
    others' duties, which follow from the times, and is iterated until both agree. That the jobs' phases are
    independent is an assumption: jobs in step could meet always or never.
    """
    alone = [alone_times(capacity, job) for job in jobs]
    crowd = _Crowd(capacity, jobs, np.arange(len(jobs)) if owners is None else np.asarray(owners))
    if crowd.is_empty:
        return alone
    together, met = crowd.meetings(alone)
    delay = [
        np.subtract(t, a, out=np.zeros_like(a), where=np.isfinite(t)) for t, a in zip(together, alone, strict=True)
    ]
    duties = np.array([_duty(job, seconds) for job, seconds in zip(jobs, alone, strict=True)])
    for _ in range(_MOST_ROUNDS):
        times = [
            a + d * [1.0 - np.prod(1.0 - duties[others]) for others in whom]
            for a, d, whom in zip(alone, delay, met, strict=True)
        ]
        fresh = np.array([_duty(job, seconds) for job, seconds in zip(jobs, times, strict=True)])
        settled = np.max(np.abs(fresh - duties)) <= _SETTLED
        duties = fresh
        if settled:
            break
    return times


def _duty(job: Traffic, seconds: Floats) -> float:
    busy_s = float(np.dot(np.array(job.counts), np.where(np.isfinite(seconds), seconds, 0.0)))
    period_s = max(busy_s, job.other_s) if job.overlaps else busy_s + job.other_s
    return busy_s / period_s if period_s > 0.0 else 0.0


class _Crowd:
    """The links on which jobs hold each other back, numbered anew from 0, and who meets whom there."""

    def __init__(self, capacity: Floats, jobs: Sequence[Traffic], owners: Ints) -> None:
        self._jobs, self._owners = jobs, owners
        self._rates = [[each.alone_rate(capacity) for each in job.communications] for job in jobs]
        envelopes = [_envelope(job, rates) for job, rates in zip(jobs, self._rates, strict=True)]
        total = np.zeros(len(capacity))
        for links, load in envelopes:
            total[links] += load
        # A link that carries all jobs at once at their own speed holds nobody back.
        tight = total > capacity * (1.0 + 1e-9)
        self.is_empty = not tight.any()
        if self.is_empty:
            return
        self._number = np.where(tight, np.cumsum(tight) - 1, -1)
        self._capacity = capacity[tight]
        sizes = [int(np.count_nonzero(tight[links])) for links, _ in envelopes]
        self._links = np.concatenate([self._number[links[tight[links]]] for links, _ in envelopes])
        self._load = np.concatenate([load[tight[links]] for links, load in envelopes])
        self._indptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
        # Fair between flows: a job's variable is the rate of its fastest flows, which all its flows follow.
        fastest = np.array([max(rates, default=0.0) for rates in self._rates])
        unit = np.where(np.isfinite(fastest) & (fastest > 0.0), fastest, 1.0)
        weights = self._load / np.repeat(unit, sizes)
        shares = max_min_rates(self._capacity, self._indptr, self._links, weights, unit) / unit
        self._used_by = self._load * np.repeat(shares, sizes)
        self._used = np.bincount(self._links, self._used_by, len(self._capacity))
        by_link = np.argsort(self._links, kind="stable")
        self._users = np.repeat(np.arange(len(jobs)), sizes)[by_link]
        self._first_user = np.searchsorted(self._links[by_link], np.arange(len(self._capacity) + 1))

    def meetings(self, alone: Sequence[Floats]) -> tuple[list[Floats], list[list[Ints]]]:
        """Return the seconds of each communication while all other jobs communicate, and which jobs it meets."""
        times, met = [], []
        own = np.zeros(len(self._capacity))
        for j, job in enumerate(self._jobs):
            mine = np.flatnonzero(self._owners == self._owners[j])
            rows = np.concatenate([np.arange(self._indptr[k], self._indptr[k + 1]) for k in mine])
            np.add.at(own, self._links[rows], self._used_by[rows])
            seconds, others = alone[j].copy(), []
            for a, each in enumerate(job.communications):
                at = self._number[each.links]
                shared, weights = at[at >= 0], each.weights[at >= 0]
                rates = (self._capacity[shared] - self._used[shared] + own[shared]) / weights
                held = rates < self._rates[j][a] * (1.0 - 1e-9)
                if held.any():
                    seconds[a] = each.seconds(float(rates[held].min()))
                users = self._users_of(shared[held])
                others.append(users[self._owners[users] != self._owners[j]])
            own[self._links[rows]] = 0.0
            times.append(seconds)
            met.append(others)
        return times, met

    def _users_of(self, links: Ints) -> Ints:
        begin, count = self._first_user[links], self._first_user[links + 1] - self._first_user[links]
        slots = np.repeat(begin - np.cumsum(count) + count, count) + np.arange(count.sum())
        return np.unique(self._users[slots])


def _envelope(job: Traffic, rates: Sequence[float]) -> tuple[Ints, Floats]:
    """Return the links of a job and the largest load that any of its communications puts on each."""
    if not job.communications:
        return np.empty(0, np.int64), np.empty(0)
    links = np.concatenate([each.links for each in job.communications])
    load = np.concatenate([each.weights * rate for each, rate in zip(job.communications, rates, strict=True)])
    if len(job.communications) == 1:
        return links, load
    order = np.lexsort((load, links))
    links, load = links[order], load[order]
    is_last = np.append(links[1:] != links[:-1], True)[: len(links)]
    return links[is_last], load[is_last]

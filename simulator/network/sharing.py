"""How jobs that share links slow each other's communication down, in steady state.

A job's communications follow one another, so at any instant it loads its links with one of them. How long one takes
follows from who else communicates over the same links at the same time, which is found by mean value analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simulator.network.contention import Floats, Ints
from simulator.network.delays import Crowd, mean_times, one_of_each, tight_links


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
        Time of a period besides its communications; negative where these go on beside one another or beside work.
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
    Links are shared as max-min sharing does, fair between flows, by those jobs that communicate over them at the
    moment; how many that are is found by mean value analysis (``delays``). A link that carries all jobs at once at
    their own speed holds nobody back. That the jobs' phases are independent is an assumption: jobs in step could meet
    always or never.
    """
    each = [one for job in jobs for one in job.communications]
    rate = np.array([one.alone_rate(capacity) for one in each])
    alone = np.array([one.seconds(float(r)) for one, r in zip(each, rate, strict=True)])
    crowd = _crowd(capacity, jobs, each, rate, np.arange(len(jobs)) if owners is None else np.asarray(owners))
    if crowd is not None:
        alone = alone + (mean_times(crowd) - crowd.alone_s)
    return np.split(alone, np.cumsum([len(job.communications) for job in jobs])[:-1])


def _crowd(
    capacity: Floats, jobs: Sequence[Traffic], each: Sequence[Communication], rate: Floats, owners: Ints
) -> Crowd | None:
    """Return who meets on the links that cannot carry all jobs at once; None when there are none.

    Links that the same communications load alike stand for one another.
    """
    # Without bytes, or over a dead link, a communication loads nothing.
    size = np.array([one.flow_bytes for one in each])
    moves = (size > 0.0) & (rate > 0.0) & np.isfinite(rate)
    rate = np.where(moves, rate, 0.0)
    job = np.repeat(np.arange(len(jobs)), [len(one.communications) for one in jobs])
    if not each:
        return None
    links = np.concatenate([one.links for one in each])
    weight = np.concatenate([one.weights for one in each])
    entry = np.repeat(np.arange(len(each)), [len(one.links) for one in each])
    load = weight * rate[entry]
    kept = np.flatnonzero(tight_links(capacity, links, load, job[entry])[links] & (load > 0.0))
    if not len(kept):
        return None
    order = kept[np.argsort(links[kept], kind="stable")]  # communications stand in the order of jobs
    links, entry = links[order], entry[order]
    load, weight = load[order] / capacity[links], weight[order] / capacity[links]
    keep = one_of_each(np.flatnonzero(np.append(True, links[1:] != links[:-1])), entry, load, weight)
    links, weight, entry, load = links[keep], weight[keep], entry[keep], load[keep]
    new_link = np.append(True, links[1:] != links[:-1])
    new_user = new_link | np.append(True, job[entry[1:]] != job[entry[:-1]])
    by_communication = np.argsort(entry, kind="stable")
    return Crowd(
        np.array([count for one in jobs for count in one.counts]),
        np.divide(size, rate, out=np.zeros(len(each)), where=moves),
        np.array([one.fixed_s for one in each]),
        job,
        np.array([one.other_s for one in jobs]),
        np.array([one.overlaps for one in jobs], np.int64),
        owners.astype(np.int64),
        entry,
        load,
        weight,
        np.append(np.flatnonzero(new_user), len(entry)),
        job[entry[new_user]],
        np.append(np.flatnonzero(new_link[new_user]), np.count_nonzero(new_user)),
        by_communication,
        np.searchsorted(entry[by_communication], np.arange(len(each) + 1)),
    )

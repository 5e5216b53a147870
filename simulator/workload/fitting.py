"""From a trace to the model of a synthetic workload that looks like it."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from simulator.errors import InputError
from simulator.workload.quantiles import LogQuantiles, quantiles_of
from simulator.workload.submissions import Sample, Submissions, WallClock
from simulator.workload.synthetic import (
    ALONE,
    DAY_S,
    HOUR_S,
    WEEK_S,
    Batches,
    Ending,
    Floats,
    Ints,
    Requests,
    Rhythm,
    SizeClass,
    Users,
    WorkloadModel,
)

FEWEST_JOBS = 100
"""A trace with fewer says nothing about its week."""
FEWEST_OF_SIZE = 20
"""A class of sizes with fewer jobs joins the next smaller one."""
BATCH_GAP_S = 60.0
"""Jobs of one user and size belong to a batch while they follow each other within this time."""
_RUN_CLASSES = 8
_LARGEST_EXPONENT = 8.0


def fit(sample: Sample, name: str) -> WorkloadModel:
    """Return the model of a workload.

    Parameters
    ----------
    sample : Sample
        The trace.
    name : str
        Name of the model.

    Raises
    ------
    InputError
        Fewer than `FEWEST_JOBS` jobs, or all at once.

    Notes
    -----
    Shares, sizes and quantiles are those of the trace. The mean run time of a class is weighted by the GPUs of the
    jobs, so the model offers the load of the trace exactly. The rhythm is the maximum of the likelihood of Poisson
    batches whose rate is a factor of the hour times one of the day; the exponent of the users that of a Zipf law over
    their ranks.
    """
    jobs = sample.jobs
    span_s = float(jobs.submit_s[-1])
    if len(jobs) < FEWEST_JOBS or span_s <= 0.0:
        found = f"{len(jobs)} jobs over {span_s:g} s"
        raise InputError("too little to fit a workload to", found=found, allowed=f"at least {FEWEST_JOBS} jobs")
    heads, batches = _batches(jobs, sample.group)
    return WorkloadModel(
        name=name,
        jobs_per_s=len(jobs) / span_s,
        sizes=_size_classes(jobs),
        rhythm=_rhythm(jobs.submit_s[heads], span_s, sample.clock),
        batches=batches,
        users=_users(jobs.user[heads]),
        requests=_requests(jobs),
    )


def size_class(gpus: Ints) -> Ints:
    """Return the class of a size: 0 for 1 GPU, 1 for 2, 2 for 3 and 4, 3 for 5 to 8, and so on by powers of two."""
    return np.ceil(np.log2(gpus)).astype(np.int64)


def _size_classes(jobs: Submissions) -> tuple[SizeClass, ...]:
    classes = size_class(jobs.gpus)
    present = np.unique(classes)
    for smaller, larger in reversed(list(itertools.pairwise(present.tolist()))):
        if np.count_nonzero(classes == larger) < FEWEST_OF_SIZE:
            classes[classes == larger] = smaller
    return tuple(_size_class(jobs, classes == each) for each in np.unique(classes))


def _size_class(jobs: Submissions, rows: NDArray[np.bool_]) -> SizeClass:
    gpus, counts = np.unique(jobs.gpus[rows], return_counts=True)
    n = int(rows.sum())
    mean_gpus = float(jobs.gpus[rows].mean())
    endings = []
    for index, state in enumerate(jobs.states):
        those = rows & (jobs.state == index)
        count = int(those.sum())
        if count:
            # Sizes and run times of a class are drawn apart: the mean run time carries what they have in common.
            mean_s = float(np.mean(jobs.run_s[those] * jobs.gpus[those])) / mean_gpus
            endings.append(Ending(state, count / n, quantiles_of(jobs.run_s[those], mean_s)))
    return SizeClass(tuple(gpus.tolist()), tuple((counts / n).tolist()), n / len(jobs), tuple(endings))


def _batches(jobs: Submissions, group: Ints) -> tuple[NDArray[np.bool_], Batches]:
    """Return which jobs begin a batch, and how batches are made."""
    order = np.lexsort((np.arange(len(jobs)), jobs.gpus, group))
    gaps_s = np.diff(jobs.submit_s[order], prepend=-np.inf)
    same = np.zeros(len(jobs), dtype=bool)
    same[1:] = (np.diff(group[order]) == 0) & (np.diff(jobs.gpus[order]) == 0)
    follows = same & (gaps_s <= BATCH_GAP_S)
    heads = np.ones(len(jobs), dtype=bool)
    heads[order[follows]] = False
    if not follows.any():
        return heads, ALONE
    lengths = np.diff(np.append(np.flatnonzero(~follows), len(jobs)))
    kinds = size_class(lengths)
    present = np.unique(kinds)
    means = tuple(round(float(lengths[kinds == kind].mean())) for kind in present)
    shares = tuple(float(np.mean(kinds == kind)) for kind in present)
    return heads, Batches(means, shares, quantiles_of(gaps_s[follows] + 1.0))


def hours_of_week(submit_s: Floats, span_s: float, clock: WallClock) -> tuple[Ints, Floats]:
    """Return the submissions in each hour of the week from Monday, and the seconds of it in the trace, shape (168,)."""
    exposure_s: Floats = np.zeros(168)
    for begin_s, end_s in itertools.pairwise([*clock.changes_s, max(span_s, clock.changes_s[-1])]):
        from_s = float(clock.at(np.array([begin_s]))[0])
        upto_s = from_s + end_s - begin_s
        ends_s = np.append(np.arange(np.ceil(upto_s / HOUR_S)) * HOUR_S, upto_s)
        lasted_s = np.diff(np.clip(ends_s, from_s, None))
        exposure_s += np.bincount(np.arange(len(lasted_s)) % 168, lasted_s, 168)
    came = np.bincount((clock.at(submit_s) // HOUR_S).astype(np.int64) % 168, minlength=168)
    return came.astype(np.int64), exposure_s


def _rhythm(submit_s: Floats, span_s: float, clock: WallClock) -> Rhythm:
    """Return the factors of the hours and days; those of which the trace is too short to tell are 1.

    So are those of the days where the first one is not known; hours then count from the first submission.
    """
    came, exposure_s = hours_of_week(submit_s, span_s, clock)
    came, exposure = came.reshape(7, 24), exposure_s.reshape(7, 24)
    days, hours = np.ones(7), np.ones(24)
    for _ in range(50):  # proportional fitting: each step sets the factors of one side to the best for the other
        if span_s >= DAY_S:
            hours = came.sum(axis=0) / (exposure * days[:, None]).sum(axis=0)
        if span_s >= WEEK_S and clock.is_known:
            days = came.sum(axis=1) / (exposure * hours).sum(axis=1)
    return Rhythm(_shown(hours / hours.mean()), _shown(days / days.mean()))


def _shown(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)


def _users(user: Ints) -> Users | None:
    """Return the Zipf law of the users' batches, its exponent by maximum likelihood."""
    counts = np.sort(np.bincount(user[user >= 0]))[::-1]
    counts = counts[counts > 0]
    if not len(counts):
        return None
    logarithms = np.log(np.arange(1, len(counts) + 1))
    wanted = float(np.average(logarithms, weights=counts))
    low, high = 0.0, _LARGEST_EXPONENT
    for _ in range(60):
        middle = (low + high) / 2
        expected = float(np.average(logarithms, weights=np.exp(-middle * logarithms)))
        low, high = (middle, high) if expected > wanted else (low, middle)
    return Users(len(counts), float(f"{high:.4g}"))


def _requests(jobs: Submissions) -> Requests | None:
    """Return how much more than their run time users ask for; None if fewer than half of them ask."""
    asked = ~np.isnan(jobs.requested_s)
    if 2 * np.count_nonzero(asked) < len(jobs):
        return None
    run_s, requested_s = jobs.run_s[asked], jobs.requested_s[asked]
    edges = np.unique(np.quantile(run_s, np.arange(1, _RUN_CLASSES) / _RUN_CLASSES))
    above_s = (0.0, *(float(f"{edge:.4g}") for edge in edges if edge > run_s.min()))
    kinds = np.searchsorted(above_s, run_s, side="right") - 1
    ratios: list[LogQuantiles] = []
    kept: list[float] = []
    for kind, edge in enumerate(above_s):
        if (kinds == kind).any():
            kept.append(edge)
            ratios.append(quantiles_of(requested_s[kinds == kind] / run_s[kinds == kind]))
    return Requests((0.0, *kept[1:]), tuple(ratios), float(requested_s.max()))

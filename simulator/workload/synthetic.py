"""Workloads that never were: a statistical model of who submits what and when, and jobs drawn from it.

Jobs come in batches (one user, one size, shortly after each other); batches come at random, at a rate that depends on
the hour of the day and the day of the week. The size of a job decides how it ends and how long it runs; how long it
runs decides how much more its user asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulator.errors import InputError
from simulator.workload.quantiles import LogQuantiles
from simulator.workload.submissions import Submissions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Stream = Callable[[str], np.random.Generator]

HOUR_S = 3600.0
DAY_S = 86400.0
WEEK_S = 7 * DAY_S


@dataclass(frozen=True)
class Ending:
    """Jobs of a class that end alike.

    Parameters
    ----------
    state : str
        State of the job table, or ``unknown`` where the trace does not say.
    share : float
        Share of the jobs of the class.
    run_s : LogQuantiles
        Run time, seconds.
    """

    state: str
    share: float
    run_s: LogQuantiles


@dataclass(frozen=True)
class SizeClass:
    """Jobs of about the same size.

    Parameters
    ----------
    gpus : tuple of int
        Sizes, ascending.
    weights : tuple of float
        How often each, relative to each other.
    share : float
        Share of all jobs.
    endings : tuple of Ending
        How they end and how long they run; shares sum to 1.
    """

    gpus: tuple[int, ...]
    weights: tuple[float, ...]
    share: float
    endings: tuple[Ending, ...]

    @property
    def mean_gpus(self) -> float:
        """Mean size, GPUs."""
        return float(np.average(self.gpus, weights=self.weights))

    @property
    def mean_run_s(self) -> float:
        """Mean run time, seconds."""
        return sum(ending.share * ending.run_s.mean for ending in self.endings)


@dataclass(frozen=True)
class Rhythm:
    """How the rate of submissions follows the clock, relative to its mean over a week.

    Parameters
    ----------
    hours : tuple of float, length 24
        By hour of the day, from midnight.
    days : tuple of float, length 7
        By day of the week, from Monday.
    """

    hours: tuple[float, ...] = (1.0,) * 24
    days: tuple[float, ...] = (1.0,) * 7

    @property
    def week(self) -> Floats:
        """Factor of each hour of the week from Monday 00:00, mean 1, shape (168,)."""
        factors: Floats = np.outer(self.days, self.hours).ravel()
        relative: Floats = factors * (168 / factors.sum())
        return relative


@dataclass(frozen=True)
class Batches:
    """Jobs that one user submits together: the same size, one shortly after the other.

    Parameters
    ----------
    jobs : tuple of int
        Lengths that occur.
    shares : tuple of float
        Share of the batches with each length.
    gap_s : LogQuantiles
        Time between two jobs of a batch plus one second (so that a gap may be zero).
    """

    jobs: tuple[int, ...]
    shares: tuple[float, ...]
    gap_s: LogQuantiles

    @property
    def mean(self) -> float:
        """Mean jobs of a batch."""
        return float(np.average(self.jobs, weights=self.shares))


ALONE = Batches((1,), (1.0,), LogQuantiles((0.0, 1.0), (1.0, 1.0)))
"""Every job comes alone: Poisson arrivals at the rate of the hour."""


@dataclass(frozen=True)
class Users:
    """Who submits: shares of batches fall with the rank of a user as rank^-exponent (Zipf).

    Parameters
    ----------
    count : int
        Users.
    exponent : float
        0: all submit as much as each other.
    """

    count: int
    exponent: float


@dataclass(frozen=True)
class Requests:
    """Run time asked for, as a multiple of the run time, by how long the job runs.

    Parameters
    ----------
    above_s : tuple of float
        Shortest run time of each class of run times, ascending, the first 0.
    ratios : tuple of LogQuantiles
        Requested time / run time in each class, at least 1.
    greatest_s : float
        Longest time that can be asked for; a job that runs longer asks for its run time.
    """

    above_s: tuple[float, ...]
    ratios: tuple[LogQuantiles, ...]
    greatest_s: float


@dataclass(frozen=True)
class WorkloadModel:
    """What a synthetic workload is drawn from.

    Parameters
    ----------
    name : str
        For reports.
    jobs_per_s : float
        Mean rate of submissions, 1/s.
    sizes : tuple of SizeClass
        Shares sum to 1.
    rhythm : Rhythm
    batches : Batches
    users : Users, optional
        None: nobody's name is known.
    requests : Requests, optional
        None: nobody asks for a time, and estimates are exact.
    """

    name: str
    jobs_per_s: float
    sizes: tuple[SizeClass, ...]
    rhythm: Rhythm = Rhythm()
    batches: Batches = ALONE
    users: Users | None = None
    requests: Requests | None = None

    @property
    def mean_gpu_s(self) -> float:
        """Mean GPU-seconds of a job: its size times its run time."""
        return sum(each.share * each.mean_gpus * each.mean_run_s for each in self.sizes)

    @property
    def largest(self) -> int:
        """Size of the largest job, GPUs."""
        return max(each.gpus[-1] for each in self.sizes)

    def rate_for(self, load: float, machine_gpus: int) -> float:
        """Return the jobs per second that offer a load to a machine.

        Parameters
        ----------
        load : float
            GPU-seconds of the submitted jobs / GPU-seconds of the machine over the same time.
        machine_gpus : int
        """
        return load * machine_gpus / self.mean_gpu_s

    def resized(self, factor: float = 1.0, largest: int | None = None) -> WorkloadModel:
        """Return the model with all sizes multiplied (rounded, at least one GPU) and jobs above a size left out.

        What is left keeps its proportions, and the rate counts what is left.

        Raises
        ------
        InputError
            No job is left.
        """
        kept: list[SizeClass] = []
        for each in self.sizes:
            scaled = np.maximum(1, np.rint(np.array(each.gpus) * factor)).astype(np.int64)
            weights = np.array(each.weights)
            fits = np.full(len(scaled), True) if largest is None else scaled <= largest
            if fits.any():
                share = each.share * float(weights[fits].sum() / weights.sum())
                gpus, place = np.unique(scaled[fits], return_inverse=True)
                merged = np.bincount(place, weights[fits])
                kept.append(SizeClass(tuple(gpus.tolist()), tuple(merged.tolist()), share, each.endings))
        left = sum(each.share for each in kept)
        if not kept:
            found = f"sizes from {max(1, round(min(c.gpus[0] for c in self.sizes) * factor))} GPUs"
            raise InputError("no job of the model is this small", found=found, allowed=f"at most {largest} GPUs")
        sizes = tuple(replace(each, share=each.share / left) for each in kept)
        return replace(self, sizes=sizes, jobs_per_s=self.jobs_per_s * left)


def draw(
    model: WorkloadModel,
    stream: Stream,
    jobs_per_s: float,
    *,
    jobs: int | None = None,
    span_s: float | None = None,
) -> Submissions:
    """Return jobs drawn from a model; time 0 is a Monday, 00:00.

    Parameters
    ----------
    model : WorkloadModel
    stream : callable
        From a purpose to its random generator; equal streams give equal jobs. Purposes: ``arrivals``, ``batches``,
        ``sizes``, ``users``, ``runs``, ``requests``.
    jobs_per_s : float
        Mean rate of submissions, 1/s: the model's own, or that of a load (`WorkloadModel.rate_for`).
    jobs : int, optional
        Exactly that many, over the time in which the rate brings that many on average; or else:
    span_s : float, optional
        All that come in that time, a random number.

    Raises
    ------
    InputError
        Nothing is submitted in the hours of the span.

    Notes
    -----
    Batches are a Poisson process whose rate follows the rhythm: given their number, their times are independent and
    have its normalised integral as distribution, inverted here. The integral is normalised over the span, so the mean
    rate is that asked for, however the span lies in the week; what a batch would submit after its end comes at its
    beginning. Hence E[sum of gpus x run] / span = jobs_per_s x ``model.mean_gpu_s``, exactly.
    """
    if (jobs is None) == (span_s is None):
        raise ValueError("give jobs or span_s")
    span_s = jobs / jobs_per_s if jobs is not None else span_s
    assert span_s is not None
    lengths = _batch_lengths(model.batches, stream("batches"), jobs, jobs_per_s * span_s)
    n_batches, n = len(lengths), int(lengths.sum())
    batch = np.repeat(np.arange(n_batches), lengths)

    arrivals = stream("arrivals")
    starts_s = _times(model.rhythm, np.sort(arrivals.random(n_batches)), span_s)
    gaps_s = model.batches.gap_s.at(arrivals.random(n)) - 1.0
    firsts = np.cumsum(lengths) - lengths
    gaps_s[firsts] = 0.0
    since_s = np.cumsum(gaps_s)
    submit_s = np.mod(starts_s[batch] + since_s - since_s[firsts][batch], span_s)

    kinds, gpus = _sizes(model.sizes, stream("sizes"), n_batches)
    states = tuple(dict.fromkeys(ending.state for each in model.sizes for ending in each.endings))
    run_s, state = _runs(model.sizes, kinds[batch], states, stream("runs"))
    user = _users(model.users, stream("users"), n_batches)[batch]
    requested_s = _requests(model.requests, run_s, stream("requests"))
    order = np.argsort(submit_s, kind="stable")
    return Submissions(
        submit_s[order],
        gpus[batch][order],
        run_s[order],
        requested_s[order],
        user[order],
        state[order],
        states,
    )


def _choices(weights: Floats, uniform: Floats) -> Ints:
    """Return indices, each as often as its weight says."""
    edges = np.cumsum(weights)
    # Rounding may leave the last edge below a uniform number.
    places: Ints = np.minimum(np.searchsorted(edges, uniform * edges[-1], side="right"), len(edges) - 1).astype(
        np.int64
    )
    return places


def _batch_lengths(batches: Batches, rng: np.random.Generator, jobs: int | None, expected: float) -> Ints:
    """Return the jobs of each batch: all together ``jobs``, or ``expected`` on average."""
    possible, shares = np.array(batches.jobs, dtype=np.int64), np.array(batches.shares)
    if jobs is None:
        drawn: Ints = possible[_choices(shares, rng.random(rng.poisson(expected / batches.mean)))]
        return drawn
    # No batch has less than one job, so these are enough.
    lengths = possible[_choices(shares, rng.random(jobs))]
    upto = np.cumsum(lengths)
    count = int(np.searchsorted(upto, jobs)) + 1
    lengths = lengths[:count]
    lengths[-1] -= upto[count - 1] - jobs
    return lengths


def _times(rhythm: Rhythm, uniform: Floats, span_s: float) -> Floats:
    """Return times in [0, span) at which the integral of the rhythm takes these shares of its whole."""
    hours = np.append(np.arange(math.ceil(span_s / HOUR_S)) * HOUR_S, span_s)
    factors = rhythm.week[np.arange(len(hours) - 1) % 168]
    integral = np.concatenate([[0.0], np.cumsum(factors * np.diff(hours))])
    if integral[-1] <= 0.0:
        raise InputError("nothing is submitted in these hours of the week", found=f"{span_s:g} s from Monday 00:00")
    times_s: Floats = np.interp(uniform * integral[-1], integral, hours)
    return times_s


def _sizes(sizes: tuple[SizeClass, ...], rng: np.random.Generator, n: int) -> tuple[Ints, Ints]:
    """Return the class and the GPUs of each batch."""
    kinds = _choices(np.array([each.share for each in sizes]), rng.random(n))
    within, gpus = rng.random(n), np.empty(n, dtype=np.int64)
    for kind, each in enumerate(sizes):
        rows = kinds == kind
        gpus[rows] = np.array(each.gpus)[_choices(np.array(each.weights), within[rows])]
    return kinds, gpus


def _runs(
    sizes: tuple[SizeClass, ...], kinds: Ints, states: tuple[str, ...], rng: np.random.Generator
) -> tuple[Floats, Ints]:
    """Return the run time and the state of jobs of these classes."""
    n = len(kinds)
    end, place = rng.random(n), rng.random(n)
    run_s, state = np.empty(n), np.empty(n, dtype=np.int64)
    for kind, each in enumerate(sizes):
        rows = np.flatnonzero(kinds == kind)
        ended = _choices(np.array([ending.share for ending in each.endings]), end[rows])
        for index, ending in enumerate(each.endings):
            those = rows[ended == index]
            run_s[those] = ending.run_s.at(place[those])
            state[those] = states.index(ending.state)
    return run_s, state


def zipf_shares(users: Users) -> Floats:
    """Return the share of each user, by rank."""
    weights: Floats = np.arange(1, users.count + 1, dtype=np.float64) ** -users.exponent
    shares: Floats = weights / weights.sum()
    return shares


def _users(users: Users | None, rng: np.random.Generator, n: int) -> Ints:
    if users is None:
        return np.full(n, -1, dtype=np.int64)
    return _choices(zipf_shares(users), rng.random(n))


def _requests(requests: Requests | None, run_s: Floats, rng: np.random.Generator) -> Floats:
    if requests is None:
        return np.full(len(run_s), np.nan)
    place, kinds = rng.random(len(run_s)), np.searchsorted(requests.above_s, run_s, side="right") - 1
    asked_s = np.empty(len(run_s))
    for kind, ratios in enumerate(requests.ratios):
        rows = kinds == kind
        asked_s[rows] = run_s[rows] * ratios.at(place[rows])
    capped_s: Floats = np.maximum(np.minimum(asked_s, requests.greatest_s), run_s)
    return capped_s

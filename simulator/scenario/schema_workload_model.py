"""Keys of a workload model, as presets and ``simulator fit`` write it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from simulator.scenario.quantities import Name, PositiveSeconds, Seconds, Section, refusal

SUM_TOLERANCE = 2e-3
"""How far shares may be from a sum of one before they are taken for a slip: published ones have three digits."""

Shares = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(strict=False, min_length=1, max_length=4096)]
Factors = Annotated[float, Field(ge=0, le=1e6)]
Probabilities = Annotated[
    tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(strict=False, min_length=2, max_length=200)
]
Sizes = Annotated[
    tuple[Annotated[int, Field(ge=1, le=10_000_000)], ...], Field(strict=False, min_length=1, max_length=4096)
]
Durations = Annotated[tuple[PositiveSeconds, ...], Field(strict=False, min_length=2)]


def _ascending(values: Sequence[float], what: str) -> None:
    if any(after < before for before, after in itertools.pairwise(values)):
        raise refusal(f"{what} must not descend")


def _check_quantiles(at: Sequence[float], values: Sequence[float]) -> None:
    if len(at) != len(values):
        raise refusal("one value for each probability", f"{len(at)} probabilities, {len(values)} values")
    if (at[0], at[-1]) != (0.0, 1.0):
        raise refusal("probabilities go from 0 to 1", f"{at[0]:g} to {at[-1]:g}")
    _ascending(at, "probabilities")
    _ascending(values, "quantiles")


def check_sum(shares: Sequence[float], what: str) -> None:
    """Refuse shares that do not sum to one."""
    if abs(sum(shares) - 1.0) > SUM_TOLERANCE:
        raise refusal(f"shares of {what} must sum to 1", f"{sum(shares):.6g}")


class RunTimeSection(Section):
    """A distribution of run times: its quantiles, or a lognormal by median and mean, cut at its greatest."""

    at: Probabilities | None = None
    """Probabilities from 0 to 1."""
    values: Durations | None = None
    """Quantiles at these probabilities; in between the logarithm is linear."""
    median: PositiveSeconds | None = None
    """Median of a lognormal."""
    mean: PositiveSeconds | None = None
    """Its mean, the cut included."""
    greatest: PositiveSeconds | None = None
    """Where it is cut: what lies above is this long."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        quantiles = (self.at, self.values)
        lognormal = (self.median, self.mean, self.greatest)
        is_quantiles = None not in quantiles and lognormal == (None,) * 3
        is_lognormal = None not in lognormal and quantiles == (None,) * 2
        if is_quantiles == is_lognormal:
            raise refusal("a distribution is given in one way", allowed="at and values, or median, mean and greatest")
        if self.at is not None and self.values is not None:
            _check_quantiles(self.at, self.values)
        return self


class RatioSection(Section):
    """A distribution of numbers by its quantiles."""

    at: Probabilities
    """Probabilities from 0 to 1."""
    values: Annotated[tuple[Annotated[float, Field(ge=1, le=1e12)], ...], Field(strict=False, min_length=2)]
    """Quantiles at these probabilities."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _check_quantiles(self.at, self.values)
        return self


class GapSection(Section):
    """A distribution of times that may be zero."""

    at: Probabilities
    """Probabilities from 0 to 1."""
    values: Annotated[tuple[Seconds, ...], Field(strict=False, min_length=2)]
    """Quantiles; between them the logarithm of the time plus one second is linear."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _check_quantiles(self.at, self.values)
        return self


class EndingSection(Section):
    """Jobs of a class that end alike."""

    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the jobs of the class."""
    run: RunTimeSection
    """Run time."""


class SizeClassSection(Section):
    """Jobs of about the same size."""

    gpus: Sizes
    """Sizes, ascending."""
    weights: Annotated[tuple[Annotated[float, Field(ge=0, le=1e9)], ...], Field(strict=False)] | None = None
    """How often each size; absent: equally often."""
    share: Annotated[float, Field(gt=0, le=1)]
    """Share of all jobs."""
    endings: Annotated[dict[Name, EndingSection], Field(min_length=1)]
    """How they end (completed, failed, cancelled, unknown) and how long they run."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if any(after <= before for before, after in itertools.pairwise(self.gpus)):
            raise refusal("sizes must ascend", ", ".join(map(str, self.gpus)))
        if self.weights is not None and (len(self.weights) != len(self.gpus) or not sum(self.weights) > 0):
            raise refusal("one weight for each size, one of them above zero", f"{len(self.weights)} weights")
        check_sum([ending.share for ending in self.endings.values()], "endings")
        return self


class BatchesSection(Section):
    """Jobs that one user submits together."""

    jobs: Sizes
    """Numbers of jobs of a batch that occur."""
    shares: Shares
    """Share of the batches of each."""
    gap: GapSection
    """Time between two jobs of a batch."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len(self.jobs) != len(self.shares):
            raise refusal("one share for each length", f"{len(self.jobs)} lengths, {len(self.shares)} shares")
        check_sum(self.shares, "batches")
        return self


class UsersSection(Section):
    """Who submits: shares fall with the rank of a user."""

    count: Annotated[int, Field(ge=1, le=1_000_000)]
    """Users."""
    exponent: Annotated[float, Field(ge=0, le=10)]
    """Share of the user of rank r: proportional to r^-exponent."""


class RequestsSection(Section):
    """Run time asked for, as a multiple of the run time."""

    above: Annotated[tuple[Seconds, ...], Field(strict=False, min_length=1, max_length=1000)]
    """Shortest run time of each class of run times, the first 0 s."""
    ratios: Annotated[tuple[RatioSection, ...], Field(strict=False, min_length=1)]
    """Requested time / run time in each class."""
    greatest: PositiveSeconds
    """Longest time that can be asked for."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len(self.above) != len(self.ratios) or self.above[0] != 0.0:
            raise refusal("one distribution for each class of run times, the first from 0 s")
        _ascending(self.above, "classes of run times")
        return self


class WorkloadModelSection(Section):
    """What a synthetic workload is drawn from."""

    jobs_per_day: Annotated[float, Field(gt=0, le=1e9)]
    """Mean rate of submissions."""
    hours: Annotated[tuple[Factors, ...], Field(strict=False, min_length=24, max_length=24)] = (1.0,) * 24
    """Rate by hour of the day, from midnight, relative to each other."""
    days: Annotated[tuple[Factors, ...], Field(strict=False, min_length=7, max_length=7)] = (1.0,) * 7
    """Rate by day of the week, from Monday, relative to each other."""
    batches: BatchesSection | None = None
    """Jobs that come together; absent: each comes alone."""
    users: UsersSection | None = None
    """Who submits; absent: nobody's name is known."""
    requests: RequestsSection | None = None
    """Run times asked for; absent: nobody asks, and estimates are exact."""
    sizes: Annotated[dict[Name, SizeClassSection], Field(min_length=1)]
    """Classes of sizes."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_sum([each.share for each in self.sizes.values()], "sizes")
        if not sum(self.hours) * sum(self.days) > 0:
            raise refusal("no hour or no day in which jobs come")
        return self

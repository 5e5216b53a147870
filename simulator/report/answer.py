"""The answer of a study in one sentence, with its confidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulator.accounting.columns import Metric
from simulator.experiments.statistics import (
    MOST_MORE,
    Interval,
    difference_interval,
    mean_interval,
    more_to_decide,
    probability_better,
)
from simulator.report.numbers import (
    FEW,
    decimals_for,
    fixed,
    metric_named,
    metric_title,
    percent,
    plain,
    shown_factor,
    span,
)

Values = NDArray[np.float64]
Kind = Literal["clear", "tie", "single", "one_replication", "undirected", "no_value", "unasked"]
Goal = Literal["max", "min", "none"]


@dataclass(frozen=True)
class Answer:
    """What the study says about its question.

    Parameters
    ----------
    kind : str
        Which of the cases holds: a clear best variant, a tie, one variant, one replication, a metric without
        direction, without values, or no metric asked for.
    sentence : str
        The answer, with its confidence.
    best : str or None
        Variant with the best mean.
    tied : tuple of str
        Variants that cannot be told from the best one, the best one included; empty unless ``kind`` is "tie".
    """

    kind: Kind
    sentence: str
    best: str | None = None
    tied: tuple[str, ...] = ()


def includes_zero(interval: Interval) -> bool:
    """Return whether 0 cannot be excluded; true as well where there is no interval."""
    return not (interval.low > 0 or interval.high < 0)


@dataclass(frozen=True)
class _Case:
    """Values, and the bounds of the metric, in shown units, and the words that go with the metric."""

    metric: Metric
    title: str
    unit: str
    sign: float
    superlative: str
    comparative: str
    values: dict[str, Values]
    baseline: str

    def mean(self, variant: str) -> float:
        return mean_interval(self.values[variant]).mean

    def advantage(self, better: str, worse: str) -> Values:
        return self.sign * (self.values[better] - self.values[worse])

    def amount(self, value: float, half: float) -> str:
        return fixed(value, decimals_for(half, value)) + (f" {self.unit}" if self.unit else "")

    def lead(self, better: str, worse: str) -> Interval:
        return difference_interval(self.advantage(better, worse), self.metric)

    def estimate(self, variant: str) -> str:
        interval = mean_interval(self.values[variant]).within(self.metric.least, self.metric.most)
        text = self.amount(interval.mean, interval.half_width)
        if interval.count > 1:
            decimals = decimals_for(interval.half_width, interval.mean)
            text += f" (95\N{NO-BREAK SPACE}% interval {span(interval.low, interval.high, decimals)})"
        return text

    def difference(self, better: str, worse: str, found: str = "") -> str:
        interval = self.lead(better, worse)
        decimals = decimals_for(interval.half_width, interval.mean)
        return (
            f"{self.amount(interval.mean, interval.half_width)} {self.comparative} than "
            f"{'the baseline ' if worse == self.baseline else ''}{_name(worse)} "
            f"(95\N{NO-BREAK SPACE}% interval {span(interval.low, interval.high, decimals)}{found})"
        )

    def clear_difference(self, better: str, worse: str) -> str:
        count = self.lead(better, worse).count
        if count < FEW:  # a share of two or three pairs would look like a probability
            return self.difference(better, worse, f" over {count} paired replications")
        share = percent(probability_better(self.values[better], self.values[worse], self.metric))
        return self.difference(better, worse, f", better in {share} of {count} paired replications")


def answer(
    metric: str | None,
    goal: Goal | None,
    values: Mapping[str, Values],
    baseline: str,
    costs_usd: Mapping[str, float] | None = None,
) -> Answer:
    """Return the answer in one sentence.

    Parameters
    ----------
    metric : str or None
        Metric that answers the question; None when the scenario names none.
    goal : {"max", "min", "none"} or None
        Direction in which more is better; None takes the metric's own.
    values : mapping of str to float array of shape (replications,)
        For each variant the metric in SI units by replication, NaN where it has no value. Arrays are aligned:
        equal places belong to the same random world.
    baseline : str
        Variant with which the others are compared.
    costs_usd : mapping of str to float, optional
        Mean cost of each variant; names the cheapest of variants that cannot be told apart.

    Notes
    -----
    Differences are paired over replications. A variant is tied with the best when the 95 % interval of its paired
    difference from it includes 0 or does not exist. Intervals are not corrected for the number of comparisons.
    """
    if metric is None:
        return Answer(
            "unasked", "The scenario names no metric that answers its question; the tables below show all of them."
        )
    case = _case(metric, goal or metric_named(metric).goal, values, baseline)
    known = [name for name in values if math.isfinite(case.mean(name))]
    if not known:
        return Answer("no_value", f"{case.title} has no value in any replication, so the question stays open.")
    note = _missing_note(case, [name for name in values if name not in known])
    if len(values) == 1:
        return _single(case, known[0])
    if case.sign == 0:
        return _undirected(case, known, note)
    if len(known) == 1:
        return Answer(
            "no_value",
            f"Only {_name(known[0])} has a value of {case.title}, {case.estimate(known[0])}{note}.",
            known[0],
        )
    ranked = sorted(known, key=lambda name: -case.sign * case.mean(name))
    if all(array.size == 1 for array in values.values()):
        return _one_replication(case, ranked, note)
    best = ranked[0]
    tied = [name for name in ranked[1:] if includes_zero(case.lead(best, name))]
    return _tie(case, ranked, tied, note, costs_usd or {}) if tied else _clear(case, ranked, note)


def _case(metric: str, goal: Goal, values: Mapping[str, Values], baseline: str) -> _Case:
    factor = shown_factor(metric)
    title = metric_title(metric)
    highest = goal == "max"
    known = metric_named(metric)
    return _Case(
        metric=replace(known, goal=goal, least=known.least * factor, most=known.most * factor),
        title=title if title.isupper() else title[0].lower() + title[1:],
        unit=known.shown_unit,
        sign={"max": 1.0, "min": -1.0}.get(goal, 0.0),
        superlative="highest" if highest else "lowest",
        comparative="higher" if highest else "lower",
        values={name: np.asarray(array, dtype=np.float64) * factor for name, array in values.items()},
        baseline=baseline,
    )


def _name(variant: str) -> str:
    return f"“{plain(variant)}”"


def _listed(names: Sequence[str], most: int = 4) -> str:
    shown = [_name(name) for name in names[:most]]
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + f" and {shown[-1]}"


def _missing_note(case: _Case, missing: Sequence[str]) -> str:
    return f" (no value for {_listed(missing)})" if missing else ""


def _single(case: _Case, variant: str) -> Answer:
    count = mean_interval(case.values[variant]).count
    worlds = f"over {count} replications" if count > 1 else "in one replication, which gives no interval"
    return Answer(
        "single",
        f"The {case.title} is {case.estimate(variant)} {worlds}; the scenario has no other variant to compare with.",
        variant,
    )


def _undirected(case: _Case, known: Sequence[str], note: str) -> Answer:
    low, high = min(known, key=case.mean), max(known, key=case.mean)
    return Answer(
        "undirected",
        f"The {case.title} lies between {case.estimate(low)} in {_name(low)} and {case.estimate(high)} in "
        f"{_name(high)}; more of it is neither better nor worse, so no variant is named best{note}.",
    )


def _one_replication(case: _Case, ranked: Sequence[str], note: str) -> Answer:
    best, runner_up = ranked[:2]
    lead = case.sign * (case.mean(best) - case.mean(runner_up))
    if lead == 0:
        same = [name for name in ranked if case.mean(name) == case.mean(best)]
        found = f"{_listed(same)} have the same {case.title}, {case.estimate(best)}, in the only replication"
    else:
        found = (
            f"{_name(best)} has the {case.superlative} {case.title} in the only replication, {case.estimate(best)}, "
            f"{case.amount(lead, math.nan)} {case.comparative} than {_name(runner_up)}"
        )
    return Answer("one_replication", f"{found}; one replication says nothing about how sure that is{note}.", best)


def _clear(case: _Case, ranked: Sequence[str], note: str) -> Answer:
    best, runner_up = ranked[:2]
    role = ", the baseline," if best == case.baseline else ""
    sentence = (
        f"{_name(best)}{role} has the {case.superlative} {case.title}, {case.estimate(best)}: "
        + case.clear_difference(best, runner_up)
    )
    if case.baseline in ranked[2:]:
        sentence += f", and {case.clear_difference(best, case.baseline)}"
    return Answer("clear", f"{sentence}{note}.", best)


def _tie(case: _Case, ranked: Sequence[str], tied: Sequence[str], note: str, costs_usd: Mapping[str, float]) -> Answer:
    best, group = ranked[0], (ranked[0], *tied)
    count = max(mean_interval(case.values[name]).count for name in group)
    sentence = f"{_listed(group)} cannot be told apart by {case.title} at {count} replications: "
    advantage = case.advantage(best, tied[0])
    known = advantage[np.isfinite(advantage)]
    if known.size < 2:
        sentence += f"{_name(best)} reaches {case.estimate(best)}, with too few pairs in common for an interval"
    elif not known.any():
        sentence += f"{_name(best)} reaches {case.estimate(best)} and {_name(tied[0])} the same in every replication"
    else:
        more = _more(more_to_decide(advantage))
        sentence += f"{_name(best)} reaches {case.estimate(best)}, {case.difference(best, tied[0], more)}"
    if case.baseline in ranked and case.baseline not in group:
        sentence += f", and {case.difference(best, case.baseline)}"
    return Answer("tie", f"{sentence}{_cheapest(group, costs_usd)}{note}.", best, group)


def _more(count: float) -> str:
    """Return how many more replications would tell two variants apart."""
    if math.isinf(count):
        return f"; more than {MOST_MORE:,} more replications to decide"
    noun = "replication" if count == 1 else "replications"
    return f"; about {count:,.0f} more {noun} to decide, should this difference hold"


def _cheapest(group: Sequence[str], costs_usd: Mapping[str, float]) -> str:
    known = {name: costs_usd[name] for name in group if math.isfinite(costs_usd.get(name, math.nan))}
    if len(known) < len(group) or len(set(known.values())) == 1:
        return ""
    return f"; the cheapest of them is {_name(min(known, key=known.__getitem__))}"

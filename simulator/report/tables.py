"""What the tables of a report say, as text cells; how they are drawn is decided elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from simulator.accounting.columns import BUCKET_MEANING, BUCKETS, LOWER_BOUNDS, METRICS, TABLES
from simulator.report.answer import Answer, answer
from simulator.report.numbers import (
    FEW,
    MISSING,
    compact,
    decimals_for,
    fixed,
    metric_heading,
    metric_named,
    metric_title,
    number,
    percent,
    plain,
    plus_minus,
    shown_factor,
    signed_fixed,
    span,
)
from simulator.report.results import Results

KIND_WORDS = {
    "input": "was fed to the model, so agreement only checks the machinery",
    "prediction": "was not fed to the model, so agreement is evidence for it",
}


@dataclass(frozen=True)
class Table:
    """A table of text cells.

    Parameters
    ----------
    title : str
        What the table shows.
    headers : tuple of str
    rows : tuple of tuple of str
    numeric : frozenset of int
        Columns aligned to the right.
    note : str
        How to read it: interval, sample size, units.
    emphasised : frozenset of int
        Rows to make stand out.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = field(default_factory=frozenset)
    note: str = ""
    emphasised: frozenset[int] = field(default_factory=frozenset)


SHARES_OF_TIME = ("goodput", "ettr", "utilisation", "availability")
"""Metrics that are shares of GPU time, as the losses of the ledger are."""
_MOST_NAMED = 3
"""Variants that a sentence names at most."""


def study_answer(results: Results) -> Answer:
    """Return the answer of a study, from its runs."""
    metric = results.answer_metric
    if metric is not None and metric not in results.runs.columns:
        values = {name: np.full(results.replications, math.nan) for name in results.variants}
    else:
        values = {} if metric is None else values_by_variant(results, str(metric))
    bounds = [name for name in results.facts.get("answer_bounds", ()) if name in values]
    costs = results.statistic("cost_usd")["mean"]
    found = answer(
        metric,
        results.facts.get("answer_goal"),
        {name: column for name, column in values.items() if name not in bounds},
        results.baseline,
        {name: float(costs[name]) for name in results.variants},
    )
    reached = [f"“{name}”, {np.nanmean(values[name]):.4g}" for name in bounds if not np.isnan(values[name]).all()]
    note = f" No one can buy the bound {' or '.join(reached)}." if reached else ""
    more = (_never_started(results, metric), _largest_loss(results, found.best, metric), _uneven(results))
    return replace(found, sentence=found.sentence + note + "".join(more))


def _uneven(results: Results) -> str:
    """Return where placement could not keep to what it promises."""
    mean = results.statistic("uneven_placements")["mean"]
    uneven = [f"{number(float(mean[name]), 3)} in “{plain(name)}”" for name in results.variants if mean[name] > 0]
    if not uneven:
        return ""
    said = ", ".join(uneven[:_MOST_NAMED]) + (f" and {len(uneven) - _MOST_NAMED} more" if uneven[_MOST_NAMED:] else "")
    return f" Placement could not keep to equal parts of domains in some starts or replacements (means): {said}."


def _largest_loss(results: Results, variant: str | None, metric: str | None) -> str:
    """Return where most of the GPU time that is not productive goes, in the best variant or else the first."""
    shares, name = ledger_shares(results), variant or results.baseline
    if name not in shares.index:
        return ""
    losses = dict(zip(BUCKETS, shares.loc[[name]].to_numpy(dtype=np.float64)[0].tolist(), strict=True))
    del losses["productive"]
    largest, slow = max(losses, key=losses.__getitem__), losses["degraded"]
    if not losses[largest] > 0.0:
        return ""
    words = {"degraded": "slow steps, in which jobs wait for the network or for their slowest rank"}
    loss = words.get(largest, largest.replace("_", " "))
    found = f" The largest loss in “{plain(name)}” is {loss}: {percent(losses[largest], 1)} of the GPU time."
    if metric in SHARES_OF_TIME and len(results.variants) > 1:
        means = results.statistic(metric)["mean"].to_numpy(dtype=np.float64)
        apart = float(np.nanmax(means) - np.nanmin(means))
        if slow > apart > 0.0:
            found += f" Slow steps cost more ({percent(slow, 1)}) than the variants differ ({percent(apart, 1)})."
    return found


def _never_started(results: Results, metric: str | None) -> str:
    """Return how many jobs had not started at the end, where the answer is about waits."""
    is_bound = metric in LOWER_BOUNDS.values()
    if not (is_bound or metric in LOWER_BOUNDS) or not results.leaves_jobs_out:
        return ""
    mean = results.statistic("jobs_waiting")["mean"]
    waiting = sorted(((float(mean[name]), name) for name in results.variants if mean[name] > 0), reverse=True)
    said = [f"{round(count, 1):,g} in “{name}”" for count, name in waiting[:_MOST_NAMED]]
    if len(waiting) > len(said):
        said.append(f"{round(waiting[len(said)][0], 1):,g} or fewer in {len(waiting) - len(said)} more")
    means = " (means)" if results.replications > 1 else ""
    what = "It counts the wait so far of" if is_bound else "It leaves out"
    return f" {what} jobs that still waited at the end{means}: {', '.join(said)}."


def values_by_variant(results: Results, metric: str) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return one metric of every variant by replication, shape (replications,) each, aligned by replication."""
    worlds = sorted(results.runs["replication"].unique())
    wide = results.runs.pivot(index="variant", columns="replication", values=metric)
    wide = wide.reindex(index=results.variants, columns=worlds)
    return {name: wide.loc[name].to_numpy(dtype=np.float64) for name in results.variants}


def split_metrics(results: Results) -> tuple[list[str], list[str]]:
    """Return the shown metrics that vary, and those with one and the same value in every run of every variant."""
    shown = results.metrics_shown
    if results.replications == 1:
        return shown, []
    values = {name: results.runs[name] for name in shown if name in results.runs}
    constant = [name for name, column in values.items() if column.notna().all() and column.nunique() == 1]
    constant = [name for name in constant if name != results.answer_metric]
    return [name for name in shown if name not in constant], constant


def constants_text(results: Results) -> str:
    """Return the metrics that are the same in every run, in one sentence; empty without any."""
    constant = split_metrics(results)[1]
    if not constant:
        return ""
    values = [float(results.runs[name].iloc[0]) * shown_factor(name) for name in constant]
    listed = (
        f"{metric_heading(name)} {fixed(value, decimals_for(math.nan, value))}"
        for name, value in zip(constant, values, strict=True)
    )
    return f"The same in every run: {'; '.join(listed)}."


def summary_table(results: Results, metrics: Sequence[str] | None = None, variants_as_rows: bool = False) -> Table:
    """Return mean ± half-width of the shown metrics: metrics as rows, or variants as rows where there are many."""
    names = split_metrics(results)[0] if metrics is None else list(metrics)
    cells = {name: _summary_cells(results, name) for name in names}
    note = (
        f"Mean ± half the 95 % interval (Student t) over {_replications(results)}, or its ends where the range of the "
    )
    note += "metric cuts it."
    if results.replications == 1:
        note = "One replication: no interval."
    if variants_as_rows:
        headers = ("variant", *(metric_heading(name) for name in names))
        rows = tuple((plain(v), *(cells[name][i] for name in names)) for i, v in enumerate(results.variants))
    else:
        headers = ("metric", *(plain(v) for v in results.variants))
        rows = tuple((metric_heading(name), *cells[name]) for name in names)
    return Table("Results", headers, rows, frozenset(range(1, len(headers))), note)


def _summary_cells(results: Results, metric: str) -> list[str]:
    factor = shown_factor(metric)
    statistic = results.statistic(metric)
    columns = (statistic[key].to_numpy(dtype=float) * factor for key in ("mean", "ci_low", "ci_high"))
    counts = statistic["replications"].fillna(0).astype(int)
    triples = list(zip(*columns, strict=True))
    decimals = _common_decimals(triples)
    cells = [plus_minus(mean, low, high, decimals) for mean, low, high in triples]
    # A mean over fewer replications than the study has is another quantity, so its cell says so.
    return [
        f"{cell} (n={count})" if cell != MISSING and count < results.replications else cell
        for cell, count in zip(cells, counts, strict=True)
    ]


def _common_decimals(triples: Sequence[tuple[float, float, float]]) -> int | None:
    """Return decimals for a whole column of estimates where one number serves all of them within one digit.

    The larger one: means of counts would else be rounded to whole numbers beside one that never varies.
    """
    wanted = [decimals_for((high - low) / 2, mean) for mean, low, high in triples if math.isfinite(mean)]
    return max(wanted) if wanted and max(wanted) - min(wanted) <= 1 else None


def differences_table(results: Results, metrics: Sequence[str] | None = None) -> Table:
    """Return differences from the baseline with their interval and the probability to be better.

    Metrics in which no variant ever differs are named in the note.
    """
    names = results.metrics_shown if metrics is None else list(metrics)
    rows: list[tuple[str, ...]] = []
    marked, equal = set(), []
    others = [name for name in results.variants if name != results.baseline]
    for name in names:
        entries = results.differences[results.differences["metric"] == name].set_index("variant").reindex(others)
        entries = entries[entries["mean_difference"].notna()]
        if others and len(entries) == len(others) and _never_differs(entries):
            equal.append(metric_title(name))
            continue
        pairs = _pairs(results, name)
        for variant in entries.index:
            cells, is_apart = _difference_cells(name, entries.loc[variant], pairs[variant])
            if is_apart:
                marked.add(len(rows))
            rows.append((metric_heading(name), plain(variant), *cells))
    return Table(
        f"Differences from {plain(results.baseline)}",
        ("metric", "variant", "difference", "95 % interval", "better in"),
        tuple(rows),
        frozenset({2, 3, 4}),
        f"Paired over {_replications(results)}. “Better in”: pairs in which the variant is better, "
        "ties one half. Intervals are not corrected for the number of comparisons."
        + (f" In no replication different from the baseline: {', '.join(equal)}." if equal else ""),
        frozenset(marked),
    )


def differences_by_variant(results: Results, metrics: Sequence[str]) -> Table:
    """Return the differences from the baseline with variants as rows and metrics as columns, for many variants."""
    others = [name for name in results.variants if name != results.baseline]
    columns = []
    for name in metrics:
        entries = results.differences[results.differences["metric"] == name].set_index("variant").reindex(others)
        found = [_difference_cells(name, entry, 0) for _, entry in entries.iterrows()]
        columns.append([f"{cells[0]}{' *' if is_apart else ''}" for cells, is_apart in found])
    return Table(
        f"Differences from {plain(results.baseline)}",
        ("variant", *map(metric_heading, metrics)),
        tuple((plain(name), *cells) for name, *cells in zip(others, *columns, strict=True)),
        frozenset(range(1, len(metrics) + 1)),
        f"Mean of {_replications(results)}, paired. *: the 95 % interval, not corrected for the number of comparisons, "
        "leaves out zero. differences.csv holds all metrics with their intervals.",
    )


def _never_differs(entries: pd.DataFrame) -> bool:
    return bool((entries[["mean_difference", "ci_low", "ci_high"]] == 0).all(axis=None))


def _pairs(results: Results, metric: str) -> dict[str, int]:
    """Return for each variant in how many replications both it and the baseline have a value."""
    values = values_by_variant(results, metric)
    return {name: int(np.isfinite(each - values[results.baseline]).sum()) for name, each in values.items()}


def _better_in(share: float, pairs: int) -> str:
    """Return a share of pairs as a percentage, of few pairs as their number."""
    return f"{share * pairs:g} of {pairs}" if pairs < FEW else percent(share)


def _difference_cells(metric: str, entry: Any, pairs: int) -> tuple[tuple[str, str, str], bool]:
    factor = shown_factor(metric)
    mean, low, high = (float(entry[key]) * factor for key in ("mean_difference", "ci_low", "ci_high"))
    decimals = decimals_for((high - low) / 2, mean)
    better = float(entry["probability_better"])
    share = _better_in(better, pairs) if metric_named(metric).goal != "none" else MISSING
    is_apart = math.isfinite(low) and (low > 0 or high < 0)
    return (signed_fixed(mean, decimals), span(low, high, decimals, signed=True), share), is_apart


@dataclass(frozen=True)
class Comparison:
    """A published figure beside the simulated one, both in SI units.

    Parameters
    ----------
    metric, variant, kind, bound, source : str
        ``kind`` is "input" or "prediction"; ``bound`` is "equal", "at_least" or "at_most".
    published, tolerance : float
        Tolerance is the half-width within which the author expects agreement, NaN where none is stated.
    mean, low, high : float
        Simulated mean and 95 % interval, NaN where missing.
    """

    metric: str
    variant: str
    kind: str
    bound: str
    source: str
    published: float
    tolerance: float
    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """How the two agree, in words."""
        if not math.isfinite(self.mean):
            return "not simulated"
        gap = self.mean - self.published
        relative = (
            f"{signed_fixed(gap / self.published * 100, 1)}\N{NO-BREAK SPACE}%" if self.published else number(gap)
        )
        if self.bound != "equal":
            met = gap >= 0 if self.bound == "at_least" else gap <= 0
            return f"{'meets' if met else 'breaks'} the bound ({relative})"
        if math.isfinite(self.tolerance):
            met = abs(gap) <= self.tolerance
            return f"{'within' if met else 'outside'} tolerance ({relative})"
        if math.isfinite(self.low) and self.low <= self.published <= self.high:
            return f"inside the interval ({relative})"
        return f"{relative} from the published value"


def comparisons(results: Results) -> list[Comparison]:
    """Return every published figure of the scenario with the simulated one, in the scenario's order."""
    found = []
    for entry in results.facts.get("published") or []:
        metric, variant = str(entry["metric"]), str(entry.get("variant") or results.baseline)
        statistic = results.summary[(results.summary["metric"] == metric) & (results.summary["variant"] == variant)]
        numbers = [
            float(statistic[key].iloc[0]) if len(statistic) else math.nan for key in ("mean", "ci_low", "ci_high")
        ]
        tolerance = entry.get("tolerance")
        found.append(
            Comparison(
                metric,
                variant,
                str(entry.get("kind", "")),
                str(entry.get("bound") or "equal"),
                str(entry.get("source", "")),
                float(entry["value"]),
                math.nan if tolerance is None else float(tolerance),
                *numbers,
            )
        )
    return found


def published_table(results: Results) -> Table:
    """Return published figures beside simulated ones, saying which are inputs and which predictions."""
    rows = tuple(_published_row(entry) for entry in comparisons(results))
    return Table(
        "Published beside simulated",
        ("metric", "variant", "published", "simulated", "kind", "verdict", "source"),
        rows,
        frozenset({2, 3}),
        "; ".join(f"{kind}: {meaning}" for kind, meaning in KIND_WORDS.items()) + ".",
    )


def published_text(entry: Comparison) -> str:
    """Return a published figure in shown units, with its bound."""
    sign = {"at_least": "≥ ", "at_most": "≤ "}.get(entry.bound, "")
    return sign + compact(entry.published * shown_factor(entry.metric), 6)


def _published_row(entry: Comparison) -> tuple[str, ...]:
    factor = shown_factor(entry.metric)
    return (
        metric_heading(entry.metric),
        plain(entry.variant),
        published_text(entry),
        plus_minus(entry.mean * factor, entry.low * factor, entry.high * factor),
        plain(entry.kind),
        entry.verdict,
        plain(entry.source),
    )


def assumptions_table(results: Results) -> Table:
    """Return every guess on which the results rest."""
    rows = tuple(
        tuple(
            plain(MISSING if entry.get(key) in (None, "") else entry[key]) for key in ("key", "value", "source", "why")
        )
        for entry in results.facts.get("assumptions") or []
    )
    return Table("Assumptions", ("key", "value", "source", "why"), rows, note="Guesses, not published figures.")


def ledger_shares(results: Results) -> pd.DataFrame:
    """Return the share of GPU time by variant (rows) and bucket (columns); empty without ledger."""
    ledger = results.table("ledger", ["bucket", "gpu_s"])
    if ledger.empty or not ledger["gpu_s"].sum() > 0:
        return pd.DataFrame(columns=list(BUCKETS))
    totals = ledger.groupby(["variant", "bucket"])["gpu_s"].sum().unstack(fill_value=0)
    known = [name for name in results.variants if name in totals.index]
    totals = totals.reindex(index=known, columns=list(BUCKETS), fill_value=0.0)
    return totals.div(totals.sum(axis=1), axis=0)


def ledger_table(results: Results) -> Table:
    """Return the goodput ledger in percent of GPU time, buckets that no variant uses left out."""
    shares = ledger_shares(results)
    used = [bucket for bucket in BUCKETS if len(shares) and shares[bucket].max() > 0]
    rows = tuple(
        (
            bucket.replace("_", " "),
            BUCKET_MEANING[bucket],
            *(percent(float(share), 2) for share in shares[bucket].to_numpy(dtype=float)),
        )
        for bucket in used
    )
    return Table(
        "Goodput ledger",
        ("bucket", "meaning", *(plain(name) for name in shares.index)),
        rows,
        frozenset(range(2, 2 + len(shares.index))),
        f"Share of the machine's GPU time, all of {_replications(results)} together; columns add up to 100 %.",
    )


def dictionary_tables() -> list[Table]:
    """Return the data dictionary: metrics, then the columns of every table of the folder."""
    better = {"max": "more is better", "min": "less is better", "none": MISSING}
    metrics = Table(
        "Metrics (summary.csv, differences.csv, runs.parquet)",
        ("metric", "unit", "range", "meaning", "direction"),
        tuple(
            (metric.name, metric.unit or MISSING, metric.range, metric.meaning, better[metric.goal])
            for metric in METRICS
        ),
    )
    return [
        metrics,
        *(
            Table(
                f"{name}.parquet",
                ("column", "unit", "meaning"),
                tuple((column.name, column.unit or MISSING, column.meaning) for column in columns),
            )
            for name, columns in TABLES.items()
        ),
    ]


def _replications(results: Results) -> str:
    return f"{results.replications} replications" if results.replications != 1 else "1 replication"

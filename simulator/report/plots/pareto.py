"""Failures by class, most frequent first, beside published counts where there are any."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from scipy.special import chdtri

from simulator.report.numbers import MISSING, number, percent, plain, wrapped
from simulator.report.plots.common import Missing, Plot
from simulator.report.results import Results
from simulator.report.style import ACCENT, FAINT, INK, PaperFigure, clean_value_axis, footnote, paper
from simulator.units import count_of

NAME, HEADING = "failure_pareto", "Failures by class"
_MOST_CLASSES = 24
_REST = "all other classes"


def poisson_interval(count: float) -> tuple[float, float]:
    """Return the exact 95 % interval of the mean of a Poisson count (chi-square form of Garwood's interval)."""
    low = 0.0 if count == 0 else float(chdtri(2 * count, 0.975)) / 2
    return low, float(chdtri(2 * count + 2, 0.025)) / 2


def class_counts(results: Results) -> tuple[pd.DataFrame, str, int]:
    """Return counts by class, the variant they come from and over how many replications.

    Returns
    -------
    counts : DataFrame
        Index: class, most frequent first. Columns: ``total``, ``stopped`` (interrupted a job), ``published`` (NaN
        where none).
    variant : str
        The first of the variants in which most incidents stopped a job: where jobs wait, faults hit nobody.
    replications : int
        Replications whose incidents are kept.
    """
    incidents = results.table("incidents", ["class", "effect"])
    stopped = incidents[incidents["effect"] == "interrupted"].groupby("variant").size()
    variant = max(results.variants, key=lambda name: int(stopped.get(name, 0)))
    one = incidents[incidents["variant"] == variant]
    counts = pd.DataFrame({"total": one.groupby("class").size()})
    counts["stopped"] = one[one["effect"] == "interrupted"].groupby("class").size()
    counts = counts.fillna({"stopped": 0})
    published = {str(e["class"]): float(e["count"]) for e in results.facts.get("per_class_published") or []}
    counts = counts.reindex(counts.index.union(list(published)))
    counts["published"] = pd.Series(published, dtype=float)
    counts = counts.fillna({"total": 0, "stopped": 0})
    counts.index = pd.Index([str(name) for name in counts.index])
    ordered = counts.assign(name=counts.index).sort_values(
        ["total", "published", "name"], ascending=[False, False, True]
    )
    return ordered.drop(columns="name"), variant, int(one["replication"].nunique())


def pareto_plot(results: Results) -> Plot | Missing:
    """Return bars of incidents by class with the cumulative share, published counts beside them."""
    counts, variant, kept = class_counts(results)
    if not counts["total"].sum() > 0:
        return Missing(NAME, HEADING, "no incident happened in the replications whose incidents are kept")
    if len(counts) == 1:
        return Missing(NAME, HEADING, f"every incident belongs to one class, {plain(counts.index[0])}")
    counts = _folded(counts)
    has_published = bool(counts["published"].notna().any())
    incidents = int(counts["total"].sum())
    sample = f"{count_of(incidents, 'incident')} of {plain(variant)} in {count_of(kept, 'replication')}"
    with paper():
        figure = PaperFigure(1.35 + 0.21 * len(counts))
        axes = figure.subplots()
        _bars(axes, counts, kept, has_published)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2 if has_published else 3)
        footnote(
            figure,
            f"{count_of(incidents, 'incident')}, {count_of(kept, 'replication')}; whisker: 95 % Poisson interval.",
        )
    return Plot(NAME, HEADING, _caption(sample, has_published), _alternative(counts, kept), figure)


def _folded(counts: pd.DataFrame) -> pd.DataFrame:
    if len(counts) <= _MOST_CLASSES:
        return counts
    head, tail = counts.iloc[: _MOST_CLASSES - 1], counts.iloc[_MOST_CLASSES - 1 :]
    rest = tail.sum(min_count=1).to_frame(f"{_REST} ({len(tail)})").T
    return pd.concat([head, rest])


def _bars(axes: Axes, counts: pd.DataFrame, kept: int, has_published: bool) -> None:
    rows = range(len(counts))
    stopped = counts["stopped"].to_numpy(dtype=float) / kept
    other = counts["total"].to_numpy(dtype=float) / kept - stopped
    axes.barh(rows, stopped, height=0.66, color="#6F8FC4", edgecolor="white", linewidth=0.4, label="interrupted a job")
    if other.any():
        axes.barh(
            rows,
            other,
            height=0.66,
            left=stopped,
            color="#A9D3EA",
            edgecolor="#4A5560",
            linewidth=0.4,
            hatch="////",
            label="hit no job",
        )
    ends = [_whisker(axes, row, float(total), kept) for row, total in enumerate(counts["total"])]
    if has_published:
        axes.plot(
            counts["published"],
            rows,
            "D",
            color=ACCENT,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.7,
            label="published count",
        )
    largest = max(*ends, float(counts["published"].max()) if has_published else 0.0)
    axes.set_yticks(rows, [wrapped(str(name), 26, 1) for name in counts.index])
    axes.set_ylim(len(counts) - 0.5, -0.5)
    axes.set_xlim(0, largest * 1.04)
    axes.set_xlabel("incidents per replication")
    clean_value_axis(axes)
    _cumulative(axes, counts)


def _whisker(axes: Axes, row: int, total: float, kept: int) -> float:
    low, high = (bound / kept for bound in poisson_interval(total))
    axes.plot([low, high], [row, row], color=INK, linewidth=0.9)
    return high


def _cumulative(axes: Axes, counts: pd.DataFrame) -> None:
    share = counts["total"].cumsum() / counts["total"].sum()
    upper = axes.twiny()
    upper.plot(share.to_numpy() * 100, range(len(counts)), color="#D9772B", linewidth=1.2, marker=".", markersize=4)
    upper.set_xlim(0, 104)
    upper.set_xlabel("cumulative share of incidents (%)", color="#B35A14", fontsize=8.5)
    upper.tick_params(axis="x", labelsize=8, labelcolor="#B35A14")
    upper.spines["top"].set_visible(True)
    upper.spines["top"].set_color(FAINT)
    # Shown by its own axis, so it needs a legend entry among the bars.
    axes.plot([], [], color="#D9772B", linewidth=1.2, marker=".", markersize=4, label="cumulative share (upper axis)")


def _caption(sample: str, has_published: bool) -> str:
    text = (
        f"Incidents per replication by fault class, most frequent first ({sample}); whiskers are 95 % Poisson "
        "intervals of the mean, the line is the cumulative share (upper axis)."
    )
    if has_published:
        text += " Diamonds are published counts. Rates are inputs, so their agreement checks the machinery only."
    return text


def _alternative(counts: pd.DataFrame, kept: int) -> str:
    parts = []
    total = float(counts["total"].sum())
    for name, row in counts.iterrows():
        published = "" if pd.isna(row["published"]) else f", published {number(float(row['published']))}"
        share = percent(float(row["total"]) / total, 1) if total else MISSING
        parts.append(f"{plain(name)} {number(float(row['total']) / kept)} ({share}{published})")
    return "Incidents per replication by class: " + "; ".join(parts) + "."

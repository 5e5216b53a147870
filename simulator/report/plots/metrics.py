"""Metrics by variant: mean, 95 % interval and the replications behind them; differences from the baseline."""

from __future__ import annotations

import difflib
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from simulator.errors import InputError
from simulator.report.numbers import FEW, metric_heading, metric_title, number, plain, shown_factor
from simulator.report.plots.common import (
    MOST_LABELS,
    NUMBERS,
    Missing,
    Plot,
    log_axis,
    name_rows,
    near_together,
    row_inches,
)
from simulator.report.results import Results
from simulator.report.style import FAINT, Look, PaperFigure, clean_value_axis, footnote, paper, variant_looks
from simulator.report.tables import values_by_variant
from simulator.units import count_of

_POINTS_AS_SHAPES = 1500
_LARGE = 1e5
_FAR_APART = 50.0
"""Ratio of the means from which an axis is logarithmic: otherwise all but the largest lie on one another."""


class StudyTables(Protocol):
    """Anything with the tables of a study: a results folder that was read, or a study in memory."""

    @property
    def summary(self) -> pd.DataFrame:
        """Long table of statistics, columns as in ``summary.csv``."""

    @property
    def runs(self) -> pd.DataFrame:
        """One row for each variant and replication, one column for each metric."""


def plot_metric(study: StudyTables, metric: str) -> PaperFigure:
    """Return one metric by variant: mark and 95 % interval, replications as faint points; below five as the marks.

    Parameters
    ----------
    study : StudyTables
        Tables of a study; variants stand in the order of ``runs``.
    metric : str
        Name of the metric, as in the data dictionary.

    Raises
    ------
    InputError
        The study has no such metric.
    """
    known = [str(name) for name in study.runs.columns if name not in ("variant", "replication")]
    if metric not in known:
        near = next(iter(difflib.get_close_matches(str(metric), known, n=1, cutoff=0.4)), None)
        raise InputError("unknown metric", found=repr(metric), allowed="a column of study.runs", nearest=near)
    variants = [str(name) for name in study.runs["variant"].drop_duplicates()]
    with paper():
        figure = PaperFigure(1.0 + row_inches(len(variants)) * 1.15 * len(variants))
        axes = figure.subplots()
        _metric_panel(axes, study, metric, variants)
        footnote(figure, _footnote(study, metric))
    return figure


def answer_plot(results: Results) -> Plot | Missing:
    """Return the metric that answers the question by variant, and its paired differences from the baseline."""
    metric = results.answer_metric
    name, heading = "answer", "The answer"
    if not metric:
        return Missing(name, heading, "the scenario names no metric that answers its question")
    heading = f"The answer: {metric_title(metric)}"
    if metric not in results.runs or not results.runs[metric].notna().any():
        return Missing(name, heading, f"{metric_title(metric)} has no value in any replication")
    if results.runs[metric].count() == 1:
        return Missing(name, heading, "there is a single number, which stands in the table")
    others = [v for v in results.variants if v != results.baseline]
    differences = _differences(results, metric, others)
    has_second = bool(others) and bool(differences["mean_difference"].notna().any())
    with paper():
        rows = len(results.variants) + (len(others) + 2 if has_second else 0)
        figure = PaperFigure(1.05 + row_inches(len(results.variants)) * 1.15 * rows)
        ratios = [len(results.variants) + 0.6, len(others) + 0.6] if has_second else [1.0]
        panels = figure.subplots(len(ratios), 1, squeeze=False, height_ratios=ratios)[:, 0]
        _metric_panel(panels[0], results, metric, results.variants)
        if has_second:
            _difference_panel(panels[1], results, metric, differences)
        footnote(figure, _footnote(results, metric))
    return Plot(name, heading, _answer_caption(results, metric, has_second), _alternative(results, metric), figure)


def overview_plot(results: Results) -> Plot | Missing:
    """Return small panels of the other metrics that tell variants apart."""
    name, heading = "metrics", "Other metrics"
    shown = [m for m in results.metrics_deciding if m != results.answer_metric and m in results.runs]
    metrics = [m for m in shown if results.runs[m].nunique() > 1]
    if not metrics:
        return Missing(name, heading, "no other metric tells the variants apart")
    columns = min(2, len(metrics))
    lines = -(-len(metrics) // columns)
    with paper():
        figure = PaperFigure(0.5 + lines * (0.62 + row_inches(len(results.variants)) * len(results.variants)))
        grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for place, axes in enumerate(grid.flat):
            if place >= len(metrics):
                axes.remove()
                continue
            _metric_panel(axes, results, metrics[place], results.variants, width=15, most_ticks=4)
            axes.set_xlabel(textwrap.fill(metric_heading(metrics[place]), 27))
        footnote(figure, _footnote(results, None))
    return Plot(
        name,
        heading,
        f"{_what_is_drawn(results.replications)} of the metrics that tell the variants most apart. "
        "Axes do not start at zero, and are logarithmic where the means lie far apart.",
        "Means by variant. " + " ".join(_alternative(results, metric) for metric in metrics),
        figure,
    )


def _metric_panel(
    axes: Axes, study: StudyTables, metric: str, variants: Sequence[str], width: int = 18, most_ticks: int | None = None
) -> None:
    factor = shown_factor(metric)
    looks = variant_looks(variants)
    rows = study.summary[study.summary["metric"] == metric].set_index("variant")
    as_image = len(study.runs) > _POINTS_AS_SHAPES
    drawn: dict[int, NDArray[np.float64]] = {}
    for row, name in enumerate(variants):
        values = study.runs.loc[study.runs["variant"] == name, metric].dropna().to_numpy(dtype=float) * factor
        if values.size < FEW:
            drawn[row] = _each_value(axes, values, row, looks[name])
        elif name in rows.index:
            drawn[row] = _numbers(rows, name, ("mean", "ci_low", "ci_high")) * factor
            _replication_points(axes, values, row, looks[name], as_image)
            _estimate(axes, drawn[row], row - 0.1, looks[name])
    name_rows(axes, variants, width)
    axes.set_xlabel(metric_heading(metric))
    axes.margins(x=0.06)
    if _lie_far_apart(study, metric):
        shown = study.runs[metric] * factor
        # An interval that reaches down to zero runs out at the left edge.
        log_axis(axes, "x", float(shown.min()), float(shown.max()), NUMBERS, most_ticks or MOST_LABELS)
    else:
        _cut_far_rows(axes, drawn)
        if most_ticks is not None:
            axes.xaxis.set_major_locator(MaxNLocator(nbins=most_ticks))
        _large_numbers(axes)
    clean_value_axis(axes)


def _lie_far_apart(study: StudyTables, metric: str) -> bool:
    """Return whether a metric is above zero in every replication and its means differ by a large factor."""
    means = study.runs.groupby("variant")[metric].mean()
    return bool(study.runs[metric].min() > 0.0 and means.max() >= _FAR_APART * means.min())


def _large_numbers(axes: Axes) -> None:
    """Write numbers from 100,000 on with k or M instead of a power of ten in a corner."""
    if max(abs(bound) for bound in axes.get_xlim()) >= _LARGE:
        axes.xaxis.set_major_formatter(EngFormatter(sep="\N{NO-BREAK SPACE}"))


def _replication_points(axes: Axes, values: NDArray[np.float64], row: int, look: Look, as_image: bool) -> None:
    # A fixed spread, not a random one, keeps the figure the same on every run: the golden ratio fills a strip evenly.
    offsets = (np.arange(values.size) * 0.6180339887498949) % 1.0
    axes.scatter(
        values,
        row + 0.12 + 0.24 * offsets,
        s=7,
        color=look.colour,
        alpha=0.35 if values.size <= 100 else 0.18,
        linewidths=0,
        rasterized=as_image,
    )


def _numbers(rows: pd.DataFrame, name: str, columns: Sequence[str]) -> NDArray[np.float64]:
    return np.array([rows.at[name, column] for column in columns], dtype=np.float64)


def _each_value(axes: Axes, values: NDArray[np.float64], height: float, look: Look) -> NDArray[np.float64]:
    """Draw a mark for each value and a stroke at their mean; return mean, least and greatest."""
    if values.size == 0:
        where = ("axes fraction", "data")
        axes.annotate("no value", (0.02, height), xycoords=where, va="center", fontsize=8, color=FAINT)
        return np.full(3, math.nan)
    if values.size > 1:
        axes.plot([values.mean()], [height], "|", color=look.colour, markersize=15, markeredgewidth=1.4)
    marks = axes.plot(values, np.full(values.size, height), look.marker, color=look.colour, markersize=6.5)
    marks[0].set(markeredgecolor="white", markeredgewidth=0.7)
    return np.array([values.mean(), values.min(), values.max()])


def _estimate(axes: Axes, numbers: NDArray[np.float64], height: float, look: Look) -> None:
    """Draw mean, low and high as a mark with a bar."""
    mean, low, high = (float(number) for number in numbers)
    axes.plot([low, high], [height] * 2, color=look.colour, linewidth=2.6, solid_capstyle="butt")
    (mark,) = axes.plot([mean], [height], look.marker, color=look.colour, markersize=6.5)
    mark.set(markeredgecolor="white", markeredgewidth=0.7)


def _differences(results: Results, metric: str, others: Sequence[str]) -> pd.DataFrame:
    rows = results.differences[results.differences["metric"] == metric]
    return rows.set_index("variant").reindex(list(others))


def _difference_panel(axes: Axes, results: Results, metric: str, differences: pd.DataFrame) -> None:
    factor = shown_factor(metric)
    looks = variant_looks(results.variants)
    axes.axvline(0, color=FAINT, linewidth=1.0)
    names = [str(name) for name in differences.index]
    values = values_by_variant(results, metric)
    drawn = {-1: np.zeros(3)}  # the baseline
    for row, name in enumerate(names):
        pairs = values[name] - values[results.baseline]
        pairs = pairs[~np.isnan(pairs)]
        if pairs.size < FEW:
            drawn[row] = _each_value(axes, pairs * factor, row, looks[name])
        else:
            drawn[row] = _numbers(differences, name, ("mean_difference", "ci_low", "ci_high")) * factor
            _estimate(axes, drawn[row], row, looks[name])
    name_rows(axes, names)
    axes.set_xlabel(f"{metric_heading(metric)}: difference from {_brief(results.baseline)}")
    axes.margins(x=0.06)
    _cut_far_rows(axes, drawn)
    _large_numbers(axes)
    clean_value_axis(axes)


def _cut_far_rows(axes: Axes, drawn: Mapping[int, NDArray[np.float64]]) -> None:
    """End an axis so that few rows far away do not make the others illegible; means beyond it are written at its end.

    ``drawn`` has mean, low and high of each row.
    """
    rows = {row: numbers for row, numbers in drawn.items() if np.isfinite(numbers).all()}
    near = near_together([(float(low), float(high)) for _, low, high in rows.values()])
    if near is None:
        return
    margin = 0.06 * (near[1] - near[0])
    axes.set_xlim(near[0] - margin, near[1] + margin)
    for row, (mean, *_) in rows.items():
        text = number(float(mean), 3)
        place, text, side = (0.99, f"{text} →", "right") if mean > near[1] else (0.01, f"← {text}", "left")
        if not near[0] <= mean <= near[1]:
            axes.annotate(text, (place, row), xycoords=("axes fraction", "data"), ha=side, va="center", fontsize=8)


def _brief(name: str) -> str:
    return plain(name) if len(plain(name)) <= 20 else "the first variant"


def _footnote(study: StudyTables, metric: str | None) -> str:
    runs = study.runs if metric is None else study.runs[study.runs[metric].notna()]
    counts = runs.groupby("variant").size()
    low, high = (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)
    sample = count_of(high, "replication") if low == high else f"{low:,} to {high:,} replications"
    if high < 2:
        return f"Mark: value of the only replication ({sample}, no interval)."
    if high < FEW:
        return f"Marks: the {sample}; stroke: their mean."
    return f"Mark: mean; bar: 95 % interval (Student t); faint: {sample}." + (
        f" With fewer than {FEW} values these are the marks." if low < FEW else ""
    )


def _what_is_drawn(replications: int) -> str:
    sample = count_of(replications, "replication")
    if replications < FEW:
        return f"Value in {'the only replication' if replications == 1 else f'each of {sample}, and their mean,'}"
    return f"Mean, 95 % interval (Student t) and the {sample}"


def _answer_caption(results: Results, metric: str, has_second: bool) -> str:
    scale = ", on a log scale" if _lie_far_apart(results, metric) else ""
    drawn = _what_is_drawn(results.replications)
    text = f"{metric_heading(metric)} by variant: {drawn[0].lower()}{drawn[1:].rstrip(',')}{scale}."
    if has_second:
        text += f" Below: difference from {plain(results.baseline)} in the same random world"
        if results.replications < FEW:
            return f"{text}{', for each of them' if results.replications > 1 else ''}."
        text += "s, paired; an interval that leaves out zero means that the variants differ."
    return text


def _alternative(results: Results, metric: str) -> str:
    factor = shown_factor(metric)
    means = results.statistic(metric)["mean"]
    parts = "; ".join(f"{plain(name)} {number(float(means[name]) * factor)}" for name in results.variants)
    return f"{metric_heading(metric)}: {parts}."

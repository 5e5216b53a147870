"""Published figures beside simulated ones, as ratios on one axis."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes

from simulator.report.numbers import FEW, metric_title, number, plain, wrapped
from simulator.report.plots.common import Missing, Plot
from simulator.report.results import Results
from simulator.report.style import FAINT, INK, PaperFigure, clean_value_axis, footnote, paper
from simulator.report.tables import Comparison, comparisons, published_text, values_by_variant
from simulator.units import count_of

NAME, HEADING = "published", "Simulated against published"
_KINDS = (("prediction", "#23366F", "#23366F", "o"), ("input", "white", "#23366F", "s"))


def published_plot(results: Results) -> Plot | Missing:
    """Return simulated ÷ published for every published figure, predictions filled and inputs hollow."""
    entries = comparisons(results)
    if not entries:
        return Missing(NAME, HEADING, "the scenario names no published figures")
    entries = [entry for entry in entries if math.isfinite(entry.mean) and entry.published != 0]
    if not entries:
        return Missing(NAME, HEADING, "none of the published figures has a simulated counterpart")
    sample = count_of(results.replications, "replication")
    has_tolerance = any(math.isfinite(entry.tolerance) for entry in entries)
    is_few = results.replications < FEW
    with paper():
        figure = PaperFigure(1.2 + 0.42 * len(entries))
        axes = figure.subplots()
        _draw(axes, entries, results)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=3)
        drawn = f"Dots: {sample}" if is_few else f"Bar: 95 % interval (Student t), {sample}"
        footnote(figure, f"Left: the published figures. {drawn}.")
    band = " Grey bands are the tolerances that the scenario states." if has_tolerance else ""
    return Plot(
        NAME,
        HEADING,
        "Simulated mean divided by the published figure, with "
        f"{f'each of {sample} as a dot' if is_few else f'95 % interval ({sample})'}. Filled marks are predictions; "
        f"hollow marks are inputs, whose agreement only checks the machinery.{band}",
        " ".join(
            f"{metric_title(e.metric)} of {plain(e.variant)} ({plain(e.kind)}): ratio {number(e.mean / e.published)}."
            for e in entries
        ),
        figure,
    )


def _draw(axes: Axes, entries: list[Comparison], results: Results) -> None:
    axes.axvline(1.0, color=FAINT, linewidth=1.0)
    for row, entry in enumerate(entries):
        if math.isfinite(entry.tolerance):
            half = abs(entry.tolerance / entry.published)
            axes.barh(row, 2 * half, height=0.5, left=1 - half, color="#E3E7EB", edgecolor="none")
        if results.replications < FEW:
            values = values_by_variant(results, entry.metric)[entry.variant] / entry.published
            axes.plot(values, np.full(values.size, row + 0.22), ".", color=INK, markersize=5)
        elif math.isfinite(entry.low):
            bounds = [entry.low / entry.published, entry.high / entry.published]
            axes.plot(bounds, [row, row], color=INK, linewidth=2.2, solid_capstyle="butt")
    for kind, fill, edge, marker in _KINDS:
        rows = [row for row, entry in enumerate(entries) if entry.kind == kind]
        if rows:
            ratios = [entries[row].mean / entries[row].published for row in rows]
            axes.plot(
                ratios, rows, marker, color=edge, markerfacecolor=fill, markersize=7, markeredgewidth=1.2, label=kind
            )
    names = [f"{metric_title(e.metric)}: {published_text(e)}\n{wrapped(e.variant, 26, 1)}" for e in entries]
    axes.set_yticks(range(len(entries)), names, fontsize=8.5)
    axes.set_ylim(len(entries) - 0.5, -0.5)
    low, high = axes.get_xlim()
    reach = max(1 - low, high - 1, 0.01) * 1.08
    axes.set_xlim(1 - reach, 1 + reach)
    axes.set_xlabel("simulated ÷ published (published = 1)")
    clean_value_axis(axes)

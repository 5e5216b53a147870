"""GPUs that do no useful work over time, and how often how many nodes are out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from simulator.accounting.columns import BUCKETS
from simulator.report.numbers import number, plain, shortened
from simulator.report.plots.common import Missing, Plot, thinned, time_unit
from simulator.report.results import Results
from simulator.report.style import (
    BUCKET_LOOK,
    FAINT,
    PaperFigure,
    clean_value_axis,
    edge_of,
    footnote,
    paper,
    variant_looks,
)
from simulator.units import count_of

_BUSY = ("running", "productive")
_GANG_STATES = ("checkpointing", "lost_work", "detecting", "restarting", "degraded", "waiting_for_nodes")
_CROWDING = 4
_MOST_PANELS = 8
_LEVELS_SHOWN = 0.9999


def states_plot(results: Results) -> Plot | Missing:
    """Return one panel for each variant: GPUs that are not running by state, stacked, over time."""
    name, heading = "states", "GPUs that are not running, over time"
    series = results.table("series", ["time_s", "state", "gpus"])
    # At time 0 nothing has started yet: the whole machine is idle for an instant that would set the scale.
    series = series[(series["replication"] == series["replication"].min()) & (series["time_s"] > 0)]
    series = series[~series["state"].isin(_BUSY)]
    if series.empty or series["time_s"].nunique() < 2:
        return Missing(name, heading, "the results hold no samples over time (the scenario sets no `sample_every`)")
    if not (series["gpus"] > 0).any():
        return Missing(name, heading, "every GPU was running at every sample")
    shown = [v for v in results.variants if v in set(series["variant"])][:_MOST_PANELS]
    used = set(series.loc[series["gpus"] > 0, "state"])
    # From the bottom: what is broken first, so that its outline stays level; spares and idle nodes on top.
    states = [state for state in reversed(BUCKETS) if state in used]
    with paper():
        figure, binned = _drawn(results, series, shown, states)
    caption = (
        "Number of GPUs in every state other than running, stacked, in replication "
        f"{int(series['replication'].min())} of {results.replications}."
    )
    if _crowding(series, states):
        caption += " Bands mark samples at which a whole job stands still; to scale they would hide all else."
    if binned > 1:
        caption += f" Each step is the mean of {binned} samples."
    if len(shown) < len(results.variants):
        caption += f" The first {len(shown)} of {len(results.variants)} variants are shown."
    wide = series.groupby(["variant", "state"])["gpus"].mean()
    parts = " ".join(f"{plain(v)}: {_in_words(wide, v, states)}." for v in shown)
    return Plot(name, heading, caption, f"Mean number of GPUs by state over the samples. {parts}", figure)


def _in_words(means: pd.Series, variant: str, states: list[str]) -> str:
    values = {state: float(means.get((variant, state), 0.0)) for state in states}
    return ", ".join(f"{state.replace('_', ' ')} {number(value, 3)}" for state, value in values.items())


def _drawn(results: Results, series: pd.DataFrame, shown: list[str], states: list[str]) -> tuple[PaperFigure, int]:
    columns = 1 if len(shown) == 1 else 2
    lines = -(-len(shown) // columns)
    banded = _crowding(series, states)
    figure = PaperFigure(0.75 + lines * (1.45 if columns == 2 else 2.2) + 0.2 * -(-len(states) // (2 if banded else 4)))
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    unit, size = time_unit(float(series["time_s"].max()))
    binned, peak = 1, 0.0
    for place, axes in enumerate(grid.flat):
        if place >= len(shown):
            axes.remove()
            continue
        one = series[series["variant"] == shown[place]]
        wide = one.pivot_table(index="time_s", columns="state", values="gpus", aggfunc="sum", fill_value=0)
        wide, binned = thinned(wide.reindex(columns=states, fill_value=0))
        peak = max(peak, _stack(axes, wide.drop(columns=banded), size))
        _bands(axes, wide[banded], size)
        axes.set_title(shortened(plain(shown[place]), 26 if columns == 2 else 60), fontsize=9)
        clean_value_axis(axes, "y")
    for place in range(len(shown)):
        if place + columns >= len(shown):
            grid.flat[place].set_xlabel(f"simulated time ({unit})")
            grid.flat[place].tick_params(labelbottom=True, length=3)
    for line in grid:
        line[0].set_ylabel("GPUs")
    # Panels share the axis; the room above the areas shows the bands.
    grid.flat[0].set_ylim(0, peak * 1.12 or 1.0)
    figure.legend(*grid.flat[0].get_legend_handles_labels(), loc="outside upper left", ncols=2 if banded else 4)
    step = f"means of {binned} samples" if binned > 1 else "samples"
    footnote(figure, f"One replication, no interval; {step} over time.")
    return figure, binned


def _crowding(series: pd.DataFrame, states: list[str]) -> list[str]:
    """Return the states of whole jobs where they would crowd out the states of single nodes."""
    gang = [state for state in states if state in _GANG_STATES]
    sums = series.assign(gang=series["state"].isin(gang)).groupby(["variant", "time_s", "gang"])["gpus"].sum()
    of_jobs, of_nodes = (sums[sums.index.get_level_values("gang") == which] for which in (True, False))
    if of_jobs.empty or of_nodes.empty:
        return []
    return gang if of_jobs.max() > _CROWDING * of_nodes.quantile(0.99) > 0 else []


def _bands(axes: Axes, wide: pd.DataFrame, size: float) -> None:
    """Mark by bands over the whole height when a job stands still, in the colour of the reason."""
    times = wide.index.to_numpy(dtype=float) / size
    ends = np.append(times[1:], times[-1])
    for state in wide.columns:
        still = wide[state].to_numpy() > 0
        axes.broken_barh(
            [(start, end - start) for start, end in zip(times[still], ends[still], strict=True)],
            (0.0, 1.0),
            transform=axes.get_xaxis_transform(),
            facecolor=BUCKET_LOOK[state].colour,
            alpha=0.5,
            linewidth=0,
            zorder=0.5,
            label=f"a job: {state.replace('_', ' ')} (not to scale)",
        )


def _stack(axes: Axes, wide: pd.DataFrame, size: float) -> float:
    """Draw the stacked areas and return their highest point."""
    times = wide.index.to_numpy(dtype=float) / size
    bottom = np.zeros(len(wide))
    for state in wide.columns:
        top = bottom + wide[state].to_numpy(dtype=float)
        look = BUCKET_LOOK[state]
        axes.fill_between(
            times,
            bottom,
            top,
            step="post",
            facecolor=look.colour,
            hatch=look.hatch or None,
            edgecolor=edge_of(look),
            linewidth=0.0,
            label=state.replace("_", " "),
        )
        bottom = top
    axes.set_xlim(times[0], times[-1])
    return float(bottom.max())


def occupancy_plot(results: Results) -> Plot | Missing:
    """Return the share of time in which more than k nodes are out of service, and replacements at work, by variant."""
    name, heading = "occupancy", "How many nodes are out at once"
    table = results.table("occupancy", ["quantity", "level", "time_s"])
    panels = [
        (quantity, label)
        for quantity, label in (("nodes_out", "nodes out of service"), ("replacements", "replacements at work"))
        if (table.loc[table["quantity"] == quantity, "level"] > 0).any()
    ]
    if not panels:
        return Missing(name, heading, "no node was out of service")
    sample = count_of(results.replications, "replication")
    with paper():
        figure = PaperFigure(2.7 + 0.2 * -(-len(results.variants) // 2))
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (quantity, label) in zip(grid, panels, strict=True):
            _exceedance(axes, table[table["quantity"] == quantity], results)
            axes.set_xlabel(f"k {label}")
        grid[0].set_ylabel("share of time with more than k")
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        footnote(
            figure, f"Simulated time after the warm-up, {sample} together; no interval. Grey line: 1 % of the time."
        )
    return Plot(
        name,
        heading,
        "Share of the time in which more than k nodes are out of service (and in which more than k replacements are at "
        f"work), after the warm-up, {sample} together. Where a line crosses 1 %, k nodes are enough for 99 % of the "
        "time.",
        "Lines of the share of time against the number of nodes out. " + _enough(table, results, panels),
        figure,
    )


def exceedance(table: pd.DataFrame) -> pd.Series:
    """Return the share of time with more than k, indexed by k = 0, 1, ... up to the highest level seen."""
    time = table.groupby("level")["time_s"].sum()
    time = time.reindex(range(int(time.index.max()) + 1), fill_value=0.0)
    return 1.0 - time.cumsum() / time.sum()


def _exceedance(axes: Axes, table: pd.DataFrame, results: Results) -> None:
    end = 1
    for name, look in variant_looks(results.variants).items():
        one = table[table["variant"] == name]
        if one.empty or not one["time_s"].sum() > 0:
            continue
        share = exceedance(one)
        above = share[share > 1 - _LEVELS_SHOWN]
        end = max(end, int(above.index.max()) + 2 if len(above) else 1)
        share = share.clip(lower=1e-9)
        axes.plot(
            share.index,
            share.to_numpy(),
            drawstyle="steps-post",
            color=look.colour,
            linestyle=look.line,
            label=shortened(plain(name), 34),
        )
    axes.axhline(0.01, color=FAINT, linewidth=0.7)
    axes.set_yscale("log")
    axes.set_ylim(1 - _LEVELS_SHOWN, 1.2)
    axes.set_yticks([1, 0.1, 0.01, 0.001, 0.0001], ["100 %", "10 %", "1 %", "0.1 %", "0.01 %"])
    axes.set_yticks([], minor=True)
    axes.set_xlim(0, end)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True)


def _enough(table: pd.DataFrame, results: Results, panels: list[tuple[str, str]]) -> str:
    parts = []
    for quantity, label in panels:
        for name in results.variants:
            one = table[(table["quantity"] == quantity) & (table["variant"] == name)]
            if len(one):
                enough = int((exceedance(one) > 0.01).sum())
                parts.append(f"{plain(name)}: at most {enough} {label} for 99 % of the time.")
    return " ".join(parts)

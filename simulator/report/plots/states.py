"""GPUs that do no useful work over time, and how often how many nodes are out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from simulator.accounting.columns import BUCKETS
from simulator.report.numbers import number, plain, shortened
from simulator.report.plots.common import Missing, Plot, equals_together, thinned, time_unit
from simulator.report.results import Results
from simulator.report.style import (
    BUCKET_LOOK,
    FAINT,
    Look,
    PaperFigure,
    clean_value_axis,
    edge_of,
    footnote,
    paper,
    variant_looks,
)
from simulator.units import count_of

_NOT_DRAWN = ("running", "productive", "idle")
"""Idle GPUs stand in the picture of the queue and in the ledger."""

_GANG_STATES = ("checkpointing", "lost_work", "detecting", "restarting", "degraded", "waiting_for_nodes")
_CROWDING = 4
_MOST_PANELS = 8
_LEVELS_SHOWN = 0.9999


def states_plot(results: Results) -> Plot | Missing:
    """Return GPUs neither running nor idle by state, stacked, over time; a panel for variants with the same picture."""
    name, heading = "states", "GPUs neither running nor idle, over time"
    series = results.table("series", ["time_s", "state", "gpus"])
    # At time 0 nothing has started yet: the whole machine is idle for an instant that would set the scale.
    series = series[(series["replication"] == series["replication"].min()) & (series["time_s"] > 0)]
    series = series[~series["state"].isin(_NOT_DRAWN)]
    if series.empty or series["time_s"].nunique() < 2:
        return Missing(name, heading, "the results hold no samples over time (the scenario sets no `sample_every`)")
    if not (series.groupby(["variant", "state"])["gpus"].nunique() > 1).any():
        return Missing(name, heading, "as many GPUs were in each state at every sample")
    used = series[series["gpus"] > 0]
    # From the bottom: what is broken first, so that its outline stays level; spares on top.
    states = [state for state in reversed(BUCKETS) if state in set(used["state"])]
    pictures = {v: _wide(series, v, states) for v in results.variants if v in set(used["variant"])}
    titles = equals_together(pictures)
    shown = dict(list(titles.items())[:_MOST_PANELS])
    with paper():
        figure, binned = _drawn(shown, pictures, states, _crowding(series, states))
    caption = (
        "Number of GPUs in every state other than running and idle, stacked, in replication "
        f"{int(series['replication'].min())} of {results.replications}."
    )
    if _crowding(series, states):
        caption += " Bands mark samples at which a whole job stands still; to scale they would hide all else."
    if binned > 1:
        caption += f" Each step is the mean of {binned} samples."
    if len(shown) < len(titles):
        caption += f" The first {len(shown)} of {len(titles)} variants that differ are shown."
    if without := [plain(v) for v in results.variants if v not in pictures]:
        caption += f" None in: {', '.join(without)}."
    wide = series.groupby(["variant", "state"])["gpus"].mean()
    parts = " ".join(f"{plain(v)}: {_in_words(wide, v, states)}." for v in shown)
    return Plot(name, heading, caption, f"Mean number of GPUs by state over the samples. {parts}", figure)


def _in_words(means: pd.Series, variant: str, states: list[str]) -> str:
    values = {state: float(means.get((variant, state), 0.0)) for state in states}
    return ", ".join(f"{state.replace('_', ' ')} {number(value, 3)}" for state, value in values.items())


def _wide(series: pd.DataFrame, variant: str, states: list[str]) -> pd.DataFrame:
    """Return the GPUs of a variant by time (rows) and state (columns)."""
    one = series[series["variant"] == variant]
    wide = one.pivot_table(index="time_s", columns="state", values="gpus", aggfunc="sum", fill_value=0)
    return wide.reindex(columns=states, fill_value=0)


def _drawn(
    titles: Mapping[str, str], pictures: Mapping[str, pd.DataFrame], states: list[str], banded: list[str]
) -> tuple[PaperFigure, int]:
    shown = list(titles)
    columns = 1 if len(shown) == 1 else 2
    lines = -(-len(shown) // columns)
    figure = PaperFigure(0.75 + lines * (1.45 if columns == 2 else 2.2) + 0.2 * -(-len(states) // (2 if banded else 4)))
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    unit, size = time_unit(max(float(picture.index[-1]) for picture in pictures.values()))
    binned, peak = 1, 0.0
    for place, axes in enumerate(grid.flat):
        if place >= len(shown):
            axes.remove()
            continue
        wide, binned = thinned(pictures[shown[place]])
        peak = max(peak, _stack(axes, wide.drop(columns=banded), size))
        _bands(axes, wide[banded], size)
        axes.set_title(shortened(titles[shown[place]], 34 if columns == 2 else 60), fontsize=9)
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
    curves = {v: _levels(table[table["variant"] == v]) for v in results.variants if v in set(table["variant"])}
    titles = equals_together(curves)
    with paper():
        figure = PaperFigure(2.7 + 0.2 * -(-len(titles) // 2))
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (quantity, label) in zip(grid, panels, strict=True):
            shown = {v: curves[v][quantity].dropna() for v in titles if quantity in curves[v]}
            _exceedance(axes, shown, titles, variant_looks(results.variants))
            axes.set_xlabel(f"k {label}")
        grid[0].set_ylabel("time with more than k")
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


def _levels(table: pd.DataFrame) -> pd.DataFrame:
    """Return the share of time with more than k (rows) of each quantity (columns) of a variant."""
    return pd.DataFrame({str(name): exceedance(one) for name, one in table.groupby("quantity")})


def exceedance(table: pd.DataFrame) -> pd.Series:
    """Return the share of time with more than k, indexed by k = 0, 1, ... up to the highest level seen."""
    time = table.groupby("level")["time_s"].sum()
    time = time.reindex(range(int(time.index.max()) + 1), fill_value=0.0)
    return 1.0 - time.cumsum() / time.sum()


def _exceedance(
    axes: Axes, curves: Mapping[str, pd.Series], titles: Mapping[str, str], looks: Mapping[str, Look]
) -> None:
    end = 1
    for name, share in curves.items():
        above = share[share > 1 - _LEVELS_SHOWN]
        end = max(end, int(above.index.max()) + 2 if len(above) else 1)
        axes.plot(
            share.index,
            share.clip(lower=1e-9).to_numpy(),
            drawstyle="steps-post",
            color=looks[name].colour,
            linestyle=looks[name].line,
            label=shortened(titles[name], 34),
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

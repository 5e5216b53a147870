"""The anatomy of incidents: how long each stage takes, and where restart time goes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simulator.report.numbers import duration, number, plain, shortened
from simulator.report.plots.common import (
    CUT_NOTE,
    Missing,
    Plot,
    cut_rows,
    equals_together,
    is_cut,
    name_rows,
    row_inches,
)
from simulator.report.results import Results
from simulator.report.style import (
    OTHER_LOOK,
    PHASE_LOOK,
    Look,
    PaperFigure,
    clean_value_axis,
    footnote,
    paper,
    variant_looks,
)
from simulator.units import count_of

STAGES: tuple[tuple[str, str, str], ...] = (
    ("detect", "onset_s", "detected_s"),
    ("localise", "detected_s", "localised_s"),
    ("isolate", "localised_s", "isolated_s"),
    ("wait for technician", "isolated_s", "repair_started_s"),
    ("repair", "repair_started_s", "repaired_s"),
    ("verify", "repaired_s", "returned_s"),
)
"""Stages of an incident: name, first and last instant."""

_TIMES = ("onset_s", "detected_s", "localised_s", "isolated_s", "repair_started_s", "repaired_s", "returned_s")
_TICKS_S = (1e-3, 0.01, 0.1, 1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400, 60 * 86400, 365 * 86400)


def stage_means(incidents: pd.DataFrame) -> pd.DataFrame:
    """Return mean seconds of each stage (columns) by variant (rows), over the incidents that finished the stage."""
    stages = {name: incidents[end] - incidents[start] for name, start, end in STAGES}
    return pd.DataFrame(stages).groupby(incidents["variant"]).mean()


def anatomy_plot(results: Results) -> Plot | Missing:
    """Return mean duration of every stage of an incident by variant, on a logarithmic axis."""
    name, heading = "incident_anatomy", "Anatomy of an incident"
    incidents = results.table("incidents", _TIMES)
    if incidents.empty:
        return Missing(name, heading, "no incident happened in the replications whose incidents are kept")
    means = stage_means(incidents).reindex([v for v in results.variants if v in set(incidents["variant"])])
    instant = [str(stage) for stage in means.columns if not (means[stage] > 0).any()]
    means = means.drop(columns=instant)
    titles = equals_together({str(name): means.loc[[name]].reset_index(drop=True) for name in means.index})
    if means.shape[1] == 0:
        return Missing(name, heading, "no incident finished a stage that takes time")
    counts = incidents.groupby("variant").size()
    kept = int(incidents["replication"].nunique())
    low, high = int(counts.min()), int(counts.max())
    sample = count_of(high, "incident") if low == high else f"{low:,} to {high:,} incidents"
    with paper():
        figure = PaperFigure(1.25 + means.shape[1] * max(0.34, 0.115 * len(titles)) + 0.2 * -(-len(titles) // 2))
        axes = figure.subplots()
        _stage_dots(axes, means.loc[list(titles)], titles, variant_looks(results.variants))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        footnote(figure, f"Mean over {sample} per variant, {count_of(kept, 'replication')}; no interval.")
    return Plot(
        name,
        heading,
        "Mean duration of each stage, from the fault to the node's return to service (logarithmic axis), over "
        f"{sample} per variant in {count_of(kept, 'replication')}; stages still open at the end are left out."
        + (f" No time passes in: {', '.join(instant)}." if instant else ""),
        "Mean duration of each stage. " + " ".join(f"{plain(v)}: {_in_words(means.loc[v])}." for v in means.index),
        figure,
    )


def _stage_dots(axes: Axes, means: pd.DataFrame, titles: Mapping[str, str], looks: Mapping[str, Look]) -> None:
    values = means.to_numpy(dtype=float)
    positive = values[values > 0]
    floor = positive.min() / 4 if positive.size else 1.0
    offsets = np.linspace(-0.3, 0.3, len(means)) if len(means) > 1 else np.zeros(1)
    for offset, name in zip(offsets, means.index, strict=True):
        row = means.loc[name].to_numpy(dtype=float)
        look = looks[str(name)]
        axes.plot(
            np.where(row > 0, row, np.where(row == 0, floor, math.nan)),
            np.arange(len(row)) + offset,
            look.marker,
            color=look.colour,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=shortened(titles[str(name)], 34),
        )
    _time_axis(axes, floor, float(np.nanmax(values)), has_zero=bool((values == 0).any()))
    name_rows(axes, list(means.columns))
    for row, stage in enumerate(means.columns):
        axes.axhline(row - 0.5, color="#EEF1F4", linewidth=0.8)
        axes.annotate(_range(means[stage]), (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    clean_value_axis(axes)


def _in_words(row: pd.Series) -> str:
    return ", ".join(f"{stage} {duration(float(seconds))}" for stage, seconds in row.items())


def _range(values: pd.Series) -> str:
    low, high = duration(float(values.min()), 2), duration(float(values.max()), 2)
    return low if low == high else f"{low} –\n{high}"


def _time_axis(axes: Axes, floor: float, top: float, has_zero: bool) -> None:
    axes.set_xscale("log")
    start = floor * 0.7 if has_zero else floor * 2
    end = max(top * 2, start * 20)
    ticks = [tick for tick in _TICKS_S if floor * (2.2 if has_zero else 1) <= tick <= end]
    while len(ticks) > 7:
        ticks = ticks[::2]
    labels = [duration(tick) for tick in ticks]
    axes.set_xlim(start, end)
    axes.set_xticks(([floor] if has_zero else []) + ticks, (["0"] if has_zero else []) + labels)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("mean duration (logarithmic)")


def phases_plot(results: Results) -> Plot | Missing:
    """Return stacked bars of the wall time that jobs spend in each restart phase, by variant."""
    name, heading = "restart_phases", "Where restart time goes"
    phases = results.table("phases", ["phase", "job_s", "times"])
    if phases.empty or not phases["job_s"].sum() > 0:
        return Missing(name, heading, "no job spent time in a restart phase")
    order = [str(phase) for phase in phases["phase"].drop_duplicates()]
    hours = phases.groupby(["variant", "phase"])["job_s"].sum().unstack(fill_value=0) / 3600 / results.replications
    hours = hours.reindex(index=results.variants, columns=order, fill_value=0.0)
    without = [plain(str(name)) for name in hours.index[hours.sum(axis=1) == 0]]
    hours = hours.loc[hours.sum(axis=1) > 0, hours.max() > 0]
    looks = {phase: PHASE_LOOK.get(phase, OTHER_LOOK) for phase in order}
    sample = count_of(results.replications, "replication")
    with paper():
        figure = PaperFigure(0.95 + row_inches(len(hours)) * len(hours) + 0.2 * -(-hours.shape[1] // 4) + 0.3)
        axes = figure.subplots()
        end = cut_rows(axes, hours, looks, lambda total: f"{number(total, 3)} h")
        name_rows(axes, list(hours.index))
        axes.set_xlim(0, end * 1.19)
        axes.set_xlabel("wall time of jobs in restart phases (h)")
        clean_value_axis(axes)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=4)
        footnote(figure, f"Hours per replication, mean of {sample}; no interval.")
    totals = hours.sum(axis=1)
    parts = "; ".join(f"{plain(v)} {number(float(totals[v]), 3)} h" for v in hours.index)
    return Plot(
        name,
        heading,
        "Wall time that jobs spend between an interruption and useful work, by phase, in hours per replication "
        f"(mean of {sample}).{CUT_NOTE if is_cut(hours) else ''}"
        + (f" None in: {', '.join(without)}." if without else ""),
        f"Stacked bars of restart time by phase. Totals: {parts}.",
        figure,
    )

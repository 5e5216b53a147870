"""The queue and its users: waits and slowdowns by size, load over time, accounts, and who held which node when."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from simulator.accounting.groups import class_names
from simulator.experiments.statistics import mean_interval
from simulator.report.numbers import FEW, duration, number, percent, plain, shortened, wrapped
from simulator.report.plots.common import (
    DURATIONS,
    NUMBERS,
    Missing,
    Plot,
    Ticks,
    equals_together,
    log_axis,
    thinned,
    time_unit,
)
from simulator.report.results import Results
from simulator.report.style import (
    ACCENT,
    BUCKET_LOOK,
    Look,
    PaperFigure,
    clean_value_axis,
    edge_of,
    footnote,
    paper,
    variant_looks,
)
from simulator.units import count_of

_FEWEST_JOBS = 10
_FEWEST_SAMPLES = 20
_MOST_PANELS = 6
_MOST_ACCOUNTS = 12
_MOST_NODES = 64
_MOST_SPANS = 600
_LEAST_WAIT_S = 1.0
_SIZES_ABREAST = 5
_OUT = "out of service"
_NOT_IN_USE = ("spare", "testing", "draining", "down")
_SPAN_COLOURS = ("#1F5A7A", "#DE8A33", "#8CBF98", "#8E2B56", "#A9D3EA", "#F2D16B", "#6B5B95", "#C77D6F", "#4C8C7B")

_LOAD_LOOK: dict[str, Look] = {
    "in use": BUCKET_LOOK["productive"],
    "free, on nodes partly in use": Look("#DE8A33", "////"),
    "free, whole nodes": BUCKET_LOOK["idle"],
    "out of service, draining or spare": BUCKET_LOOK["down"],
}
"""Look of what the GPUs of a machine are to its queue, from the bottom up."""


def waits_plot(results: Results) -> Plot | Missing:
    """Return mean and 95th percentile of the wait by size of job, one line for each variant."""
    name, heading = "waits", "Who waits: time to the first start by size of job"
    table = _classes(results, ("wait_mean_s", "wait_p95_s"))
    if table.empty:
        return Missing(name, heading, f"no size class has {_FEWEST_JOBS} jobs")
    figure = _by_size(results, table, _LEAST_WAIT_S, DURATIONS, "Wait", "waits below a second are drawn at one second")
    words = _means_in_words(results, table, duration)
    return Plot(
        name,
        heading,
        "Time from submission to the first start by GPUs of the job, on a log scale; mean of "
        f"{count_of(results.replications, 'replication')}. Below the sizes: jobs of that size in one replication."
        + _left_out(results, "wait"),
        f"Lines of the mean and the 95th percentile of waits by size class. Means: {words}.",
        figure,
    )


def slowdowns_plot(results: Results) -> Plot | Missing:
    """Return mean and 95th percentile of the bounded slowdown by size of job, one line for each variant."""
    name, heading = "slowdowns", "What waiting costs: bounded slowdown by size of job"
    table = _classes(results, ("slowdown_mean", "slowdown_p95"))
    if table.empty:
        return Missing(name, heading, f"no size class has {_FEWEST_JOBS} jobs of which one finished")
    figure = _by_size(results, table, 1.0, NUMBERS, "Bounded slowdown", "1: no wait")
    words = _means_in_words(results, table, lambda value: number(value, 3))
    return Plot(
        name,
        heading,
        "Bounded slowdown of finished jobs, (wait + run) / max(run, 10 s) and at least 1, by GPUs of the job, on a log "
        f"scale; mean of {count_of(results.replications, 'replication')}." + _left_out(results, "slowdown"),
        f"Lines of the mean and the 95th percentile of bounded slowdowns by size class. Means: {words}.",
        figure,
    )


def _left_out(results: Results, what: str) -> str:
    """Return what a figure shows of jobs that had not started at the end."""
    if not results.leaves_jobs_out:
        return ""
    count = results.statistic("jobs_waiting")["mean"].max()
    return (
        f" Up to {number(float(count), 3)} jobs had not started at the end: their {what} so far, a lower bound, counts."
    )


def _classes(results: Results, keys: tuple[str, str]) -> pd.DataFrame:
    """Return two columns as means over replications by variant and size class, with their intervals, and jobs.

    The columns are ``mean`` and ``high``, the others those of ``_intervals``.
    Empty where there are too few jobs to speak of. Size classes are in their order.
    """
    known = results.decisive_columns("classes", keys)
    table = results.table("classes", ["size_class", "jobs", *known])
    table = table.dropna(subset=known)
    if table.empty or table["jobs"].max() < _FEWEST_JOBS:
        return table.head(0)
    sizes = [name for name in class_names() if name in set(table["size_class"])]
    table = table.assign(size_class=pd.Categorical(table["size_class"], sizes))
    table = table.rename(columns=dict(zip(known, ("mean", "high"), strict=True)))
    groups = table.groupby(["variant", "size_class"], observed=True)
    return _intervals(groups, ["mean", "high"]).assign(jobs=groups["jobs"].mean()).reset_index()


def _intervals(groups: Any, keys: list[str]) -> pd.DataFrame:
    """Return the mean of each column of grouped rows, and how it spreads over replications.

    ``_low`` and ``_above`` are the ends of its 95 % interval; of few values there are none, and ``_each`` holds these.
    """
    found: dict[str, list[Any]] = {}
    for key in keys:
        values = [each.dropna().to_numpy(dtype=float) for _, each in groups[key]]
        intervals = [mean_interval(each) for each in values]
        ends = [(each.low, each.high) if each.count >= FEW else (math.nan, math.nan) for each in intervals]
        found |= {key: [each.mean for each in intervals]}
        found |= {f"{key}_low": [low for low, _ in ends], f"{key}_above": [high for _, high in ends]}
        found |= {f"{key}_each": [each if 1 < each.size < FEW else each[:0] for each in values]}
    return pd.DataFrame(found, index=groups.size().index)


def _each_value(places: NDArray[Any], values: pd.Series) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return place and value of every point, from the values at each place (NaN where there are none)."""
    there = [(place, each) for place, each in zip(places, values, strict=True) if isinstance(each, np.ndarray)]
    return (
        np.concatenate([np.full(each.size, place) for place, each in there]),
        np.concatenate([each for _, each in there]),
    )


def _spread(replications: int) -> str:
    """Return what figures show beside the mean, for their footnotes."""
    if replications == 1:
        return ""
    return ", each a point" if replications < FEW else " and its 95 % interval"


def _by_size(results: Results, table: pd.DataFrame, least: float, ticks: Ticks, label: str, note: str) -> PaperFigure:
    """Draw mean and 95th percentile against size, beside each other, or below where there are many sizes."""
    sizes = list(table["size_class"].cat.categories)
    variants = [variant for variant in results.variants if variant in set(table["variant"])]
    looks = variant_looks(results.variants)
    shape = (1, 2) if len(sizes) <= _SIZES_ABREAST else (2, 1)
    jobs = table.groupby("size_class", observed=True)["jobs"].mean()
    names = [f"{_short(size)}\n{jobs[size]:,.0f}" for size in sizes]
    with paper():
        figure = PaperFigure((3.2 if shape == (1, 2) else 5.0) + 0.18 * (-(-len(variants) // 4) - 1))
        panels = figure.subplots(*shape, sharey=True, sharex=True).flat
        for axes, key, title in zip(panels, ("mean", "high"), ("Mean", "95th percentile"), strict=True):
            for place, variant in enumerate(variants):
                mine = table[table["variant"] == variant].set_index("size_class").reindex(sizes)
                look = looks[variant]
                at = np.arange(len(sizes)) + _dodge(place, len(variants), 0.3)
                low, above = (mine[f"{key}_{end}"].clip(lower=least) for end in ("low", "above"))
                axes.vlines(at, low, above, color=look.colour, linewidth=0.8, alpha=0.6)
                where, each = _each_value(at, mine[f"{key}_each"])
                axes.plot(where, each.clip(min=least), ".", color=look.colour, markersize=4, alpha=0.6)
                line: dict[str, Any] = {
                    "color": look.colour,
                    "marker": look.marker,
                    "linestyle": look.line,
                    "markersize": 4.5,
                    "clip_on": False,
                }
                axes.plot(at, mine[key].clip(lower=least), **line, label=shortened(plain(variant), 22))
            axes.set_title(title, fontsize=9)
            axes.set_xticks(range(len(sizes)), names, fontsize=8)
            axes.set_xlim(-0.3, len(sizes) - 0.7)
            clean_value_axis(axes, "y")
        shown = np.concatenate([table["mean"], table["high"], *table["mean_each"], *table["high_each"]]).clip(min=least)
        first = figure.axes[0]
        log_axis(first, "y", float(shown.min()), float(shown.max()), ticks)
        for axes in figure.axes[-shape[1] :]:
            axes.set_xlabel("GPUs of the job, and how many jobs")
        for axes in figure.axes[:: shape[1]]:
            axes.set_ylabel(label)
        handles, labels = first.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
        sample = count_of(results.replications, "replication")
        spread = _spread(results.replications)
        footnote(figure, f"Mean of {sample}{spread}; {note}." if spread else f"{note}.")
    return figure


def _dodge(place: int, count: int, width: float) -> float:
    """Return how far one of several marks stands beside its place, so that all can be seen."""
    return (place - (count - 1) / 2) * width / max(count, 1)


def _short(size_class: str) -> str:
    """Return "2 to 7 GPUs" as "2-7", for ticks."""
    words = size_class.replace(" GPUs", "").replace(" GPU", "")
    return words.replace(" to ", "\N{EN DASH}").replace(" and more", "+")


def _means_in_words(results: Results, table: pd.DataFrame, shown: Callable[[float], str]) -> str:
    parts = []
    for variant in results.variants:
        mine = table[table["variant"] == variant]
        listed = (f"{size} {shown(float(mean))}" for size, mean in zip(mine["size_class"], mine["mean"], strict=True))
        if len(mine):
            parts.append(f"{plain(variant)}: {', '.join(listed)}")
    return "; ".join(parts)


def queue_plot(results: Results) -> Plot | Missing:
    """Return what the GPUs of the machine are to the queue, and GPUs waited for, over time, by variant."""
    name, heading = "queue", "How full the machine is, and what waits"
    table = results.table("queue", ["time_s", "waiting_gpus", "free_gpus", "partly_free_gpus"])
    series = results.table("series", ["time_s", "state", "gpus"])
    samples = 0 if series.empty else table["time_s"].nunique()
    if samples < _FEWEST_SAMPLES:
        reason = f"{samples} samples over time; {_FEWEST_SAMPLES} or more say how it went (set `sample_every`)"
        return Missing(name, heading, reason)
    if not (table["waiting_gpus"] > 0).any():
        return Missing(name, heading, "no job waited at any sample")
    waiting = set(table.loc[table["waiting_gpus"] > 0, "variant"])
    pictures = {v: _load(table, series, v) for v in results.variants if v in waiting}
    titles = equals_together(pictures)
    shown = list(titles)[:_MOST_PANELS]
    loads = {variant: pictures[variant] for variant in shown}
    parts = [part for part in _LOAD_LOOK if any((load[part] > 0).any() for load in loads.values())]
    unit, size = time_unit(max(float(load.index[-1]) for load in loads.values()))
    binned = 1
    with paper():
        figure = PaperFigure(1.05 + 1.0 * len(shown) + 0.2 * (len(parts) > 2))
        grid = figure.subplots(len(shown), 2, squeeze=False, sharex=True, sharey="col")
        for (left, right), variant in zip(grid, shown, strict=True):
            load, binned = thinned(loads[variant])
            times = load.index.to_numpy(dtype=float) / size
            _stacked_steps(left, times, load[parts], _LOAD_LOOK)
            right.fill_between(times, load["wanted"], step="post", color=ACCENT, linewidth=0)
            left.set_title(shortened(titles[variant], 38), fontsize=9)
            for axes in (left, right):
                axes.margins(x=0)
                axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
                axes.yaxis.set_major_formatter("{x:,.0f}")
                clean_value_axis(axes, "y")
        # Panels below each other share their axis, so its end is set once for all of them.
        grid[0, 0].set_ylim(0, 1.04 * max(float(load[parts].sum(axis=1).max()) for load in loads.values()))
        grid[0, 1].set_ylim(0, 1.04 * max(float(load["wanted"].max()) for load in loads.values()) or 1.0)
        for axes in grid[-1]:
            axes.set_xlabel(f"simulated time ({unit})")
        for axes in grid[:, 0]:
            axes.set_ylabel("GPUs")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        handles, labels = [*handles, Patch(color=ACCENT)], [*labels, "right: wanted by waiting jobs"]
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
        step = duration(float(np.median(np.diff(next(iter(loads.values())).index))))
        sampled = f"a sample every {step}" + (f", means of {binned}" if binned > 1 else "")
        footnote(figure, f"One replication, no interval; {sampled}. Scales differ left and right.")
    left_out = f" The first {len(shown)} of {len(titles)} that differ are shown." if len(shown) < len(titles) else ""
    if without := [plain(v) for v in results.variants if v not in waiting]:
        left_out += f" Nothing waits in: {', '.join(without)}."
    words = "; ".join(
        f"{plain(v)}: {load['in use'].mean():,.0f} in use, {load['wanted'].mean():,.0f} waited for, "
        f"{_share_apart(load)} of the free ones on nodes partly in use"
        for v, load in loads.items()
    )
    return Plot(
        name,
        heading,
        "Left: GPUs of the machine, those free told apart by whether their node is free as a whole. Right: GPUs that "
        "waiting jobs want. Where GPUs are free while jobs wait, they are too few for the next job or lie apart. "
        f"One replication.{left_out}",
        f"Areas over time by variant. Mean GPUs: {words}.",
        figure,
    )


def _share_apart(load: pd.DataFrame) -> str:
    apart, whole = (float(load[f"free, {which}"].sum()) for which in ("on nodes partly in use", "whole nodes"))
    return percent(apart / (apart + whole)) if apart + whole > 0 else "none"


def _load(table: pd.DataFrame, series: pd.DataFrame, variant: str) -> pd.DataFrame:
    """Return GPUs by part of `_LOAD_LOOK` and ``wanted`` of a variant at each sample of its first replication."""
    queue, states = (
        each[(each["variant"] == variant) & (each["replication"] == each["replication"].min())]
        for each in (table, series)
    )
    queue = queue.set_index("time_s").sort_index()
    wide = states.pivot_table(index="time_s", columns="state", values="gpus", aggfunc="sum", fill_value=0)
    wide = wide.reindex(queue.index, method="ffill")
    out = wide[[state for state in _NOT_IN_USE if state in wide]].sum(axis=1)
    parts = (
        wide.sum(axis=1) - queue["free_gpus"] - out,
        queue["partly_free_gpus"],
        queue["free_gpus"] - queue["partly_free_gpus"],
        out,
    )
    return pd.DataFrame(dict(zip(_LOAD_LOOK, parts, strict=True))).assign(wanted=queue["waiting_gpus"])


def _stacked_steps(axes: Axes, times: NDArray[np.float64], parts: pd.DataFrame, looks: Mapping[str, Look]) -> None:
    bottom = np.zeros(len(parts))
    for part in parts.columns:
        top = bottom + parts[part].to_numpy(dtype=float)
        look = looks[part]
        style: dict[str, Any] = {
            "facecolor": look.colour,
            "hatch": look.hatch or None,
            "edgecolor": edge_of(look),
            "linewidth": 0.0,
        }
        axes.fill_between(times, bottom, top, step="post", **style, label=part)
        bottom = top


def accounts_plot(results: Results) -> Plot | Missing:
    """Return share of GPU time and mean bounded slowdown of each account."""
    name, heading = "accounts", "How accounts fare"
    (slowdown,) = results.decisive_columns("accounts", ["slowdown_mean"])
    table = results.table("accounts", ["account", "jobs", "gpu_s", "share", slowdown])
    table = table.rename(columns={slowdown: "slowdown_mean"})
    if table.empty or table["account"].nunique() < 2:
        return Missing(name, heading, "all jobs are on one account")
    largest = table.groupby("account")["gpu_s"].mean().nlargest(_MOST_ACCOUNTS).index.tolist()
    variants = [variant for variant in results.variants if variant in set(table["variant"])]
    means = _intervals(table.groupby(["variant", "account"]), ["share", "slowdown_mean"])
    drawn = means[means.index.get_level_values("account").isin(largest)]
    known = np.concatenate([drawn["slowdown_mean"].dropna(), *drawn["slowdown_mean_each"]])
    looks = variant_looks(results.variants)
    with paper():
        height = 0.27 * max(1.0, len(variants) / 6)
        figure = PaperFigure(1.3 + height * len(largest) + 0.18 * (-(-len(variants) // 4) - 1))
        left, *others = figure.subplots(1, 2 if len(known) else 1, sharey=True, squeeze=False)[0]
        for place, variant in enumerate(variants):
            mine = means.loc[variant].reindex(largest)
            rows = np.arange(len(largest)) + _dodge(place, len(variants), 0.7)
            look = looks[variant]
            thin: dict[str, Any] = {"color": look.colour, "linewidth": 0.8, "alpha": 0.6}
            left.hlines(rows, mine["share_low"].clip(0.0) * 100.0, mine["share_above"].clip(upper=1.0) * 100.0, **thin)
            for axes, key, factor in zip((left, *others), ("share", "slowdown_mean"), (100.0, 1.0), strict=False):
                where, each = _each_value(rows, mine[f"{key}_each"])
                axes.plot(each * factor, where, ".", color=look.colour, markersize=4, alpha=0.6)
            left.plot(
                mine["share"] * 100.0,
                rows,
                look.marker,
                color=look.colour,
                markersize=4,
                label=shortened(plain(variant), 22),
            )
            for right in others:
                right.hlines(rows, mine["slowdown_mean_low"].clip(lower=1.0), mine["slowdown_mean_above"], **thin)
                right.plot(mine["slowdown_mean"], rows, look.marker, color=look.colour, markersize=4)
        left.set_yticks(range(len(largest)), [wrapped(plain(account), 18, 2) for account in largest])
        left.set_ylim(len(largest) - 0.5, -0.5)
        left.set_xlim(left=0)
        left.set_xlabel("Share of the useful GPU time (%)")
        for right in others:
            log_axis(right, "x", float(known.min()), float(known.max()), NUMBERS)
            right.set_xlabel("Mean bounded slowdown")
            clean_value_axis(right)
        clean_value_axis(left)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
        sample = count_of(results.replications, "replication")
        count = table["account"].nunique()
        which = (
            f"the {len(largest)} of {count:,} accounts with most GPU time" if count > len(largest) else "all accounts"
        )
        footnote(figure, f"Mean of {sample}{_spread(results.replications)}; {which}.")
    base = means.loc[variants[0], ["share", "slowdown_mean"]].reindex(largest)
    words = ", ".join(
        f"{plain(account)} {percent(float(share), 1)} and {number(float(slowdown), 3)}"
        for account, share, slowdown in base.itertuples()
    )
    return Plot(
        name,
        heading,
        f"Share of the useful GPU time and mean bounded slowdown by account and variant, mean of {sample}.",
        f"Dots by account. Share and slowdown in variant {plain(variants[0])}: {words}.",
        figure,
    )


def gantt_plot(results: Results) -> Plot | Missing:
    """Return nodes over time with the job that held each, for the first two variants of a small case."""
    name, heading = "gantt", "Who held which node"
    table = results.table("spans", ["node", "job", "gpus", "start_s", "end_s"])
    if table.empty:
        return Missing(name, heading, "the results hold no spans of jobs on nodes")
    first = table[table["replication"] == table["replication"].min()]
    variants = [variant for variant in results.variants if variant in set(first["variant"])][:2]
    nodes = int(first["node"].max()) + 1
    if isinstance(results.facts.get("nodes"), int) and results.facts["nodes"] <= _MOST_NODES:
        nodes = max(nodes, results.facts["nodes"])  # also those that stayed idle
    most = max(int((first["variant"] == variant).sum()) for variant in variants)
    if nodes > _MOST_NODES or most > _MOST_SPANS:
        return Missing(name, heading, f"drawn up to {_MOST_NODES} nodes and {_MOST_SPANS} spans")
    per_node = _gpus_per_node(results, first)
    unit, size = time_unit(float(first["end_s"].max()))
    jobs = [job for job in dict.fromkeys(first.sort_values("start_s")["job"]) if job != _OUT]
    if len(jobs) < 2:
        return Missing(name, heading, "one job held all nodes that were held")
    colour = {job: _SPAN_COLOURS[place % len(_SPAN_COLOURS)] for place, job in enumerate(jobs)}
    with paper():
        legend = 0.18 * -(-len(jobs) // 4) if len(jobs) <= len(_SPAN_COLOURS) else 0.0
        figure = PaperFigure(0.9 + legend + (0.5 + 0.06 * max(nodes, 10)) * len(variants))
        panels = figure.subplots(len(variants), 1, squeeze=False, sharex=True)[:, 0]
        for axes, variant in zip(panels, variants, strict=True):
            _bars(axes, first[first["variant"] == variant], colour, per_node, size)
            axes.set_title(plain(variant), fontsize=9, loc="left")
            axes.set_ylim(nodes, 0)
            named = range(0, nodes, -(-nodes // 10))
            axes.set_yticks([node + 0.5 for node in named], [str(node) for node in named])
            axes.set_ylabel("Node")
            clean_value_axis(axes)
        panels[-1].set_xlabel(f"simulated time ({unit})")
        if 0 < len(jobs) <= len(_SPAN_COLOURS):
            handles = [Patch(color=colour[job], label=shortened(plain(job), 22)) for job in jobs]
            figure.legend(handles=handles, loc="outside upper left", ncols=4)
        which = f" The first 2 of {len(results.variants)} variants." if len(results.variants) > len(variants) else ""
        note = "One replication. A bar is a job on a node; hatched: out of service; white: free, or a spare."
        footnote(figure, note + which)
    words = ", ".join(f"{plain(v)} {int((first['variant'] == v).sum())} spans" for v in variants)
    return Plot(
        name,
        heading,
        "Nodes by number over time and the jobs that held them, for the first two variants in one replication; colours "
        + ("tell jobs apart." if len(jobs) <= len(_SPAN_COLOURS) else "tell neighbouring jobs apart and repeat."),
        f"Gantt chart of {nodes} nodes: {words}, of {len(jobs)} jobs.",
        figure,
    )


def _gpus_per_node(results: Results, spans: pd.DataFrame) -> int:
    nodes, gpus = (results.facts.get(key) for key in ("nodes", "gpus"))
    of_machine = gpus // nodes if isinstance(nodes, int) and isinstance(gpus, int) and nodes > 0 else 1
    return max(of_machine, int(spans["gpus"].max()))


def _bars(axes: Axes, spans: pd.DataFrame, colour: Mapping[str, str], per_node: int, size: float) -> None:
    """Draw the spans of a variant; jobs that share a node lie below each other in its row."""
    for node, job, gpus, start_s, end_s in placed_in_rows(spans, per_node):
        out = job == _OUT
        axes.barh(
            (node * per_node + gpus[0] + len(gpus) / 2.0) / per_node,
            (end_s - start_s) / size,
            left=start_s / size,
            height=0.94 * len(gpus) / per_node,
            color="#FFFFFF" if out else colour[job],
            hatch="////" if out else None,
            edgecolor="#8A949E" if out else "white",
            linewidth=0.3,
        )


def placed_in_rows(spans: pd.DataFrame, per_node: int) -> Iterator[tuple[int, str, range, float, float]]:
    """Yield node, job, a range of GPUs and time of each bar; a job whose GPUs do not lie together has several.

    A span says how many GPUs of a node a job had, not which: each takes the first that are free.
    """
    for node, mine in spans.groupby("node"):
        ends = np.full(per_node, -np.inf)  # until when each GPU is drawn
        ordered = mine.sort_values("start_s", kind="stable")
        for job, gpus, start_s, end_s in ordered[["job", "gpus", "start_s", "end_s"]].itertuples(index=False):
            taken = np.sort(np.argsort(ends > start_s, kind="stable")[:gpus])
            ends[taken] = end_s
            for together in np.split(taken, np.flatnonzero(np.diff(taken) > 1) + 1):
                yield int(str(node)), str(job), range(together[0], together[-1] + 1), start_s, end_s

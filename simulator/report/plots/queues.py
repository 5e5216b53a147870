"""The queue and its users: waits by size, load over time, accounts, and who held which node when."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from simulator.report.numbers import compact, number, plain, wrapped
from simulator.report.plots.common import Missing, Plot, count_of
from simulator.report.results import Results
from simulator.report.style import FAINT, PaperFigure, clean_value_axis, footnote, paper, variant_looks

_FEWEST_JOBS = 10
_MOST_PANELS = 6
_MOST_ACCOUNTS = 12
_MOST_NODES = 64
_MOST_SPANS = 600
_LEAST_WAIT_S = 1.0
_OUT = "out of service"
_LOG_TICKS = FuncFormatter(lambda value, _: compact(value))
_SPAN_COLOURS = ("#1F5A7A", "#DE8A33", "#8CBF98", "#8E2B56", "#A9D3EA", "#F2D16B", "#6B5B95", "#C77D6F", "#4C8C7B")


def _short(size_class: str) -> str:
    """Return "2 to 7 GPUs" as "2-7", for ticks."""
    words = size_class.replace(" GPUs", "").replace(" GPU", "")
    return words.replace(" to ", "\N{EN DASH}").replace(" and more", "+")


def waits_plot(results: Results) -> Plot | Missing:
    """Return mean and 95th percentile of the wait by size of job, one line for each variant."""
    name, heading = "waits", "Who waits: time to the first start by size of job"
    table = results.table("classes", ["size_class", "jobs", "started", "wait_mean_s", "wait_p95_s"])
    if table.empty or table["jobs"].max() < _FEWEST_JOBS:
        return Missing(name, heading, f"no size class has {_FEWEST_JOBS} jobs")
    table = table[table["started"] > 0]
    sizes = list(dict.fromkeys(table["size_class"]))
    variants = [variant for variant in results.variants if variant in set(table["variant"])]
    means = table.groupby(["variant", "size_class"])[["wait_mean_s", "wait_p95_s"]].mean()
    looks = variant_looks(results.variants)
    with paper():
        figure = PaperFigure(3.1 + 0.16 * (len(variants) // 3))
        for axes, key, title in zip(
            figure.subplots(1, 2, sharey=True), ("wait_mean_s", "wait_p95_s"), ("Mean", "95th percentile"), strict=True
        ):
            for variant in variants:
                mine = means.loc[variant][key].reindex(sizes)
                look = looks[variant]
                axes.plot(
                    range(len(sizes)),
                    np.maximum(mine, _LEAST_WAIT_S) / 60.0,
                    color=look.colour,
                    marker=look.marker,
                    linestyle=look.line,
                    markersize=4,
                    label=plain(variant),
                )
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(_LOG_TICKS)
            axes.set_title(title, fontsize=9)
            axes.set_xticks(range(len(sizes)), [_short(size) for size in sizes], fontsize=7)
            axes.set_xlabel("GPUs of the job")
        first = figure.axes[0]
        first.set_ylabel("Wait (min)")
        handles, labels = first.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
        sample = count_of(results.replications, "replication")
        footnote(figure, f"Mean of {sample}; waits below a second are drawn at one second.")
    words = "; ".join(
        f"{plain(v)}: " + ", ".join(f"{size} {number(float(means.loc[(v, size), 'wait_mean_s']) / 60.0, 3)} min"
                                    for size in sizes if (v, size) in means.index)
        for v in variants
    )  # fmt: skip
    return Plot(
        name,
        heading,
        f"Time from submission to the first start, minutes on a log scale, by GPUs of the job; mean of {sample}.",
        f"Lines of the mean and the 95th percentile of waits by size class. Means: {words}.",
        figure,
    )


def queue_plot(results: Results) -> Plot | Missing:
    """Return GPUs in use and GPUs waited for over time, one panel for each variant."""
    name, heading = "queue", "How full the machine is, and what waits"
    table = results.table("queue", ["time_s", "waiting_jobs", "waiting_gpus", "running_jobs", "free_gpus"])
    if table.empty or table["time_s"].nunique() < 2 or not (table["waiting_gpus"] > 0).any():
        return Missing(name, heading, "no job waited at any sample")
    first = table[table["replication"] == table["replication"].min()]
    variants = [variant for variant in results.variants if variant in set(first["variant"])]
    shown = variants[:_MOST_PANELS]
    looks = variant_looks(results.variants)
    with paper():
        figure = PaperFigure(0.9 + 0.95 * len(shown))
        panels = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
        for axes, variant in zip(panels, shown, strict=True):
            mine = first[first["variant"] == variant].sort_values("time_s")
            days = mine["time_s"] / 86400.0
            axes.fill_between(days, mine["waiting_gpus"], step="post", color=looks[variant].colour, alpha=0.55, lw=0)
            axes.plot(days, mine["free_gpus"], drawstyle="steps-post", color="#2B2F33", linewidth=0.8)
            axes.set_title(plain(variant), fontsize=9, loc="left")
            axes.set_ylim(bottom=0)
            clean_value_axis(axes)
        panels[-1].set_xlabel("Time (days)")
        figure.supylabel("GPUs", fontsize=9)
        handles = [Patch(color=FAINT, label="wanted by waiting jobs"), Patch(color="#2B2F33", label="free")]
        figure.legend(handles=handles, loc="outside upper left", ncols=2)
        footnote(figure, "One replication; where GPUs are free while jobs wait, they are too few or lie apart.")
    left_out = f" The first {len(shown)} of {len(variants)} variants are shown." if len(shown) < len(variants) else ""
    means = first.groupby("variant")[["waiting_gpus", "free_gpus"]].mean()
    words = "; ".join(
        f"{plain(v)} {means.loc[v, 'waiting_gpus']:,.0f} waited for and {means.loc[v, 'free_gpus']:,.0f} free"
        for v in shown
    )
    return Plot(
        name,
        heading,
        f"GPUs that waiting jobs want (filled) and GPUs that are free (line) over time, in one replication.{left_out}",
        f"Areas and lines over time by variant. Mean GPUs: {words}.",
        figure,
    )


def accounts_plot(results: Results) -> Plot | Missing:
    """Return share of GPU time and mean bounded slowdown of each account."""
    name, heading = "accounts", "How accounts fare"
    table = results.table("accounts", ["account", "jobs", "gpu_s", "share", "wait_mean_s", "slowdown_mean"])
    if table.empty or table["account"].nunique() < 2:
        return Missing(name, heading, "all jobs are on one account")
    largest = table.groupby("account")["gpu_s"].mean().nlargest(_MOST_ACCOUNTS).index.tolist()
    variants = [variant for variant in results.variants if variant in set(table["variant"])]
    means = table.groupby(["variant", "account"])[["share", "slowdown_mean"]].mean()
    looks = variant_looks(results.variants)
    with paper():
        figure = PaperFigure(1.3 + 0.27 * len(largest) + 0.16 * (len(variants) // 3))
        left, right = figure.subplots(1, 2, sharey=True)
        for place, variant in enumerate(variants):
            mine = means.loc[variant].reindex(largest)
            rows = np.arange(len(largest)) + (place - (len(variants) - 1) / 2) * 0.7 / max(len(variants), 1)
            look = looks[variant]
            left.plot(mine["share"] * 100.0, rows, look.marker, color=look.colour, markersize=4, label=plain(variant))
            right.plot(mine["slowdown_mean"], rows, look.marker, color=look.colour, markersize=4)
        left.set_yticks(range(len(largest)), [wrapped(plain(account), 18, 2) for account in largest])
        left.set_ylim(len(largest) - 0.5, -0.5)
        left.set_xlim(left=0)
        left.set_xlabel("Share of the useful GPU time (%)")
        right.set_xscale("log")
        right.xaxis.set_major_formatter(_LOG_TICKS)
        right.xaxis.set_minor_formatter(NullFormatter())
        right.set_xlabel("Mean bounded slowdown")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=4)
        sample = count_of(results.replications, "replication")
        footnote(figure, f"Mean of {sample}; the {len(largest)} accounts with most GPU time.")
    base = means.loc[variants[0]]["share"].reindex(largest)
    words = ", ".join(f"{plain(account)} {100.0 * share:.3g} %" for account, share in base.items())
    return Plot(
        name,
        heading,
        f"Share of the useful GPU time and mean bounded slowdown by account and variant, mean of {sample}.",
        f"Dots by account. Shares in variant {plain(variants[0])}: {words}.",
        figure,
    )


def gantt_plot(results: Results) -> Plot | Missing:
    """Return nodes over time with the job that held each, for the first variant of a small case."""
    name, heading = "gantt", "Who held which node"
    table = results.table("spans", ["node", "job", "gpus", "start_s", "end_s"])
    if table.empty:
        return Missing(name, heading, "the results hold no spans of jobs on nodes")
    first = table[table["replication"] == table["replication"].min()]
    variants = [variant for variant in results.variants if variant in set(first["variant"])][:2]
    nodes = int(first["node"].max()) + 1
    most = max(int((first["variant"] == variant).sum()) for variant in variants)
    if nodes > _MOST_NODES or most > _MOST_SPANS:
        return Missing(name, heading, f"drawn up to {_MOST_NODES} nodes and {_MOST_SPANS} spans")
    per_node = int(first["gpus"].max())
    jobs = [job for job in dict.fromkeys(first.sort_values("start_s")["job"]) if job != _OUT]
    colour = {job: _SPAN_COLOURS[place % len(_SPAN_COLOURS)] for place, job in enumerate(jobs)}
    with paper():
        figure = PaperFigure(0.9 + (0.5 + 0.06 * max(nodes, 10)) * len(variants))
        panels = figure.subplots(len(variants), 1, squeeze=False, sharex=True)[:, 0]
        for axes, variant in zip(panels, variants, strict=True):
            _bars(axes, first[first["variant"] == variant], colour, per_node)
            axes.set_title(plain(variant), fontsize=9, loc="left")
            axes.set_ylim(nodes, 0)
            axes.set_ylabel("Node")
            clean_value_axis(axes)
        panels[-1].set_xlabel("Time (h)")
        footnote(figure, "One replication. A bar is a job on a node, its height by its GPUs; hatched: out of service.")
    words = ", ".join(f"{plain(v)} {int((first['variant'] == v).sum())} spans" for v in variants)
    return Plot(
        name,
        heading,
        "Nodes by number over time and the jobs that held them, for the first two variants in one replication; colours "
        "tell neighbouring jobs apart and repeat.",
        f"Gantt chart of {nodes} nodes: {words}, of {len(jobs)} jobs.",
        figure,
    )


def _bars(axes: Axes, spans: pd.DataFrame, colour: dict[str, str], per_node: int) -> None:
    """Draw the spans of a variant; jobs that share a node lie below each other in its row."""
    for node, mine in spans.groupby("node"):
        ends = np.full(per_node, -np.inf)  # until when each GPU of the row is drawn
        ordered = mine.sort_values("start_s")
        columns = (ordered[key].tolist() for key in ("job", "gpus", "start_s", "end_s"))
        for job, gpus, start_s, end_s in zip(*columns, strict=True):
            free = np.flatnonzero(ends <= start_s + 1e-9)
            slot = int(free[0]) if len(free) else 0
            ends[slot : slot + gpus] = end_s
            out = job == _OUT
            axes.barh(
                float(str(node)) + (slot + gpus / 2.0) / per_node,
                (end_s - start_s) / 3600.0,
                left=start_s / 3600.0,
                height=0.94 * gpus / per_node,
                color="#FFFFFF" if out else colour[str(job)],
                hatch="////" if out else None,
                edgecolor="#8A949E" if out else "white",
                linewidth=0.3,
            )
